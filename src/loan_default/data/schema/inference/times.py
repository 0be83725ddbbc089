"""Which column of dates is the time of the application, and which others say something about it."""

from dataclasses import replace

import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import read_column
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.time_names import (
    names_another_time,
    names_application_time,
    names_birth,
    names_earlier_time,
    names_maturity,
)
from loan_default.data.schema.time_texts import FIRST_SHORT_YEAR

_YOUNGEST = 15
"""Years: nobody who is younger borrows."""
_FIRST_BIRTH = 1915
"""The first of a hundred years of birth where no date of an application tells."""
_LONG_AFTER = 10
"""Years after the last application in which no date of an earlier event can lie."""
_LATER = 0.02
"""Share of dates after the application from which on a date is one that is known later."""


def settle_times(columns: list[Column], frame: pd.DataFrame, report: Report) -> list[Column]:
    """The columns with one timestamp among the dates; others get a derivation where they say something.

    Args:
        columns: the inferred ones, all times of kind `date`.
        frame: the raw rows.
    """
    dates = [column for column in columns if column.kind is Kind.DATE]
    if not dates:
        return columns
    read: dict[str, pd.Series] = {}
    if len(dates) > 1:  # a single one has nothing to be compared with
        read = {column.name: read_column(frame[column.name], column)[0] for column in dates}
    application = _application(dates, read, report)
    years = None if application is None or not read else read[application.name].dropna().dt.year
    for position, column in enumerate(dates):
        if column is application or "%y" not in column.format:
            continue
        moved = _with_first_year(column, frame[column.name], years, report)
        if moved is not column:
            dates[position], read[column.name] = moved, read_column(frame[column.name], moved)[0]
    settled: dict[str, Column] = {}
    for column in dates:
        if application is None:
            message = "carried along, no feature: it is not the time of the application, by its name"
            report(column.name, Severity.WARNING, message)
            settled[column.name] = replace(column, optional=True)
        elif column.name == application.name:
            settled[column.name] = replace(column, kind=Kind.TIMESTAMP, optional=True)
        else:
            settled[column.name] = _other(column, read[column.name], application.name, read, report)
    return [settled.get(column.name, column) for column in columns]


def _application(dates: list[Column], read: dict[str, pd.Series], report: Report) -> Column | None:
    """The date of the application: by its name, or the fullest of those that are named for nothing else.

    Of two that are as full it is the finer one: a month is read as its first day, before the application.
    """
    named = [column for column in dates if names_application_time(column.name)]
    others = [column for column in dates if not names_another_time(column.name)]
    candidates = named or others
    if not candidates:
        return None
    chosen = candidates[0]
    if len(candidates) > 1:
        chosen = max(candidates, key=lambda column: _fullness(read[column.name]))
    if len(named) != 1 and len(dates) > 1:
        rest = ", ".join(repr(column.name) for column in candidates if column is not chosen)
        beside = f" rather than {rest}" if rest else ""
        report(chosen.name, Severity.WARNING, f"it is guessed to be the time of the application{beside}")
    return chosen


def _fullness(times: pd.Series) -> tuple[int, int]:
    return int(times.notna().sum()), int(times.nunique())


def _with_first_year(column: Column, raw: pd.Series, applied: pd.Series | None, report: Report) -> Column:
    """The column with the first of the hundred years that its years of two digits mean, where 1940 is wrong.

    Args:
        applied: years of the applications; None = not known.
    """
    found = read_column(raw, column)[0].dropna().dt.year
    if found.empty or (applied is not None and applied.empty):
        return column
    first = FIRST_SHORT_YEAR
    if names_birth(column.name):
        first = _FIRST_BIRTH if applied is None else int(applied.max()) - _YOUNGEST - 99
    elif applied is not None and names_maturity(column.name):
        first = int(applied.min())
    elif applied is not None and int(found.max()) > int(applied.max()) + _LONG_AFTER:
        later = 0 if names_earlier_time(column.name) else _LONG_AFTER
        first = int(applied.max()) + later - 99
    if found.between(first, first + 99).all():
        return column
    severity = Severity.WARNING if applied is None else Severity.NOTE
    report(column.name, severity, f"years of two digits are {first} to {first + 99}: first_year = {first}")
    return replace(column, first_year=first)


def _other(
    column: Column, times: pd.Series, application: str, read: dict[str, pd.Series], report: Report
) -> Column:
    before = read[application] - times
    known = before.notna()
    if not known.any():
        return replace(column, optional=True)
    later = known & (before < pd.Timedelta(0))
    if later.sum() > _LATER * known.sum():
        report(
            column.name,
            Severity.WARNING,
            f"carried along, no feature: {rows_in_words(int(later.sum()))} of {int(known.sum()):,} lie after "
            f"{application!r}: known only later? known_after_decision = true settles it",
        )
        return replace(column, optional=True)
    if before[known].nunique() < 2:
        report(column.name, Severity.NOTE, f"carried along, no feature: it says what {application!r} says")
        return replace(column, optional=True)
    report(column.name, Severity.NOTE, f"the years from it to {application!r} are a feature")
    return replace(column, derive="years_before_application")
