"""The rejected applications of a run for its documents, from the plan and what the fits have predicted."""

import numpy as np
from numpy.typing import NDArray

from loan_default.evaluation.reject_metrics import (
    RejectBand,
    RejectFacts,
    WithRejects,
    compare,
)
from loan_default.models.reject_augmentation import weighted_copies
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.predictions import Predictions
from loan_default.pipelines.training.reject_fits import RejectPredictions

Floats = NDArray[np.float64]


def reject_facts(
    plan: TrainingPlan, test: Predictions, found: RejectPredictions | None
) -> RejectFacts | None:
    """What the documents show of rejected applications; None = the data name none.

    Args:
        test: of the model that is measured.
    """
    if plan.rejects is None or found is None:
        return None
    weights, rejects = plan.dataset.weights, plan.rejects.all
    counts = np.ones(len(plan.dataset.frame)) if weights is None else np.nan_to_num(weights)
    rows, held_out = len(rejects), len(plan.rejects.held_out)
    mean_pd = _mean(found.pds, counts[rejects])
    if found.inference is None or found.held_out_rates is None:
        return RejectFacts(
            rows=rows,
            held_out=held_out,
            mean_pd=mean_pd,
            accepted_mean_pd=_mean(test.calibrated, counts[plan.split.test]),
            method="none",
        )
    assert found.rates is not None
    assert found.test_accepted_only is not None
    return RejectFacts(
        rows=rows,
        held_out=held_out,
        mean_pd=mean_pd,
        accepted_mean_pd=_mean(found.test_accepted_only, counts[plan.split.test]),
        method=found.inference.method,
        factor=found.inference.factor,
        inferred_rate=_mean(found.rates, counts[rejects]),
        beyond=found.beyond,
        bands=_bands(found, counts[rejects]),
        metrics=compare(_with_rejects(test, found, counts[plan.rejects.held_out]), seed=plan.options.seed),
    )


def _mean(values: Floats, weights: Floats) -> float:
    """The weighted mean; rows without a weight count only where none has one."""
    return float(np.average(values, weights=weights if weights.any() else None))


def _bands(found: RejectPredictions, weights: Floats) -> tuple[RejectBand, ...]:
    assert found.bands is not None
    assert found.rates is not None
    band, ends = found.bands.of(found.pds), [0.0, *found.bands.edges.tolist(), 1.0]
    listed = []
    for number, accepted in enumerate(found.bands.rows.tolist()):
        own = band == number
        listed.append(
            RejectBand(
                low=ends[number],
                high=ends[number + 1],
                accepted=accepted,
                default_rate=float(found.bands.rates[number]),
                rejects=int(own.sum()),
                inferred_rate=_mean(found.rates[own], weights[own]) if own.any() else None,
            )
        )
    return tuple(listed)


def _with_rejects(test: Predictions, found: RejectPredictions, weights: Floats) -> WithRejects:
    """Accepted test rows, and each held-out reject once as a default and once as none, by its rate."""
    assert found.held_out_rates is not None
    assert found.held_out_accepted_only is not None
    assert found.held_out is not None
    assert found.test_accepted_only is not None
    copies = weighted_copies(found.held_out_rates, weights)
    of_test = np.ones(len(test.y)) if test.weights is None else test.weights
    return WithRejects(
        y=np.concatenate([test.y, copies.labels.astype(np.float64)]),
        weights=np.concatenate([of_test, copies.weights]),
        accepted_only=np.concatenate(
            [found.test_accepted_only, found.held_out_accepted_only[copies.rejects]]
        ),
        augmented=np.concatenate([test.calibrated, found.held_out[copies.rejects]]),
        rows=len(test.y),
    )
