"""Which model is meant: a version, its beginning, the champion, the newest."""

import hashlib
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from reading import documents_read
from rich.console import Console

from loan_default.cli.registered_models import print_model
from loan_default.database.control_documents import Action, Decision
from loan_default.database.control_repositories import DecisionRepository
from loan_default.database.documents import ModelMetadata, ModelStatus, model_version
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import ArtifactError, DataError
from loan_default.pipelines.registry import file_to_score_with, find_model, list_models

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOME = Path("home")


@pytest.fixture
def empty(tmp_path):
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


@pytest.fixture
def three(empty, lab):
    """Three models a day apart, the figures of a real one for the second."""
    template = ModelRepository(lab.database).get(lab.version)
    models = [_model(template, day) for day in range(3)]
    for model in models:
        ModelRepository(empty).add(model)
    for metrics in MetricsRepository(lab.database).of_model(lab.version):
        MetricsRepository(empty).add(metrics.model_copy(update={"version": models[1].version}))
    return empty, models


def test_models_are_listed_newest_first_with_the_champion_marked_and_their_test_figures(three):
    database, models = three
    ModelRepository(database).move_champion(
        models[0].version, models[0].sha256, seen_rev=0, seen_version=None
    )
    listed = list_models(database)
    assert [each.model for each in listed] == models[::-1]
    assert [each.is_champion for each in listed] == [False, False, True]
    assert [each.test is not None for each in listed] == [False, True, False]
    assert listed[1].test.dataset == "test"
    assert listed[2].to_dict()["champion"] is True
    assert listed[1].to_dict()["metrics"][0]["figures"]["auc"] is not None


def test_what_was_decided_about_a_model_is_shown_with_its_reasons(three):
    database, models = three
    decision = Decision(
        version=models[1].version,
        action=Action.REJECTED,
        reasons=("AUC must be at least 0.65, and is 0.71", "KS must be at least 0.2, however: 0.1"),
        broken=("KS must be at least 0.2, however: 0.1",),
        champion=None,
        seen_rev=0,
        snapshot=None,
        run="r",
        decided_at=NOON,
    )
    DecisionRepository(database).keep(decision)
    found = find_model(database, models[1].version)
    assert found.decisions == (decision,)
    assert found.to_dict()["decisions"][0]["action"] == "rejected"
    console = Console(record=True, width=200, file=StringIO())
    print_model(console, found)
    shown = console.export_text()
    assert "rejected on 2026-11-23 12:00 UTC" in shown
    assert all(reason in shown for reason in decision.reasons)
    assert find_model(database, models[0].version).decisions == ()


def test_a_version_is_found_by_its_beginning_if_that_names_one(three):
    database, models = three
    assert find_model(database, models[1].version).model == models[1]
    assert find_model(database, "20261124").model == models[1]
    with pytest.raises(DataError, match=r"must name one model, however: '202611' names .*Write more of it"):
        find_model(database, "202611")


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["20270305-120000-", "20270305"])
def test_of_many_models_only_the_one_that_is_meant_is_read(empty, lab, asked):
    template, models = ModelRepository(lab.database).get(lab.version), ModelRepository(empty)
    for repository in (models, MetricsRepository(empty), DecisionRepository(empty)):
        repository.ensure_indexes()
    stored = {}
    metrics = MetricsRepository(lab.database).of_model(lab.version)
    for day in range(200):
        digest = hashlib.sha256(str(day).encode()).hexdigest()
        version = model_version(NOON + timedelta(days=day), digest)
        stored[version[:9]] = template.model_copy(update={"version": version, "sha256": digest})
        models.add(stored[version[:9]])
        for each in metrics:
            MetricsRepository(empty).add(each.model_copy(update={"version": version}))
    expected = stored["20270305-"]
    for version in (asked, expected.version):
        with documents_read() as read:
            found = find_model(empty, version)
        assert (found.model, len(found.metrics)) == (expected, len(metrics))
        assert sorted(read) == sorted([expected.version, *(each.id for each in found.metrics)])
    with pytest.raises(DataError, match=r"'2027' names (202706\d\d-120000-\w{12}(, )?){5}\. Write more"):
        find_model(empty, "2027")


@pytest.mark.parametrize(
    ("version", "hint"),
    [("20261124-120000-x", "Did you mean '20261124-120000-"), ("", "`loan-default models`")],
)
def test_an_unknown_version_is_refused_with_a_hint(three, version, hint):
    with pytest.raises(DataError, match=hint):
        find_model(three[0], version)


def test_a_version_that_begins_another_one_means_itself(empty, lab):
    template = ModelRepository(lab.database).get(lab.version)
    short, long = (template.model_copy(update={"version": version}) for version in ("a-1", "a-12"))
    for model in (short, long):
        ModelRepository(empty).add(model)
    assert find_model(empty, "a-1").model == short


def test_an_empty_registry_says_what_to_do(empty):
    with pytest.raises(DataError, match=r"None is yet: train one with train\.py"):
        find_model(empty, "2026")
    with pytest.raises(DataError, match=r"none is\. Train one"):
        file_to_score_with(empty, None, home=HOME, sha256=None)
    assert list_models(empty) == []


def test_no_newest_model_scores_where_the_pointer_to_the_champion_was_lost(three):
    database, models = three
    ModelRepository(database).set_status(models[0].version, ModelStatus.ARCHIVED)
    with pytest.raises(DataError, match=f"{models[0].version} has been, and there is none. Restore it"):
        file_to_score_with(database, None, home=HOME, sha256=None)
    assert file_to_score_with(database, models[2].version, home=HOME, sha256=None).why == "asked for"


def test_the_champion_scores_and_until_there_is_one_the_newest(three):
    database, models = three
    newest = file_to_score_with(database, None, home=HOME, sha256=None)
    assert (newest.path, newest.sha256) == (HOME / models[2].path, models[2].sha256)
    assert newest.why == "the newest one, as there is no champion yet"
    ModelRepository(database).move_champion(
        models[0].version, models[0].sha256, seen_rev=0, seen_version=None
    )
    champion = file_to_score_with(database, None, home=HOME, sha256=None)
    assert (champion.path, champion.why) == (HOME / models[0].path, "the champion")


def test_a_digest_that_is_not_that_of_the_registry_is_refused(three):
    database, models = three
    chosen = file_to_score_with(database, models[1].version, home=HOME, sha256=models[1].sha256)
    assert chosen.sha256 == models[1].sha256
    with pytest.raises(ArtifactError, match="--sha256 must be the digest of the registered model"):
        file_to_score_with(database, models[1].version, home=HOME, sha256="0" * 64)


def _model(template: ModelMetadata, day: int) -> ModelMetadata:
    digest = f"{day}" * 64
    made = NOON + timedelta(days=day)
    version = model_version(made, digest)
    changes = {"version": version, "created_at": made, "sha256": digest, "path": f"models/{version}.pth"}
    return template.model_copy(update=changes)
