"""Tables and curves of one set of predictions: arrays in, small DataFrames out, ready for a report.

`y` is 1.0 for default and 0.0 for none, `pd` the probability of default, both `(N,)`. All raise `DataError`
as `metrics.rank_rows` does. Rows with the same PD stay in one bin, so bins differ in size where PDs repeat.
Weights `(N,)`, above 0, say how much each row counts; None = all alike. Rows and bads of bins count rows.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame
from scipy.special import betaincinv

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.bootstrap import check_level
from loan_default.evaluation.metrics import Floats, Ranked, checked_weights, mass_bins, rank_rows


def decile_table(
    y: ArrayLike, pd: ArrayLike, *, bins: int = 10, level: float = 0.95, weights: ArrayLike | None = None
) -> DataFrame:
    """Bins of equal mass from the riskiest to the safest.

    Columns: bin (1 = riskiest), rows, bads, bad_rate, low, high (Jeffreys interval of the bad rate),
    mean_pd, lowest_pd, highest_pd, and so far, this bin included: capture (share of all bads), lift (capture
    over the share of all rows), ks (share of all bads minus share of all goods).
    """
    rows = rank_rows(y, pd)
    table, mass = _by_bin(rows, _ranked_weights(rows, weights), bins, level)
    table, mass = table[::-1].reset_index(drop=True), mass[::-1]
    table.insert(0, "bin", np.arange(1, len(table) + 1))
    bads = np.cumsum(mass * table["bad_rate"].to_numpy())
    passed = np.cumsum(mass)
    table["capture"] = bads / bads[-1]
    table["lift"] = table["capture"] / (passed / passed[-1])
    table["ks"] = table["capture"] - (passed - bads) / (passed - bads)[-1]
    return table


def calibration_curve(
    y: ArrayLike, pd: ArrayLike, *, bins: int = 10, level: float = 0.95, weights: ArrayLike | None = None
) -> DataFrame:
    """Bins of equal mass from the lowest PDs to the highest: do PDs mean what they say?

    Columns: rows, bads, bad_rate, low, high (Jeffreys interval of the bad rate), mean_pd, lowest_pd,
    highest_pd.
    """
    rows = rank_rows(y, pd)
    return _by_bin(rows, _ranked_weights(rows, weights), bins, level)[0]


def roc_points(
    y: ArrayLike, pd: ArrayLike, *, limit: int = 400, weights: ArrayLike | None = None
) -> DataFrame:
    """The ROC curve from (0, 0) to (1, 1), at most `limit` points: columns fpr, tpr."""
    rows = rank_rows(y, pd)
    bads, goods = _shares_up_to(rows, _ranked_weights(rows, weights))
    tpr, fpr = np.append(0.0, 1 - bads[-2::-1]), np.append(0.0, 1 - goods[-2::-1])
    tpr, fpr = np.append(tpr, 1.0), np.append(fpr, 1.0)
    kept = _thinned(tpr + fpr, limit, also=int(np.argmax(tpr - fpr)))
    return DataFrame({"fpr": fpr[kept], "tpr": tpr[kept]})


def ks_curves(
    y: ArrayLike, pd: ArrayLike, *, limit: int = 400, weights: ArrayLike | None = None
) -> DataFrame:
    """Share of each class up to a PD, at most `limit` points: columns pd, bads, goods, lead (goods - bads).

    The largest lead is the KS; its row is always in the table.
    """
    rows = rank_rows(y, pd)
    bads, goods = _shares_up_to(rows, _ranked_weights(rows, weights))
    kept = _thinned(bads + goods, limit, also=int(np.argmax(goods - bads)))
    bads, goods = bads[kept], goods[kept]
    return DataFrame({"pd": rows.pd[rows.starts[kept]], "bads": bads, "goods": goods, "lead": goods - bads})


def score_histogram(
    y: ArrayLike, scores: ArrayLike, *, bins: int = 40, weights: ArrayLike | None = None
) -> DataFrame:
    """Bins of equal width over any finite scores: columns low, high, bads, goods (shares of their class).

    Raises:
        DataError: lengths differ, scores not finite, one class only.
    """
    outcomes, values = np.asarray(y, np.float64), np.asarray(scores, np.float64)
    if outcomes.ndim != 1 or outcomes.shape != values.shape or not np.isfinite(values).all():
        raise DataError(
            "y and scores must be finite arrays (N,) of one length, however: "
            f"y={outcomes.shape}, scores={values.shape}, finite={int(np.isfinite(values).sum())}"
        )
    bad = outcomes == 1
    if bad.all() or not bad.any():
        raise DataError(
            f"both classes must be among the rows, however: bads={int(bad.sum())} of rows={len(bad)}"
        )
    edges = np.histogram_bin_edges(values, bins)
    mass = np.ones(len(values)) if weights is None else checked_weights(weights, len(values))
    bads = np.histogram(values[bad], edges, weights=mass[bad])[0]
    goods = np.histogram(values[~bad], edges, weights=mass[~bad])[0]
    shares = {"bads": bads / mass[bad].sum(), "goods": goods / mass[~bad].sum()}
    return DataFrame({"low": edges[:-1], "high": edges[1:], **shares})


def _ranked_weights(rows: Ranked, weights: ArrayLike | None) -> Floats:
    """Weights of the ranked rows, with a mean of 1."""
    if weights is None:
        return np.ones(len(rows.y))
    return checked_weights(weights, len(rows.y))[rows.order]


def _by_bin(rows: Ranked, weights: Floats, bins: int, level: float) -> tuple[DataFrame, Floats]:
    """One row per bin that holds rows, ascending in PD, and the weight of each bin.

    Of unequal weights, the interval is that of as many rows as would say as much with equal ones (Kish).
    """
    check_level(level)
    number = mass_bins(rows, weights, bins)
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    ends = np.append(starts[1:], len(number))
    counts, bads = ends - starts, np.add.reduceat(rows.y, starts)
    mass = np.add.reduceat(weights, starts)
    rates = np.add.reduceat(weights * rows.y, starts) / mass
    effective = mass**2 / np.add.reduceat(weights**2, starts)
    low, high = _jeffreys(rates * effective, effective, level)
    low, high = np.where(bads == 0, 0.0, low), np.where(bads == counts, 1.0, high)
    table = DataFrame(
        {
            "rows": counts,
            "bads": bads.astype(np.int64),
            "bad_rate": rates,
            "low": low,
            "high": high,
            "mean_pd": np.add.reduceat(weights * rows.pd, starts) / mass,
            "lowest_pd": rows.pd[starts],
            "highest_pd": rows.pd[ends - 1],
        }
    )
    return table, mass


def _jeffreys(bads: Floats, rows: Floats, level: float) -> tuple[Floats, Floats]:
    """Equal-tailed interval of a rate under Beta(1/2, 1/2) (Brown, Cai, DasGupta 2001)."""
    a, b, tail = bads + 0.5, rows - bads + 0.5, (1 - level) / 2
    low, high = betaincinv(a, b, tail), betaincinv(a, b, 1 - tail)
    return np.asarray(low, np.float64), np.asarray(high, np.float64)


def _shares_up_to(rows: Ranked, weights: Floats) -> tuple[Floats, Floats]:
    """`(G,)` share of bads and of goods with a PD up to each distinct one."""
    ends = np.append(rows.starts[1:], len(rows.y)) - 1
    bads, goods = np.cumsum(weights * rows.y)[ends], np.cumsum(weights * (1 - rows.y))[ends]
    return bads / bads[-1], goods / goods[-1]


def _thinned(rising: Floats, limit: int, *, also: int) -> NDArray[np.int64]:
    """Positions of at most `limit` points, evenly spread along a rising curve, with both ends and `also`."""
    if limit < 3:
        raise ConfigurationError(f"limit must be at least 3, however: limit={limit}")
    if len(rising) <= limit:
        return np.arange(len(rising))
    even = np.searchsorted(rising, np.linspace(rising[0], rising[-1], limit - 1))
    return np.unique(np.concatenate([even, [0, also, len(rising) - 1]]))
