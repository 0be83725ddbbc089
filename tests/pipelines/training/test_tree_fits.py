"""Runs with trees: what is measured, what is handed over, and that both count in the model."""

import html
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.special import expit, logit

from loan_default.errors import ConfigurationError
from loan_default.evaluation.metrics import auc
from loan_default.models.attributions import attribute
from loan_default.models.freezing import frozen_model
from loan_default.models.model import LoanModel, load_model, mean_probability
from loan_default.models.populations import reference_of_model
from loan_default.models.tree_attributions import tree_contributions
from loan_default.models.trees import blend
from loan_default.pipelines.training.member_fits import out_of_fold
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.registration import registration_of
from loan_default.pipelines.training.run_folder import open_folder
from loan_default.pipelines.training.run_report import build_report, intervals_on_test_rows
from loan_default.pipelines.training.stages import Trained, train_classifier
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.tree_fits import NETWORKS, TREES, fit_trees_of_run, refit_trees_of_run

ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def planned(lab, **changes) -> TrainingPlan:
    options = lab.with_options(with_trees=True, pretrain=False, epochs=1, **changes)
    plan = plan_training(options, watch=Stopwatch(lambda name, detail: None), environ=ONE_THREAD)
    return replace(plan, compute=replace(plan.compute, processes=1))


def trained_in(plan: TrainingPlan, out, stages: list[str]) -> Trained:
    open_folder(plan, out)
    return train_classifier(
        plan,
        None,
        out=out,
        watch=Stopwatch(lambda name, detail: stages.append(name)),
        on_progress=lambda progress: None,
        started_at=datetime.now(UTC),
    )


@pytest.fixture(scope="module")
def plan(lab) -> TrainingPlan:
    return planned(lab, members=2)


@pytest.fixture(scope="module")
def stages() -> list[str]:
    return []


@pytest.fixture(scope="module")
def trained(plan, stages, tmp_path_factory) -> Trained:
    return trained_in(plan, tmp_path_factory.mktemp("trees"), stages)


def blended(model: LoanModel, inputs) -> np.ndarray:
    return (logit(mean_probability(model.members, inputs)) + model.trees.logits(inputs)) / 2


def test_networks_and_trees_have_equal_weights_in_what_is_measured_and_in_the_file(lab, plan, trained):
    rows = plan.inputs[plan.split.test]
    np.testing.assert_allclose(logit(trained.test.raw), blended(trained.measured, rows), rtol=1e-9)
    loaded = load_model(trained.path)
    frame = plan.dataset.frame.iloc[plan.split.test]
    np.testing.assert_allclose(logit(loaded.predict_raw(frame)), blended(trained.model, rows), rtol=1e-9)
    np.testing.assert_array_equal(
        trained.test.calibrated, trained.calibration.calibration.apply(trained.test.raw)
    )


@pytest.mark.slow
def test_the_trees_of_a_row_did_not_learn_from_it(plan, trained):
    """Trees of one fold are calibrated on it: those that learned from its rows would be surer of them."""
    found = fit_trees_of_run(plan, watch=Stopwatch(lambda name, detail: None))
    rows = np.concatenate(plan.folds[:2])
    labels = plan.dataset.labels[rows]
    seen = refit_trees_of_run(plan, found).logits(plan.inputs[rows])
    assert auc(labels, seen) > auc(labels, found.out_of_fold) + 0.05
    raw = blend(out_of_fold(plan, trained.measured.members).raw, found.out_of_fold)
    np.testing.assert_allclose(trained.validation.raw, raw[: len(plan.split.validation)], rtol=1e-9)


def test_the_trees_of_the_file_have_learned_from_all_labels_for_the_rounds_that_were_found(plan, trained):
    assert len(trained.measured.trees) / 2 == pytest.approx(len(trained.model.trees), abs=1)
    rows = plan.inputs[plan.split.test]
    assert auc(trained.test.y, trained.model.trees.logits(rows)) > auc(
        trained.test.y, trained.measured.trees.logits(rows)
    )


