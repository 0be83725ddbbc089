"""What follows from an hour that shows drift, over a broker in memory."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.database.monitoring_documents import MonitoredHour, Realised, StoredSignal
from loan_default.database.monitoring_repository import MonitoringRepository
from loan_default.evaluation.drift import DriftLevel
from loan_default.kafka.consuming import Polling
from loan_default.kafka.control_events import CommandType, FactType, read_command
from loan_default.kafka.events import read_event
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import COMMANDS
from loan_default.pipelines.monitoring.drift_alarms import act_on, outcome_signals
from loan_default.thresholds import DriftPolicy

SCHEMA = Schema(name="loans", columns=(Column(name="income", kind=Kind.NUMERICAL),))
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
OFF = DriftPolicy()
ON_ACT = DriftPolicy(retrain_on_drift="act", retrain_cooldown_hours=24)


def hour_of(number, level, **values):
    signal = StoredSignal(
        measured="score_psi", value=0.3, critical=0.03, limit=0.1, level=level, sentence="PSI is 0.300."
    )
    return MonitoredHour(
        version="m-1",
        digest="ab" * 32,
        begins_at=NOON + number * HOUR,
        computed_at=NOON + number * HOUR,
        rows=1000,
        cutoff=0.2,
        level=level,
        assessed_rows=1000,
        assessed_since=NOON,
        signals=(signal,),
        **values,
    )


@pytest.fixture
def services(new_services):
    services = new_services(SCHEMA, Polling())
    # The reader joins first: a topic that nobody reads keeps nothing.
    services.broker.consumer("reader", [COMMANDS]).close()
    return services


def published(services):
    consumer = services.broker.consumer("reader", [COMMANDS])
    try:
        records = consumer.poll(max_records=100, timeout_seconds=0.0)
        consumer.commit({record.partition: record.offset + 1 for record in records})
        return records
    finally:
        consumer.close()


def act(services, hour, *, seen=(), policy=OFF, at=None):
    found = act_on(services, hour, seen=seen, policy=policy, now=at or hour.begins_at)
    MonitoringRepository(services.database).put(found)
    return found


def test_an_alarm_is_published_when_the_level_rises_and_not_while_it_lasts(services):
    before = act(services, hour_of(0, "ok"))
    assert published(services) == []
    before = act(services, hour_of(1, "warn"), seen=[before])
    before = act(services, hour_of(2, "warn"), seen=[before])
    before = act(services, hour_of(3, "act"), seen=[before])
    before = act(services, hour_of(4, "ok"), seen=[before])
    act(services, hour_of(5, "act"), seen=[before])
    facts = [read_event(record) for record in published(services)]
    assert [fact.type for fact in facts] == [FactType.DRIFTED] * 3
    assert [fact.data["level"] for fact in facts] == ["warn", "act", "act"]
    assert facts[0].data["version"] == "m-1"
    assert facts[0].data["signals"] == ["PSI is 0.300."]
    assert len({fact.id for fact in facts}) == 3


def test_an_hour_that_is_computed_again_has_the_same_fact(services):
    act(services, hour_of(1, "act"))
    act(services, hour_of(1, "act"))  # who died before storing does it again
    first, again = (read_event(record) for record in published(services))
    assert first.id == again.id
    act(services, hour_of(1, "act"), seen=[hour_of(1, "act")])
    assert published(services) == []


def test_a_fact_asks_for_nothing(services):
    act(services, hour_of(1, "act"))
    (record,) = published(services)
    assert read_command(record) is None


def test_a_training_is_asked_for_by_the_policy_alone_and_never_within_the_cooldown(services):
    assert act(services, hour_of(0, "act")).retraining is None
    assert act(services, hour_of(1, "warn"), policy=ON_ACT).retraining is None
    published(services)
    asked = act(services, hour_of(2, "act"), seen=[hour_of(1, "act")], policy=ON_ACT)
    (record,) = published(services)
    command = read_command(record)
    assert command.type is CommandType.TRAIN
    assert command.id == asked.retraining == "drift-m-1-20261123T14"
    for number in range(3, 26):
        assert act(services, hour_of(number, "act"), seen=[asked], policy=ON_ACT).retraining is None
    assert published(services) == []
    again = act(services, hour_of(26, "act"), seen=[asked], policy=ON_ACT)
    assert again.retraining == "drift-m-1-20261124T14", "drift that lasts is acted on again"


def test_the_policy_may_ask_from_a_warning_on(services):
    policy = replace(ON_ACT, retrain_on_drift="warn")
    assert act(services, hour_of(0, "insufficient"), policy=policy).retraining is None
    assert act(services, hour_of(1, "warn"), policy=policy).retraining is not None


def test_without_a_broker_that_others_read_no_training_is_asked_for(services, tmp_path):
    alone = replace(services, replays=Outbox(tmp_path / "replays"))
    assert act(alone, hour_of(0, "act"), policy=ON_ACT).retraining is None
    assert [read_event(record).type for record in published(alone)] == [FactType.DRIFTED]


def test_few_outcomes_say_nothing_and_a_wrong_level_of_many_is_an_alarm():
    few = Realised(since=NOON, rows=199, bads=100, mean_pd=0.2, bad_rate=0.5)
    rare = Realised(since=NOON, rows=1000, bads=29, mean_pd=0.2, bad_rate=0.029)
    wrong = Realised(since=NOON, rows=1000, bads=400, mean_pd=0.2, bad_rate=0.4)
    assert outcome_signals(None) == outcome_signals(few) == outcome_signals(rare) == ()
    (signal,) = outcome_signals(wrong)
    assert signal.level is DriftLevel.ACT


def test_an_order_that_outcomes_do_not_confirm_is_an_alarm_though_the_level_is_right():
    known = {"since": NOON, "rows": 2000, "bads": 400, "mean_pd": 0.2, "bad_rate": 0.2, "auc_low": 0.63}
    random = Realised(auc=0.65, auc_high=0.67, expected_auc=0.8, **known)
    level, order = outcome_signals(random)
    assert (level.level, order.level) == (DriftLevel.OK, DriftLevel.ACT)
    assert "realised_auc" in order.measured
    older = Realised(auc=0.65, auc_high=0.67, **known)
    assert outcome_signals(older) == (level,), "a document of before does not say what was expected"
