"""Runs that infer outcomes of rejected applications: what is learned, what is not, and what is shown."""

import html
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from pipelines.training.declined_loans import options_in

from loan_default.data.schema.column import Column, Kind
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.errors import ConfigurationError
from loan_default.evaluation.metrics import measure
from loan_default.evaluation.training_evidence import TrainingEvidence
from loan_default.models.model import load_model
from loan_default.models.trees import Trees, blend
from loan_default.pipelines.training.ensemble_fits import EnsembleFit, fit_ensemble
from loan_default.pipelines.training.local_run import run_training
from loan_default.pipelines.training.member_fits import each_alone
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.provenance import provenance_of_weights
from loan_default.pipelines.training.reject_fits import (
    inference_of,
    reject_predictions,
    rejects_to_measure,
    rejects_to_refit,
)
from loan_default.pipelines.training.run_evidence import evidence_of
from loan_default.pipelines.training.run_folder import open_folder
from loan_default.pipelines.training.run_report import build_report, intervals_on_test_rows
from loan_default.pipelines.training.stages import Trained, train_classifier
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.review_policy import ReviewPolicy


def quiet() -> Stopwatch:
    return Stopwatch(lambda name, detail: None)


def planned(folder, **changes) -> TrainingPlan:
    plan = plan_training(options_in(folder, **changes), watch=quiet(), environ={"OMP_NUM_THREADS": "1"})
    return replace(plan, compute=replace(plan.compute, processes=1))


def fitted(plan: TrainingPlan, out, rejects=None) -> EnsembleFit:
    open_folder(plan, out)
    return fit_ensemble(
        plan, None, out=out, watch=quiet(), on_progress=lambda progress: None, rejects=rejects
    )


