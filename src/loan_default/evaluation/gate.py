"""The gate: may a model score applications? Figures and thresholds in, a verdict with its reasons out."""

from collections.abc import Mapping
from dataclasses import dataclass

from loan_default.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """What a model must reach on rows that it has not seen."""

    minimum_rows: int = 500
    """Labelled rows below which figures say too little."""
    minimum_auc: float = 0.65
    minimum_ks: float = 0.2
    maximum_brier: float = 0.25
    """0.25 is what a coin reaches."""
    maximum_calibration_error: float = 0.05
    """ECE: mean distance of PD and default rate, 0 to 1."""
    minimum_lead: float = 0.0
    """How far the AUC must be ahead of the champion's on the same rows; below 0 = it may be behind."""

    def __post_init__(self) -> None:
        for name in ("minimum_auc", "minimum_ks", "maximum_brier", "maximum_calibration_error"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigurationError(f"{name} must lie between 0 and 1, however: {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What speaks for a model and against it."""

    reasons: tuple[str, ...]
    """One for each rule that was looked at, held or not: rule and figures."""
    broken: tuple[str, ...] = ()
    """Those of the reasons that speak against it."""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.broken


def gate_verdict(
    metrics: Mapping[str, float | None],
    *,
    rows: int,
    champion: Mapping[str, float | None] | None,
    thresholds: Thresholds,
) -> Verdict:
    """The verdict on figures of a model, beside those of the champion on the same rows.

    A figure that does not exist holds no rule.

    Args:
        figures: `auc`, `ks`, `brier`, `ece` by name.
        rows: labelled rows that they were computed on.
        champion: its figures, without which the rule of the lead is broken; None = there is no champion.
    """
    checks = [
        _at_least("rows", rows, thresholds.minimum_rows, digits=0),
        _at_least("AUC", metrics.get("auc"), thresholds.minimum_auc),
        _at_least("KS", metrics.get("ks"), thresholds.minimum_ks),
        _at_most("Brier score", metrics.get("brier"), thresholds.maximum_brier),
        _at_most("calibration error", metrics.get("ece"), thresholds.maximum_calibration_error),
    ]
    if champion is not None:
        checks.append(_ahead(metrics.get("auc"), champion.get("auc"), thresholds.minimum_lead))
    reasons = [(held, f"{'held' if held else 'broken'}: {rule}") for held, rule in checks]
    return Verdict(
        reasons=tuple(reason for _, reason in reasons),
        broken=tuple(reason for held, reason in reasons if not held),
    )


def _at_least(name: str, value: float | None, bound: float, *, digits: int = 4) -> tuple[bool, str]:
    held = value is not None and value >= bound
    return held, f"{name} must be at least {_shown(bound, digits)}, it is {_shown(value, digits)}"


def _at_most(name: str, value: float | None, bound: float) -> tuple[bool, str]:
    held = value is not None and value <= bound
    return held, f"{name} must be at most {_shown(bound, 4)}, it is {_shown(value, 4)}"


def _ahead(value: float | None, champion: float | None, lead: float) -> tuple[bool, str]:
    if value is None or champion is None:
        held, ahead = False, None
    else:
        ahead = value - champion
        held = ahead >= lead
    return held, (
        f"AUC must be ahead of the champion's {_shown(champion, 4)} by at least {_shown(lead, 4)}, "
        f"it is by {_shown(ahead, 4)}"
    )


def _shown(value: float | None, digits: int) -> str:
    return "not defined" if value is None else f"{value:.{digits}f}"
