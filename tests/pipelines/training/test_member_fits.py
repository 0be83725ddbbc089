"""The two fits of each member: the second of one begins while others are in their first."""

from dataclasses import replace

import numpy as np
import pytest

from loan_default.models.fitting import Fitted
from loan_default.pipelines.training.ensemble_fits import refits_at_once
from loan_default.pipelines.training.member_fits import fit_and_refit_members, fit_members, refit_members
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.provenance import digest_of_weights
from loan_default.pipelines.training.stopwatch import Stopwatch


@pytest.fixture(scope="module")
def plan(lab) -> TrainingPlan:
    options = lab.with_options(members=3, epochs=2)
    plan = plan_training(
        options, watch=Stopwatch(lambda name, detail: None), environ={"OMP_NUM_THREADS": "1"}
    )
    return replace(plan, compute=replace(plan.compute, processes=1))


@pytest.fixture(scope="module")
def in_turn(plan, tmp_path_factory) -> list[list[Fitted]]:
    """The members as they are measured, and as they are handed over."""
    out = tmp_path_factory.mktemp("in-turn")
    first = fit_members(plan, None, out=out, on_progress=lambda progress: None)
    return [first, refit_members(plan, None, first, out=out, on_progress=lambda progress: None)]


def digests(fits: list[list[Fitted]]) -> list[list[str]]:
    return [[digest_of_weights([each.state]) for each in some] for some in fits]


@pytest.mark.slow
def test_both_fits_at_once_have_the_weights_of_one_after_the_other(plan, in_turn, tmp_path):
    stages: list[str] = []
    found = fit_and_refit_members(
        plan, None, out=tmp_path, on_progress=lambda progress: stages.append(progress.stage)
    )
    assert digests(list(found)) == digests(in_turn)
    assert len({*digests(in_turn)[0], *digests(in_turn)[1]}) == 6
    names = [f"member {number}{what}" for what in ("", ", all labels") for number in (1, 2, 3)]
    assert list(dict.fromkeys(stages)) == names


@pytest.mark.slow
def test_processes_give_the_same_weights_whole_and_resumed(plan, in_turn, tmp_path):
    plan = replace(
        plan,
        compute=replace(plan.compute, processes=2),
        options=replace(plan.options, resume=True),
    )

    class Killed(BaseException):
        pass

    def kill(progress: object) -> None:
        if str(getattr(progress, "stage", "")).endswith("all labels"):
            raise Killed

    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(Killed):
        fit_and_refit_members(plan, None, out=tmp_path, on_progress=kill)
    assert list((tmp_path / "checkpoints").glob("member-*.ckpt"))
    found = fit_and_refit_members(plan, None, out=tmp_path, on_progress=lambda progress: None)
    assert digests(list(found)) == digests(in_turn)


def test_the_rows_of_the_second_fit_hold_those_of_the_first(plan):
    rows = plan.refit_rows
    assert (rows[np.searchsorted(rows, plan.measured_rows)] == plan.measured_rows).all()


def test_what_is_inferred_of_rejects_comes_between_the_two_fits(plan):
    assert refits_at_once(plan)
    assert not refits_at_once(replace(plan, options=replace(plan.options, refit=False)))
    assert not refits_at_once(replace(plan, options=replace(plan.options, reject_inference="fuzzy")))