def trained_in(plan: TrainingPlan, out) -> Trained:
    open_folder(plan, out)
    return train_classifier(
        plan,
        None,
        out=out,
        watch=quiet(),
        on_progress=lambda progress: None,
        started_at=datetime.now(UTC),
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> TrainingPlan:
    return planned(tmp_path_factory.mktemp("plan"), reject_inference="fuzzy")


@pytest.fixture(scope="module")
def first(plan, tmp_path_factory) -> EnsembleFit:
    return fitted(plan, tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def trained(plan, tmp_path_factory) -> Trained:
    return trained_in(plan, tmp_path_factory.mktemp("trained"))


def test_each_member_learns_what_its_own_first_fit_infers(plan, first):
    added = rejects_to_measure(plan, first)
    assert added.positions.tolist() == plan.rejects.learned.tolist()
    alone = each_alone(plan, first.members, plan.rejects.learned)
    for copies, raw in zip(added.of_member, alone, strict=True):
        pds = first.calibration.calibration.apply(raw)
        bads = np.bincount(copies.rejects, copies.weights * copies.labels)
        assert bads == pytest.approx(pds)
        assert np.bincount(copies.rejects, copies.weights) == pytest.approx(np.ones(len(pds)))
    assert not np.allclose(alone[0], alone[1])


def test_what_a_member_learns_are_its_rows_and_both_outcomes_of_each_reject(plan, first):
    added, rows = rejects_to_measure(plan, first), plan.labelled(plan.measured_rows)
    both = added.with_both_outcomes(plan, plan.measured_rows)
    n, k = len(rows.labels), len(added.positions)
    assert both.labels.tolist() == [*rows.labels.tolist(), *([1.0] * k), *([0.0] * k)]
    np.testing.assert_array_equal(both.inputs.numerical[n : n + k], both.inputs.numerical[n + k :])
    np.testing.assert_array_equal(both.inputs.numerical[n:][:k], plan.inputs[added.positions].numerical)
    for number, copies in enumerate(added.of_member, start=1):
        learned = added.learned_with(plan, plan.measured_rows, number=number)
        assert learned.labels.tolist() == [*rows.labels.tolist(), *copies.labels.tolist()]
        of_rejects = plan.inputs[added.positions[copies.rejects]]
        np.testing.assert_array_equal(learned.inputs.numerical[n:], of_rejects.numerical)
        assert learned.weights.tolist() == [*([1.0] * n), *copies.weights.tolist()]


def test_weights_of_rows_multiply_those_of_outcomes(plan, first):
    weighty = replace(plan.schema, columns=(*plan.schema.columns, Column(name="w", kind=Kind.WEIGHT)))
    frame = plan.dataset.frame.assign(w=np.linspace(1, 3, len(plan.dataset.frame)))
    weighted = replace(plan, dataset=replace(plan.dataset, frame=frame, schema=weighty))
    added, rows = rejects_to_measure(weighted, first), plan.measured_rows
    own = weighted.dataset.weights
    (copies, *_) = added.of_member
    assert np.bincount(copies.rejects, copies.weights) == pytest.approx(own[added.positions])
    learned = added.learned_with(weighted, rows, number=1)
    assert learned.weights[: len(rows)] == pytest.approx(own[rows])


@pytest.mark.slow
def test_a_checkpoint_of_other_outcomes_is_refused(plan, first, tmp_path):
    added = rejects_to_measure(plan, first)
    fitted(plan, tmp_path, added)
    resumed = replace(plan, options=replace(plan.options, resume=True))
    (one, other) = added.of_member
    with pytest.raises(ConfigurationError, match="must be resumed with the data and options"):
        fitted(resumed, tmp_path, replace(added, of_member=(other, one)))


def test_the_last_fit_learns_from_all_rejects_by_the_average_of_the_first(plan, first):
    added = rejects_to_refit(plan, first)
    assert added.positions.tolist() == plan.rejects.all.tolist()
    copies = added.of_member[0]
    bads = np.bincount(copies.rejects, copies.weights * copies.labels)
    assert bads == pytest.approx(first.pds(plan.inputs[plan.rejects.all]))


def test_parcelling_draws_the_same_outcomes_again_and_others_by_another_seed(plan, first):
    def labels(**changes):
        options = replace(plan.options, reject_inference="parcelling", **changes)
        added = rejects_to_measure(replace(plan, options=options), first)
        return [copies.labels.tolist() for copies in added.of_member]

    assert labels() == labels(reject_factor=1.3)
    assert labels() != labels(seed=1)
    assert sum(labels(reject_factor=2.0)[0]) > sum(labels(reject_factor=1.0)[0])


@pytest.mark.slow
def test_the_first_fit_is_that_of_a_run_that_infers_nothing(plan, first, trained, tmp_path):
    none = replace(plan, options=replace(plan.options, reject_inference="none"))
    without = trained_in(none, tmp_path)
    assert without.rejects.method == "none"
    assert {each.name for each in without.rejects.metrics} == set()
    on_test = first.pds(plan.inputs[plan.split.test])
    assert without.test.calibrated == pytest.approx(on_test)
    known = {each.name: each.accepted_only for each in trained.rejects.metrics}
    assert known["auc"] == pytest.approx(without.measured.metrics["test"]["auc"])
    assert without.measured.provenance["weights"] != trained.measured.provenance["weights"]
    assert without.measured.provenance["reject_inference"] == "none"


def test_figures_are_of_accepted_test_rows_and_of_all_by_both_models(plan, trained):
    facts, test = trained.rejects, trained.test
    assert (facts.rows, facts.held_out) == (len(plan.rejects.all), len(plan.rejects.held_out))
    assert (facts.method, facts.factor) == ("fuzzy", None)
    assert facts.inferred_rate == pytest.approx(facts.mean_pd)
    own = measure(test.y, test.calibrated)
    for each in facts.metrics:
        assert each.augmented == pytest.approx(getattr(own, each.name))
        assert each.low <= each.difference <= each.high
    assert sum(band.rejects for band in facts.bands) == facts.rows
    # A model beside outcomes that were made of its own PDs is the best one there can be.
    losses = next(each for each in facts.metrics if each.name == "log_loss")
    assert np.isfinite(losses.augmented_on_all)


@pytest.mark.slow
def test_neither_test_rows_nor_held_out_rejects_take_part_in_what_is_measured(plan, trained, tmp_path):
    frame = plan.dataset.frame.copy()
    unseen = np.concatenate([plan.split.test, plan.rejects.held_out])
    frame.iloc[unseen, frame.columns.get_loc("debt")] = 99.0
    labels = frame["status"].to_numpy().copy()
    labels[plan.split.test] = 1 - labels[plan.split.test]
    dataset = replace(plan.dataset, frame=frame.assign(status=labels))
    changed = replace(
        plan,
        options=replace(plan.options, refit=False),
        dataset=dataset,
        inputs=plan.features.transform(frame),
    )
    again = trained_in(changed, tmp_path)
    assert again.measured.provenance["weights"] == trained.measured.provenance["weights"]
    assert again.measured.calibration == trained.measured.calibration


@pytest.mark.slow
def test_the_rejects_that_are_learned_from_decide_the_weights(plan, first, tmp_path):
    fewer = replace(plan.rejects, learned=plan.rejects.learned[:-20])
    states = [
        fitted(each, tmp_path / name, rejects_to_measure(each, first)).fitted[0].state
        for name, each in (("a", plan), ("b", replace(plan, rejects=fewer)))
    ]
    assert any(not states[0][name].equal(states[1][name]) for name in states[0])


@pytest.mark.slow
def test_a_run_is_not_resumed_by_another_method_or_factor(tmp_path):
    plan = planned(tmp_path, reject_inference="parcelling", members=1)
    out = tmp_path / "run"
    open_folder(plan, out)
    for changes in (
        {"reject_inference": "fuzzy", "reject_factor": None},
        {"reject_factor": 1.5},
        {"reject_inference": "none", "reject_factor": None},
    ):
        options = replace(plan.options, resume=True, **changes)
        with pytest.raises(ConfigurationError, match="must be resumed with the data and options"):
            open_folder(replace(plan, options=options), out)
    open_folder(replace(plan, options=replace(plan.options, resume=True)), out)


@pytest.mark.slow
def test_report_and_evidence_state_the_sample_the_method_and_both_tables(plan, trained):
    intervals = intervals_on_test_rows(trained, seed=0)
    page = html.unescape(
        build_report(plan, trained, intervals=intervals, importance=[], command="train.py …")
    )
    assert f"and of {len(plan.rejects.all):,} rejected ones whose outcome is not" in page
    assert "It assumes that rejected applicants default as the model of the accepted says." in page
    assert "These figures rest on the assumption." in page
    assert "rejected applications</th>" in page
    evidence = evidence_of(plan, trained, intervals=intervals, importance=[], policy=ReviewPolicy())
    assert evidence.rejects == trained.rejects
    assert TrainingEvidence.model_validate_json(evidence.model_dump_json()) == evidence
    assert ("reject inference", "fuzzy") in evidence.provenance
    older = evidence.model_dump(mode="json")
    del older["rejects"]
    assert TrainingEvidence.model_validate(older).rejects is None


def test_nothing_is_inferred_by_default(plan):
    assert inference_of(replace(plan, options=replace(plan.options, reject_inference="none"))) is None
    assert reject_predictions(replace(plan, rejects=None), None, None) is None


@pytest.mark.slow
def test_a_whole_run_by_parcelling(tmp_path, lab):
    options = options_in(tmp_path, reject_inference="parcelling", reject_factor=1.5, members=1)
    home = tmp_path / "home"
    home.mkdir()
    database = EmbeddedDatabase(home / "documents.sqlite3")
    try:
        result = run_training(
            options, out=home / "run", home=home, database=database, listener=lab.listener, command="x"
        )
    finally:
        database.close()
    facts = result.trained.rejects
    assert (facts.method, facts.factor) == ("parcelling", 1.5)
    model = load_model(result.trained.path)
    assert model.provenance["reject_factor"] == 1.5
    assert model.schema["status"].rejected == ("Declined", "Refused")
    assert "parcelling with the factor 1.5" in (home / "run" / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_trees_learn_from_rejects_as_the_network_of_their_fold_does(tmp_path):
    plan = planned(tmp_path, reject_inference="fuzzy", with_trees=True)
    first = fitted(plan, tmp_path / "first")
    added = rejects_to_measure(plan, first)
    others = np.setdiff1d(plan.measured_rows, plan.folds[1])
    rows = added.learned_with(plan, others, number=2)
    assert len(rows.labels) == len(others) + 2 * len(added.positions)
    assert rows.weights[: len(others)].tolist() == [1.0] * len(others)
    alone = each_alone(plan, first.members, added.positions)[1]
    trees = first.trees_of_run.of_fold[1].logits(plan.inputs[added.positions])
    pds = first.calibration.calibration.apply(blend(alone, trees))
    assert rows.weights[len(others) :][: len(pds)] == pytest.approx(pds)
    trained = trained_in(plan, tmp_path / "run")
    assert len(trained.model.trees) > 0
    assert digest_of(trained.measured.trees) != digest_of(first.trees)
    assert trained.rejects.method == "fuzzy"


def digest_of(trees: Trees) -> str:
    return provenance_of_weights([], trees)["weights"]
