"""What an experiment has shown: each application once, with the outcomes of the training store."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from serving_setup import promoted, registered
from sklearn.metrics import roc_auc_score

from loan_default.data.datasets.store_parts import OUTCOME, StoredEvent, write_part
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.experiment_documents import Mode
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Group, Prediction
from loan_default.errors import DataError
from loan_default.evaluation.live_comparison import Conclusion
from loan_default.serving.experiment_status import experiment_status
from loan_default.serving.experiments import challenge, stop

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
PEOPLE = 1_500


@pytest.fixture
def database(tmp_path):
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


def keep(database, experiment, group, pds, *, first=0, later=0):
    """Keep predictions of the applications a-<first>, a-<first + 1>, …"""
    version = experiment.champion if group is Group.CHAMPION else experiment.challenger
    PredictionRepository(database).add_new(
        [
            Prediction(
                event=f"e-{first + number}-{later}",
                application=f"a-{first + number}",
                version=version,
                digest="ab" * 32,
                pd=pd,
                points=500.0,
                group=group,
                experiment=experiment.id,
                door=Door.STREAM,
                scored_at=NOON + timedelta(hours=later),
            )
            for number, pd in enumerate(pds)
        ]
    )


def observe(store, outcomes, *, first=0):
    """Outcomes of a-<first>, …, those of NaN are not known."""
    rows = [
        StoredEvent(f"o-{first + n}", OUTCOME, f"a-{first + n}", NOON, {"label": float(label)})
        for n, label in enumerate(outcomes)
        if not np.isnan(label)
    ]
    write_part(store, topic="processed_data", partition=0, first=first, next=first + len(outcomes), rows=rows)


def drawn(seed, *, noise):
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=PEOPLE)
    outcomes = (generator.random(PEOPLE) < 1 / (1 + np.exp(1.2 - 1.5 * risk))).astype(float)
    return 1 / (1 + np.exp(1.2 - 1.5 * (risk + noise * generator.normal(size=PEOPLE)))), outcomes


def started(database, mode):
    promoted(database, 1)
    return challenge(database, registered(database, 2), mode=mode, share=0.5, by="a", now=NOON)


def status_of(database, store, **values):
    return experiment_status(database, store=store, schema=None, **{"cutoff": 0.2, **values})


@pytest.mark.slow
def test_a_share_is_compared_between_groups(database, tmp_path):
    experiment = started(database, Mode.SHARE)
    champion, first = drawn(1, noise=3)
    challenger, second = drawn(2, noise=0.1)
    keep(database, experiment, Group.CHAMPION, champion)
    keep(database, experiment, Group.CHALLENGER, challenger, first=PEOPLE)
    status = status_of(database, tmp_path / "store")
    assert status.scored == {"champion": PEOPLE, "challenger": PEOPLE}
    assert status.outcomes == {"champion": 0, "challenger": 0}
    assert status.conclusion is Conclusion.INCONCLUSIVE
    assert status.challenged.low < 0.5 < status.challenged.high
    observe(tmp_path / "store", first)
    observe(tmp_path / "store", second, first=PEOPLE)
    status = status_of(database, tmp_path / "store")
    assert status.outcomes == {"champion": PEOPLE, "challenger": PEOPLE}
    measures = {each.name: each for each in status.measures}
    assert measures["auc"].challenger.value == pytest.approx(roc_auc_score(second, challenger))
    assert measures["mean_pd"].champion.value == pytest.approx(champion.mean())
    assert measures["approval_rate"].challenger.value == pytest.approx((challenger <= 0.2).mean())
    assert status.conclusion is Conclusion.CHALLENGER
    assert status.agreement is None
    assert status.score_psi > 0


@pytest.mark.slow
def test_a_shadow_is_compared_on_the_same_people(database, tmp_path):
    experiment = started(database, Mode.SHADOW)
    champion, outcomes = drawn(1, noise=0.1)
    shadowed = champion[:1_000] ** 0.9
    keep(database, experiment, Group.CHAMPION, champion)
    keep(database, experiment, Group.SHADOW, shadowed)
    outcomes[800:] = np.nan
    observe(tmp_path / "store", outcomes)
    status = status_of(database, tmp_path / "store", cutoff=0.3)
    assert status.scored == {"champion": PEOPLE, "shadow": 1_000}
    assert status.outcomes == {"champion": 800, "shadow": 800}
    assert status.agreement.rank_correlation == pytest.approx(1)
    swapped = ((champion[:1_000] <= 0.3) != (shadowed <= 0.3)).sum()
    assert status.agreement.only_champion_approves == swapped
    assert status.agreement.only_challenger_approves == 0
    measures = {each.name: each for each in status.measures}
    assert measures["auc"].difference.value == pytest.approx(0)
    assert status.conclusion is not Conclusion.CHALLENGER


@pytest.mark.slow
def test_an_application_counts_once_with_its_latest_score(database, tmp_path):
    experiment = started(database, Mode.SHARE)
    keep(database, experiment, Group.CHAMPION, [0.9] * 300, later=0)
    keep(database, experiment, Group.CHAMPION, [0.1] * 300, later=2)
    keep(database, experiment, Group.CHAMPION, [0.5] * 300, later=1)
    keep(database, experiment, Group.CHALLENGER, [0.3] * 300, first=300)
    status = status_of(database, tmp_path / "store")
    assert status.scored == {"champion": 300, "challenger": 300}
    assert status.measures[0].champion.value == pytest.approx(0.1)


def test_who_names_nobody_was_not_drawn(database, tmp_path):
    experiment = started(database, Mode.SHARE)
    nobody = Prediction(
        event="e",
        version=experiment.champion,
        pd=0.1,
        points=1.0,
        experiment=experiment.id,
        scored_at=NOON,
    )
    PredictionRepository(database).add_new([nobody])
    status = status_of(database, tmp_path / "store")
    assert status.scored == {"champion": 0, "challenger": 0}
    assert status.challenged is None
    assert status.conclusion is Conclusion.INCONCLUSIVE


@pytest.mark.slow
def test_the_last_one_is_shown_or_the_one_that_is_named(database, tmp_path):
    with pytest.raises(DataError, match="there must be an experiment, however: none was ever started"):
        status_of(database, tmp_path)
    first = started(database, Mode.SHARE)
    assert status_of(database, tmp_path).is_running
    stop(database, by="a", now=NOON)
    status = status_of(database, tmp_path)
    assert (status.experiment.id, status.is_running) == (first.id, False)
    later = challenge(
        database, first.challenger, mode=Mode.SHADOW, share=1, by="a", now=NOON + timedelta(days=1)
    )
    assert status_of(database, tmp_path).experiment == later
    assert status_of(database, tmp_path, experiment=first.id).experiment.id == first.id
    with pytest.raises(DataError, match="experiments must hold what is asked for"):
        status_of(database, tmp_path, experiment="unknown")
    promoted(database, 5)
    assert not status_of(database, tmp_path).is_running, "it was one of the former champion"


def test_json_holds_plain_values(database, tmp_path):
    experiment = started(database, Mode.SHADOW)
    keep(database, experiment, Group.CHAMPION, [0.2] * 250)
    keep(database, experiment, Group.SHADOW, [0.3] * 250)
    found = json.loads(json.dumps(status_of(database, tmp_path).to_dict(), allow_nan=False))
    assert found["experiment"] == experiment.id
    assert found["agreement"]["agree"]["value"] == 0
    assert found["conclusion"] == "inconclusive"
