"""The model card of a trained model: complete, of stored figures alone, and refused where one is missing."""

import json
import shutil
from html.parser import HTMLParser

import pytest

from loan_default.database.embedded import EmbeddedDatabase

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture
def home(lab, tmp_path, monkeypatch):
    """A copy of the home of a trained model."""
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(home))
    return home


@pytest.fixture
def stored(home):
    database = EmbeddedDatabase(home / "documents.sqlite3")
    yield database
    database.close()


def keep(database, version, figures):
    """Store other figures of a model, past the repository."""
    written = {"$set": {"figures": {"json": json.dumps(figures)}}}
    database["model_evidence"].update_one({"_id": version}, written)


class Tags(HTMLParser):
    """The tags of a page, and the anchors that it has and refers to."""

    def __init__(self):
        super().__init__()
        self.open, self.anchors, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        assert tag not in ("script", "iframe", "link")


@pytest.mark.slow
def test_a_card_is_written_in_three_forms_that_hold_the_same(shell, lab, home, tmp_path):
    out = tmp_path / "card"
    code, shown, errors = shell("card", lab.version[:15], "--out", str(out), "--json")
    assert code == 0, errors
    card = json.loads(shown)
    assert json.loads((out / "card.json").read_text()) == card
    code, schema, _ = shell("card", "--schema")
    assert code == 0
    jsonschema.validate(card, json.loads(schema))
    page, text = (out / "card.html").read_text(), (out / "card.md").read_text()
    tags = Tags()
    tags.feed(page)
    sections = [link.removeprefix("#") for link in tags.links if link != "#main"]
    assert len(sections) == 15
    assert set(sections) <= set(tags.anchors)
    assert text.count("\n## ") == 15
    for both in (lab.version, "Logistic regression", "Cut-off and expected loss", "registered"):
        assert both in page
        assert both in text
    auc = next(each for each in card["evidence"]["metrics"] if each["name"] == "auc")
    assert f"{auc['value']:.4f}" in page
    assert f"{auc['value']:.4f}" in text
    assert auc["value"] == lab.outcome.trained.measured.metrics["test"]["auc"]


@pytest.mark.slow
def test_a_card_lies_in_the_home_folder_and_is_the_same_again(shell, lab, home):
    code, first, errors = shell("card", lab.version)
    assert code == 0, errors
    assert (home / "cards" / lab.version / "card.html").exists()
    code, second, _ = shell("card", lab.version)
    assert (code, second) == (0, first)


@pytest.mark.slow
def test_the_configured_thresholds_stand_in_the_card(shell, lab, home, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_MINIMUM_AUC", "0.712")
    _, shown, _ = shell("card", lab.version, "--json")
    thresholds = {each["variable"]: each["value"] for each in json.loads(shown)["thresholds"]}
    assert thresholds["LOAN_DEFAULT_MINIMUM_AUC"] == "0.712"
    assert not any("PASSWORD" in name or "MONGODB" in name for name in thresholds)


@pytest.mark.parametrize(
    "missing",
    ["metrics", "deciles", "money", "fairness", "stability", "distributions", "provenance", "importance"],
)
def test_a_card_with_a_missing_figure_is_refused(shell, lab, home, stored, missing):
    document = stored["model_evidence"].find_one({"_id": lab.version})
    figures = json.loads(document["figures"]["json"])
    del figures[missing]
    stored["model_evidence"].update_one(
        {"_id": lab.version}, {"$set": {"figures": {"json": json.dumps(figures)}}}
    )
    stored["audit"].update_one({"_id": f"{1:010d}"}, {"$set": {"details": {}}})
    code, _, errors = shell("card", lab.version)
    assert code == 2
    assert f"evidence.{missing}: Field required" in errors
    assert not (home / "cards").exists()


def test_a_figure_that_is_no_number_is_refused(shell, lab, home, stored):
    document = stored["model_evidence"].find_one({"_id": lab.version})
    figures = json.loads(document["figures"]["json"])
    figures["metrics"][0]["value"] = None
    stored["model_evidence"].update_one(
        {"_id": lab.version}, {"$set": {"figures": {"json": json.dumps(figures)}}}
    )
    stored["audit"].update_one({"_id": f"{1:010d}"}, {"$set": {"details": {}}})
    code, _, errors = shell("card", lab.version)
    assert code == 2
    assert "evidence.metrics.0.value" in errors


def test_a_figure_that_was_altered_is_refused(shell, lab, home, stored):
    document = stored["model_evidence"].find_one({"_id": lab.version})
    figures = json.loads(document["figures"]["json"])
    figures["metrics"][0]["value"] = 0.999
    stored["model_evidence"].update_one(
        {"_id": lab.version}, {"$set": {"figures": {"json": json.dumps(figures)}}}
    )
    code, _, errors = shell("card", lab.version)
    assert code == 2
    assert "were altered after record 1" in " ".join(errors.split())


def test_a_model_of_an_earlier_release_has_no_card(shell, lab, home, stored):
    stored["model_evidence"].delete_many({})
    code, _, errors = shell("card", lab.version)
    assert code == 2
    assert "as an earlier release trained it" in " ".join(errors.split())


def test_a_card_needs_a_version(shell, home):
    code, _, errors = shell("card")
    assert code == 2
    assert "no version is given" in errors


@pytest.mark.slow
def test_a_card_that_would_have_to_lie_in_a_file_is_refused_in_one_line(shell, lab, home, tmp_path):
    taken = tmp_path / "taken"
    taken.touch()
    for folder in (taken, taken / "cards"):
        code, _, errors = shell("card", lab.version, "--out", str(folder))
        assert code == 2
        assert errors.startswith("The system refused: ")
        assert str(taken) in errors
