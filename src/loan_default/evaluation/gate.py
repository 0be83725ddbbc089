"""The gate: may a model score applications? Metrics and thresholds in, a verdict with its reasons out."""

from collections.abc import Mapping
from dataclasses import dataclass

from loan_default.thresholds import Thresholds

Metric = float | None
"""A metric; None = it is not defined on the rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What speaks for a model and against it."""

    reasons: tuple[str, ...]
    """A sentence for each rule that was checked, whether the model passed it or not."""
    broken: tuple[str, ...] = ()
    """Those of the reasons that speak against the model."""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the model."""
        return not self.broken


def gate_verdict(
    metrics: Mapping[str, Metric],
    *,
    rows: int,
    champion: Mapping[str, Metric] | None,
    thresholds: Thresholds,
) -> Verdict:
    """Check a model's metrics against the thresholds, and beside those of the champion on the same rows.

    A metric that is not defined passes no rule.

    Args:
        metrics: `auc`, `ks`, `brier`, `ece` by name.
        rows: labelled rows that the metrics were computed on.
        champion: the champion's metrics; None = there is no champion, and no lead is asked for.
    """
    checks = [
        _enough_rows(rows, thresholds.minimum_rows),
        _at_least("AUC", metrics.get("auc"), thresholds.minimum_auc),
        _at_least("KS", metrics.get("ks"), thresholds.minimum_ks),
        _at_most("the Brier score", metrics.get("brier"), thresholds.maximum_brier),
        _at_most("the calibration error", metrics.get("ece"), thresholds.maximum_calibration_error),
    ]
    if champion is not None:
        checks.append(_ahead(metrics.get("auc"), champion.get("auc"), thresholds.minimum_lead))
    reasons, broken = [], []
    for passed, sentence in checks:
        reason = f"{'passed' if passed else 'failed'}: {sentence}"
        reasons.append(reason)
        if not passed:
            broken.append(reason)
    return Verdict(reasons=tuple(reasons), broken=tuple(broken))


def _enough_rows(rows: int, minimum: int) -> tuple[bool, str]:
    return (
        rows >= minimum,
        f"the model was evaluated on {rows:,} labelled rows; there must be at least {minimum:,}.",
    )


def _at_least(name: str, value: Metric, minimum: float) -> tuple[bool, str]:
    passed = value is not None and value >= minimum
    return passed, f"{name} is {_shown(value)}; it must be at least {minimum:.4f}."


def _at_most(name: str, value: Metric, maximum: float) -> tuple[bool, str]:
    passed = value is not None and value <= maximum
    return passed, f"{name} is {_shown(value)}; it must be at most {maximum:.4f}."


def _ahead(value: Metric, champion: Metric, minimum: float) -> tuple[bool, str]:
    if minimum >= 0:
        rule = f"it must be at least {minimum:.4f} ahead"
    else:
        rule = f"it may be at most {-minimum:.4f} behind"
    if value is None or champion is None:
        return False, f"AUC is {_shown(value)}, and the champion's AUC is {_shown(champion)}; {rule}."
    lead = value - champion
    side = "ahead of" if lead >= 0 else "behind"
    return lead >= minimum, (
        f"AUC is {_shown(value)}, which is {abs(lead):.4f} {side} the champion's {_shown(champion)}; {rule}."
    )


def _shown(value: Metric) -> str:
    return "not defined" if value is None else f"{value:.4f}"
