"""`loan-default challenge`: started, grown, compared and stopped from the command line."""

import json
from pathlib import Path

import pytest
from serving_setup import promoted, registered

from loan_default.cli.experiment_commands import read_share
from loan_default.database.connect import STORE_FILE
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.errors import ConfigurationError


@pytest.fixture
def versions(shell, tmp_path):
    (tmp_path / "home").mkdir()
    database = EmbeddedDatabase(Path(tmp_path / "home" / STORE_FILE))
    versions = promoted(database, 1), registered(database, 2)
    database.close()
    return versions


@pytest.mark.slow
def test_an_experiment_from_its_start_to_its_end(shell, versions):
    champion, challenger = versions
    code, out, _ = shell("challenge", challenger[:10], "--share", "10%", "--by", "risk", "--json")
    assert code == 0
    started = json.loads(out)
    assert (started["champion"], started["challenger"]) == (champion, challenger)
    assert (started["mode"], started["share"], started["started_by"]) == ("share", 0.1, "risk")
    code, out, _ = shell("challenge", challenger, "--share", "0.25")
    assert code == 0
    assert f"{started['experiment']}: {challenger} against {champion}, share of 25 %" in out
    code, out, _ = shell("challenge", "status")
    assert code == 0
    assert "conclusion  inconclusive" in out
    assert "auc and brier: intervals that hold at all looks together" in out
    code, out, _ = shell("challenge", "status", "--json")
    assert json.loads(out)["scored"] == {"champion": 0, "challenger": 0}
    assert "0 scores in the smaller group" in out
    code, out, _ = shell("challenge", "stop", "--json")
    assert json.loads(out)["ended_at"]
    code, out, _ = shell("challenge", "status")
    assert "not running" in out


def test_a_shadow_is_of_all_unless_a_share_is_named(shell, versions):
    _, out, _ = shell("challenge", versions[1], "--shadow", "--json")
    assert (json.loads(out)["mode"], json.loads(out)["share"]) == ("shadow", 1.0)


def test_what_starts_nothing_is_one_line(shell, versions):
    for words, line in (
        ([versions[1]], "an experiment must have --share or --shadow"),
        ([versions[1], "--share", "ten"], "--share must be above 0 %"),
        ([versions[0], "--shadow"], "the challenger must not be the champion"),
        (["stop"], "an experiment must run before it can be stopped"),
    ):
        code, _, errors = shell("challenge", *words)
        assert code == 2
        assert line in errors


def test_a_machine_without_a_name_for_its_user_asks_who_answers(shell, versions, monkeypatch):
    def nobody():
        raise KeyError("uid not found: 50000")

    monkeypatch.setattr("getpass.getuser", nobody)
    code, _, errors = shell("challenge", versions[1], "--shadow")
    assert code == 2
    assert "Give --by NAME." in errors
    assert shell("challenge", versions[1], "--shadow", "--by", "R. Officer")[0] == 0
    assert shell("challenge", "stop", "--by", "R. Officer")[0] == 0


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), ("0.1", 0.1), (" 100 % ", 1.0), ("1", 1.0), ("0.5%", 0.005)]
)
def test_a_share_is_read_as_people_write_it(text, share):
    assert read_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "0%", "101%", "10", "-1%", "nan", "", "%", "inf"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ConfigurationError, match="--share must be above 0 %"):
        read_share(text)
