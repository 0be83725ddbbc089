"""Intervals that hold however often one looks: a confidence sequence for a difference of two models.

    half = always_valid_half(error, outcomes=1_200, planned=5_000)

Whoever looks each day and stops at the first interval of 95 % without 0 finds a difference in far more than
5 % of experiments between equal models. This half-width holds at all looks at once. It is the asymptotic
confidence sequence of Waudby-Smith and others (2021), a mixture of normal distributions after Robbins (1970),
made tightest at the planned number of outcomes. It is about 1.5 times as wide there as that of a single look.
"""

import math

from scipy.special import ndtri, owens_t

from loan_default.errors import ConfigurationError

ERROR = 0.05
"""Probability that an experiment between equal models ever ends with a winner."""
PLANNED = 5_000
"""Outcomes that an experiment is planned for where nothing is known beforehand."""
LEAD = 0.01
"""Difference of AUC that an experiment is planned to find."""
POWER = 0.8


def always_valid_half(error: float, *, outcomes: int, planned: int = PLANNED, alpha: float = ERROR) -> float:
    """Return half the width of an interval that holds at all looks, of an estimate with a standard error.

    Args:
        error: standard error of the estimate at this look.
        outcomes: outcomes that are known at this look, above 0.
        planned: outcomes at which the interval is tightest.
        alpha: probability that the value ever lies outside of the interval.
    """
    if outcomes < 1 or planned < 1:
        raise ConfigurationError(
            f"outcomes and planned must be 1 or more, however: outcomes={outcomes}, planned={planned}"
        )
    return error * _width(outcomes / planned, alpha)


def planned_outcomes(
    *, auc: float, default_rate: float, correlation: float, share: float = 0.5, lead: float = LEAD
) -> int:
    """Return the outcomes, of both groups together, that it takes to find a lead with a power of 80 %.

    The variance of an AUC is that of normal scores of equal variance in both classes, by Owen's T function.

    Args:
        auc: expected AUC of both models.
        correlation: of the errors of both AUCs: 0 for groups of different people, near 1 for alike models on
            the same people.
        share: share of the people whom the challenger scores; it counts for different people (correlation 0).
    """
    if not 0.5 < auc < 1 or not 0 < default_rate < 1 or not 0 <= correlation < 1 or not 0 < share < 1:
        raise ConfigurationError(
            "auc must lie between 0.5 and 1, default_rate, correlation and share between 0 and 1, however: "
            f"auc={auc}, default_rate={default_rate}, correlation={correlation}, share={share}"
        )
    placement = auc - 2 * float(owens_t(float(ndtri(auc)), 1 / math.sqrt(3))) - auc**2
    one = placement * (1 / default_rate + 1 / (1 - default_rate))  # times 1 / n = squared error of an AUC
    both = one * (1 / share + 1 / (1 - share)) if correlation == 0 else 2 * (1 - correlation) * one
    needed = _width(1.0, ERROR) + float(ndtri(POWER))
    return math.ceil(both * (needed / lead) ** 2)


def _width(progress: float, alpha: float) -> float:
    """Half-width in standard errors at a share of the planned outcomes."""
    # The mixture's variance times the planned outcomes; this choice is tightest at them.
    tightest = -2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1
    information = progress * tightest
    return math.sqrt(2 * (information + 1) / information * math.log(math.sqrt(information + 1) / alpha))
