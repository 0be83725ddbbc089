"""Texts for "no value" in inference, beside those of `missing_texts`."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from loan_default.data.schema.missing_texts import LONGEST_MARKER, stands_for_no_number
from loan_default.data.schema.values import fold

AMONG_NUMBERS = frozenset({"nil", "nr", "x", "xx", "xxx"})
"""Among numbers and dates, where none of them can be a code, beside what `stands_for_no_number` knows."""

NO_DATES = frozenset(
    {"0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "00.00.0000", "00-00-0000", "0", "00000000", "000000"}
)

_FEWEST = 2  # rows that make an unknown word a habit, no slip
_FEWEST_WITH_DIGITS = 5
_MOST_UNKNOWN = 5  # more different words among numbers are no markers


def known_markers(texts: pd.Index, *, stands_for_none: Callable[[str], bool] | None = None) -> np.ndarray:
    """The mask of the texts that are known to mean "no value": among numbers, or by a test of folded text.

    None has digits without a #, and none is long, so that only few of many different texts are looked at.
    """
    mask = ~np.asarray(texts.str.contains("^[^#]*[0-9][^#]*$"), dtype=bool)
    if mask.any():
        mask[mask] = np.asarray(texts[mask].str.contains(f"^.{{1,{LONGEST_MARKER}}}$"), dtype=bool)
    looked_at = texts[mask].tolist()
    mask[mask] = [
        is_marker_among_numbers(text) if stands_for_none is None else stands_for_none(fold(text))
        for text in looked_at
    ]
    return mask


def is_marker_among_numbers(text: str, *, known: frozenset[str] = AMONG_NUMBERS) -> bool:
    """Whether a text among numbers or dates is known to mean "no value"."""
    folded = fold(text)
    return folded in known or stands_for_no_number(folded)


def markers_among(unreadable: pd.Series, *, known: frozenset[str] = AMONG_NUMBERS) -> tuple[str, ...]:
    """The markers among the texts that cannot be read, the most frequent first.

    Known markers count from one row on. An unknown text must repeat, more often if it has digits: a slip of
    the keyboard does not.

    Args:
        unreadable: different texts, each with its number of rows.
    """
    found = [text for text in unreadable.index if is_marker_among_numbers(text, known=known)]
    others = unreadable.drop(found)
    repeated = [
        text
        for text, rows in others.items()
        if rows >= (_FEWEST_WITH_DIGITS if any(map(str.isdigit, str(text))) else _FEWEST)
    ]
    if len(repeated) <= _MOST_UNKNOWN:
        found += repeated
    return tuple(sorted(found, key=lambda text: (-int(unreadable[text]), text)))


def markers_in_words(markers: tuple[str, ...], counts: pd.Series) -> str:
    """The markers with their rows: "'?' (14 rows), '-' (3 rows)"."""
    return ", ".join(
        f"{text!r} ({int(counts[text]):,} {'row' if counts[text] == 1 else 'rows'})" for text in markers
    )
