"""Tables and curves of one set of predictions: arrays in, small DataFrames out, ready for a report.

`y` is 1.0 for default and 0.0 for none, `pd` the probability of default, both `(N,)`. All raise `DataError`
as `metrics.rank_rows` does. Rows with the same PD stay in one bin, so bins differ in size where PDs repeat.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame
from scipy.special import betaincinv

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.bootstrap import check_level
from loan_default.evaluation.metrics import Floats, Ranked, mass_bins, rank_rows


def decile_table(y: ArrayLike, pd: ArrayLike, *, bins: int = 10, level: float = 0.95) -> DataFrame:
    """Bins of equal mass from the riskiest to the safest.

    Columns: bin (1 = riskiest), rows, bads, bad_rate, low, high (Jeffreys interval of the bad rate),
    mean_pd, lowest_pd, highest_pd, and so far, this bin included: capture (share of all bads), lift (capture
    over the share of all rows), ks (share of all bads minus share of all goods).
    """
    table = _by_bin(rank_rows(y, pd), bins, level)[::-1].reset_index(drop=True)
    table.insert(0, "bin", np.arange(1, len(table) + 1))
    rows, bads = table["rows"].cumsum(), table["bads"].cumsum()
    table["capture"] = bads / table["bads"].sum()
    table["lift"] = table["capture"] / (rows / table["rows"].sum())
    table["ks"] = table["capture"] - (rows - bads) / (table["rows"] - table["bads"]).sum()
    return table


def calibration_curve(y: ArrayLike, pd: ArrayLike, *, bins: int = 10, level: float = 0.95) -> DataFrame:
    """Bins of equal mass from the lowest PDs to the highest: do PDs mean what they say?

    Columns: rows, bads, bad_rate, low, high (Jeffreys interval of the bad rate), mean_pd, lowest_pd,
    highest_pd.
    """
    return _by_bin(rank_rows(y, pd), bins, level)


def roc_points(y: ArrayLike, pd: ArrayLike, *, limit: int = 400) -> DataFrame:
    """The ROC curve from (0, 0) to (1, 1), at most `limit` points: columns fpr, tpr."""
    rows = rank_rows(y, pd)
    bads, goods = _shares_up_to(rows)
    tpr, fpr = np.append(0.0, 1 - bads[-2::-1]), np.append(0.0, 1 - goods[-2::-1])
    tpr, fpr = np.append(tpr, 1.0), np.append(fpr, 1.0)
    kept = _thinned(tpr + fpr, limit, also=int(np.argmax(tpr - fpr)))
    return DataFrame({"fpr": fpr[kept], "tpr": tpr[kept]})


def ks_curves(y: ArrayLike, pd: ArrayLike, *, limit: int = 400) -> DataFrame:
    """Share of each class up to a PD, at most `limit` points: columns pd, bads, goods, lead (goods - bads).

    The largest lead is the KS; its row is always in the table.
    """
    rows = rank_rows(y, pd)
    bads, goods = _shares_up_to(rows)
    kept = _thinned(bads + goods, limit, also=int(np.argmax(goods - bads)))
    bads, goods = bads[kept], goods[kept]
    return DataFrame({"pd": rows.pd[rows.starts[kept]], "bads": bads, "goods": goods, "lead": goods - bads})


def score_histogram(y: ArrayLike, scores: ArrayLike, *, bins: int = 40) -> DataFrame:
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
    bads, goods = np.histogram(values[bad], edges)[0], np.histogram(values[~bad], edges)[0]
    shares = {"bads": bads / bad.sum(), "goods": goods / (~bad).sum()}
    return DataFrame({"low": edges[:-1], "high": edges[1:], **shares})


def _by_bin(rows: Ranked, bins: int, level: float) -> DataFrame:
    """One row per bin that holds rows, ascending in PD."""
    check_level(level)
    number = mass_bins(rows, np.ones(len(rows.y)), bins)
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    ends = np.append(starts[1:], len(number))
    counts, bads = ends - starts, np.add.reduceat(rows.y, starts)
    low, high = _jeffreys(bads, counts, level)
    return DataFrame(
        {
            "rows": counts,
            "bads": bads.astype(np.int64),
            "bad_rate": bads / counts,
            "low": low,
            "high": high,
            "mean_pd": np.add.reduceat(rows.pd, starts) / counts,
            "lowest_pd": rows.pd[starts],
            "highest_pd": rows.pd[ends - 1],
        }
    )


def _jeffreys(bads: Floats, rows: NDArray[np.int64], level: float) -> tuple[Floats, Floats]:
    """Equal-tailed interval of a rate under Beta(1/2, 1/2), closed at 0 and 1 (Brown, Cai, DasGupta 2001)."""
    a, b, tail = bads + 0.5, rows - bads + 0.5, (1 - level) / 2
    low, high = betaincinv(a, b, tail), betaincinv(a, b, 1 - tail)
    return np.where(bads == 0, 0.0, low), np.where(bads == rows, 1.0, high)


def _shares_up_to(rows: Ranked) -> tuple[Floats, Floats]:
    """`(G,)` share of bads and of goods with a PD up to each distinct one."""
    ends = np.append(rows.starts[1:], len(rows.y)) - 1
    bads, goods = np.cumsum(rows.y)[ends], np.cumsum(1 - rows.y)[ends]
    return bads / bads[-1], goods / goods[-1]


def _thinned(rising: Floats, limit: int, *, also: int) -> NDArray[np.int64]:
    """Positions of at most `limit` points, evenly spread along a rising curve, with both ends and `also`."""
    if limit < 3:
        raise ConfigurationError(f"limit must be at least 3, however: limit={limit}")
    if len(rising) <= limit:
        return np.arange(len(rising))
    even = np.searchsorted(rising, np.linspace(rising[0], rising[-1], limit - 1))
    return np.unique(np.concatenate([even, [0, also, len(rising) - 1]]))
