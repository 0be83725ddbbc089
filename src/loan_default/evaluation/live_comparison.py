"""Two models on live applications: what is known so far, with intervals, and what it is enough for.

    measures = compare_groups(champion, challenger, cutoff=0.2)     # other people in each group
    measures = compare_pairs(champion, challenger, cutoff=0.2)      # both models on the same people

A measure that says which model is better needs enough outcomes of both kinds in each group; until then, or
where its interval holds 0, it is inconclusive. The intervals of single values are those of one look (95 %).
The intervals of differences that rank the models hold however often one looks (`sequential`), and for both
measures together: of experiments between equal models at most 5 % ever end with a winner. The k-th experiment
beside one champion has the error 5 % times 2 / (k (k + 1)): trying again until one wins does not help.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from loan_default.evaluation.delong import Z_95, error_of_mean, placements
from loan_default.evaluation.metrics import Floats
from loan_default.evaluation.sequential import ERROR, PLANNED, always_valid_half

FEWEST_SCORES = 200
"""Scores that a group must have before anything is compared."""
FEWEST_OUTCOMES = 30
"""Defaults, and good ends, that a group must have before the models are ranked."""
_RANKING_MEASURES = 2
"""Measures that say which model is better: AUC and Brier score."""


class Conclusion(StrEnum):
    """What a measure says about the two models."""

    CHALLENGER = "challenger"
    """The challenger is better, beyond chance."""
    CHAMPION = "champion"
    """The champion is better, beyond chance."""
    INCONCLUSIVE = "inconclusive"
    """Too little is known, or the difference may be chance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A value with its interval of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One measure of both groups."""

    name: str
    champion: Estimate | None
    challenger: Estimate | None
    """None = it cannot be computed yet."""
    difference: Estimate | None
    """Challenger less champion."""
    conclusion: Conclusion | None
    """None = neither value is better in itself."""
    note: str = ""
    """Why it is inconclusive, where too little is known."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """What one model made of its applications."""

    pds: Floats
    """`(N,)` probabilities of default."""
    outcomes: Floats
    """`(N,)` 1 = default, 0 = none, NaN = not known yet."""

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """`(N,)` whether the outcome is known."""
        return ~np.isnan(self.outcomes)

    @property
    def bads(self) -> int:
        """Number of defaults so far."""
        return int((self.outcomes == 1).sum())

    @property
    def goods(self) -> int:
        """Number of good ends so far."""
        return int((self.outcomes == 0).sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How alike two models decide on the same people."""

    rank_correlation: float | None
    """Spearman's; None = all PDs of one model are equal."""
    agree: Estimate
    """Share of the people on whom both decide alike at the cut-off."""
    only_champion_approves: int
    only_challenger_approves: int
    """The swap set: people whom the other model would decide otherwise on."""
    bad_rate_only_champion: Estimate | None
    bad_rate_only_challenger: Estimate | None
    """Default rates within the swap set, None without outcomes."""


def compare_groups(
    champion: Scores, challenger: Scores, *, cutoff: float, planned: int = PLANNED, number: int = 1
) -> list[Measure]:
    """Compare groups of different people.

    Args:
        cutoff: PD up to which a loan is approved.
        planned: outcomes of both groups that the experiment is planned for.
        number: which experiment beside this champion it is.
    """
    return _compare(
        champion,
        challenger,
        cutoff=cutoff,
        width=_Sequential(planned=planned, number=number),
        difference=_apart,
        auc=_auc_apart,
    )


def compare_pairs(
    champion: Scores, challenger: Scores, *, cutoff: float, planned: int = PLANNED, number: int = 1
) -> list[Measure]:
    """Compare two models on the same people, in the same order; the rest is as for groups."""
    return _compare(
        champion,
        challenger,
        cutoff=cutoff,
        width=_Sequential(planned=planned, number=number),
        difference=_paired,
        auc=_auc_paired,
    )


def agreement(champion: Scores, challenger: Scores, *, cutoff: float) -> Agreement | None:
    """Return how alike both models decide on the same people, in the same order; None without any."""
    if not len(champion.pds):
        return None
    first, second = champion.pds <= cutoff, challenger.pds <= cutoff
    only_first, only_second = first & ~second, second & ~first
    return Agreement(
        rank_correlation=rank_correlation(champion.pds, challenger.pds),
        agree=share_of(int((first == second).sum()), len(first)),
        only_champion_approves=int(only_first.sum()),
        only_challenger_approves=int(only_second.sum()),
        bad_rate_only_champion=_bad_rate(champion.outcomes[only_first]),
        bad_rate_only_challenger=_bad_rate(champion.outcomes[only_second]),
    )


def conclusion_of(measures: Sequence[Measure]) -> Conclusion:
    """Return what all measures say together: a model wins where one says so and none the opposite."""
    found = {each.conclusion for each in measures} - {None, Conclusion.INCONCLUSIVE}
    (only,) = found if len(found) == 1 else (Conclusion.INCONCLUSIVE,)
    return only or Conclusion.INCONCLUSIVE


def share_of(count: int, total: int) -> Estimate:
    """Return a share with Wilson's interval, which holds for few and for extreme shares; total above 0."""
    share, z2 = count / total, Z_95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z_95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return Estimate(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half))


def mean_of(values: Floats) -> Estimate:
    """Return a mean with its normal interval; at least one value."""
    mean, half = float(values.mean()), Z_95 * _error(values)
    return Estimate(value=mean, low=mean - half, high=mean + half)


def rank_correlation(one: Floats, other: Floats) -> float | None:
    """Return Spearman's correlation, None where it is not defined."""
    first, second = rankdata(one), rankdata(other)
    if len(one) < 2 or first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


