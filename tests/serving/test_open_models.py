"""The live models of a service over a broker in memory."""

from pathlib import Path

import orjson
import pytest
from serving.conftest import Saved

from loan_default.kafka.control_events import read_command
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import COMMANDS, TOPICS
from loan_default.models.model import LoanModel
from loan_default.serving.live_models import Refusal
from loan_default.serving.open_models import open_live_models, publish_refusal
from loan_default.serving.wanted_models import WantedModel, one_file


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker()
    made.create_topics(TOPICS)
    return made


@pytest.mark.slow
def test_a_sound_model_answers_at_once(registered: Saved, model: LoanModel, broker: MemoryBroker) -> None:
    source = one_file(registered.path, sha256=registered.sha256)
    with open_live_models(source, home=registered.cache.parent, broker=broker) as live:
        pass
    assert live.lineup is not None
    assert live.lineup.champion.version == model.version
    assert facts_of(broker) == []


@pytest.mark.slow
@pytest.mark.parametrize("with_broker", [True, False])
def test_a_refusal_is_a_fact_on_commands_without_a_folder(
    saved: Saved, broker: MemoryBroker, with_broker: bool
) -> None:
    saved.path.write_bytes(b"damaged")
    source = one_file(saved.path, sha256=saved.sha256)
    with open_live_models(source, home=saved.cache.parent, broker=broker if with_broker else None) as live:
        live.refresh()
    assert not live.is_ready
    facts = facts_of(broker)
    assert len(facts) == with_broker
    for fact in facts:
        assert fact["digest"] == saved.sha256
        assert "recorded digest" in fact["reason"]
        assert str(saved.path.parent) not in fact["reason"]


def test_the_refusal_of_one_file_has_one_id(broker: MemoryBroker) -> None:
    model = WantedModel(path=Path("/models/a.pth"), sha256="ab" * 32, version="v1")
    for reason in ("the first replica's", "the second one's"):
        publish_refusal(broker, Refusal(model=model, reason=reason))
    consumer = broker.consumer("test", [COMMANDS])
    records = consumer.poll(max_records=10, timeout_seconds=0)
    assert len({record.header("ce_id") for record in records}) == 1
    assert [read_command(record) for record in records] == [None, None], "a fact asks for nothing"


def facts_of(broker: MemoryBroker) -> list[dict[str, str]]:
    consumer = broker.consumer("test", [COMMANDS])
    records = consumer.poll(max_records=10, timeout_seconds=0)
    return [orjson.loads(record.value or b"") for record in records]
