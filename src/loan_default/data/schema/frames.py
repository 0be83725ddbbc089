"""Raw frames against a schema: canonical rows on one side, rejected rows with every reason on the other.

Values are first made canonical (outer spaces, spelling of categories, "1.0" for "1", special values),
then validated. A wrong value rejects its row and no more; only a missing column stops the whole file.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loan_default.data.schema.column import NUMBER_KINDS, TIME_KINDS, Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.missing_texts import LONGEST_MARKER
from loan_default.data.schema.number_columns import plain_numbers
from loan_default.data.schema.number_rules import (
    MUST_BE_NUMBER,
    NUMBER_PATTERN,
    number_problems,
    rule_of_text,
)
from loan_default.data.schema.number_texts import is_plain, missing_numbers
from loan_default.data.schema.time_texts import plain_times
from loan_default.data.schema.values import (
    MUST_NOT_BE_MISSING,
    is_missing,
    missing_test,
    reason,
    show,
    time_rule,
    value_reader,
)
from loan_default.errors import DataError, did_you_mean

RENAMED = {"row": "raw_row", "reason": "raw_reason"}
"""Columns of a file that are renamed in the quarantine, which has columns of these names."""
REJECT_COLUMNS = ("row", "reason", "text")
Problems = list[tuple[str, np.ndarray]]
"""Broken rules of one column, each with the boolean mask `(n,)` of its rows."""
_ANY_NUMBER = Column(name="any", kind=Kind.NUMERICAL, nullable=True)


def _no_rejects() -> pd.DataFrame:
    return pd.DataFrame(
        {"row": np.array([], np.int64), "reason": pd.Series(dtype="str"), "text": pd.Series(dtype="str")}
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFrame:
    """Rows of a file before validation."""

    frame: pd.DataFrame
    """Text columns (CSV; "" = missing) or typed columns (Parquet); the index is the row number."""
    rejects: pd.DataFrame = field(default_factory=_no_rejects)
    """Rows that could not be split into columns: `row`, `reason`, `text` as in the file."""
    footer_lines: int = 0
    """Lines at the end of the file that are no rows, such as a total; they were passed over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """The rows of a raw frame by the result of their validation: accepted + rejected = read."""

    accepted: pd.DataFrame
    """Canonical frame; the index is the row number in the file."""
    rejected: pd.DataFrame
    """`row` (int64), `reason` (all reasons, joined by "; "), then the raw values as text, each column under
    its own name (or `raw_row`, `raw_reason` where that is taken). A row that could not be split into
    columns has its text in `raw_text`."""
    counts: Mapping[str, int]
    """Broken rule -> rows; a row counts once under each rule that it breaks. The rules hold no values."""
    unknown_columns: tuple[str, ...] = ()
    """Columns of the frame that the schema does not know; they are ignored."""


def validate(raw: RawFrame, schema: Schema, *, labelled: bool) -> Validation:
    """Validate the rows of a raw frame.

    `labelled` (training) needs every column of the schema; in the target an empty label is kept as unknown.
    Otherwise (scoring) only features and the identifier are read, and optional ones may be absent: an absent
    feature counts as missing in every row.

    Raises:
        DataError: a column that must be there is not.
    """
    columns = _columns_to_read(raw.frame, schema, labelled=labelled)
    n = len(raw.frame)
    canonical: dict[str, Any] = {}
    reasons: dict[int, list[str]] = {}
    counts: Counter[str] = Counter()
    is_rejected = np.zeros(n, bool)
    for column in columns:
        if column.name not in raw.frame:
            canonical[column.name] = _all_missing(column, raw.frame.index)
            continue
        values = raw.frame[column.name]
        canonical[column.name], problems = read_column(values, column)
        cells: Any = values.to_numpy(dtype=object) if problems else []
        for rule, mask in problems:
            is_rejected |= mask
            counts[f"{column.name}: {rule}"] += int(mask.sum())
            for position in np.flatnonzero(mask):
                reasons.setdefault(int(position), []).append(
                    f"{column.name}: {reason(rule, cells[position])}"
                )
    for text in raw.rejects["reason"]:
        counts[str(text).split(", however", maxsplit=1)[0]] += 1
    accepted = pd.DataFrame(canonical, index=raw.frame.index)
    return Validation(
        accepted=accepted[~is_rejected] if is_rejected.any() else accepted,
        rejected=_rejected(raw, reasons),
        counts=dict(counts),
        unknown_columns=tuple(str(name) for name in raw.frame.columns if name not in schema),
    )


def read_column(values: pd.Series, column: Column) -> tuple[pd.Series, Problems]:
    """The canonical values of one raw column (rejected ones are missing), and the rules broken in it."""
    if column.kind in NUMBER_KINDS:
        return _read_numbers(values, column)
    if column.kind in TIME_KINDS:
        return _read_times(values, column)
    return _read_codes(values, column)


