"""Experiments: who may challenge whom, how a share grows, and what a promotion makes of one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from serving_setup import promoted, registered

from loan_default.database.audit_repository import AuditRepository
from loan_default.database.audit_verification import verify_trail
from loan_default.database.documents import DatasetName, ModelStatus, PerformanceMetrics
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.experiment_documents import Mode
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.database.serving_repositories import ExperimentRepository
from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.sequential import planned_outcomes
from loan_default.serving.experiments import challenge, champion_rev, runs_beside, stop, who_answers
from loan_default.serving.wanted_models import registered_models

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path):
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


def begun(database, version, *, mode=Mode.SHARE, share=0.1, **values):
    return challenge(database, version, mode=mode, share=share, by="a person", now=NOON, **values)


def test_an_experiment_says_who_challenges_whom_and_since_when(database):
    champion, version = promoted(database, 1), registered(database, 2)
    started = begun(database, version[:12], reason="fewer refusals")
    assert ExperimentRepository(database).running() == started
    assert (started.champion, started.challenger, started.challenger_digest) == (champion, version, "02" * 32)
    assert (started.mode, started.share, started.started_at) == (Mode.SHARE, 0.1, NOON)
    assert (started.started_by, started.reason, started.ended_at) == ("a person", "fewer refusals", None)
    ended = stop(database, by="another", now=NOON + timedelta(days=1))
    assert (ended.ended_by, ended.ended_at) == ("another", NOON + timedelta(days=1))
    with pytest.raises(DataError, match="an experiment must run before it can be stopped"):
        stop(database, by="another", now=NOON)
    assert begun(database, version).id != started.id, "a new experiment draws anew"


def test_the_same_challenger_again_grows_its_share_and_stays_the_same_experiment(database):
    promoted(database, 1)
    version = registered(database, 2)
    started = begun(database, version)
    grown = begun(database, version, share=0.5)
    assert (grown.id, grown.share) == (started.id, 0.5)
    with pytest.raises(DataError, match="must grow"):
        begun(database, version, share=0.2)
    for other in (registered(database, 3), version):
        with pytest.raises(DataError, match="one experiment must run at a time"):
            begun(database, other, mode=Mode.SHADOW)


def test_start_growth_and_end_are_in_the_audit_trail_once_each(database):
    champion, version = promoted(database, 1), registered(database, 2)
    started = begun(database, version, reason="fewer refusals")
    for _ in range(2):
        begun(database, version, share=0.5)
    stop(database, by="another", now=NOON + timedelta(days=1))
    records = AuditRepository(database).in_order(version=version)
    assert [(each.action, each.who, each.reason, each.details.get("share")) for each in records] == [
        ("challenged", "a person", "fewer refusals", "0.1"),
        ("challenged", "a person", "fewer refusals", "0.5"),
        ("withdrawn", "another", None, None),
    ]
    assert all(each.subject == f"experiments/{started.id}" for each in records)
    assert all(each.details["champion"] == champion for each in records)
    assert verify_trail(database).faults == ()
    database["experiments"].update_one({"_id": started.id}, {"$set": {"started_by": "nobody"}})
    assert f"experiments/{started.id} was altered after record 1." in verify_trail(database).faults


def test_an_experiment_without_a_record_is_a_fault_unless_an_older_release_began_it(database):
    promoted(database, 1)
    first, second = registered(database, 2), registered(database, 3)
    started = begun(database, first)
    stop(database, by="another", now=NOON + timedelta(days=1))
    unrecorded = started.model_copy(
        update={"experiment": "x", "challenger": second, "started_at": datetime.now(UTC)}
    )
    ExperimentRepository(database).add(unrecorded.model_copy(update={"schema_version": "1.2"}))
    assert verify_trail(database).faults == ()
    ExperimentRepository(database).add(unrecorded.model_copy(update={"experiment": "y"}))
    (fault,) = verify_trail(database).faults
    assert fault.startswith("experiments/y has no record.")


@pytest.mark.parametrize("by", ["", "  "])
def test_a_person_answers_for_the_start_and_the_end(database, by):
    promoted(database, 1)
    version = registered(database, 2)
    with pytest.raises(ConfigurationError, match="the name is blank"):
        challenge(database, version, mode=Mode.SHADOW, share=1.0, by=by, now=NOON)
    begun(database, version)
    with pytest.raises(ConfigurationError, match="the name is blank"):
        stop(database, by=by, now=NOON)
    assert ExperimentRepository(database).running() is not None


def test_who_may_not_challenge(database):
    with pytest.raises(DataError, match="a model must be registered"):
        begun(database, "anything")
    champion = promoted(database, 1)
    rejected = registered(database, 2, status=ModelStatus.REJECTED)
    with pytest.raises(DataError, match="the challenger must not be the champion"):
        begun(database, champion)
    with pytest.raises(DataError, match="must be registered, however: 'unknown' is not"):
        begun(database, "unknown")
    with pytest.raises(DataError, match="must not have been rejected"):
        begun(database, rejected)
    assert ExperimentRepository(database).latest() is None
    assert begun(database, rejected, mode=Mode.SHADOW).challenger == rejected


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(database, share):
    with pytest.raises(ConfigurationError, match="the share must be above 0 %"):
        begun(database, "anything", share=share)


def test_without_a_champion_the_newest_model_is_challenged(database):
    older, newest = registered(database, 1), registered(database, 2)
    assert who_answers(database) == newest
    assert begun(database, older).champion == newest
    champion = promoted(database, 0)
    assert who_answers(database) == champion


def test_a_promotion_ends_the_effect_of_an_experiment(database):
    champion, version = promoted(database, 1), registered(database, 2)
    experiment = begun(database, version)
    assert runs_beside(experiment, champion, rev=1)
    assert not runs_beside(experiment, version, rev=1)
    assert not runs_beside(stop(database, by="a", now=NOON), champion, rev=1)


def test_a_champion_that_comes_back_finds_no_experiment_of_before(database):
    """Nobody has started it anew: the challenger may be the very model that was rolled back from."""
    champion, version = promoted(database, 1), registered(database, 2)
    experiment = begun(database, version)
    models = ModelRepository(database)
    assert models.move_champion(version, "02" * 32, seen_rev=1, seen_version=champion)
    assert models.move_champion(champion, "01" * 32, seen_rev=2, seen_version=version)
    assert (who_answers(database), champion_rev(database)) == (champion, 3)
    assert not runs_beside(experiment, champion, rev=champion_rev(database))
    assert registered_models(database, Path("home"))().trial is None
    again = begun(database, version, mode=Mode.SHADOW)
    assert again.id != experiment.id
    assert runs_beside(again, champion, rev=3)
    assert ExperimentRepository(database).get(experiment.id).ended_by == "a person"
    trial = registered_models(database, Path("home"))().trial
    assert trial is not None
    assert trial.id == again.id


def test_an_experiment_of_an_older_release_counts_by_the_version_of_its_champion(database):
    champion, version = promoted(database, 1), registered(database, 2)
    former = begun(database, version).model_copy(update={"champion_rev": None})
    assert runs_beside(former, champion, rev=7)


@pytest.mark.parametrize("figures", [{"auc": 0.75}, None])
def test_the_sample_that_an_experiment_needs_is_computed_before_it_begins(database, figures):
    champion, version = promoted(database, 1), registered(database, 2)
    if figures is not None:
        metrics = PerformanceMetrics(
            version=champion,
            dataset=DatasetName.HELD_OUT,
            snapshot="data-1",
            computed_at=NOON,
            rows=1_000,
            label_rate=0.2,
            figures=figures,
        )
        MetricsRepository(database).add(metrics)
    found = begun(database, version, share=0.25)
    if figures is None:
        assert found.planned_outcomes is None
    else:
        expected = planned_outcomes(auc=0.75, default_rate=0.2, correlation=0.0, share=0.25)
        assert found.planned_outcomes == expected
        assert ExperimentRepository(database).running().planned_outcomes == expected