@pytest.mark.slow
def test_a_file_that_is_not_refitted_has_the_trees_that_were_measured(lab, tmp_path):
    trained = trained_in(planned(lab, refit=False), tmp_path, [])
    assert trained.model.trees is trained.measured.trees
    assert trained.model.members is trained.measured.members
    assert trained.model.provenance is trained.measured.provenance


@pytest.mark.slow
def test_reasons_of_the_file_add_up_to_its_pds(plan, trained):
    loaded = load_model(trained.path)
    frozen = frozen_model(loaded, golden=loaded.golden, digest="ab" * 32)
    rows = plan.inputs[plan.split.test]
    reference = reference_of_model(frozen, "all", cutoff=0.2)
    found = attribute(frozen, rows, reference.tokens, trees=reference.trees, start=reference.logit)
    assert found.contributions.shape == (len(rows), len(frozen.features.names))
    np.testing.assert_allclose(expit(found.logits), loaded.predict_inputs(rows), atol=1e-6)
    assert np.abs(found.gaps).max() < 0.05
    of_trees = tree_contributions(reference.trees, rows)
    total = of_trees.start + of_trees.of_columns.sum(axis=1)
    np.testing.assert_allclose(total, loaded.trees.logits(rows), rtol=0, atol=1e-12)


def test_trees_are_in_the_provenance_the_digest_and_the_registry(lab, plan, trained):
    provenance, trees = trained.model.provenance, trained.model.trees
    assert provenance["trees"] == f"{len(trees)} trees, {trees.leaves} leaves"
    assert provenance["weights"] != trained.measured.provenance["weights"]
    model = registration_of(plan, trained, intervals={}).model
    assert (model.trees, model.libraries["lightgbm"]) == (len(trees), provenance["lightgbm"])
    without = registration_of(lab.outcome.plan, lab.outcome.trained, intervals={}).model
    assert without.trees == 0
    assert "lightgbm" not in without.libraries
    assert lab.outcome.trained.test.parts == {}


@pytest.mark.slow
def test_trees_are_a_stage_and_a_resumed_run_gets_the_same(lab, trained, stages):
    assert stages == ["train", "trees", "calibrate", "evaluate", "refit"]
    resumed = trained_in(planned(lab, members=2, resume=True), trained.path.parent, [])
    assert resumed.model.provenance["weights"] == trained.model.provenance["weights"]


@pytest.mark.slow
def test_a_run_without_trees_is_not_resumed_with_trees(lab, tmp_path):
    open_folder(plan_training(lab.options, watch=Stopwatch(lambda name, detail: None)), tmp_path)
    with_trees = lab.with_options(with_trees=True, resume=True)
    with pytest.raises(ConfigurationError, match="must be resumed with the data and options"):
        open_folder(plan_training(with_trees, watch=Stopwatch(lambda name, detail: None)), tmp_path)


@pytest.mark.slow
def test_the_report_shows_what_each_part_brings(plan, trained):
    intervals = intervals_on_test_rows(trained, seed=0)
    page = html.unescape(
        build_report(plan, trained, intervals=intervals, importance=[], command="train.py --with-trees")
    )
    assert "2 networks and 1 tree ensemble, equal weights on the logit scale" in page
    assert f"{len(trained.model.trees):,} boosted trees with {trained.model.trees.leaves:,} leaves" in page
    assert set(trained.test.parts) == {NETWORKS, TREES}
    for name, pd in trained.test.parts.items():
        row = page[page.index(f'<th scope="row">{name}</th>') :]
        assert f"{auc(trained.test.y, pd):.4f}" in row[: row.index("</tr>")]


def test_the_library_is_missed_before_a_row_is_read(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    stages = []
    with pytest.raises(ConfigurationError, match=r"loan-default\[trees\]"):
        plan_training(
            lab.with_options(with_trees=True), watch=Stopwatch(lambda name, detail: stages.append(name))
        )
    assert stages == []
