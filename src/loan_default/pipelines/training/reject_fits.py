"""Outcomes of rejected applications in a run: inferred by the model of the accepted rows, then learned from.

    first = fit_ensemble(plan, start, …)                                          # of accepted rows alone
    second = fit_ensemble(plan, start, …, rejects=rejects_to_measure(plan, first))
    outcomes = reject_predictions(plan, first, second)

A member learns the outcomes that its own first fit infers, with the trees of its fold where there are any,
which did not see the fold that scores it. Of that fold the inference knows few numbers: those of the
calibration, and the default rates of the bands. Nothing knows a test row or a rejected application that is
held out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loan_default.models.reject_augmentation import Bands, Inference, bands_of, copies_of, inferred_rates
from loan_default.models.trees import blend
from loan_default.pipelines.training.ensemble_fits import EnsembleFit
from loan_default.pipelines.training.member_fits import AddedRejects, each_alone
from loan_default.pipelines.training.plan import TrainingPlan

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectPredictions:
    """What is known and assumed of the rejected applications of a run."""

    pds: Floats
    """`(rejects,)` of all of them, by the model that learned from accepted rows alone."""
    inference: Inference | None
    """None = no outcome was inferred, and what follows is empty."""
    bands: Bands | None = None
    """Of the accepted rows, by that model."""
    rates: Floats | None = None
    """`(rejects,)`, the chance of default that is assumed of each."""
    test_accepted_only: Floats | None = None
    """`(test rows,)`, PDs by that model."""
    held_out_accepted_only: Floats | None = None
    """`(held-out rejects,)`, PDs by that model."""
    held_out: Floats | None = None
    """The same by the model that learned from rejects as well."""
    beyond: int = 0
    """Rejects whose PD by that model is above that of every accepted row."""
    held_out_rates: Floats | None = None
    """`(held-out rejects,)`, the chance of default that is assumed of each."""


def inference_of(plan: TrainingPlan) -> Inference | None:
    """How the run infers outcomes; None = it does not."""
    if not plan.options.infers_rejects:
        return None
    return Inference(method=plan.options.reject_inference, factor=plan.options.factor_of_rejects)


def rejects_to_measure(plan: TrainingPlan, first: EnsembleFit) -> AddedRejects:
    """Rejects of the training side, with the outcomes that each member's own first fit infers."""
    assert plan.rejects is not None
    positions = plan.rejects.learned
    raw = each_alone(plan, first.members, positions)
    if first.trees_of_run is not None:
        logits = [trees.logits(plan.inputs[positions]) for trees in first.trees_of_run.of_fold]
        raw = [blend(each, logits[number % len(logits)]) for number, each in enumerate(raw)]
    pds = [first.calibration.calibration.apply(each) for each in raw]
    return _added(plan, first, positions, pds)


def rejects_to_refit(plan: TrainingPlan, first: EnsembleFit) -> AddedRejects:
    """All rejects, with the outcomes that the members of the first fit infer together."""
    assert plan.rejects is not None
    positions = plan.rejects.all
    return _added(plan, first, positions, [first.pds(plan.inputs[positions])] * len(first.members))


def reject_predictions(
    plan: TrainingPlan, first: EnsembleFit, second: EnsembleFit
) -> RejectPredictions | None:
    """What the documents of a run show of its rejects; None = the data name none.

    Args:
        first: has learned from accepted rows alone.
        second: has learned from rejects as well; where nothing is inferred, it is the first one.
    """
    if plan.rejects is None:
        return None
    pds, inference = first.pds(plan.inputs[plan.rejects.all]), inference_of(plan)
    if inference is None:
        return RejectPredictions(pds=pds, inference=None)
    bands, held_out = _bands(plan, first), plan.inputs[plan.rejects.held_out]
    by_first = first.pds(held_out)
    return RejectPredictions(
        pds=pds,
        inference=inference,
        bands=bands,
        beyond=int((pds > first.calibration.calibration.apply(first.raw).max()).sum()),
        rates=inferred_rates(pds, bands, inference),
        test_accepted_only=first.pds(plan.inputs[plan.split.test]),
        held_out_accepted_only=by_first,
        held_out=second.pds(held_out),
        held_out_rates=inferred_rates(by_first, bands, inference),
    )


def _bands(plan: TrainingPlan, first: EnsembleFit) -> Bands:
    rows = plan.labelled(first.networks.positions)
    pds = first.calibration.calibration.apply(first.raw)
    return bands_of(pds, rows.labels.astype(np.float64), rows.weights)


def _added(
    plan: TrainingPlan, first: EnsembleFit, positions: NDArray[np.int64], pds: list[Floats]
) -> AddedRejects:
    """Rejects with outcomes for each member.

    Args:
        pds: `(rejects,)` a member, of the rejects.
    """
    inference, bands = inference_of(plan), _bands(plan, first)
    assert inference is not None
    weights = None if plan.dataset.weights is None else plan.dataset.weights[positions]
    # A reject has the same draw in every fit of a member, whichever other rejects are there.
    draws = [
        np.random.default_rng([plan.options.seed, number]).random(len(plan.dataset.frame))[positions]
        for number in range(1, len(pds) + 1)
    ]
    return AddedRejects(
        positions=positions,
        of_member=tuple(
            copies_of(inferred_rates(each, bands, inference), weights, inference, draws=drawn)
            for each, drawn in zip(pds, draws, strict=True)
        ),
    )
