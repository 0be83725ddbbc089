"""A rule of the gate as data: its number, value, threshold, interval, what it was computed from, a sentence.

A value that is not defined passes no rule.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from loan_default.thresholds import RuleOutcome

Metric = float | None
"""A metric; None = it is not defined on the rows."""

ARTEFACT, DATA, COOLDOWN, DISCRIMINATION, CALIBRATION, SEGMENTS = 1, 2, 3, 4, 5, 6
STABILITY, FAIRNESS, EXPLANATIONS, CANARY, APPROVAL = 7, 8, 9, 10, 11
"""Numbers of the rules. Several rules may share one."""
NEVER_OVERRIDDEN = frozenset({ARTEFACT, DATA})
"""Numbers of rules that no person can override: a broken file and too few rows stay what they are."""

NAMES: Mapping[str, int] = {
    "artefact": ARTEFACT,
    "rows": DATA,
    "bads": DATA,
    "coverage": DATA,
    "cooldown": COOLDOWN,
    "auc": DISCRIMINATION,
    "ks": DISCRIMINATION,
    "lead": DISCRIMINATION,
    "certain_lead": DISCRIMINATION,
    "live_lead": DISCRIMINATION,
    "compared": DISCRIMINATION,
    "brier": CALIBRATION,
    "ece": CALIBRATION,
    "calibration_intercept": CALIBRATION,
    "calibration_slope": CALIBRATION,
    "brier_loss": CALIBRATION,
    "segments": SEGMENTS,
    "segment": SEGMENTS,
    "segment_gap": SEGMENTS,
    "segment_lead": SEGMENTS,
    "score_psi": STABILITY,
    "column_psi": STABILITY,
    "fairness": FAIRNESS,
    "monotonic": EXPLANATIONS,
    "mean_pd_change": CANARY,
    "approval_change": CANARY,
    "approval": APPROVAL,
}
"""Name of each rule -> its number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A rule that was checked."""

    number: int
    name: str
    outcome: RuleOutcome
    value: Metric
    threshold: float | None
    """The number that the value was compared with; None = none."""
    interval: tuple[float, float] | None = None
    """The interval that decided; None = the value did."""
    data: str | None = None
    """Digest or id of what the value was computed from."""
    sentence: str

    @property
    def reason(self) -> str:
        """The outcome and the sentence."""
        return f"{self.outcome}: {self.sentence}"

    def of(self, data: str | None) -> Self:
        """Return the rule with the id of what its value was computed from."""
        return replace(self, data=data)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `rule_from_dict` reads back."""
        return asdict(self) | {"outcome": str(self.outcome)}


def rule_from_dict(raw: dict[str, Any]) -> Rule:
    """Return the rule of plain values, as they come back from JSON."""
    interval = raw.get("interval")
    return Rule(
        **raw
        | {"outcome": RuleOutcome(raw["outcome"]), "interval": None if interval is None else tuple(interval)}
    )


def at_least(number: int, name: str, value: Metric, minimum: float, *, called: str) -> Rule:
    """Check that a value reaches a minimum."""
    return decided(
        number,
        name,
        passed=value is not None and value >= minimum,
        value=value,
        threshold=minimum,
        sentence=f"{called} is {shown(value)}; it must be at least {minimum:.4f}.",
    )


def at_most(number: int, name: str, value: Metric, maximum: float, *, called: str) -> Rule:
    """Check that a value does not exceed a maximum."""
    return decided(
        number,
        name,
        passed=value is not None and value <= maximum,
        value=value,
        threshold=maximum,
        sentence=f"{called} is {shown(value)}; it must be at most {maximum:.4f}.",
    )


def decided(
    number: int,
    name: str,
    *,
    passed: bool,
    value: Metric,
    threshold: float | None,
    sentence: str,
    interval: tuple[float, float] | None = None,
) -> Rule:
    """Return a rule that the caller has decided; an interval without ends is left out."""
    finite = interval if interval is not None and all(map(math.isfinite, interval)) else None
    return Rule(
        number=number,
        name=name,
        outcome=RuleOutcome.PASSED if passed else RuleOutcome.FAILED,
        value=value,
        threshold=threshold,
        interval=finite,
        sentence=sentence,
    )


def off(number: int, name: str, why: str) -> Rule:
    """Return a rule that is not asked for; the text says why, as a sentence."""
    return Rule(number=number, name=name, outcome=RuleOutcome.OFF, value=None, threshold=None, sentence=why)


def shown(value: Metric) -> str:
    """Return a value as it stands in sentences."""
    return "not defined" if value is None else f"{value:.4f}"