def parse_numbers(values: pd.Series, column: Column = _ANY_NUMBER) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a raw column: float64 with NaN for missing, and the mask of values that are not numbers.

    The column says how text is read and what is missing; without it, only plain numbers are numbers.
    """
    if pd.api.types.is_bool_dtype(values.dtype) and not pd.api.types.is_object_dtype(values.dtype):
        if column.format == "boolean":
            return values.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(values), bool)
        return np.full(len(values), np.nan), values.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype):
        numbers, unreadable = values.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(values), bool)
    elif isinstance(values.dtype, pd.StringDtype):
        numbers, unreadable = _numbers_of_text(pa.array(values), column)
    else:
        numbers, unreadable = _numbers_of_objects(values, column)
    if column.missing:
        numbers = np.where(np.isin(numbers, missing_numbers(column)), np.nan, numbers)
    return numbers, unreadable


def _columns_to_read(frame: pd.DataFrame, schema: Schema, *, labelled: bool) -> list[Column]:
    if labelled:
        columns = list(schema.columns)
        other_way = ", or take it out of the schema"
    else:
        columns = _columns_to_score(schema)
        other_way = (
            ", or train a model with optional = true for it in the schema if scoring can do without it"
        )
    absent = [each for each in columns if each.name not in frame and (labelled or not each.optional)]
    if absent:
        column, others = absent[0], [repr(each.name) for each in absent[1:]]
        is_target = column.kind is Kind.TARGET
        what, ways = ("target", "") if is_target else ("column", other_way)
        hint = did_you_mean(column.name, [str(name) for name in frame.columns if name not in schema])
        raise DataError(
            f"the {what} {column.name!r} of the schema must be in the data, however: it is not"
            + (f", nor {'is' if len(others) == 1 else 'are'} {', '.join(others)}." if others else ".")
            + (hint or f" Add it{ways}.")
        )
    return [column for column in columns if column.name in frame or column.is_feature]


def _columns_to_score(schema: Schema) -> list[Column]:
    """Features, the identifier, and the time of the application where a feature is derived from it."""
    is_derived = any(column.derive for column in schema.features)
    return [
        column
        for column in schema.columns
        if column.is_feature or column is schema.identifier or (is_derived and column.kind is Kind.TIMESTAMP)
    ]


def _read_numbers(values: pd.Series, column: Column) -> tuple[pd.Series, Problems]:
    numbers, unreadable = parse_numbers(values, column)
    missing = np.isnan(numbers) & ~unreadable
    special = np.isin(numbers, column.special) if column.special else np.zeros(len(numbers), bool)
    numbers = np.where(special, np.nan, numbers) + 0.0  # adding 0.0 turns -0.0 into 0.0
    problems = number_problems(numbers, column)
    if unreadable.any():
        problems += _text_problems(values, unreadable, column)
    if not column.nullable and missing.any():
        problems.append((MUST_NOT_BE_MISSING, missing))
    return pd.Series(numbers, index=values.index), problems


def _text_problems(values: pd.Series, unreadable: np.ndarray, column: Column) -> Problems:
    """The rules that values break which are no numbers, each with its rows."""
    rules = np.full(len(values), "", dtype=object)
    rules[unreadable] = [
        rule_of_text(value, column) if isinstance(value, str) else MUST_BE_NUMBER
        for value in values[unreadable]
    ]
    return [(rule, rules == rule) for rule in dict.fromkeys(rules[unreadable])]


def _numbers_of_text(text: pa.Array, column: Column) -> tuple[np.ndarray, np.ndarray]:
    trimmed = pc.utf8_trim_whitespace(text)
    trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    if is_plain(column):
        try:
            numbers = pc.cast(trimmed, pa.float64())
            if pc.sum(pc.is_nan(numbers)).as_py() in (None, 0):
                return _to_numpy(numbers), np.zeros(len(text), bool)
        except pa.ArrowInvalid:
            pass  # a value is no number, perhaps one that means "missing"
        readable = pc.fill_null(pc.match_substring_regex(trimmed, NUMBER_PATTERN), fill_value=False)
        numbers = pc.cast(pc.if_else(readable, trimmed, None), pa.float64())
        is_marked = pc.and_not(pc.match_substring(trimmed, ","), readable)
        if pc.any(is_marked).as_py():
            numbers = pc.coalesce(numbers, plain_numbers(pc.if_else(is_marked, trimmed, None), column))
    else:
        numbers = plain_numbers(trimmed, column)
    doubtful = pc.and_(pc.is_valid(trimmed), pc.is_null(numbers))
    is_marker = missing_test(column)
    missing = [other for other in _possible_markers(trimmed.filter(doubtful), column) if is_marker(other)]
    unreadable = pc.and_not(doubtful, pc.is_in(trimmed, pa.array(missing, trimmed.type)))
    return _to_numpy(numbers), unreadable.to_numpy(zero_copy_only=False)


def _possible_markers(texts: pa.Array, column: Column) -> list[str]:
    """The different texts that may mean "no value"; a look at each of many remarks would take long."""
    if not column.missing:
        is_short = pc.less_equal(pc.utf8_length(texts), LONGEST_MARKER)
        has_digit = pc.match_substring_regex(texts, "^[^#]*[0-9][^#]*$")  # 1.#QNAN, #DIV/0! are some
        texts = texts.filter(pc.and_not(is_short, has_digit))
    listed: list[str] = pc.unique(texts).to_pylist()
    return listed


def _to_numpy(numbers: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False))


def _numbers_of_objects(values: pd.Series, column: Column) -> tuple[np.ndarray, np.ndarray]:
    read_any = value_reader(replace(_ANY_NUMBER, format=column.format))
    numbers, unreadable = np.full(len(values), np.nan), np.zeros(len(values), bool)
    texts: dict[int, str] = {}
    for position, value in enumerate(values.astype(object)):
        if isinstance(value, str):
            # Half a character must not become "?", which means "no value".
            texts[position] = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            continue
        number, rule = read_any(value)
        unreadable[position] = rule == MUST_BE_NUMBER
        if not unreadable[position] and not is_missing(value):
            # What is left is a number too large for a float, or infinite.
            numbers[position] = np.inf if number is None else number
    if texts:
        positions = list(texts)
        text = pa.array(texts.values(), pa.large_string())
        numbers[positions], unreadable[positions] = _numbers_of_text(text, column)
    return numbers, unreadable


def _read_codes(values: pd.Series, column: Column) -> tuple[pd.Series, Problems]:
    read = value_reader(column)
    if column.kind is Kind.IDENTIFIER or pd.api.types.is_object_dtype(values.dtype):
        readings = [read(value) for value in values.astype(object)]
        positions = np.arange(len(readings))
    else:
        # Few distinct values: each is read once.
        positions, distinct = pd.factorize(values, use_na_sentinel=False)
        readings = [read(value) for value in distinct]
    canonical = pd.Series([value for value, _ in readings], dtype=column.kind.dtype).take(positions)
    return canonical.set_axis(values.index), _problems_of(readings, positions)


def _read_times(values: pd.Series, column: Column) -> tuple[pd.Series, Problems]:
    missing = values.isna().to_numpy()
    problems = [] if column.nullable or not missing.any() else [(MUST_NOT_BE_MISSING, missing)]
    if isinstance(values.dtype, np.dtype | pd.DatetimeTZDtype) and values.dtype.kind == "M":
        utc = values.dt.tz_localize("UTC") if values.dt.tz is None else values.dt.tz_convert("UTC")
        return utc.astype(column.kind.dtype), problems
    if pd.api.types.is_numeric_dtype(values.dtype) and not (column.format or column.missing):
        # A bare number may count seconds, days or be a year.
        return _all_missing(column, values.index), [*problems, (time_rule(column), ~missing)]
    read = value_reader(column)
    positions, distinct = _distinct_values(values)
    plain = plain_times(distinct, column.format)
    if plain is None or column.missing:
        readings = [read(value) for value in distinct]
        times = pd.Series([value for value, _ in readings], dtype=column.kind.dtype)
    else:
        left = plain.isna().to_numpy()
        read_left = iter([read(value) for value in pd.Series(distinct)[left]])
        readings = [next(read_left) if is_left else (None, "") for is_left in left.tolist()]
        others = pd.Series([value for value, _ in readings], dtype=column.kind.dtype)
        times = plain.where(~left, others)
    times = times.take(positions)
    return times.set_axis(values.index), _problems_of(readings, positions)


def _distinct_values(values: pd.Series) -> tuple[np.ndarray, Any]:
    """The position of each row's value in the values that follow: the distinct ones where these are cheap."""
    if pd.api.types.is_object_dtype(values.dtype):
        return np.arange(len(values)), values
    return pd.factorize(values, use_na_sentinel=False)


