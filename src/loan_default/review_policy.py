"""How a model is reviewed: the policy profile of a jurisdiction, which is data, and the terms of the loans.

A profile is a TOML file of `config/policies`; it is a configuration and never called legal compliance.
"""

import tomllib
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from loan_default.errors import ConfigurationError


class FairnessMode(StrEnum):
    """What follows from a ratio of approval rates below the minimum."""

    MONITOR = "monitor"
    """It is shown."""
    GATE = "gate"
    """It is shown, and the model is not promoted."""
    OFF = "off"
    """No protected attribute is looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyProfile:
    """What a jurisdiction or a lender asks of a model and of its documents."""

    name: str = "us"
    description: str = (
        "United States: the adverse impact ratio is watched, approvals by model risk management."
    )
    fairness_mode: FairnessMode = FairnessMode.MONITOR
    minimum_ratio: float = 0.8
    """Lowest approval rate of a group over that of the reference group, 0 to 1."""
    minimum_group_rows: int = 100
    """Rows that a group must have before its ratio is compared with the minimum."""

    def __post_init__(self) -> None:
        if not 0 < self.minimum_ratio <= 1:
            raise ConfigurationError(
                f"minimum_ratio must be above 0 and at most 1, however: {self.minimum_ratio}"
            )
        if self.minimum_group_rows < 1:
            raise ConfigurationError(
                f"minimum_group_rows must be 1 or more, however: {self.minimum_group_rows}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class LendingTerms:
    """What a good and a bad loan mean in money, per unit of exposure."""

    loss_given_default: float = 0.45
    """Share of the exposure that is lost when a loan defaults, above 0 to 1."""
    margin: float = 0.1
    """Share of the exposure that is earned when it does not, 0 to 1, above 0."""
    exposure_column: str | None = None
    """Numerical column of the exposure at default; None = every application counts as one unit."""

    def __post_init__(self) -> None:
        for name in ("loss_given_default", "margin"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigurationError(
                    f"{name} must be above 0 and at most 1, however: {getattr(self, name)}"
                )

    @property
    def break_even(self) -> float:
        """The PD at which a loan earns as much as it loses: margin / (margin + LGD)."""
        return self.margin / (self.margin + self.loss_given_default)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewPolicy:
    """All that decides what is computed for the documents of a model."""

    profile: PolicyProfile = field(default_factory=PolicyProfile)
    terms: LendingTerms = field(default_factory=LendingTerms)
    cutoff: float = 0.2
    """The operating cut-off: PD up to which an application is approved."""


DEFAULT_REVIEW_POLICY = ReviewPolicy()
"""The policy where nobody has set another."""


def load_profile(path: Path) -> PolicyProfile:
    """Read a policy profile.

    Raises:
        ConfigurationError: the file cannot be read, or a key is missing, unknown or out of range.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"Cannot read the policy profile {path.name}: {type(error).__name__}. Name one that is there."
        ) from error
    known = {each.name for each in fields(PolicyProfile)}
    if set(content) != known:
        raise ConfigurationError(
            f"a policy profile must have the keys {sorted(known)}, however: missing="
            f"{sorted(known - set(content))}, unknown={sorted(set(content) - known)}"
        )
    modes = [str(mode) for mode in FairnessMode]
    if content["fairness_mode"] not in modes:
        raise ConfigurationError(
            f"fairness_mode must be one of {modes}, however: {content['fairness_mode']!r}"
        )
    content["fairness_mode"] = FairnessMode(content["fairness_mode"])
    return PolicyProfile(**content)
