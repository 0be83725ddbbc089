"""Repositories over every database: idempotent writes, order, the champion's pointer, crashes and races."""

import sys
import threading
from datetime import UTC, datetime, timedelta
from subprocess import PIPE, Popen

import pymongo.database
import pytest

from loan_default.database.connect import connect
from loan_default.database.control_documents import Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelStatus, model_version
from loan_default.database.repositories import (
    MetricsRepository,
    ModelRepository,
    TrainingDataRepository,
    register_model,
)
from loan_default.errors import DataError, DependencyError
from loan_default.settings import Settings

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def changed(document, **values):
    return type(document)(**{**document.model_dump(), **values})


def models_of(model, count):
    digests = [f"{number:02x}" * 32 for number in range(count)]
    times = [NOON + timedelta(seconds=number) for number in range(count)]
    return [
        changed(model, version=model_version(time, digest), sha256=digest, created_at=time)
        for time, digest in zip(times, digests, strict=True)
    ]


@pytest.fixture
def models(database):
    repository = ModelRepository(database)
    for _ in range(2):
        repository.ensure_indexes()
    return repository


def test_what_is_added_is_found(models, model):
    assert (models.latest(), models.newest_first(), models.find(model.version)) == (None, [], None)
    models.add(model)
    assert models.get(model.version) == models.latest() == model


def test_adding_again_is_no_change(models, model):
    models.add(model)
    models.set_status(model.version, ModelStatus.CHAMPION)
    models.add(changed(model, created_at=NOON + timedelta(hours=1)))
    assert models.newest_first() == [changed(model, status=ModelStatus.CHAMPION)]


def test_another_content_under_a_taken_id_is_refused(models, model):
    models.add(model)
    with pytest.raises(DataError, match="comes again with another content"):
        models.add(changed(model, seed=7))
    assert models.newest_first() == [model]


def test_the_newest_come_first(models, model):
    several = models_of(model, 4)
    for each in (several[2], several[0], several[3], several[1]):
        models.add(each)
    assert models.newest_first() == several[::-1]
    assert models.newest_first(limit=2) == [several[3], several[2]]
    assert models.latest() == several[3]


def test_the_same_time_has_an_order_too(models, model):
    twins = [changed(model, version=name) for name in ("a", "c", "b")]
    for each in twins:
        models.add(each)
    assert [each.version for each in models.newest_first()] == ["c", "b", "a"]


def test_status(models, model):
    several = models_of(model, 3)
    for each in several:
        models.add(each)
    models.set_status(several[1].version, ModelStatus.REJECTED)
    assert [each.version for each in models.with_status(ModelStatus.REJECTED)] == [several[1].version]
    assert len(models.with_status(ModelStatus.TRAINED)) == 2


def test_only_a_model_that_waits_becomes_rejected(models, model):
    for each, status in zip(models_of(model, 4), ModelStatus, strict=True):
        models.add(each)
        models.set_status(each.version, status)
        models.reject(each.version)
        expected = ModelStatus.REJECTED if status is ModelStatus.TRAINED else status
        assert models.get(each.version).status is expected


def test_a_run_has_one_model_and_a_claim_that_was_never_stored_makes_way(models, model):
    first, second, third = models_of(model, 3)
    models.claim_run("run", first.version)
    models.claim_run("run", first.version)
    models.claim_run("run", second.version)
    models.add(second)
    models.claim_run("run", second.version)
    for late in (first, third):
        with pytest.raises(DataError, match=f"has stored '{second.version}'"):
            models.claim_run("run", late.version)


class Racing:
    """A database in which another process changes a document before each of our first updates of it."""

    def __init__(self, database, before):
        self.database, self.before = database, before

    def __getitem__(self, name):
        return RacingCollection(self, self.database[name])


class RacingCollection:
    def __init__(self, owner, collection):
        self.owner, self.collection = owner, collection

    def update_one(self, condition, update):
        if self.owner.before:
            self.owner.before.pop()()
        return self.collection.update_one(condition, update)

    def __getattr__(self, name):
        return getattr(self.collection, name)


def test_a_claim_that_another_took_meanwhile_is_not_taken_for_ours(database, models, model):
    abandoned, theirs, ours = models_of(model, 3)
    models.claim_run("run", abandoned.version)

    def they_claim_and_store():
        models.claim_run("run", theirs.version)
        models.add(theirs)

    with pytest.raises(DataError, match=f"has stored '{theirs.version}'"):
        ModelRepository(Racing(database, [they_claim_and_store])).claim_run("run", ours.version)
    models.claim_run("run", theirs.version)


def test_unknown_versions_get_a_hint(models, model):
    with pytest.raises(DataError, match="Nothing is stored yet"):
        models.get("x")
    models.add(model)
    for call in (models.get, lambda version: models.set_status(version, ModelStatus.REJECTED)):
        with pytest.raises(DataError, match=f"Did you mean '{model.version}'"):
            call(model.version[:-1])