def _problems_of(readings: list[tuple[Any, str]], positions: np.ndarray) -> Problems:
    rules = np.array([rule for _, rule in readings], dtype=object)
    return [(rule, (rules == rule)[positions]) for rule in dict.fromkeys(rules) if rule]


def _all_missing(column: Column, index: pd.Index) -> pd.Series:
    return pd.Series(None, index=index, dtype=column.kind.dtype)


def rejected_for(frame: pd.DataFrame, reason: str) -> pd.DataFrame:
    """Rows of a canonical frame as `Validation.rejected` holds rows, all with the same reason."""
    return _rejected(RawFrame(frame=frame), {position: [reason] for position in range(len(frame))})


def _rejected(raw: RawFrame, reasons: Mapping[int, list[str]]) -> pd.DataFrame:
    positions = sorted(reasons)
    texts = raw.frame.iloc[positions].astype(object).map(_raw_text).astype("str").rename(columns=RENAMED)
    joined = ["; ".join(reasons[position]) for position in positions]
    texts.insert(0, "reason", pd.Series(joined, texts.index, "str"))
    texts.insert(0, "row", texts.index.astype(np.int64))
    rejected = texts.reset_index(drop=True)
    if raw.rejects.empty:
        return rejected
    unsplit = raw.rejects.rename(columns={"text": "raw_text"}).astype({"reason": "str", "raw_text": "str"})
    return pd.concat([rejected, unsplit]).sort_values("row", kind="stable", ignore_index=True)


def _raw_text(value: object) -> str | None:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return None if is_missing(value) else show(value)
