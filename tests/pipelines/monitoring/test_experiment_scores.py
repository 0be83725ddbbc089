"""Which experiment beside a champion it is."""

from datetime import UTC, datetime, timedelta

import pytest

from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.experiment_documents import Experiment, Mode
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.pipelines.monitoring.experiment_scores import experiment_number

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path):
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


def started(database, name, *, days, champion="m-1", challenger="m-2", ran=True):
    at = NOON + timedelta(days=days)
    experiment = Experiment(
        experiment=name,
        champion=champion,
        challenger=challenger,
        challenger_digest="ab" * 32,
        mode=Mode.SHADOW,
        share=1.0,
        started_at=at,
        started_by="a",
        ended_at=at + timedelta(hours=ran),
        ended_by="a",
    )
    ExperimentRepository(database).add(experiment)
    return experiment


def test_experiments_are_counted_beside_their_champion_and_in_their_order(database):
    first = started(database, "a", days=0)
    started(database, "b", days=1, ran=False)
    started(database, "c", days=2, champion="m-9")
    other = started(database, "d", days=3, challenger="m-3")
    last = started(database, "e", days=4)
    numbers = [experiment_number(database, each) for each in (first, other, last)]
    assert numbers == [1, 2, 3], "another challenger is another try, one that never ran is none"


def test_a_new_term_of_a_champion_begins_to_count_anew(database):
    started(database, "a", days=0)
    later = started(database, "b", days=2)
    DecisionRepository(database).keep(
        Decision(
            version="m-1",
            action=Action.PROMOTED,
            reasons=("promoted",),
            champion=None,
            seen_rev=0,
            snapshot=None,
            metrics=None,
            run="r",
            decided_at=NOON + timedelta(days=1),
        )
    )
    assert experiment_number(database, later) == 1