def test_metrics_of_a_model(database, metrics):
    repository = MetricsRepository(database)
    repository.ensure_indexes()
    later = changed(metrics, snapshot="data-later", computed_at=NOON + timedelta(days=1), rows=9)
    other = changed(metrics, version="other")
    assert len({changed(metrics, beside=name).id for name in (None, "a", "b")}) == 3
    for each in (metrics, later, other, metrics):
        repository.add(each)
    assert repository.of_model(metrics.version) == [later, metrics]
    assert repository.get(metrics.id) == metrics


def test_registering_again_is_no_change(database, model, metrics, snapshot):
    for _ in range(2):
        register_model(database, model, metrics=[metrics], snapshot=snapshot)
    assert ModelRepository(database).newest_first() == [model]
    assert MetricsRepository(database).newest_first() == [metrics]
    assert TrainingDataRepository(database).newest_first() == [snapshot]


def test_parts_that_do_not_belong_together_are_refused_before_any_write(database, model, metrics, snapshot):
    with pytest.raises(DataError, match="must name its data"):
        register_model(database, changed(model, snapshot="other"), metrics=[metrics], snapshot=snapshot)
    with pytest.raises(DataError, match="must be those of the model"):
        register_model(database, model, metrics=[changed(metrics, version="other")], snapshot=snapshot)
    assert TrainingDataRepository(database).newest_first() == []


class Dying:
    """A database that goes away after some writes."""

    def __init__(self, database, writes):
        self.database, self.left = database, writes

    def __getitem__(self, name):
        return DyingCollection(self, self.database[name])


class DyingCollection:
    def __init__(self, owner, collection):
        self.owner, self.collection = owner, collection

    def insert_one(self, document):
        if self.owner.left == 0:
            raise KeyboardInterrupt
        self.owner.left -= 1
        return self.collection.insert_one(document)

    def __getattr__(self, name):
        return getattr(self.collection, name)


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_a_crash_leaves_no_half_model_and_a_retry_completes_it(database, model, metrics, snapshot, writes):
    second = changed(metrics, dataset="validation")
    with pytest.raises(KeyboardInterrupt):
        register_model(Dying(database, writes), model, metrics=[metrics, second], snapshot=snapshot)
    assert ModelRepository(database).newest_first() == []
    register_model(database, model, metrics=[metrics, second], snapshot=snapshot)
    assert ModelRepository(database).newest_first() == [model]
    assert len(MetricsRepository(database).of_model(model.version)) == 2


def test_models_are_found_by_the_beginning_of_a_version_and_by_their_snapshots(models, model):
    versions = ["2026", "20261", "2026\U0010fffe", "2025", "2027", "202"]
    for hours, version in enumerate(versions):
        at, snapshot = NOON + timedelta(hours=hours), f"data-{hours % 2}"
        models.add(changed(model, version=version, created_at=at, snapshot=snapshot))

    def found(beginning, limit=9):
        return [each.version for each in models.starting_with(beginning, limit=limit)]

    assert found("2026") == ["2026\U0010fffe", "20261", "2026"]
    assert found("2026", limit=2) == ["2026\U0010fffe", "20261"]
    assert found("20261") == ["20261"]
    assert found("20262") == []
    assert [each.version for each in models.of_snapshots(["data-1"])] == ["202", "2025", "20261"]
    assert len(models.of_snapshots(["data-0", "data-1", "other"])) == len(versions) == len(models.ids())
    assert models.of_snapshots([]) == []


def test_snapshots_are_found_by_the_digest_of_their_rows(database, snapshot):
    snapshots = TrainingDataRepository(database)
    snapshots.ensure_indexes()
    later = changed(snapshot, rows_read=13, rows_rejected=2, created_at=NOON + timedelta(hours=1))
    for each in (snapshot, later, changed(snapshot, digest="00" * 32)):
        snapshots.add(each)
    assert snapshots.with_digest(snapshot.digest) == [later, snapshot]
    assert snapshots.with_digest("11" * 32) == []


def test_updates_leave_the_fields_of_other_releases_in_a_document(database, models, model):
    first, second = models_of(model, 2)
    decision = Decision(
        version=first.version, action="promoted", reasons=("r",), champion=None, seen_rev=0, snapshot=None,
        run="r", decided_at=NOON,
    )  # fmt: skip
    for each in (first, second):
        models.add(each)
    assert models.move_champion(first.version, first.sha256, seen_rev=0, seen_version=None)
    decisions = DecisionRepository(database)
    decisions.keep(decision)
    theirs = {"schema_version": "1.7", "later": {"deep": [1]}}
    for name in ("model_metadata", "pointers", "decisions"):
        for stored in list(database[name].find({})):
            database[name].update_one({"_id": stored["_id"]}, {"$set": theirs})
    models.set_status(first.version, ModelStatus.ARCHIVED)
    models.reject(second.version)
    assert models.move_champion(second.version, second.sha256, seen_rev=1, seen_version=first.version)
    decisions.supersede(decision)
    assert [each.status for each in models.newest_first()] == ["rejected", "archived"]
    assert (models.champion().rev, decisions.get(decision.id).action) == (2, "overtaken")
    for name in ("model_metadata", "pointers", "decisions"):
        for stored in database[name].find({}):
            assert theirs.items() <= stored.items(), name


