"""Categorical features: the codes of listed categories, and of buckets that all others share by a hash."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.schema.column import Column
from loan_default.data.schema.values import fold

MAX_BUCKETS = 100_000
"""More buckets than that are refused in a file: each has a token in memory."""


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

    @property
    def cardinality(self) -> int:
        """Number of codes, the 0 included."""
        return len(self.vocabulary) + len(self.known_buckets) + 1

    def codes(self, values: pd.Series) -> NDArray[np.int64]:
        """The code of each value, `(n,)`."""
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


def bucket_of(text: str, buckets: int) -> int:
    """The bucket, from 0, of a category by its text; the same in every release and process.

    Spellings that differ by case or outer spaces alone share one. A change here would give stored models
    other inputs.
    """
    folded = fold(text).encode(errors="replace")
    digest = hashlib.blake2b(folded, digest_size=8, person=b"loan-default/bkt").digest()
    return int.from_bytes(digest, "big") % buckets


def fit_categorical(values: pd.Series, column: Column, *, rare_share: float) -> CategoricalFeature | None:
    """The feature of a column of categories, or None where all its values are one.

    Args:
        rare_share: categories below this share of the rows are unknown to the model; 0 = keep all.
    """
    if values.nunique(dropna=False) <= 1:
        return None
    shares = values.value_counts(normalize=True, dropna=True)
    frequent = sorted(str(name) for name, share in shares.items() if share >= rare_share)
    is_complete = bool(values.notna().all())
    if not column.buckets:
        return CategoricalFeature(name=column.name, vocabulary=tuple(frequent), is_complete=is_complete)
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
    )


def category_positions(values: pd.Series, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Position of each value among the names, -1 for anything that is none of them."""
    texts = [value if isinstance(value, str) else None for value in values.tolist()]
    found: NDArray[np.int64] = pd.Index(names, dtype=object).get_indexer(pd.Index(texts, dtype=object))
    return found
