"""One column of a file that has no schema: its kind, inferred from its values, and in doubt from its name.

Each rule of thumb is one function; its decision is reported as a finding. Text is tried as dates, then as
numbers, then as names of the rows, and is otherwise categories.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import read_column
from loan_default.data.schema.inference.code_names import names_code
from loan_default.data.schema.inference.dates import DateReading, day_of, read_dates, span_of, time_of_numbers
from loan_default.data.schema.inference.evidence import Certainty, FileEvidence, Marks
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.identifiers import EXACT, Naming, naming_by_numbers
from loan_default.data.schema.inference.lost_dates import lost_zeros, why_no_dates
from loan_default.data.schema.inference.measurements import measured
from loan_default.data.schema.inference.no_values import none_beside_blanks
from loan_default.data.schema.inference.number_doubts import question_of, report_doubts
from loan_default.data.schema.inference.numbers import NumberReading, read_numbers
from loan_default.data.schema.inference.plausibility import (
    names_lender_decision,
    names_protected,
    names_weight,
)
from loan_default.data.schema.inference.raw_values import (
    Decision,
    Values,
    identifier_of,
    left_out,
    report_markers,
)
from loan_default.data.schema.inference.text_columns import infer_text
from loan_default.data.schema.inference.time_names import names_event, names_time
from loan_default.data.schema.schema_files import table_heading
from loan_default.data.schema.values import as_text, parse_timestamp, show

_FEWEST_FLAGS = 10  # rows from which on the presence of a value is a flag
_LONGEST_FLAG = 64  # characters


def infer_column(
    values: Values, report: Report, evidence: FileEvidence | None = None, *, counts: pd.Series | None = None
) -> Decision:
    """The column that the values make; none where it can be neither a feature nor identify the row.

    Args:
        evidence: what the other columns of the file prove; None = nothing.
        counts: the different texts of the values, each with its number of rows; None = they are counted.
    """
    name = values.name
    evidence = evidence or FileEvidence()
    if values.raw.dtype.kind == "M":
        return Decision(column=Column(name=name, kind=Kind.DATE, nullable=True), why="typed times")
    if (reason := _says_nothing(values)) is not None:
        return left_out(name, report, *reason)
    texts = values.texts
    if values.raw.nunique() == 1 and none_beside_blanks(values).empty:
        only = show(values.raw.iloc[0])
        report(name, Severity.NOTE, f"{only} or missing: kept, as that may say something")
    if names_protected(name):
        report(
            name,
            Severity.NOTE,
            "may be protected by law: protected = true keeps it from the model, actionable = false from "
            "reasons and hints",
        )
    counts = texts.value_counts() if counts is None else counts
    if not values.is_typed and (dates := read_dates(name, counts, evidence)) is not None:
        return _infer_dates(name, dates, counts, report)
    if names_lender_decision(name):
        report(
            name,
            Severity.NOTE,
            "by its name it may come with the decision or after it: if so, known_after_decision = true keeps "
            "it from the model",
        )
    numbers = _typed(values) if values.is_typed else read_numbers(name, counts, evidence)
    doubt = why_no_dates(name, counts) if numbers is None else lost_zeros(counts)
    if doubt and not values.is_mixed:
        return left_out(name, report, Severity.WARNING, doubt)
    if numbers is not None:
        return _infer_numbers(values, texts, counts, numbers, report)
    return infer_text(values, texts, counts, report)


def _says_nothing(values: Values) -> tuple[Severity, str] | None:
    """Why nothing can be learned from the values, whatever they are."""
    if len(values.raw) == 0:
        return Severity.NOTE, "it has no values"
    if values.raw.dtype.kind in "mc" or (values.is_mixed and values.texts.isna().any()):
        return Severity.WARNING, "its values are neither numbers nor text"
    if values.raw.nunique() == 1 and not _is_flag(values):
        return Severity.NOTE, f"every value is {show(values.raw.iloc[0])}"
    return None


def _typed(values: Values) -> NumberReading:
    column = Column(name=values.name, kind=Kind.NUMERICAL, nullable=True)
    return NumberReading(column=column, marks=Marks(), unreadable=pd.Series(dtype="int64"))


def _is_flag(values: Values) -> bool:
    """Whether a column of one value informs by where that is missing: it is no remark, date or name."""
    text = as_text(values.raw.iloc[0]) or ""
    often = len(values.raw) >= _FEWEST_FLAGS
    return values.n_missing > 0 and often and len(text) <= _LONGEST_FLAG and parse_timestamp(text) is None


# Dates -------------------------------------------------------------------------------------------------


def _infer_dates(name: str, dates: DateReading, counts: pd.Series, report: Report) -> Decision:
    if len(dates.patterns) > 1:
        example = str(counts.index[0])
        readings = " or ".join(
            f'format = "{pattern}" ({day_of(example, pattern)})' for pattern in dates.patterns
        )
        report(
            name,
            Severity.QUESTION,
            f"left out: {example!r} can be read in {len(dates.patterns)} ways, and no value tells which. Add "
            f'{table_heading(name)} with kind = "timestamp" (or "date") and {readings}',
        )
        return Decision(column=None, why="left out: dates that can be read in several ways")
    report_markers(name, dates.missing, counts, report)
    if dates.unreadable:
        report(
            name, Severity.WARNING, f"{rows_in_words(dates.unreadable)} without a readable time: quarantined"
        )
    if dates.proof:
        report(name, Severity.WARNING, dates.proof)
    why = f"dates as {dates.patterns[0]}" if dates.patterns[0] else "dates in ISO 8601"
    return Decision(column=dates.column(name), why=why)


# Numbers -----------------------------------------------------------------------------------------------


def _infer_numbers(
    values: Values, texts: pd.Series, counts: pd.Series, reading: NumberReading, report: Report
) -> Decision:
    name = values.name
    canonical, _ = read_column(values.raw, reading.column)
    numbers = canonical.to_numpy(dtype=np.float64)
    is_number = np.isfinite(numbers)
    numbers = numbers[is_number]
    if len(numbers) == 0:
        return infer_text(values, texts, counts, report)
    if question := question_of(reading, counts):
        report(name, Severity.QUESTION, f"left out: {question}")
        return Decision(column=None, why="left out: numbers that can be read in two ways")
    if (form := time_of_numbers(numbers)) and names_time(name):
        report_markers(name, reading.column.missing, counts, report)
        why = f"numbers that are times by their name: {form}, {span_of(numbers, form)}"
        report(name, Severity.NOTE, f'{why}; kind = "numerical" keeps the numbers')
        return Decision(column=replace(reading.column, kind=Kind.DATE, format=form), why=why)
    is_whole = bool((np.trunc(numbers) == numbers).all())
    if is_whole and not reading.column.format and reading.marks.certainty is Certainty.NONE:
        naming = naming_by_numbers(name, texts[is_number], numbers)
        if naming in (Naming.YES, Naming.REPEATED):
            return identifier_of(values, report, naming=naming)
        if naming is Naming.DOUBT:
            report(
                name,
                Severity.WARNING,
                'all values are different: kept as a number; kind = "identifier" if they name the rows',
            )
        merged = np.abs(numbers).max() >= EXACT and len(np.unique(numbers)) < texts[is_number].nunique()
        if merged or (naming is Naming.NO and names_code(name) and counts.size > 2):
            return infer_text(values, texts, counts, report)
    report_markers(name, reading.column.missing, counts, report)
    n_lost = int((~is_number).sum()) - _n_markers(reading, counts)
    if n_lost > 0:
        lost = f"{rows_in_words(n_lost)} without a finite number: quarantined"
        if np.isinf(values.numbers).any():
            lost += '; missing = ["inf", "-inf"] reads infinite ones as missing'
        report(name, Severity.WARNING, lost)
    report_doubts(reading, counts, report)
    if names_weight(name):
        report(
            name,
            Severity.QUESTION,
            'does it say how much a row counts? Then let kind = "weight" be the line below '
            f"{table_heading(name)}; add known_after_decision = false there if it is a measurement. "
            "With neither, a training by this schema takes it for a measurement",
        )
    if form and names_event(name):
        report(
            name,
            Severity.WARNING,
            f'kept as numbers; kind = "date" and format = "{form}" if they are times, of '
            f"{span_of(numbers, form)}",
        )
    column = measured(reading.column, numbers, report)
    if not column.format and np.isin(numbers, (0.0, 1.0)).all():
        column = replace(column, format="boolean")  # so that yes and true are read as 1 later
    form = column.format or "plain numbers"
    return Decision(column=column, why=f"{len(numbers):,} values read as {form}{_marks_in_words(column)}")


def _n_markers(reading: NumberReading, counts: pd.Series) -> int:
    return int(counts[list(reading.column.missing)].sum()) if reading.column.missing else 0


def _marks_in_words(column: Column) -> str:
    decimal = ", decimal comma" if column.decimal == "," else ""
    return decimal + (f", {column.thousands!r} between thousands" if column.thousands else "")
