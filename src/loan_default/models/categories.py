"""Categorical features: the codes of listed categories, and of buckets that all others share by a hash.

A column of many levels, such as employer or postcode, knows each level that repeats besides, by a hash of its
text: `models/level_rates.py` learns a default rate of each.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from loan_default.data.schema.column import Column
from loan_default.data.schema.values import fold
from loan_default.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MAX_BUCKETS = 100_000
"""More buckets than that are refused in a file: each has a token in memory."""
MANY_LEVELS = 50
"""A column with more levels than that has a default rate for each that repeats."""
MAX_LEVELS = 100_000
"""Levels with a rate of their own at most, the most frequent ones."""
LEVEL_UNIT = 1 / 3
"""Log-odds of a level that the network sees as 1: about the spread of rates, as numbers have theirs in normal
units."""
_FEWEST_ROWS = 2
"""Training rows that make a level repeat: one row alone says nothing of others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalFeature:
    """One fitted categorical column."""

    name: str
    vocabulary: tuple[str, ...]
    """Categories with codes 1, 2, …; everything else is code 0, or that of its bucket."""
    buckets: int = 0
    """Number of buckets that the hash of any other text falls into; 0 = none."""
    known_buckets: tuple[int, ...] = ()
    """Buckets, ascending, that training rows fell into; they have the codes after the vocabulary."""
    is_complete: bool = False
    """No training row lacked it; False also in files of older releases, where that is not known."""
    levels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)
    """Hashes, ascending, of the levels that repeat; empty = few levels, or a file of an older release."""

    @property
    def cardinality(self) -> int:
        """Number of codes, the 0 included."""
        return len(self.vocabulary) + len(self.known_buckets) + 1

    def codes(self, values: "pd.Series") -> NDArray[np.int64]:
        """The code of each value, `(n,)`."""
        import pandas as pd  # noqa: PLC0415 (a process that reads single records does without)

        codes = category_positions(values, self.vocabulary) + 1
        if not self.buckets:
            return codes
        texts = values.astype(object)
        is_other = (codes == 0) & np.array([isinstance(text, str) for text in texts], dtype=bool)
        positions, others = pd.factorize(texts[is_other])
        buckets = np.array([bucket_of(text, self.buckets) for text in others], dtype=np.int64)
        code_of = np.zeros(self.buckets, np.int64)
        code_of[list(self.known_buckets)] = len(self.vocabulary) + 1 + np.arange(len(self.known_buckets))
        codes[is_other] = code_of[buckets][positions]
        return codes

    def level_positions(self, values: "pd.Series") -> NDArray[np.int64]:
        """The position of each value among the levels, from 1, `(n,)`; 0 = none of them, or missing."""
        import pandas as pd  # noqa: PLC0415 (a process that reads single records does without)

        positions, texts = pd.factorize(values.astype(object))
        keys = np.array([level_key(text) if isinstance(text, str) else 0 for text in texts], dtype=np.int64)
        found = np.searchsorted(self.levels, keys)
        is_level = self.levels[np.minimum(found, len(self.levels) - 1)] == keys
        is_level &= np.array([isinstance(text, str) for text in texts], dtype=bool)
        position_of = np.append(np.where(is_level, found + 1, 0), 0)  # the last one is that of missing values
        return position_of[positions]


def level_key(text: str) -> int:
    """The hash by which a level is known, 64 bits with a sign; the same in every release and process.

    Spellings that differ by case or outer spaces alone share one.
    """
    return int.from_bytes(_digest(text, person=b"loan-default/lvl"), "big", signed=True)


def bucket_of(text: str, buckets: int) -> int:
    """The bucket, from 0, of a category by its text; the same in every release and process.

    Spellings that differ by case or outer spaces alone share one. A change here would give stored models
    other inputs.
    """
    return int.from_bytes(_digest(text, person=b"loan-default/bkt"), "big") % buckets


def _digest(text: str, *, person: bytes) -> bytes:
    folded = fold(text).encode(errors="replace")
    return hashlib.blake2b(folded, digest_size=8, person=person).digest()


