"""The audit trail of a trained model, by the commands; what was altered ends in an exit code."""

import json
import shutil

import pytest

from loan_default.database.embedded import EmbeddedDatabase


@pytest.fixture
def home(lab, tmp_path, monkeypatch):
    """A copy of the home of a trained model."""
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(home))
    return home


@pytest.mark.slow
def test_a_trained_model_is_in_the_trail_and_the_trail_is_whole(shell, lab, home):
    code, listed, errors = shell("audit", "list", "--json")
    assert code == 0, errors
    records = json.loads(listed)
    assert [each["number"] for each in records] == list(range(1, len(records) + 1))  # other tests train too
    assert (records[0]["action"], records[0]["version"]) == ("registered", lab.version)
    for version in (lab.version, lab.version[:15]):
        code, shown, _ = shell("audit", "list", "--model", version)
        assert code == 0
        assert f"registered  {lab.version}" in shown
    code, checked, _ = shell("audit", "verify", "--json")
    assert code == 0
    assert json.loads(checked) == {"records": len(records), "digest": records[-1]["digest"], "faults": []}


def test_a_model_that_no_record_names_is_refused(shell, home):
    code, _, errors = shell("audit", "list", "--model", "nobody", "--json")
    assert code == 2
    assert "no record is of 'nobody'" in errors


def test_an_altered_record_ends_in_an_exit_code(shell, lab, home):
    database = EmbeddedDatabase(home / "documents.sqlite3")
    database["audit"].update_one({"_id": f"{1:010d}"}, {"$set": {"who": "nobody"}})
    database.close()
    code, shown, errors = shell("audit", "verify")
    assert code == 2
    assert "record 1 was altered" in shown
    assert "1 fault" in errors


def test_a_digest_from_elsewhere_must_be_in_the_trail(shell, lab, home):
    code, _, errors = shell("audit", "verify", "--expect", "ab" * 32)
    assert code == 2
    assert "abababababab… that was expected" in errors


@pytest.mark.parametrize("given", ["", "ab", "AB" * 32, f" {'ab' * 32}"])
def test_what_is_no_digest_is_not_taken_for_a_trail_that_was_altered(shell, given):
    code, _, errors = shell("audit", "verify", "--expect", given)
    assert code == 2
    assert "--expect must be a digest of 64 hexadecimal digits" in errors
