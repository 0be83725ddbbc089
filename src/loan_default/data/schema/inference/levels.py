"""Columns of categories: few levels, many levels, yes and no, and free text, which is none."""

from dataclasses import dataclass, replace

import pandas as pd

from loan_default.data.schema.booleans import boolean_aliases
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.inference.markers import known_markers
from loan_default.data.schema.missing_texts import stands_for_no_category
from loan_default.data.schema.values import fold

MAX_CATEGORIES = 50
"""With more levels the frequent ones are listed, and the others are hashed into buckets."""
MAX_FREQUENT_CATEGORIES = 200
_FEWEST_ROWS = 5
"""Rows that make one of many levels frequent; 0.1 % of all rows where that is more."""
_ROWS_PER_BUCKET = 30
_MAX_BUCKETS = 64
_WORDS_OF_SENTENCE = 4.0
_MOSTLY_DIFFERENT = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelReading:
    """What the texts of a column are as categories."""

    column: Column
    merged: dict[str, str]
    """Other spellings, each with its category."""
    n_levels: int
    n_listed: int

    @property
    def in_words(self) -> str:
        """How many levels there are, how many are categories, and what becomes of the others."""
        if self.n_listed == self.n_levels:
            return f"{self.n_levels:,} categories"
        buckets = f"{self.column.buckets} {'bucket' if self.column.buckets == 1 else 'buckets'}"
        levels, n_rest = f"{self.n_levels:,} levels", self.n_levels - self.n_listed
        if self.n_listed == 0:
            return f"{levels}, none frequent enough to be a category: all are hashed into {buckets}"
        listed = "1 is frequent enough to be a category"
        if self.n_listed > 1:
            listed = f"{self.n_listed} are frequent enough to be categories"
        others = f"the other {n_rest:,} are" if n_rest > 1 else "the other one is"
        return f"{levels}: {listed}, {others} hashed into {buckets}"


def markers_among_levels(counts: pd.Series) -> tuple[str, ...]:
    """Texts beside categories that mean "no value"."""
    markers = counts.index[known_markers(counts.index, stands_for_none=stands_for_no_category)]
    signs = counts.index[counts.index.str.fullmatch(r"\*+|\++|-+")]
    is_scale = signs.str.contains("+", regex=False).any() or signs.str.contains("*", regex=False).sum() > 1
    return tuple(markers.difference(signs, sort=False) if is_scale else markers)


def is_free_text(counts: pd.Series) -> bool:
    """Whether texts are remarks or names of people: with blanks in them, and nearly all different."""
    has_blank = counts[counts.index.str.contains(r"\S\s+\S")].sum() / counts.sum()
    words = float((counts * (counts.index.str.count(r"\s+") + 1)).sum() / counts.sum())
    share = len(counts) / float(counts.sum())
    return bool(
        share > _MOSTLY_DIFFERENT
        and has_blank > 0.5
        and (words >= _WORDS_OF_SENTENCE or len(counts) == counts.sum())
    )


def read_levels(name: str, counts: pd.Series) -> LevelReading:
    """The column that the texts make as categories, without markers; other spellings become aliases.

    Args:
        counts: different texts, trimmed and present, without markers, each with its number of rows.
    """
    spellings: dict[str, list[str]] = {}
    for text in counts.index:  # the most frequent spelling of a category comes first
        spellings.setdefault(fold(text), []).append(text)
    column = Column(name=name, kind=Kind.CATEGORICAL, nullable=True, open=True)
    if len(spellings) > MAX_CATEGORIES:
        return _many_levels(column, counts, spellings)
    merged = {other: first for first, *others in spellings.values() for other in others}
    categories = tuple(sorted(first for first, *_ in spellings.values()))
    column = replace(column, categories=categories, aliases=merged)
    if truths := boolean_aliases(column):  # "0" is a spelling of no, "1" of yes
        column = replace(column, categories=(truths["0"], truths["1"]), format="boolean")
    return LevelReading(column=column, merged=merged, n_levels=len(categories), n_listed=len(categories))


def _many_levels(column: Column, counts: pd.Series, spellings: dict[str, list[str]]) -> LevelReading:
    n_rows = int(counts.sum())
    fewest = max(_FEWEST_ROWS, n_rows // 1000)
    of_text = dict(zip(counts.index, counts.tolist(), strict=True))  # a look-up in pandas takes a millisecond
    rows = {first: sum(of_text[text] for text in (first, *others)) for first, *others in spellings.values()}
    frequent = sorted((text for text in rows if rows[text] >= fewest), key=lambda text: -rows[text])
    listed = frequent[:MAX_FREQUENT_CATEGORIES]
    rest = n_rows - sum(rows[text] for text in listed)
    n_rest = len(rows) - len(listed)
    buckets = max(1, min(_MAX_BUCKETS, rest // _ROWS_PER_BUCKET, n_rest)) if n_rest else 0
    kept = set(listed)
    merged = {other: first for first, *others in spellings.values() for other in others if first in kept}
    column = replace(column, categories=tuple(sorted(listed)), aliases=merged, buckets=buckets)
    return LevelReading(column=column, merged=merged, n_levels=len(rows), n_listed=len(listed))
