"""Groups of training rows that all but mean one outcome: levels, ends of numbers, filled and missing values.

    by_filling(filled, labels)      # filled, or missing, for one outcome only
    by_level(codes, names, labels)  # 'CHGOFF' means default

A group counts where its odds of default surely exceed what a strong predictor has: it has so many rows that
chance cannot be the reason.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, rankdata

from loan_default.data.schema.number_rules import plain_number

SURE_RATE, SURE_ROWS, SURE_SHARE = 0.9, 6, 0.1
"""Default rate and defaults of a level that means default; its share of all defaults below which it is only
warned of."""
STRONG, STRONGEST = 15.0, 50.0
"""Odds ratios that a predictor may have: of one level against all others, and of a cut that was searched."""
DOUBT, CHANCE = 0.01, 1e-6
"""Probabilities of so many defaults: with the odds of a predictor, and (over all levels) of all rows."""

_FEW_OF_EXPECTED, _NONE_OF_EXPECTED = 0.3, 0.025
_MODE_SHARE, _CUT_SHARE, _MOST_OF_DEFAULTS, _SHARP = 0.1, 0.2, 0.75, 0.7
_FEW_VALUES, _MOST_CUTS = 50, 200

Labels = NDArray[np.float64]
Reason = tuple[bool, str]
"""Whether a training must stop, and the evidence as a clause."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Group:
    """Some of the training rows: what they hold, and what all rows hold."""

    rows: int
    bads: int
    all_rows: int
    all_bads: int

    @property
    def others(self) -> "_Group":
        """The rows outside of the group."""
        return replace(self, rows=self.all_rows - self.rows, bads=self.all_bads - self.bads)

    @property
    def evidence(self) -> str:
        return f"{self.bads:,} of {self.rows:,} such rows defaulted"

    @property
    def is_large(self) -> bool:
        """Whether it holds so many of all defaults that a training must stop."""
        return self.bads >= SURE_SHARE * self.all_bads

    def means_default(self, *, levels: int, tried: int, predictor: float) -> bool:
        """Whether nearly all its rows defaulted, and surely with more than the odds ratio of a predictor.

        Args:
            levels: how many groups there are, of which this is one.
            tried: how many of them have enough defaults to be looked at.
        """
        if self.bads < SURE_ROWS or self.bads < SURE_RATE * self.rows:
            return False
        by_chance = binom.sf(self.bads - 1, self.rows, self.all_bads / self.all_rows)
        return bool(by_chance * levels <= CHANCE) and self.exceeds(predictor, tried=tried)

    def exceeds(self, odds_ratio: float, *, tried: int = 1) -> bool:
        """Whether its odds of default surely are more than so many times those of the other rows."""
        goods, all_goods = self.rows - self.bads, self.all_rows - self.all_bads
        # Three more: where no good end was seen among n, their share may well be 3/n.
        share = (goods + 3) / (all_goods + 3)
        share_of_bads = odds_ratio * share / (odds_ratio * share + 1 - share)
        return bool(binom.sf(self.bads - 1, self.all_bads, share_of_bads) * tried <= DOUBT)


def _group(rows: int, bads: float, labels: Labels) -> _Group:
    return _Group(rows=rows, bads=round(bads), all_rows=len(labels), all_bads=round(labels.sum()))


def by_filling(filled: NDArray[np.bool_], labels: Labels) -> list[Reason]:
    """Whether a column is filled, or missing, for one outcome only."""
    found = []
    for rows, what in ((filled, "filled"), (~filled, "missing")):
        group = _group(int(rows.sum()), labels[rows].sum(), labels)
        if group.means_default(levels=2, tried=1, predictor=STRONG):
            found.append((group.is_large, f"{what} for default only: {group.evidence}"))
        expected = group.rows * group.all_bads / group.all_rows
        goods, all_goods = group.rows - group.bads, group.all_rows - group.all_bads
        few = group.bads <= _FEW_OF_EXPECTED * expected and goods >= SURE_SHARE * all_goods
        if few and group.others.exceeds(STRONG):
            how = "only" if group.bads <= _NONE_OF_EXPECTED * expected else "above all"
            found.append((True, f"{what} for good ends {how}: {group.evidence}"))
    return found


def by_level(codes: NDArray[np.int64], names: list[str], labels: Labels) -> list[Reason]:
    """Levels whose rows nearly all defaulted."""
    present = codes >= 0
    rows = np.bincount(codes[present], minlength=len(names))
    bads = np.bincount(codes[present], labels[present], minlength=len(names))
    tried = int((bads >= SURE_ROWS).sum())
    found = []
    for level in np.flatnonzero(bads >= np.maximum(SURE_ROWS, SURE_RATE * rows)):
        group = _group(int(rows[level]), bads[level], labels)
        if group.means_default(levels=len(names), tried=tried, predictor=STRONG):
            found.append((group.bads, group.is_large, f"{names[level]} means default: {group.evidence}"))
    found.sort(reverse=True)
    return [(stop, text) for _, stop, text in found[:3]]


