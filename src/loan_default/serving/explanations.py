"""Why a PD is what it is: at most four reasons in words of the schema, and what they leave out.

Reasons are the columns that raised the PD most against a reference population (`models/attributions.py`).
Protected columns are no features; columns that nobody can act on raise a PD without being named: how much
they raised it together is kept beside the reasons.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from loan_default.choices import ReferenceMethod
from loan_default.data.schema.language import Schema
from loan_default.evaluation.metrics import score_points
from loan_default.models.attributions import Attributions, attribute
from loan_default.models.features import Inputs
from loan_default.models.frozen_model import FrozenModel
from loan_default.models.populations import Reference

MOST_REASONS = 4
"""More than four are not likely to help an applicant (12 CFR 1002, Supplement I, 9(b)(2)-1)."""
_DIGITS = 4
"""Digits of a contribution that count: what differs beyond them is rounding, and decides no order."""
_LEAST = 0.01
"""Logit that a column must raise to be a reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonPolicy:
    """Against whom PDs are explained."""

    against: ReferenceMethod = "all"
    cutoff: float = 0.2
    """PD up to which a loan is approved."""


DEFAULT_POLICY = ReasonPolicy()
"""The policy where nobody has set another."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """A column that raised a PD."""

    column: str
    words: str
    """For an applicant."""
    contribution: float
    """What it added to the logit of the PD."""
    points: float
    """What it changed the score by, in points: below 0, as more points are better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why a PD is what it is."""

    reasons: tuple[Reason, ...]
    """At most four, the strongest first; none where no column raised the PD."""
    withheld: float
    """What columns that are no reasons for an applicant added to the logit of the PD."""
    reference: str
    """Against whom, by which model."""
    reference_pd: float
    """PD of the reference."""
    gap: float
    """What the contributions of all columns leave unexplained of the logit of the PD (completeness)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values that can be written as JSON."""
        return {**asdict(self), "reasons": [asdict(reason) for reason in self.reasons]}


def explain(model: FrozenModel, inputs: Inputs, reference: Reference) -> list[Explanation]:
    """Explain the PDs of rows; the same row has the same explanation in any company."""
    found = attribute(model, inputs, reference.tokens, trees=reference.trees, start=reference.logit)
    names = model.features.names
    return [
        _explanation(found, row, names=names, schema=model.schema, reference=reference)
        for row in range(len(inputs))
    ]


def _explanation(
    found: Attributions, row: int, *, names: Sequence[str], schema: Schema, reference: Reference
) -> Explanation:
    contributions = np.round(found.contributions[row], _DIGITS).tolist()
    raised = [
        (contribution, schema[name])
        for name, contribution in zip(names, contributions, strict=True)
        if contribution >= _LEAST
    ]
    # Equal contributions keep the order of the columns.
    raised.sort(key=lambda each: -each[0])
    reasons = [
        Reason(
            column=column.name,
            words=column.reason or column.description or column.name,
            contribution=contribution,
            points=round(-contribution * _POINTS_OF_LOGIT, 1),
        )
        for contribution, column in raised
        if column.is_reason
    ]
    withheld = sum(contribution for contribution, column in raised if not column.is_reason)
    return Explanation(
        reasons=tuple(reasons[:MOST_REASONS]),
        withheld=round(withheld, _DIGITS),
        reference=reference.name,
        reference_pd=float(expit(found.reference)),
        gap=round(float(found.gaps[row]), _DIGITS),
    )


_POINTS_OF_LOGIT = float(score_points([expit(0.0)])[0] - score_points([expit(1.0)])[0])
