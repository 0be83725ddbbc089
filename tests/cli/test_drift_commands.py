"""`loan-default drift` over stored hours, and what `ingest` computes of a champion."""

import json
import shutil

import pytest

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import ModelRepository

pytestmark = pytest.mark.slow


@pytest.fixture
def home(lab, tmp_path, monkeypatch):
    """A copy of the home of a trained model, which is made the champion."""
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(home))
    monkeypatch.setenv("LOAN_DEFAULT_SCHEMA", str(lab.schema))
    database = EmbeddedDatabase(home / "documents.sqlite3")
    models = ModelRepository(database)
    database["pointers"].delete_many({})
    model = models.get(lab.version)
    assert models.move_champion(model.version, model.sha256, seen_rev=0, seen_version=None)
    database.close()
    return home


def test_what_is_ingested_is_compared_with_the_training_of_the_champion(shell, lab, home, tmp_path):
    code, _, errors = shell("drift")
    assert code == 2
    assert "hours of the model must have been monitored" in errors
    code, shown, errors = shell("ingest", "--generate", "400", "--seed", "5")
    assert code == 0, errors
    assert "drift       " in shown
    code, shown, _ = shell("drift", "--json")
    assert code == 0
    found = json.loads(shown)
    assert found["version"] == lab.version
    last = found["hours"][-1]
    assert sum(each["rows"] for each in found["hours"]) == 400
    assert last["assessed_rows"] == 400
    assert {"score_psi", "mean_pd", "approval_rate"} <= {each["measured"] for each in last["signals"]}
    page = tmp_path / "drift.html"
    code, shown, _ = shell("drift", "--now", "--model", lab.version[:15], "--html", str(page))
    assert code == 0
    assert "on 400 applications since" in shown
    assert page.read_text("utf-8").startswith("<!")


def test_a_champion_that_cannot_be_loaded_does_not_undo_an_ingestion(shell, lab, home):
    (home / "models" / f"{lab.version}.pth").write_bytes(b"damaged")
    code, shown, _ = shell("ingest", "--generate", "50")
    assert code == 0
    assert "50 events" in shown
    assert "not computed" in shown
    code, _, _ = shell("drift", "--now")
    assert code == 4


def test_a_model_that_is_no_champion_is_not_sent_back_to_the_command_that_was_typed(shell, lab, home):
    database = EmbeddedDatabase(home / "documents.sqlite3")
    database["pointers"].delete_many({})
    database.close()
    for words in ((), ("--now",), ("--model", lab.version[:15])):
        code, _, errors = shell("drift", *words)
        assert code == 2
        assert "computed of the champion alone" in errors
        assert "drift --now" not in errors