_Difference = Callable[[Floats, Floats], Estimate]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sequential:
    """What intervals that hold at all looks are made for."""

    planned: int
    number: int

    def of(self, look: Estimate, outcomes: int) -> Estimate:
        """Return the estimate of one look with the interval that holds at all looks."""
        error = (look.high - look.low) / (2 * Z_95)
        alpha = ERROR * 2 / (self.number * (self.number + 1)) / _RANKING_MEASURES
        half = always_valid_half(error, outcomes=outcomes, planned=self.planned, alpha=alpha)
        return Estimate(value=look.value, low=look.value - half, high=look.value + half)


def _compare(
    champion: Scores,
    challenger: Scores,
    *,
    cutoff: float,
    width: _Sequential,
    difference: _Difference,
    auc: Callable[[Scores, Scores], tuple[Estimate, Estimate, Estimate]],
) -> list[Measure]:
    groups = (champion, challenger)
    few = min(len(group.pds) for group in groups)
    if few < FEWEST_SCORES:
        note = f"{few} scores in the smaller group, {FEWEST_SCORES} are needed"
        return [_unknown(name, note) for name in ("mean_pd", "approval_rate", "auc", "brier")]
    first, second = ((group.pds <= cutoff).astype(np.float64) for group in groups)
    means, approved = difference(champion.pds, challenger.pds), difference(first, second)
    measures = [
        _plain("mean_pd", mean_of(champion.pds), mean_of(challenger.pds), means),
        _plain("approval_rate", _share(first), _share(second), approved),
    ]
    rarer = min(min(group.bads, group.goods) for group in groups)
    if rarer < FEWEST_OUTCOMES:
        note = f"{rarer} outcomes of the rarer kind in the smaller group, {FEWEST_OUTCOMES} are needed"
        return [*measures, *(_unknown(name, note) for name in ("auc", "brier", "calibration_gap"))]
    known = [Scores(pds=each.pds[each.is_known], outcomes=each.outcomes[each.is_known]) for each in groups]
    first_auc, second_auc, lead = auc(*known)
    outcomes = sum(len(each.pds) for each in known) // (2 if difference is _paired else 1)
    errors, other_errors = ((each.pds - each.outcomes) ** 2 for each in known)
    gaps, other_gaps = (each.outcomes - each.pds for each in known)
    less = difference(errors, other_errors)
    return [
        *measures,
        _ranked("auc", first_auc, second_auc, width.of(lead, outcomes), more_is_better=True),
        _ranked(
            "brier", mean_of(errors), mean_of(other_errors), width.of(less, outcomes), more_is_better=False
        ),
        _plain("calibration_gap", mean_of(gaps), mean_of(other_gaps), difference(gaps, other_gaps)),
    ]


def _share(decisions: Floats) -> Estimate:
    return share_of(int(decisions.sum()), len(decisions))


def _unknown(name: str, note: str) -> Measure:
    return Measure(
        name=name,
        champion=None,
        challenger=None,
        difference=None,
        conclusion=Conclusion.INCONCLUSIVE,
        note=note,
    )


def _plain(name: str, champion: Estimate, challenger: Estimate, difference: Estimate) -> Measure:
    return Measure(
        name=name, champion=champion, challenger=challenger, difference=difference, conclusion=None
    )


def _ranked(
    name: str, champion: Estimate, challenger: Estimate, difference: Estimate, *, more_is_better: bool
) -> Measure:
    above, below = difference.low > 0, difference.high < 0
    if not above and not below:
        conclusion = Conclusion.INCONCLUSIVE
    else:
        conclusion = Conclusion.CHALLENGER if above == more_is_better else Conclusion.CHAMPION
    return Measure(
        name=name, champion=champion, challenger=challenger, difference=difference, conclusion=conclusion
    )


def _apart(champion: Floats, challenger: Floats) -> Estimate:
    gap = float(challenger.mean() - champion.mean())
    half = Z_95 * math.hypot(_error(champion), _error(challenger))
    return Estimate(value=gap, low=gap - half, high=gap + half)


def _paired(champion: Floats, challenger: Floats) -> Estimate:
    return mean_of(challenger - champion)


def _auc_apart(champion: Scores, challenger: Scores) -> tuple[Estimate, Estimate, Estimate]:
    first, second = _auc(_placed(champion)), _auc(_placed(challenger))
    lead = second.value - first.value
    half = math.hypot(first.high - first.low, second.high - second.low) / 2
    return first, second, Estimate(value=lead, low=lead - half, high=lead + half)


def _auc_paired(champion: Scores, challenger: Scores) -> tuple[Estimate, Estimate, Estimate]:
    first, second = _placed(champion), _placed(challenger)
    lead = _auc((second[0] - first[0], second[1] - first[1]))
    return _auc(first), _auc(second), lead


def _placed(scores: Scores) -> tuple[Floats, Floats]:
    """Return for each default the share of goods below it, and for each good that of defaults above it."""
    return placements(scores.outcomes, scores.pds, np.ones(len(scores.pds)))


def _auc(placed: tuple[Floats, Floats]) -> Estimate:
    """Return an AUC, or a difference of two, with the interval of DeLong and others (1988)."""
    value, half = float(placed[0].mean()), Z_95 * math.hypot(*map(_error, placed))
    return Estimate(value=value, low=value - half, high=value + half)


def _bad_rate(outcomes: Floats) -> Estimate | None:
    known = outcomes[~np.isnan(outcomes)]
    return share_of(int(known.sum()), len(known)) if len(known) else None


def _error(values: Floats) -> float:
    """Standard error of a mean."""
    return error_of_mean(values, np.ones(len(values)))
