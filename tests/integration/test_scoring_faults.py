"""The stream is scored on genuine servers while they or the scorer die: each event has one answer."""

import signal
import time

import pymongo
import pytest
from integration.world import World, wait_until

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.generator import generate, to_text
from loan_default.kafka.dead_letters import read_dead_letter
from loan_default.kafka.events import Event, EventType, event_id, read_event, to_message
from loan_default.kafka.messages import Message, Record
from loan_default.kafka.topics import PROCESSED, SCORES, SCORING, dead_letter_topic

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]

ROWS = 900
QUICKLY = ("--preset", "fast", "--epochs", "1", "--pretraining-epochs", "1", "--members", "1")


@pytest.fixture
def scoring(world: World) -> World:
    """Servers with a registered model, and applications on `processed_data`."""
    schema = load_schema(BUNDLED_SCHEMA)
    data = world.home / "loans.csv"
    to_text(generate(schema, rows=ROWS, seed=1).frame, schema).to_csv(data, index=False)
    words = ("train", "--pretrain", "--train", "--data", str(data), "--schema", str(BUNDLED_SCHEMA))
    assert world.run(*words, *QUICKLY) == 0, _log(world)
    assert world.run("ingest", "--generate", str(ROWS)) == 0
    return world


def _log(world: World) -> str:
    return (world.home / "commands.log").read_text()[-4000:]


def predictions(world: World) -> list[dict[str, object]]:
    with pymongo.MongoClient(world.ferretdb.environment["MONGODB_URI"]) as client:
        return list(client["loan_default"]["predictions"].find({}))


def is_committed(world: World) -> bool:
    done, ends = world.broker.committed(SCORING, PROCESSED), world.broker.end_offsets(PROCESSED)
    return all((done[partition] or 0) >= end for partition, end in ends.items())


def score_to_the_end(world: World) -> None:
    follower = world.start("score", "--follow", "--alive", str(world.home / "alive"))
    wait_until(lambda: is_committed(world), seconds=180)
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(60) == 0, _log(world)
    assert time.time() - (world.home / "alive").stat().st_mtime < 60


def _is_application(record: Record) -> bool:
    return record.header("ce_type") == EventType.PROCESSED.encode()


def check_scores(world: World, *, refused: int = 0) -> dict[str, int]:
    """One answer for each application that came, and whatever the topic holds is what the store holds.

    Returns how often each event stands on `scores`.
    """
    asked = {event_id(record) for record in world.records(PROCESSED) if _is_application(record)}
    kept = {str(each["event"]): each for each in predictions(world)}
    assert len(kept) == len(predictions(world)), "an event has two predictions"
    dead = [read_dead_letter(record) for record in world.records(dead_letter_topic(PROCESSED))]
    assert len({each.event for each in dead}) == refused
    assert set(kept) == asked - {each.event for each in dead}, "lost or phantom"
    times: dict[str, int] = {}
    for record in world.records(SCORES):
        event = read_event(record)
        times[event.id] = times.get(event.id, 0) + 1
        stored = kept[event.id]
        assert (event.data["pd"], event.data["version"]) == (stored["pd"], stored["version"])
        assert record.key == str(stored["application"]).encode()
    assert set(times) == set(kept)
    return times


def test_a_scorer_killed_between_write_and_commit_leaves_one_answer_to_each_event(scoring):
    for point in ("answers_stored", "scores_sent"):
        for passing in (1, 2):
            code = scoring.run("score", "--follow", failpoints=f"{point}=kill@{passing}")
            assert code == -signal.SIGKILL, (point, passing, _log(scoring))
    score_to_the_end(scoring)
    times = check_scores(scoring)
    assert sum(times.values()) > len(times), "a kill after the sending was repeated"
    assert "Traceback" not in _log(scoring)


def test_what_the_model_refuses_is_quarantined_with_its_reason(scoring):
    canary = "canary-77ab"
    asked = read_event(scoring.records(PROCESSED)[0])
    foreign = Event(
        id="foreign",
        type=EventType.PROCESSED,
        source="test",
        time=asked.time,
        subject="foreign",
        schema="x/1",
        data={**asked.data, "LIMIT_BAL": canary},
    )
    broken = Message(topic=PROCESSED, key=b"k", value=b"{", headers=(("ce_id", b"broken"),))
    producer = scoring.broker.producer()
    producer.deliver([to_message(foreign, PROCESSED), broken])
    producer.close()
    score_to_the_end(scoring)
    check_scores(scoring, refused=2)
    dead = scoring.records(dead_letter_topic(PROCESSED))
    reasons = {event_id(record): read_dead_letter(record).reason for record in dead}
    assert "LIMIT_BAL: must be a number" in reasons["foreign"]
    assert canary not in "".join(reasons.values())
    assert canary not in _log(scoring)


@pytest.mark.parametrize("who", ["broker", "store"])
def test_a_server_that_dies_under_the_scorer_loses_no_answer(scoring, who):
    server = scoring.kafka.broker if who == "broker" else scoring.ferretdb.process
    follower = scoring.start("score", "--follow", failpoints="answers_stored=sleep(300)")
    wait_until(lambda: len(predictions(scoring)) > 0)
    for _ in range(2):
        server.kill()
        time.sleep(1.5)
        server.restart()
        time.sleep(1.5)
    wait_until(lambda: is_committed(scoring), seconds=180)
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(60) == 0, _log(scoring)
    check_scores(scoring)


def test_two_scorers_share_the_partitions_and_one_that_goes_leaves_its_own_to_the_other(scoring):
    first = scoring.start("score", "--follow", failpoints="answers_stored=sleep(200)")
    second = scoring.start("score", "--follow", failpoints="answers_stored=sleep(200)")
    wait_until(lambda: len(predictions(scoring)) > 0)
    first.kill()
    assert scoring.run("ingest", "--generate", str(ROWS // 3)) == 0
    wait_until(lambda: is_committed(scoring), seconds=180)
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0, _log(scoring)
    check_scores(scoring)