def by_value(numbers: NDArray[np.float64], labels: Labels) -> list[Reason]:
    """Frequent numbers, or all others than the most frequent one, whose rows nearly all defaulted.

    Rows of few defaults are left out: a rare high count may well mean default.
    """
    known = ~np.isnan(numbers)
    distinct, inverse, counts = np.unique(numbers[known], return_inverse=True, return_counts=True)
    if len(distinct) == 0:
        return []
    found = []
    if len(distinct) <= _FEW_VALUES:
        codes = np.full(len(numbers), -1, np.int64)
        codes[known] = inverse
        found += by_level(codes, [plain_number(float(value)) for value in distinct], labels)
    mode = int(np.argmax(counts))
    if len(distinct) > 2 and counts[mode] >= _MODE_SHARE * known.sum():
        codes = np.full(len(numbers), -1, np.int64)
        codes[known] = (inverse != mode).astype(np.int64)
        common = plain_number(float(distinct[mode]))
        found += by_level(codes, [common, f"a value other than {common}"], labels)
    return list(dict.fromkeys(each for each in found if each[0]))


def by_levels_together(
    codes: NDArray[np.int64], names: list[str], scores: NDArray[np.float64], labels: Labels
) -> list[Reason]:
    """Whether the riskiest levels together mean default, each by the score that other rows give it."""
    order = np.argsort(-scores, kind="stable")
    group = _end_that_means_default(scores[order], labels[order])
    if group is None:
        return []
    inside = codes[order[: group.rows]]
    levels, counts = np.unique(inside[inside >= 0], return_counts=True)
    if len(levels) == 0:
        return []
    most = names[levels[np.argmax(counts)]]
    words = (
        f"{most} means" if len(levels) == 1 else f"{most} and {len(levels) - 1:,} more levels together mean"
    )
    return [(True, f"{words} default: {group.evidence}")]


def by_cut(numbers: NDArray[np.float64], labels: Labels, *, unit: str = "") -> list[Reason]:
    """Whether nearly all rows at one end of the numbers defaulted."""
    known = np.flatnonzero(~np.isnan(numbers))
    for sign, words in ((1, "up to"), (-1, "from")):
        order = known[np.argsort(sign * numbers[known], kind="stable")]
        group = _end_that_means_default(numbers[order], labels[order], all_labels=labels)
        if group is not None:
            at = plain_number(float(f"{numbers[order[group.rows - 1]]:.6g}"))
            return [(True, f"{words} {at}{unit} means default: {group.evidence}")]
    return []


def _end_that_means_default(
    ordered: NDArray[np.float64], labels: Labels, *, all_labels: Labels | None = None
) -> _Group | None:
    """The largest group of first rows, cut between different values, that means default.

    It must hold most defaults, or have a sharp edge: the order of the other rows then hardly says anything,
    as if their defaults were mistakes. Behind an edge of a very strong predictor it goes on to say much.

    Args:
        labels: outcomes of the ordered rows.
        all_labels: outcomes of all rows; None = of those.
    """
    all_labels = labels if all_labels is None else all_labels
    is_end = np.append(ordered[1:] != ordered[:-1], np.ones(min(1, len(ordered)), bool))
    steps = np.cumsum(is_end) - is_end  # 0 for rows of the first value, 1 for those of the second …
    rows, bads = np.arange(1, len(ordered) + 1)[is_end], np.cumsum(labels)[is_end]
    fewest = max(SURE_ROWS, _CUT_SHARE * all_labels.sum())
    ends = np.flatnonzero((bads >= fewest) & (bads >= SURE_RATE * rows))[::-1]
    # Where nearly all rows defaulted, all of a million ends would be looked at, one by one.
    for end in ends[:: 1 + len(ends) // _MOST_CUTS]:
        group = _group(int(rows[end]), bads[end], all_labels)
        if not group.means_default(levels=len(rows), tried=1, predictor=STRONGEST):
            continue
        behind = labels[group.rows :]
        is_sharp = not 0 < behind.sum() < len(behind) or rank_auc(-steps[group.rows :], behind) < _SHARP
        return group if is_sharp or group.bads >= _MOST_OF_DEFAULTS * group.all_bads else None
    return None


def rank_auc(scores: NDArray[np.float64], labels: Labels) -> float:
    """AUC of scores `(n,)` for labels `(n,)`, both outcomes among them."""
    bads = labels.sum()
    goods = len(labels) - bads
    ranks = rankdata(scores)
    return float((ranks[labels == 1].sum() - bads * (bads + 1) / 2) / (bads * goods))
