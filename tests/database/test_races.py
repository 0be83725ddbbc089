"""Compare-and-set and unique keys, raced by threads of several processes on one database.

Over the embedded store and a genuine MongoDB (`MONGODB_URI`, or `mongod` on the PATH). FerretDB 1.24 is left
out: it reads and writes in two steps, so both of two racing updates report success.
"""

import json
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from database.racer import EVENTS, NOON, digest_of

from loan_default.database.connect import Database, connect
from loan_default.database.control_repositories import CommandRepository
from loan_default.database.ingestion_documents import EventStatus
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.initialise import REPOSITORIES
from loan_default.database.repositories import ModelRepository
from loan_default.settings import Settings

pytestmark = pytest.mark.slow

PROCESSES, THREADS, ROUNDS = 2, 2, 40
RACERS = PROCESSES * THREADS

Race = Callable[[str, int], list[Any]]


@pytest.fixture(params=["embedded", pytest.param("mongodb", marks=pytest.mark.integration)])
def server_settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings by which every process finds the same database."""
    uri = request.getfixturevalue("genuine_mongodb_uri") if request.param == "mongodb" else None
    return {"home": str(tmp_path), "mongodb_uri": uri, "mongodb_database": f"race_{uuid.uuid4().hex[:20]}"}


@pytest.fixture
def database(server_settings: dict[str, Any]) -> Iterator[Database]:
    database = connect(Settings(**{**server_settings, "home": Path(server_settings["home"])}))
    for repository in REPOSITORIES:
        repository(database).ensure_indexes()
    yield database
    if server_settings["mongodb_uri"]:
        database.client.drop_database(server_settings["mongodb_database"])  # type: ignore[attr-defined]
    database.client.close()


@pytest.fixture
def race(server_settings: dict[str, Any], database: Database) -> Iterator[Race]:
    """Lets all threads of all processes do one thing at once; what they found, by their numbers."""
    program = [
        sys.executable,
        "-W",
        "error",
        str(Path(__file__).with_name("racer.py")),
        json.dumps(server_settings),
    ]
    racers = [Popen([*program, str(THREADS)], stdin=PIPE, stdout=PIPE, text=True) for _ in range(PROCESSES)]
    assert [racer.stdout.readline() for racer in racers if racer.stdout] == ["ready\n"] * PROCESSES

    def run(name: str, turn: int) -> list[Any]:
        for number, racer in enumerate(racers):
            assert racer.stdin
            racer.stdin.write(json.dumps([name, turn, number * THREADS]) + "\n")
            racer.stdin.flush()
        return [one for racer in racers if racer.stdout for one in json.loads(racer.stdout.readline())]

    yield run
    for racer in racers:
        racer.communicate(timeout=30)
        assert racer.returncode == 0


def test_one_of_all_who_saw_the_same_champion_moves_the_pointer(race, database, model):
    models = ModelRepository(database)
    for number in range(RACERS):
        version = {"version": f"v{number}", "sha256": digest_of(number)}
        models.add(model.model_copy(update=version))
    winners: Counter[str] = Counter()
    for turn in range(ROUNDS):
        assert len(set(race("look", turn))) == 1, turn
        moved = race("champion", turn)
        assert Counter(moved) == {True: 1, False: RACERS - 1}, turn
        champion = models.champion()
        assert (champion.rev, champion.version) == (turn + 1, f"v{moved.index(True)}")
        assert champion.digest == digest_of(moved.index(True))
        winners[champion.version] += 1
    assert sum(winners.values()) == ROUNDS


def test_the_newest_try_holds_the_fencing_token_whoever_came_first(race):
    for turn in range(ROUNDS):
        assert race("token_claimed", turn)[-1] is True, "the newest is never refused"
        assert race("token_checked", turn) == [False] * (RACERS - 1) + [True], turn


def test_a_switch_is_logged_once_and_the_youngest_counts(race, database):
    commands = CommandRepository(database)
    for turn in range(ROUNDS):
        assert race("switch", turn) == ["added"] * RACERS
        assert commands.last_done(["pause", "resume"]) == NOON + timedelta(hours=turn, minutes=RACERS - 1)
        assert commands.count() == (turn + 1) * (RACERS + 1)


def test_of_several_decisions_with_one_id_one_counts_for_all(race):
    for turn in range(ROUNDS):
        assert len(set(race("decision", turn))) == 1, turn


def test_an_event_is_new_to_one_and_an_offset_is_one_event(race, database):
    logs = RawDataLogRepository(database)
    for turn in range(ROUNDS):
        arrivals = zip(*race("events", turn), strict=True)
        expected = Counter({"new": 1, "redelivered": RACERS - 1})
        assert [Counter(each) for each in arrivals] == [expected] * EVENTS, turn
        assert Counter(race("offset", turn)) == {True: 1, False: RACERS - 1}, turn
    assert logs.count_by_status()[EventStatus.ACCEPTED] == ROUNDS * (EVENTS + 1)
