"""The report of a run: its numbers are those of the plan and of the model."""

import html
from dataclasses import asdict, replace

import numpy as np
import pytest

from loan_default.data.datasets.twins import Twins
from loan_default.evaluation.metrics import auc, measure
from loan_default.pipelines.training.predictions import without_near_copies
from loan_default.pipelines.training.run_report import build_report, importance_of, intervals_on_test_rows


@pytest.fixture(scope="module")
def importance(lab):
    return importance_of(lab.outcome.plan, lab.outcome.trained)


def page_of(plan, trained, intervals, importance) -> str:
    return html.unescape(
        build_report(plan, trained, intervals=intervals, importance=importance, command="train.py --preset x")
    )


@pytest.mark.slow
def test_ranges_hold_the_metric_of_the_test_rows_and_follow_from_the_seed(lab):
    trained = lab.outcome.trained
    ranges = intervals_on_test_rows(trained, seed=0)
    measured = auc(trained.test.y, trained.test.calibrated)
    assert ranges["auc"].value == pytest.approx(measured)
    assert ranges["auc"].low < measured < ranges["auc"].high
    assert intervals_on_test_rows(trained, seed=0) == ranges == lab.outcome.intervals
    assert intervals_on_test_rows(trained, seed=1) != ranges


def test_importance_covers_each_feature_the_largest_loss_first(lab, importance):
    assert {each.column for each in importance} == set(lab.outcome.plan.features.names)
    losses = [each.mean_drop for each in importance]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.slow
def test_the_page_counts_the_rows_of_the_run(lab, importance):
    plan, trained = lab.outcome.plan, lab.outcome.trained
    page = page_of(plan, trained, lab.outcome.intervals, importance)
    assert "A tabular transformer with 2 layers" in page
    assert "weights, pretrained, " in page
    assert f"all {len(plan.refit_rows):,} labelled rows" in page
    for text in (lab.version, trained.sha256, plan.dataset.digest, "train.py --preset x", plan.split.reason):
        assert text in page
    for rows in (plan.split.train, plan.split.validation, plan.split.test):
        assert f"{len(rows):,}" in page
    for reason in plan.dataset.reasons:
        assert reason in page


@pytest.mark.slow
def test_a_run_that_started_from_random_weights_says_so(lab, importance):
    plan = replace(lab.outcome.plan, options=lab.with_options(pretrain=False))
    trained = replace(lab.outcome.trained, pretrained=None)
    page = page_of(plan, trained, lab.outcome.intervals, importance)
    assert "weights, not pretrained, " in page


@pytest.mark.slow
def test_metrics_without_test_rows_whose_near_copies_were_learned_from_are_stated(lab, importance):
    plan, trained = lab.outcome.plan, lab.outcome.trained
    assert without_near_copies(plan, trained.test) == []
    tested = plan.split.test[::3]
    others = np.concatenate([plan.split.train, plan.split.validation])[: len(tested)]
    groups = np.arange(len(plan.dataset.frame))
    groups[tested] = others
    twins = Twins(
        pairs=np.sort(np.column_stack([tested, others]), axis=1),
        groups=groups,
        labelled=len(groups),
        agreement=0.99,
        ordinary=0.8,
        expected=0.82,
        auc_straddling=0.9,
        auc_apart=0.85,
    )
    plan = replace(plan, twins=twins)
    ((name, rows),) = without_near_copies(plan, trained.test)
    kept = ~np.isin(plan.split.test, tested)
    expected = auc(trained.test.y[kept], trained.test.calibrated[kept])
    metrics = dict(trained.measured.metrics) | {name: asdict(measure(rows.y, rows.calibrated))}
    measured = replace(trained.measured, metrics=metrics)
    page = page_of(plan, replace(trained, measured=measured), lab.outcome.intervals, importance)
    assert f"{len(tested):,} test rows have one there. Without them AUC is {expected:.3f} instead of" in page
