"""`explain` on a trained model: reasons, their words, their completeness, and a what-if."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from models.small_boosters import random_booster

from loan_default.models.model import golden_rows_of, load_model, save_model
from loan_default.models.tree_training import trees_of


def explained(shell, lab, *arguments):
    code, shown, errors = shell("explain", str(lab.data), "--json", *arguments)
    assert code == 0, errors
    return json.loads(shown)


@pytest.fixture
def _home(shell, lab, tmp_path, monkeypatch):
    """A copy of the home of a trained model."""
    shutil.copytree(lab.home, tmp_path / "copy")
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(tmp_path / "copy"))


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
def test_an_application_is_explained_the_same_way_each_time(shell, lab):
    found = explained(shell, lab, "--row", "1")
    assert found == explained(shell, lab, "--row", "1")
    explanation = found["explanation"]
    assert found["model"]["version"] == lab.version
    assert len(explanation["reasons"]) <= 4
    assert abs(explanation["gap"]) < 0.05
    assert explanation["reference"].startswith("all applicants")
    code, shown, _ = shell("explain", str(lab.data), "--row", "1")
    assert code == 0
    assert f"{found['pd']:.2%}" in shown
    for each in explanation["reasons"]:
        assert each["column"] in shown


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
def test_against_the_cutoff_a_model_of_few_rows_is_refused(shell, lab):
    code, _, errors = shell("explain", str(lab.data), "--against", "cut-off")
    assert code == 2
    assert "with more rows" in errors


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
def test_a_declined_application_gets_a_what_if_and_an_approved_one_does_not(shell, lab):
    pd = explained(shell, lab)["pd"]
    assert explained(shell, lab, "--cutoff", str(min(1.0, pd + 0.001)))["hint"] is None
    hint = explained(shell, lab, "--cutoff", str(pd - 1e-4))["hint"]
    assert hint["pd"] <= pd - 1e-4
    assert "no promise" in hint["note"]


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize(("cutoff", "words"), [("0.125", "cut-off of 12.5%"), ("0.2", "cut-off of 20%")])
def test_the_cutoff_is_shown_as_it_was_given(shell, lab, cutoff, words):
    code, shown, errors = shell("explain", str(lab.data), "--cutoff", cutoff)
    assert code == 0, errors
    assert words in shown


@pytest.fixture(scope="module")
def with_trees(lab, tmp_path_factory):
    """The file of the trained model, with trees beside its networks."""
    model = load_model(lab.outcome.out / "model.pth")
    rows = lab.outcome.plan.inputs.without_levels
    booster = random_booster(np.random.default_rng(1), rows, min_data_per_group=5)
    numerical, categorical = rows.numerical.shape[1], rows.codes.shape[1]
    trees = trees_of(booster, numerical=numerical, categorical=categorical)
    path = tmp_path_factory.mktemp("trees") / "model.pth"
    model = replace(model, trees=trees)
    save_model(path, replace(model, golden=golden_rows_of(model)))
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
def test_a_model_with_trees_gives_reasons_that_add_up_and_a_what_if(shell, lab, with_trees):
    found = explained(shell, lab, "--row", "1", "--model", str(with_trees), "--cutoff", "0.0001")
    explanation = found["explanation"]
    assert found == explained(shell, lab, "--row", "1", "--model", str(with_trees), "--cutoff", "0.0001")
    assert explanation["reference"].startswith("all applicants")
    assert abs(explanation["gap"]) < 0.05
    plain = explained(shell, lab, "--row", "1")
    assert found["pd"] != plain["pd"]
    pd = found["pd"]
    hint = explained(shell, lab, "--row", "1", "--model", str(with_trees), "--cutoff", str(pd - 1e-4))["hint"]
    assert hint is None or hint["pd"] <= pd - 1e-4
    code, shown, errors = shell("explain", str(lab.data), "--row", "1", "--model", str(with_trees))
    assert code == 0, errors
    for each in explanation["reasons"]:
        assert each["points"] < 0
        assert f"{each['points']:+.1f}" in shown


@pytest.mark.slow
@pytest.mark.usefixtures("_home")
def test_a_row_that_is_not_there_is_refused(shell, lab):
    code, _, errors = shell("explain", str(lab.data), "--row", "10000000")
    assert code == 2
    assert "a row must be in the file" in errors
