"""Columns that look like dates and are not read as dates: in several formats, or with zeros lost.

As numbers or categories they would mean nothing, so they are left out, and a finding says why.
"""

import pandas as pd

from loan_default.data.schema.inference.dates import date_patterns, rows_read
from loan_default.data.schema.inference.findings import rows_in_words
from loan_default.data.schema.schema_files import table_heading

_SAMPLE = 1_000
"""Different texts that are looked at."""
_FEWEST_DATES = 0.5
"""Share of rows in a form of dates from which on a column is one of dates."""
_FEWEST_OF_FORMAT = 0.02
_MOST_FORMATS = 4
_FEWEST_COMPACT = 20
_PADDED = {6: ("%d%m%y", "%m%d%y", "%y%m%d"), 8: ("%d%m%Y", "%m%d%Y")}


def why_no_dates(name: str, counts: pd.Series) -> str:
    """Why a column of dates could not be read as one, with the way out; "" = it does not look like dates.

    Args:
        counts: different texts, trimmed and present, each with its number of rows; no one format reads them.
    """
    sample = counts.iloc[:: max(1, len(counts) // _SAMPLE)]
    possible = sample[sample.index.str.contains("[0-9][^0-9]|[^0-9][0-9]")]
    if possible.sum() < _FEWEST_DATES * sample.sum():
        return ""
    rest = possible
    formats: dict[str, int] = {}
    while len(rest) and len(formats) < _MOST_FORMATS:
        rows = {pattern: rows_read(rest, pattern) for pattern in date_patterns(rest)}
        best = max(rows, key=lambda pattern: int(rest[rows[pattern]].sum()), default=None)
        if best is None or rest[rows[best]].sum() < _FEWEST_OF_FORMAT * sample.sum():
            break
        formats[best] = int(rest[rows[best]].sum())
        rest = rest[~rows[best]]
    n_read = sum(formats.values())
    if n_read < _FEWEST_DATES * sample.sum():
        return ""
    shares = ", ".join(
        f"{pattern or 'ISO 8601'} ({rows / sample.sum():.0%})" for pattern, rows in formats.items()
    )
    others = sample.drop(possible.index).index.append(rest.index)
    also = f", and others such as {str(others[0])!r}" if len(others) else ""
    first = next(iter(formats))
    line = f' with format = "{first}"' if first else ""
    return (
        f"looks like dates, but no one format reads them: {shares}{also}. Write all in one format; or add "
        f'{table_heading(name)} with kind = "date" (or "timestamp"){line}: other rows are then quarantined'
    )


def lost_zeros(counts: pd.Series) -> str:
    """Why numbers are compact dates of which some have lost a zero in front, as 50714; "" = they are not."""
    lengths = set(counts.index.str.len())
    if len(counts) < _FEWEST_COMPACT or lengths not in ({5, 6}, {7, 8}):
        return ""
    if not counts.index.str.fullmatch("[1-9][0-9]+").all():
        return ""
    padded = counts.set_axis(counts.index.str.zfill(max(lengths)))
    for pattern in _PADDED[max(lengths)]:
        if rows_read(padded, pattern).mean() >= 0.99:
            n_lost = int(counts[counts.index.str.len() < max(lengths)].sum())
            return (
                f"looks like dates as {pattern} whose first zero was lost in "
                f"{rows_in_words(n_lost)}. Write them with all their digits, as text"
            )
    return ""
