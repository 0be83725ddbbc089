"""A file that is scored with a registered model is kept, and found again by the id of an application."""

import json
import shutil
from datetime import UTC, datetime

import pytest

from loan_default.data.datasets.store_parts import OUTCOME, StoredEvent, write_part
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Group, KeptExplanation, KeptReason, Prediction
from loan_default.pipelines.layout import TRAINING_STORE


@pytest.fixture
def home(lab, tmp_path, monkeypatch):
    """A copy of the home of a trained model."""
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(home))
    monkeypatch.setenv("LOAN_DEFAULT_SCHEMA", str(lab.schema))
    return home


@pytest.mark.slow
def test_a_scored_file_is_kept_once_and_shown_with_what_became_of_it(shell, lab, home, tmp_path):
    out = tmp_path / "scores.csv"
    for _ in range(2):
        code, _, errors = shell("score", "--data", str(lab.data), "--out", str(out))
        assert code == 5, errors  # some rows of the file are broken
    lines = out.read_text().splitlines()
    named, pd, score, version, row = lines[1].split(",")
    assert row == "0"
    code, shown, _ = shell("predictions", "show", named, "--json")
    assert code == 0
    found = json.loads(shown)
    assert (found["application"], found["outcome"]) == (named, None)
    kept = found["predictions"]
    # The first row comes again at the end of the file: one application, two rows.
    assert len(kept) == 2
    assert kept[0]["pd"] == pytest.approx(float(pd), rel=1e-8)
    assert kept[0]["points"] == pytest.approx(float(score))
    assert (kept[0]["version"], kept[0]["door"], kept[0]["group"]) == (version, Door.BATCH, Group.CHAMPION)
    assert kept[0]["features_digest"] == kept[1]["features_digest"]
    assert kept[0]["id"] == f"{kept[0]['event']}/{version}"
    label = StoredEvent("o-1", OUTCOME, named, datetime.now(UTC), {"label": 1.0})
    write_part(home / TRAINING_STORE, topic="processed_data", partition=0, first=0, next=1, rows=[label])
    code, shown, _ = shell("predictions", "show", named)
    assert code == 0
    assert "outcome     default" in shown
    assert "2 predictions" in shown
    assert f"by {version} as champion, batch" in shown


def test_a_prediction_that_was_given_with_its_reasons_is_shown_with_them(shell, lab, home):
    reasons = (
        KeptReason(column="debt", words="Debt is high", contribution=0.75, points=-21.6),
        KeptReason(column="city", words="City", contribution=0.02, points=-0.6),
    )
    explained = Prediction(
        event="e-1", application="asked-1", version=lab.version, pd=0.25, points=518.79, door=Door.HTTP,
        scored_at=datetime.now(UTC), explanation=KeptExplanation(
            reasons=reasons, withheld=0.125, reference="all applicants, 300", reference_pd=0.1, gap=-0.0021
        ),
    )  # fmt: skip
    plain = explained.model_copy(update={"event": "e-2", "explanation": None})
    database = EmbeddedDatabase(home / "documents.sqlite3")
    PredictionRepository(database).add_new([explained, plain])
    database.close()
    code, shown, errors = shell("predictions", "show", "asked-1")
    assert code == 0, errors
    assert shown.count("Reasons, the strongest first") == 1
    for words in ("Debt is high", "+0.750", "-21.6", "all applicants, 300; PD 10.00%", "+0.125", "-0.0021"):
        assert words in shown
    code, shown, _ = shell("predictions", "show", "asked-1", "--json")
    kept = {each["event"]: each["explanation"] for each in json.loads(shown)["predictions"]}
    assert kept == {"e-1": explained.explanation.model_dump(mode="json"), "e-2": None}


@pytest.mark.slow
def test_all_rows_with_a_score_are_kept_and_no_other(shell, lab, home, tmp_path):
    out = tmp_path / "scores.csv"
    shell("score", "--data", str(lab.data), "--out", str(out), "--model", lab.version[:15])
    code, _, _ = shell("predictions", "show", "nobody")
    assert code == 2
    scored = [line.split(",")[0] for line in out.read_text().splitlines()[1:]]
    mine = {name.partition("-")[0] for name in scored}  # other tests may have scored other files
    database = EmbeddedDatabase(home / "documents.sqlite3")
    kept = [each.application for each in PredictionRepository(database)._read({})]
    database.close()
    assert sorted(each for each in kept if each and each.partition("-")[0] in mine) == sorted(scored)


@pytest.mark.slow
def test_a_model_file_that_is_named_by_its_path_keeps_nothing(shell, lab, home, tmp_path):
    path, out = lab.outcome.out / "model.pth", tmp_path / "s.csv"
    code, _, errors = shell("score", "--data", str(lab.data), "--out", str(out), "--model", str(path))
    assert code == 5, errors
    row = out.read_text().splitlines()[1]
    code, _, errors = shell("predictions", "show", row.split(",")[0])
    assert code == 2
    assert "an application must have been scored, however: nothing is kept of this one" in errors


@pytest.mark.slow
def test_an_outcome_that_an_application_came_with_is_found_without_a_schema_in_the_settings(
    shell, lab, home, tmp_path, monkeypatch
):
    monkeypatch.delenv("LOAN_DEFAULT_SCHEMA")
    shell("score", "--data", str(lab.data), "--out", str(tmp_path / "scores.csv"))
    code, _, errors = shell("ingest", "--file", str(lab.data), "--schema", str(lab.schema))
    assert code == 0, errors
    row = lab.raw.iloc[1]
    code, shown, _ = shell("predictions", "show", str(row["id"]), "--json")
    assert code == 0
    assert json.loads(shown)["outcome"] == {"yes": 1.0, "no": 0.0}[row["bad"]]
