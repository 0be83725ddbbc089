"""Names of columns for files without a header, which are known by their positions alone.

Applications that are to be scored have no outcome yet, so that the column of the target may not be there.
Then the columns behind it stand one position farther to the left than in the training file.
"""

import re

import pandas as pd

from loan_default.data.schema.frames import read_column
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError

_NAME = re.compile("column_([0-9]+)")
_MOST_WORDS = 20


def names_by_position(present: list[str], schema: Schema) -> list[str]:
    """The names that the columns of a file without a header have in its schema.

    They are counted on behind the target where the file has one column fewer than the schema needs.

    Args:
        present: the names by position, column_1 and so on.
    """
    target = schema.target
    positions = [_position(column.name) for column in schema.columns]
    if target is None or not all(positions) or len(present) != max(positions) - 1:
        return present
    outcome = _position(target.name)
    return [f"column_{index + (index >= outcome)}" for index in range(1, len(present) + 1)]


def check_target_position(frame: pd.DataFrame, schema: Schema, source: str) -> None:
    """Check that the column at the position of the target holds outcomes, or nothing.

    Raises:
        DataError: no value of it is one, so that the columns of the file stand elsewhere.
    """
    target = schema.target
    if target is None or target.name not in frame or not _position(target.name):
        return
    present = frame[target.name].dropna()
    present = present[present.astype("str").str.strip() != ""]
    if present.empty:
        return
    labels, problems = read_column(present, target)
    # An open target takes any word for "not known yet", but never so many different ones.
    if labels.isna().all() and (problems or present.nunique() > _MOST_WORDS):
        raise DataError(
            "a file without a header must have its columns where the training file had them, however: no "
            f"value of {target.name}, the target, is an outcome in {source}. Keep that column, with empty "
            "fields where no outcome is known, and all others."
        )


def _position(name: str) -> int:
    """The position in the name of a column without a header, from 1; 0 = it has another name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else 0
