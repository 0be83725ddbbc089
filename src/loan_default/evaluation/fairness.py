"""Approval rates and errors by group of a protected attribute, which is no feature of the model.

A loan is approved where its PD is at most the cut-off. The ratio is the approval rate of a group over that of
the reference group, the one with the highest rate among those with enough rows (29 CFR 1607.4(D)). Its
interval is log-normal (Katz and others 1978), 95 %. These are figures to look at, no statement of legal
compliance.

`y` is 1.0 for default and 0.0 for none, `pd` the probability of default, both `(N,)`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import FiniteFloat

from loan_default.errors import DataError
from loan_default.evaluation.calibration_groups import NOT_GIVEN, jeffreys_interval, level_names
from loan_default.evaluation.delong import Z_95

BANDS = 3
"""Groups that a number such as an age is cut into, of nearly equal size."""


class GroupState(StrEnum):
    """What the ratio of a group says."""

    REFERENCE = "reference"
    """The group that the others are compared with."""
    WITHIN = "within"
    """The ratio is at least the minimum, or the difference may be chance."""
    BELOW = "below"
    """The ratio is below the minimum, and its interval lies below 1."""
    INSUFFICIENT = "insufficient"
    """The group has fewer rows than the policy asks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupFairness:
    """One group of a protected attribute at the operating cut-off."""

    group: str
    rows: int
    bads: int
    approved: int
    approval_rate: FiniteFloat
    ratio: FiniteFloat | None
    low: FiniteFloat | None
    high: FiniteFloat | None
    """Adverse impact ratio and its interval; None for too few rows."""
    bads_declined: FiniteFloat | None
    """Share of the defaulters who are declined, the true positive rate; None = no row defaulted."""
    goods_declined: FiniteFloat | None
    """Share of the others who are declined, the false positive rate; None = every row defaulted."""
    bad_rate: FiniteFloat
    bad_rate_low: FiniteFloat
    bad_rate_high: FiniteFloat
    """95 % interval of the default rate (Jeffreys)."""
    mean_pd: FiniteFloat
    state: GroupState


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeFairness:
    """All groups of a protected attribute."""

    attribute: str
    groups: tuple[GroupFairness, ...]
    """The largest group first."""
    lowest_ratio: FiniteFloat | None
    """Of the groups with enough rows; None = fewer than two have them."""
    gap_bads_declined: FiniteFloat | None
    gap_goods_declined: FiniteFloat | None
    """Largest difference of these rates between groups with enough rows; None = fewer than two have them."""
    proxies: tuple["Proxy", ...] = ()
    """Features that say most about the attribute, the strongest first."""

    @property
    def is_below(self) -> bool:
        """Whether a group is approved less often than the policy allows, beyond chance."""
        return any(each.state is GroupState.BELOW for each in self.groups)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """A feature that goes with a protected attribute."""

    column: str
    association: FiniteFloat
    """Cramér's V with the correction for chance (Bergsma 2013), 0 = none, 1 = it gives the group away."""


def adverse_impact_ratio(
    approved: int, rows: int, reference_approved: int, reference_rows: int
) -> tuple[float, float, float]:
    """Ratio of two approval rates with its log-normal interval of 95 %; no approval counts as half a one."""
    a, b = max(approved, 0.5), max(reference_approved, 0.5)
    ratio = (approved / rows) / (b / reference_rows)
    centre = (a / rows) / (b / reference_rows)
    spread = math.exp(Z_95 * math.sqrt(max(0.0, 1 / a - 1 / rows + 1 / b - 1 / reference_rows)))
    return ratio, min(ratio, centre / spread), centre * spread