def test_the_champion_moves_only_from_what_was_seen(models, model):
    first, second, _ = several = models_of(model, 3)
    for each in several:
        models.add(each)
    assert models.champion() is None
    assert not models.move_champion(first.version, first.sha256, seen_rev=1, seen_version=second.version)
    assert models.move_champion(first.version, first.sha256, seen_rev=0, seen_version=None)
    assert not models.move_champion(second.version, second.sha256, seen_rev=0, seen_version=None)
    assert models.move_champion(second.version, second.sha256, seen_rev=1, seen_version=first.version)
    assert not models.move_champion(first.version, first.sha256, seen_rev=1, seen_version=first.version)
    champion = models.champion()
    assert (champion.version, champion.digest, champion.rev) == (second.version, second.sha256, 2)


def test_a_pointer_that_was_made_anew_is_another_one(database, models, model):
    first, second, third = models_of(model, 3)
    for each in (first, second, third):
        models.add(each)
    assert models.move_champion(first.version, first.sha256, seen_rev=0, seen_version=None)
    database["pointers"].delete_many({})
    assert models.move_champion(second.version, second.sha256, seen_rev=0, seen_version=None)
    assert not models.move_champion(third.version, third.sha256, seen_rev=1, seen_version=first.version)
    assert not models.move_champion(third.version, third.sha256, seen_rev=1, seen_version=None)
    assert models.champion().version == second.version
    assert models.move_champion(third.version, third.sha256, seen_rev=1, seen_version=second.version)


def test_the_champion_must_be_a_stored_model(models, model):
    models.add(model)
    with pytest.raises(DataError, match="must hold what is asked for"):
        models.move_champion("unheard-of", model.sha256, seen_rev=0, seen_version=None)
    with pytest.raises(DataError, match="digest"):
        models.move_champion(model.version, "00" * 32, seen_rev=0, seen_version=None)
    assert models.champion() is None


@pytest.mark.slow
def test_of_two_threads_one_moves_the_champion(database, models, model):
    if isinstance(database, pymongo.database.Database) and "ferretdbVersion" in database.command("buildInfo"):
        pytest.skip("FerretDB 1.24 reads and writes in two steps: both of two racing updates report success")
    rounds = 200
    pair = models_of(model, 2)
    for each in pair:
        models.add(each)
    barrier = threading.Barrier(2)
    wins = [0, 0]

    def race(number):
        mine = pair[number]
        for rev in range(rounds):
            barrier.wait(timeout=30)
            champion = models.champion()
            version = None if champion is None else champion.version
            barrier.wait(timeout=30)
            wins[number] += models.move_champion(
                mine.version, mine.sha256, seen_rev=rev, seen_version=version
            )

    threads = [threading.Thread(target=race, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wins) == rounds
    assert models.champion().rev == rounds


RACER = """
import sys
from pathlib import Path
from loan_default.database.connect import connect
from loan_default.database.repositories import ModelRepository
from loan_default.settings import Settings

models = ModelRepository(connect(Settings(home=Path(sys.argv[1]), mongodb_uri=None)))
print("ready", flush=True)
wins = 0
for line in sys.stdin:
    rev, version = line.split()
    seen = {"seen_rev": int(rev), "seen_version": None if version == "none" else version}
    wins += models.move_champion(sys.argv[2], sys.argv[3], **seen)
    print(wins, flush=True)
"""


@pytest.mark.slow
def test_of_two_processes_one_moves_the_champion(tmp_path, model):
    rounds = 200
    models = ModelRepository(connect(Settings(home=tmp_path, mongodb_uri=None)))
    racers = []
    for each in models_of(model, 2):
        models.add(each)
        command = [sys.executable, "-W", "error", "-c", RACER, str(tmp_path), each.version, each.sha256]
        racers.append(Popen(command, stdin=PIPE, stdout=PIPE, text=True))
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 2
    for rev in range(rounds):
        champion = models.champion()
        for racer in racers:
            racer.stdin.write(f"{rev} {'none' if champion is None else champion.version}\n")
            racer.stdin.flush()
        assert sum(int(racer.stdout.readline()) for racer in racers) == rev + 1
    for racer in racers:
        racer.communicate(timeout=20)
    champion = models.champion()
    assert champion is not None
    assert champion.rev == rounds


def test_a_database_that_went_away_is_a_dependency_error(tmp_path, model):
    database = connect(Settings(home=tmp_path, mongodb_uri=None))
    models = ModelRepository(database)
    database.client.close()
    for call in (models.latest, models.champion, models.ensure_indexes, lambda: models.add(model)):
        with pytest.raises(DependencyError, match="Cannot "):
            call()
