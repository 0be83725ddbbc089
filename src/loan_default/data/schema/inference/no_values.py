"""Words beside categories that are read as missing and may be a category: "none", "NA", "null".

Listed among the categories such a word is one; the findings show the line.
"""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.markers import markers_in_words
from loan_default.data.schema.inference.raw_values import Values
from loan_default.data.schema.schema_files import table_heading

_LONGEST_LINE = 12
"""Categories that a message shows as the line to write."""
_MOST_CODES = 0.5
"""Share of the categories that are two capitals, as DE and FR, from which on NA may be one of them."""


def none_beside_blanks(values: Values) -> pd.Series:
    """The spellings of "none" that are a category, each with its rows; empty where they say "no value".

    Where blanks say that there is no value, "none" says something else: that there is no guarantor.
    """
    is_none = values.no_values.index.str.lower() == "none"
    is_text = not values.is_typed and not np.isfinite(values.numbers).any()
    return values.no_values[is_none & is_text & (values.n_blank > 0)]


def report_no_values(values: Values, column: Column, report: Report) -> None:
    """Report which words of a column of categories are read as missing, and which "none" is not."""
    is_kept = [word in column.categories or word in column.aliases for word in values.no_values.index]
    words = np.array(values.no_values.index, dtype=object)
    kept, lost = tuple(words[is_kept]), tuple(words[np.logical_not(is_kept)])
    if kept:
        what = markers_in_words(kept, values.no_values)
        report(
            values.name,
            Severity.NOTE,
            f"{what} is a category, as blanks ({rows_in_words(values.n_blank)}) say that there is no value; "
            f"missing = {_listed(kept)} makes it missing",
        )
    if lost:
        what = markers_in_words(lost, values.no_values)
        verb, one = ("is", "it") if len(lost) == 1 else ("are", "one")
        may_be_category = any(word.lower() == "none" for word in lost) or (
            "NA" in lost and _are_codes(column)
        )
        report(
            values.name,
            Severity.WARNING if may_be_category else Severity.NOTE,
            f"{what} {verb} read as missing. To keep {one} as a category, {_way_to_keep(lost, column)}",
        )


def _way_to_keep(lost: tuple[str, ...], column: Column) -> str:
    heading = table_heading(column.name)
    if len(lost) == 1 and 0 < len(column.categories) <= _LONGEST_LINE and not column.format:
        line = f"categories = {_listed(sorted((*column.categories, *lost)))}"
        return f"let {line} be the line of {heading}"
    without = f', without format = "{column.format}"' if column.format else ""
    return f"add it to the categories of {heading}{without}"


def _are_codes(column: Column) -> bool:
    """Whether the categories are countries or states, so that NA may be Namibia."""
    codes = [each for each in column.categories if len(each) == 2 and each.isalpha() and each.isupper()]
    return len(codes) > _MOST_CODES * max(1, len(column.categories))


def _listed(texts: Sequence[str]) -> str:
    return json.dumps(list(texts), ensure_ascii=False)
