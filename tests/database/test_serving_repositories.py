"""Keys and experiments over every database: what is revoked or ended stays so, one experiment runs."""

from datetime import UTC, datetime, timedelta

import pytest

from loan_default.database.api_key_documents import ApiKey, KeyScope
from loan_default.database.connect import connect
from loan_default.database.experiment_documents import Experiment, Mode
from loan_default.database.serving_repositories import ApiKeyRepository, ExperimentRepository
from loan_default.errors import DataError, DependencyError
from loan_default.settings import Settings

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)
DAY = timedelta(days=1)


def key_of(number, **values):
    fields = {
        "secret_digest": "ab" * 32,
        "scopes": (KeyScope.SCORE, KeyScope.READ),
        "owner": "branch",
        "created_at": NOON + number * DAY,
        "expires_at": NOON + 9 * DAY,
        **values,
    }
    return ApiKey(key=f"{number:012x}", **fields)


@pytest.fixture
def keys(database):
    keys = ApiKeyRepository(database)
    for _ in range(2):
        keys.ensure_indexes()
    return keys


def test_an_owner_may_have_several_keys_and_all_come_back(keys):
    added = [key_of(number) for number in range(3)]
    for key in (*added, added[0]):
        keys.add(key)
    assert keys.newest_first() == added[::-1]
    with pytest.raises(DataError, match="comes again with another content"):
        keys.add(key_of(0, owner="another"))


def test_a_revoked_key_stays_and_keeps_its_time(keys):
    keys.add(key_of(1))
    keys.add(key_of(2))
    revoked = keys.revoke(key_of(1).id, now=NOON + DAY)
    assert revoked == key_of(1, revoked_at=NOON + DAY)
    assert keys.revoke(key_of(1).id, now=NOON + 2 * DAY) == revoked
    assert [each.revoked for each in keys.newest_first()] == [False, True]
    with pytest.raises(DataError, match="a key must exist"):
        keys.revoke("0" * 11 + "9", now=NOON)


@pytest.mark.parametrize(
    ("values", "time", "is_valid"),
    [
        ({}, NOON, True),
        ({}, NOON + 9 * DAY - timedelta(seconds=1), True),
        ({}, NOON + 9 * DAY, False),
        ({"expires_at": None}, NOON + 9_999 * DAY, True),
        ({"revoked_at": NOON}, NOON, False),
        ({"expires_at": None, "revoked_at": NOON}, NOON, False),
    ],
)
def test_a_key_is_valid_until_it_expires_or_is_revoked(values, time, is_valid):
    assert key_of(1, **values).is_valid_at(time) is is_valid


@pytest.mark.parametrize(
    "values", [{"scopes": ()}, {"scopes": ("root",)}, {"secret_digest": "secret"}, {"owner": ""}]
)
def test_what_is_no_key_is_refused(values):
    with pytest.raises(ValueError, match=r"Input should|String should|Tuple should"):
        key_of(1, **values)


def experiment_of(name, **values):
    fields = {
        "champion": "v1",
        "challenger": "v2",
        "challenger_digest": "cd" * 32,
        "mode": Mode.SHARE,
        "share": 0.1,
        "started_at": NOON,
        "started_by": "a person",
        **values,
    }
    return Experiment(experiment=name, **fields)


@pytest.fixture
def experiments(database):
    experiments = ExperimentRepository(database)
    for _ in range(2):
        experiments.ensure_indexes()
    return experiments


def test_one_experiment_runs_from_its_beginning_to_its_end(experiments):
    assert (experiments.running(), experiments.pointer()) == (None, None)
    for _ in range(2):
        experiments.begin(experiment_of("x"))
    assert experiments.running() == experiment_of("x")
    with pytest.raises(DataError, match="one experiment must run at a time, however: x runs"):
        experiments.begin(experiment_of("y"))
    assert experiments.find("y") is None
    for by in ("one", "another"):
        ended = experiments.end("x", by=by, now=NOON + DAY)
        assert ended == experiment_of("x", ended_at=NOON + DAY, ended_by="one")
    assert experiments.running() is None
    experiments.begin(experiment_of("y"))
    assert experiments.running() == experiment_of("y")
    assert experiments.pointer().rev == 3
    assert experiments.end("x", by="late", now=NOON).ended_by == "one"
    assert experiments.running() == experiment_of("y"), "what has ended ends no other"


def test_a_share_only_grows_and_only_while_it_runs(experiments):
    experiments.begin(experiment_of("x"))
    for _ in range(2):
        assert experiments.grow("x", 0.25) == experiment_of("x", share=0.25)
    with pytest.raises(DataError, match=r"must grow, however: x has 25.0%\. Stop it"):
        experiments.grow("x", 0.2)
    experiments.end("x", by="a", now=NOON)
    with pytest.raises(DataError, match="has ended"):
        experiments.grow("x", 0.5)
    assert experiments.get("x").share == 0.25


def test_of_two_that_begin_at_once_one_runs(database, experiments):
    """The pointer moves between the look and the write of the slower one."""
    slow = ExperimentRepository(database)
    slow.pointer = lambda: None
    experiments.begin(experiment_of("x"))
    with pytest.raises(DataError, match="another one, which has just been started, runs"):
        slow.begin(experiment_of("y"))
    assert experiments.running() == experiment_of("x")
    assert experiments.get("y").ended_at == NOON


def test_what_a_process_left_that_died_while_it_ended_an_experiment_does_not_run(database, experiments):
    experiments.begin(experiment_of("x"))
    database["experiments"].update_one({"_id": "x"}, {"$set": {"ended_at": NOON, "ended_by": "a"}})
    assert experiments.pointer().experiment == "x"
    assert experiments.running() is None
    experiments.begin(experiment_of("y"))
    assert experiments.running() == experiment_of("y")


@pytest.mark.parametrize("values", [{"share": 0.0}, {"share": 1.1}, {"challenger": "v1"}, {"started_by": ""}])
def test_what_is_no_experiment_is_refused(values):
    with pytest.raises(ValueError, match=r"Input should|String should|must be another model"):
        experiment_of("x", **values)


def test_a_database_that_went_away_is_a_dependency_error(tmp_path):
    database = connect(Settings(home=tmp_path, mongodb_uri=None))
    keys, experiments = ApiKeyRepository(database), ExperimentRepository(database)
    database.client.close()
    for call in (
        experiments.running,
        lambda: experiments.begin(experiment_of("x")),
        lambda: experiments.grow("x", 0.5),
        lambda: experiments.end("x", by="a", now=NOON),
        keys.newest_first,
        lambda: keys.add(key_of(1)),
        lambda: keys.revoke("a", now=NOON),
    ):
        with pytest.raises(DependencyError, match="Cannot "):
            call()