def fit_categorical(values: "pd.Series", column: Column, *, rare_share: float) -> CategoricalFeature | None:
    """The feature of a column of categories, or None where all its values are one.

    Args:
        rare_share: categories below this share of the rows are unknown to the model; 0 = keep all.
    """
    if values.nunique(dropna=False) <= 1:
        return None
    shares = values.value_counts(normalize=True, dropna=True)
    frequent = sorted(str(name) for name, share in shares.items() if share >= rare_share)
    is_complete, levels = bool(values.notna().all()), _repeated_levels(values)
    if not column.buckets:
        return CategoricalFeature(
            name=column.name, vocabulary=tuple(frequent), is_complete=is_complete, levels=levels
        )
    vocabulary = tuple(name for name in frequent if name in column.categories)
    share_of: dict[int, float] = defaultdict(float)
    for name, share in shares.items():
        if name not in vocabulary:
            share_of[bucket_of(str(name), column.buckets)] += share
    # A bucket without rows has no token: that would stay at its random start.
    known = sorted(bucket for bucket, share in share_of.items() if share >= rare_share)
    return CategoricalFeature(
        name=column.name,
        vocabulary=vocabulary,
        buckets=column.buckets,
        known_buckets=tuple(known),
        is_complete=is_complete,
        levels=levels,
    )


def _repeated_levels(values: "pd.Series") -> NDArray[np.int64]:
    """Hashes, ascending, of the levels with two rows or more; none where the column has few levels."""
    counts: dict[int, int] = defaultdict(int)
    for text, count in values.value_counts().items():
        counts[level_key(str(text))] += int(count)
    if len(counts) <= MANY_LEVELS:
        return np.zeros(0, np.int64)
    repeated = sorted((key for key in counts if counts[key] >= _FEWEST_ROWS), key=lambda key: -counts[key])
    return np.array(sorted(repeated[:MAX_LEVELS]), dtype=np.int64)


def category_to_dict(feature: CategoricalFeature) -> dict[str, Any]:
    """Plain values and arrays that `category_from_dict` reads back; later keys only where they are used."""
    raw: dict[str, Any] = {"name": feature.name, "vocabulary": list(feature.vocabulary)}
    if feature.buckets:
        raw |= {"buckets": feature.buckets, "known_buckets": list(feature.known_buckets)}
    if len(feature.levels):
        raw["levels"] = feature.levels
    return raw | ({"is_complete": True} if feature.is_complete else {})


def category_from_dict(raw: Mapping[str, Any]) -> CategoricalFeature:
    """A feature from plain values.

    Raises:
        DataError: buckets or levels that are no whole numbers, or do not ascend.
    """
    feature = CategoricalFeature(
        name=raw["name"],
        vocabulary=tuple(raw["vocabulary"]),
        buckets=raw.get("buckets", 0),
        known_buckets=tuple(raw.get("known_buckets", ())),
        is_complete=raw.get("is_complete") is True,
        levels=np.asarray(raw.get("levels", np.zeros(0, np.int64))),
    )
    known, levels = feature.known_buckets, feature.levels
    are_numbers = all(type(each) is int for each in (feature.buckets, *known))
    if not (
        are_numbers
        and 0 <= feature.buckets <= MAX_BUCKETS
        and list(known) == sorted(set(known))
        and all(0 <= bucket < feature.buckets for bucket in known)
    ):
        raise DataError(
            f"buckets must be whole numbers from 0 that ascend, however: {feature.name!r} has "
            f"{known[:5]!r} of {feature.buckets!r}"
        )
    is_list = levels.dtype == np.int64 and levels.ndim == 1 and len(levels) <= MAX_LEVELS
    if not is_list or not (levels[1:] > levels[:-1]).all():
        raise DataError(
            f"levels must be at most {MAX_LEVELS:,} whole numbers that ascend, however: {feature.name!r} has "
            f"{levels.ravel()[:5]} of {levels.size:,}"
        )
    return feature


def category_positions(values: "pd.Series", names: tuple[str, ...]) -> NDArray[np.int64]:
    """Position of each value among the names, -1 for anything that is none of them."""
    import pandas as pd  # noqa: PLC0415 (a process that reads single records does without)

    texts = [value if isinstance(value, str) else None for value in values.tolist()]
    found: NDArray[np.int64] = pd.Index(names, dtype=object).get_indexer(pd.Index(texts, dtype=object))
    return found