def fairness_of(
    attribute: str,
    y: ArrayLike,
    pd: ArrayLike,
    groups: Sequence[object],
    *,
    cutoff: float,
    minimum_rows: int,
    minimum_ratio: float,
    labels: Mapping[str, str] | None = None,
    proxies: tuple[Proxy, ...] = (),
) -> AttributeFairness:
    """Compare the groups of one attribute at a cut-off.

    Args:
        groups: `(N,)` group of each row; None or NaN = not given, which is a group as well.
        labels: group -> words.

    Raises:
        DataError: lengths differ.
    """
    outcomes, scores, names = np.asarray(y, np.float64), np.asarray(pd, np.float64), level_names(groups)
    if not len(outcomes) == len(scores) == len(names):
        raise DataError(
            f"y, pd and groups must be of one length, however: {len(outcomes)}, {len(scores)}, {len(names)}"
        )
    found, counts = np.unique(names, return_counts=True)
    members = {str(found[at]): names == found[at] for at in np.lexsort((found, -counts))}
    approved = scores <= cutoff
    large = [name for name, rows in members.items() if rows.sum() >= minimum_rows and name != NOT_GIVEN]
    reference = max(large, key=lambda name: float(approved[members[name]].mean()), default=None)
    words, rated = labels or {}, []
    for name, rows in members.items():
        beside = None if reference is None else members[reference]
        is_large = name in large and len(large) > 1
        rated.append(
            _group(
                words.get(name, name),
                outcomes[rows],
                scores[rows],
                approved[rows],
                beside=approved[beside] if is_large and beside is not None else None,
                is_reference=name == reference,
                minimum_ratio=minimum_ratio,
            )
        )
    compared = [each for each in rated if each.ratio is not None]
    return AttributeFairness(
        attribute=attribute,
        groups=tuple(rated),
        lowest_ratio=min((each.ratio for each in compared if each.ratio is not None), default=None),
        gap_bads_declined=_gap([each.bads_declined for each in compared]),
        gap_goods_declined=_gap([each.goods_declined for each in compared]),
        proxies=proxies,
    )


def banded(values: ArrayLike, *, unit: str = "") -> list[str | None]:
    """Numbers `(N,)` as names of bands with nearly as many rows each; None where there is no number."""
    numbers = np.asarray(values, np.float64)
    known = numbers[np.isfinite(numbers)]
    if len(known) == 0:
        return [None] * len(numbers)
    inner = np.quantile(known, np.linspace(0, 1, BANDS + 1)[1:-1], method="higher")
    edges = np.unique(np.concatenate([[known.min()], inner, [np.nextafter(known.max(), np.inf)]]))
    names = []
    for low, high in pairwise(edges):
        inside = known[(known >= low) & (known < high)]
        names.append(f"{_short(inside.min())} to {_short(inside.max())}{f' {unit}' if unit else ''}")
    at = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(names) - 1)
    return [names[place] if np.isfinite(number) else None for place, number in zip(at, numbers, strict=True)]


def association(groups: Sequence[object], feature: Sequence[object]) -> float:
    """Cramér's V of two codings `(N,)` with Bergsma's correction (2013), 0 to 1."""
    rows, columns = np.unique(level_names(groups), return_inverse=True)
    levels, others = np.unique(level_names(feature), return_inverse=True)
    table = np.zeros((len(rows), len(levels)))
    np.add.at(table, (columns, others), 1)
    n, (r, c) = table.sum(), table.shape
    if r < 2 or c < 2:
        return 0.0
    expected = np.outer(table.sum(1), table.sum(0)) / n
    phi = float(((table - expected) ** 2 / expected).sum() / n)
    corrected = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    fewer = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, math.sqrt(corrected / fewer))) if fewer > 0 else 0.0


def likely_proxies(
    groups: Sequence[object], features: Mapping[str, Sequence[object]], *, most: int = 3
) -> tuple[Proxy, ...]:
    """The features `(name -> (N,) codes)` that say most about the groups, the strongest first."""
    found = [Proxy(column=name, association=association(groups, codes)) for name, codes in features.items()]
    return tuple(sorted(found, key=lambda each: (-each.association, each.column))[:most])


def _group(
    name: str,
    y: NDArray[np.float64],
    pd: NDArray[np.float64],
    approved: NDArray[np.bool_],
    *,
    beside: NDArray[np.bool_] | None,
    is_reference: bool,
    minimum_ratio: float,
) -> GroupFairness:
    rows, bads = len(y), int(y.sum())
    ratio = low = high = None
    state = GroupState.INSUFFICIENT
    if beside is not None:
        ratio, low, high = adverse_impact_ratio(int(approved.sum()), rows, int(beside.sum()), len(beside))
        state = GroupState.BELOW if ratio < minimum_ratio and high < 1 else GroupState.WITHIN
        if is_reference:
            ratio, low, high, state = 1.0, 1.0, 1.0, GroupState.REFERENCE
    rate_low, rate_high = jeffreys_interval(bads, rows)
    return GroupFairness(
        group=name,
        rows=rows,
        bads=bads,
        approved=int(approved.sum()),
        approval_rate=float(approved.mean()),
        ratio=ratio,
        low=low,
        high=high,
        bads_declined=float((~approved[y == 1]).mean()) if bads else None,
        goods_declined=float((~approved[y == 0]).mean()) if bads < rows else None,
        bad_rate=bads / rows,
        bad_rate_low=rate_low,
        bad_rate_high=rate_high,
        mean_pd=float(pd.mean()),
        state=state,
    )


def _gap(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return max(known) - min(known) if len(known) > 1 else None


def _short(value: float) -> str:
    return f"{value:.6g}"
