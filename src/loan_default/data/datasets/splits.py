"""Which rows train, which validate, and which are held out for the test.

    split_rows(frame, schema, groups=…, seed=…)            # at random, the classes at their rates
    split_out_of_time(frame, schema, groups=…, seed=…)     # the latest applications are the test
    permanent_holdout_split(frame, schema, groups=…)       # a row has the same side in every snapshot

Rows of one group (identical or nearly identical applications) never lie on two sides.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame

from loan_default.data.datasets.row_hashing import hash_sides
from loan_default.data.schema.language import Schema
from loan_default.errors import ConfigurationError, DataError

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]
Integers = NDArray[np.int64]

FEWEST_ROWS = 50
"""Labelled rows below which no split is made."""
FEWEST_OF_A_CLASS = 10
"""Rows of the rarer class below which no split is made."""
TEST_SHARE, VALIDATION_SHARE = 0.2, 0.16
SPLIT_VERSION = 2
"""Version of `permanent_holdout_split`, which models record: one of another version may have seen the test.

Version 1 used pandas' row hash, which differs between releases of pandas; version 2 uses
`row_hashing.hash_rows`. A change of that hash or of the shares above makes another version.
"""

_TRAIN, _VALIDATION, _TEST = 0, 1, 2
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Split:
    """Ascending positions (for `iloc`) of the rows of each part; every row is in exactly one."""

    train: Positions
    validation: Positions
    test: Positions
    unlabelled: Positions
    """Rows whose label is not known (yet): they can be scored and pretrained on."""
    reason: str
    """How the rows were split, in words, for the report."""

    @property
    def digest(self) -> str:
        """SHA-256 of the positions of all parts."""
        content = hashlib.sha256()
        for part in (self.train, self.validation, self.test, self.unlabelled):
            content.update(len(part).to_bytes(8, "big") + part.tobytes())
        return content.hexdigest()


def split_rows(
    frame: DataFrame,
    schema: Schema,
    *,
    groups: ArrayLike,
    seed: int,
    test_share: float = TEST_SHARE,
    validation_share: float = VALIDATION_SHARE,
) -> Split:
    """A random split with both classes at their rate in each part.

    Args:
        groups: `(N,)` whole numbers; rows with the same number stay on one side.
        test_share: share of the labelled rows.
        validation_share: share of the labelled rows, not of what the test leaves.

    Raises:
        DataError: no target, too few labelled rows, too few of a class, or groups too large to split.
        ConfigurationError: shares that leave a part empty.
    """
    labels, numbers = _checked(frame, schema, groups, test_share, validation_share)
    labelled = np.flatnonzero(~np.isnan(labels))
    y, group = labels[labelled], numbers[labelled]
    part = _stratified(y, group, np.random.default_rng(seed), [test_share, validation_share])
    return _split(labels, labelled, part, f"at random within each class, seed {seed}; {_kept_whole(group)}")


def split_out_of_time(
    frame: DataFrame,
    schema: Schema,
    *,
    groups: ArrayLike,
    seed: int,
    test_share: float = TEST_SHARE,
    validation_share: float = VALIDATION_SHARE,
) -> Split:
    """The latest applications are the test; the earlier ones are split at random, both classes at their rate.

    The cut lies between two timestamps, as near to `test_share` as they allow. A group on both sides of it
    goes to the test with its latest row, so that nothing that trains or validates is as late as the cut.
    Rows without a timestamp count as early.

    Args:
        groups: `(N,)` whole numbers; rows with the same number stay on one side.
        test_share: share of the labelled rows.
        validation_share: share of the labelled rows, not of what the test leaves.

    Raises:
        DataError: as `split_rows`; no timestamp column, or timestamps too alike to cut off a test.
        ConfigurationError: shares that leave a part empty.
    """
    column = schema.timestamp
    if column is None or column.name not in frame.columns:
        raise DataError(
            f"an out-of-time split must have a timestamp column, however: schema={schema.name!r} has none in "
            'the data. Declare one (kind = "timestamp") or split at random.'
        )
    labels, numbers = _checked(frame, schema, groups, test_share, validation_share)
    labelled = np.flatnonzero(~np.isnan(labels))
    y, group = labels[labelled], numbers[labelled]
    # Microseconds since 1970; a missing timestamp is the smallest number there is, and so the earliest.
    times = frame[column.name].to_numpy(dtype="datetime64[us]").astype(np.int64)[labelled]
    latest = _latest_of_group(times, group)
    cut = _cut(latest, test_share)
    late = latest >= cut

    part = np.full(len(y), _TEST)
    rest = min(validation_share * len(y) / (~late).sum(), 0.5)
    part[~late] = _stratified(y[~late], group[~late], np.random.default_rng(seed), [0.0, rest])
    day = np.datetime_as_string(cut.astype("datetime64[us]"), unit="s")
    moved = int((late & (times < cut)).sum())
    reason = f"out of time: the test is what came from {day} UTC on"
    reason += f", and {moved} earlier rows of its groups" if moved else ""
    undated = int((times == np.iinfo(np.int64).min).sum())
    reason += f"; {undated:,} rows without a time count as earlier" if undated else ""
    return _split(labels, labelled, part, f"{reason}; the rest at random within each class, seed {seed}")


def permanent_holdout_split(
    frame: DataFrame,
    schema: Schema,
    *,
    groups: ArrayLike,
    test_share: float = TEST_SHARE,
    validation_share: float = VALIDATION_SHARE,
    hashes: Hashes | None = None,
) -> Split:
    """A split by the features of each row, or its applicant: one side in every snapshot of growing data.

    So whatever model was trained with it, on whatever snapshot, has not seen the rows that `held_out` names:
    two models can be compared on them. An application that comes again with other features is another row,
    though, and may be on another side than before. The shares hold on average.

    Args:
        groups: `(N,)` whole numbers; rows with the same number have equal hashes, and stay on one side.
        test_share: share of the rows.
        validation_share: share of the rows.
        hashes: `hash_sides` of the rows `(N,)`; None = they are computed here.

    Raises:
        DataError: as `split_rows`, also where a part came out with one class only.
        ConfigurationError: shares that leave a part empty.
    """
    labels, numbers = _checked(frame, schema, groups, test_share, validation_share)
    labelled = np.flatnonzero(~np.isnan(labels))
    fractions = _fractions(hash_sides(frame, schema) if hashes is None else hashes)[labelled]
    part = np.full(len(labelled), _TRAIN)
    part[fractions < test_share + validation_share] = _VALIDATION
    part[fractions < test_share] = _TEST
    by = "applicant" if schema.groups else "features"
    return _split(labels, labelled, part, f"by the {by} of each row; {_kept_whole(numbers[labelled])}")


def held_out(frame: DataFrame, schema: Schema, *, test_share: float = TEST_SHARE) -> NDArray[np.bool_]:
    """Whether `permanent_holdout_split` would put each row `(N,)` into the test if it were labelled."""
    return _fractions(hash_sides(frame, schema)) < test_share


def on_a_held_out_side(hashes: Hashes) -> NDArray[np.bool_]:
    """Whether `permanent_holdout_split` keeps each row `(N,)` from training once it is labelled.

    Args:
        hashes: `hash_sides` of the rows.
    """
    return _fractions(hashes) < TEST_SHARE + VALIDATION_SHARE


def _fractions(hashes: Hashes) -> NDArray[np.float64]:
    """A number from 0 to 1 for each row `(N,)`, evenly spread and decided by its features alone."""
    return (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53


def _checked(
    frame: DataFrame, schema: Schema, groups: ArrayLike, test_share: float, validation_share: float
) -> tuple[NDArray[np.float64], Integers]:
    """Labels `(N,)` and group numbers `(N,)` that can be split."""
    if min(test_share, validation_share) <= 0 or test_share + validation_share >= 1:
        raise ConfigurationError(
            "test_share and validation_share must be above 0 and leave rows to train on, however: "
            f"test_share={test_share}, validation_share={validation_share}"
        )
    if schema.target is None or schema.target.name not in frame.columns:
        raise DataError(
            f"a split must have a target column, however: schema={schema.name!r} has none in the data. "
            'Declare one (kind = "target") and give its column.'
        )
    numbers = np.asarray(groups)
    if numbers.shape != (len(frame),) or numbers.dtype.kind not in "iu":
        raise DataError(
            "groups must be one whole number per row, however: "
            f"shape={numbers.shape}, dtype={numbers.dtype}, rows={len(frame)}"
        )
    labels = frame[schema.target.name].to_numpy(dtype=np.float64, na_value=np.nan)
    bads, goods = int((labels == 1).sum()), int((labels == 0).sum())
    if bads + goods + int(np.isnan(labels).sum()) != len(labels):
        raise DataError("labels must be 1, 0 or missing, however: others are there. Validate the rows first.")
    if bads + goods < FEWEST_ROWS:
        raise DataError(
            f"at least {FEWEST_ROWS} labelled rows must be there to train and test, however: {bads + goods}. "
            "Gather more rows; some thousand are a good start."
        )
    if min(bads, goods) == 0:
        raise DataError(
            f"both outcomes must be there, however: {bads} defaults among {bads + goods} labelled rows. "
            "Check the target column and its positive and negative values."
        )
    if min(bads, goods) < FEWEST_OF_A_CLASS:
        raise DataError(
            f"at least {FEWEST_OF_A_CLASS} rows of each outcome must be there, however: {bads} defaults and "
            f"{goods} others. Gather more of the rarer one."
        )
    return labels, numbers.astype(np.int64)


def _stratified(
    y: NDArray[np.float64], group: Integers, generator: np.random.Generator, shares: list[float]
) -> Positions:
    """The part `(N,)` of each row: shares are those of (test, validation), the rest trains.

    Groups are shuffled and assigned within strata: only bads, only goods, both. A group of more than half of
    the smaller part always trains, where it distorts the shares least.
    """
    largest = max(2.0, 0.5 * min(share for share in shares if share > 0) * len(y))
    group_index, size, middles = spread_groups(y, group, generator, largest=largest)
    part = np.full(len(size), _TRAIN)
    part[middles < shares[0] + shares[1]] = _VALIDATION
    part[middles < shares[0]] = _TEST
    part[size > largest] = _TRAIN
    return part[group_index]


def spread_groups(
    y: NDArray[np.float64], group: Integers, generator: np.random.Generator, *, largest: float = np.inf
) -> tuple[Positions, Integers, NDArray[np.float64]]:
    """Groups in random order within strata of rows: only bads, only goods, both.

    Args:
        largest: rows of a group beyond which it comes last in its stratum.

    Returns:
        The index of the group of each row `(N,)`, the rows of each group, and the middle of each among
        the rows of its stratum, from 0 to 1.
    """
    _, group_index, size = np.unique(group, return_inverse=True, return_counts=True)
    bads = np.bincount(group_index, weights=y, minlength=len(size))
    stratum = np.where(bads == 0, 0, np.where(bads == size, 1, 2))
    order = np.lexsort((generator.random(len(size)), size > largest, stratum))
    middles = np.empty(len(size))
    for number in np.unique(stratum):
        ordered = order[stratum[order] == number]
        ends = np.cumsum(size[ordered])
        middles[ordered] = (ends - size[ordered] / 2) / ends[-1]
    return group_index, size, middles


def _latest_of_group(times: Integers, group: Integers) -> Integers:
    """`(N,)` the latest time in the group of each row."""
    _, group_index = np.unique(group, return_inverse=True)
    latest = np.full(int(group_index.max()) + 1, np.iinfo(np.int64).min)
    np.maximum.at(latest, group_index, times)
    return latest[group_index]


def _cut(times: Integers, share: float) -> np.int64:
    """The time from which on rows are the test: a time of the data, but not the first one."""
    distinct, counts = np.unique(times, return_counts=True)
    from_here = counts[::-1].cumsum()[::-1] / len(times)
    nearest = 1 + int(np.argmin(np.abs(from_here[1:] - share))) if len(distinct) > 1 else 0
    if from_here[nearest] > max(0.5, share):
        raise DataError(
            "timestamps must differ enough to cut off the latest rows as a test, however: the nearest cut to "
            f"{share:.0%} takes {from_here[nearest]:.0%} of {len(times)} labelled rows ({len(distinct)} "
            "distinct times). Split at random, or check the timestamp column."
        )
    return np.int64(distinct[nearest])


def _split(labels: NDArray[np.float64], labelled: Positions, part: Integers, how: str) -> Split:
    """The parts with their sizes in the reason; each must hold both classes."""
    train, validation, test = (labelled[part == number] for number in (_TRAIN, _VALIDATION, _TEST))
    sizes = []
    for name, rows in zip(_PARTS, (train, validation, test), strict=True):
        bads = int(labels[rows].sum())
        if bads in (0, len(rows)):
            raise DataError(
                f"each part must hold both outcomes, however: {name} has {bads} defaults in {len(rows)}. "
                "Gather more rows, change the shares, or check for groups that are very large: a column with "
                "group = true that names no applicant should have group = false in the schema (--schema)."
            )
        sizes.append(
            f"{name} {len(rows):,} rows ({len(rows) / len(labelled):.0%}, {bads / len(rows):.1%} bad)"
        )
    return Split(
        train=train,
        validation=validation,
        test=test,
        unlabelled=np.flatnonzero(np.isnan(labels)),
        reason=f"{how}: {', '.join(sizes)}",
    )


def _kept_whole(group: Integers) -> str:
    counts = np.unique(group, return_counts=True)[1]
    several = counts[counts > 1]
    return (
        f"{len(several):,} groups of {int(several.sum()):,} rows kept whole" if len(several) else "no groups"
    )
