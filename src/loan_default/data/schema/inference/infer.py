"""A schema for a file that has none: kinds, categories, bounds and codes, with findings that say why.

The rules are rules of thumb. Their decisions can be read and edited in the dumped schema; each one that
changes what the model sees is a finding.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import RawFrame, parse_numbers
from loan_default.data.schema.inference.columns import (
    Finding,
    Report,
    Severity,
    Values,
    infer_column,
    rows_in_words,
)
from loan_default.data.schema.inference.outcome import infer_target
from loan_default.data.schema.inference.plausibility import (
    names_another_time,
    names_application_time,
    names_identifier,
)
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.language import Schema
from loan_default.data.schema.values import MISSING_TEXTS, is_missing
from loan_default.errors import DataError, did_you_mean

__all__ = ["Finding", "Inference", "Severity", "infer_frame_schema"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """An inferred schema and the findings behind it."""

    schema: Schema
    findings: tuple[Finding, ...]

    @property
    def notes(self) -> dict[str, str]:
        """Findings as comment lines per column ("" = the file), for `dump_schema`."""
        notes: dict[str, str] = {}
        for finding in self.findings:
            line = f"{finding.severity}: {finding.message}"
            notes[finding.column] = f"{notes[finding.column]}\n{line}" if finding.column in notes else line
        return notes


def infer_frame_schema(
    raw: RawFrame, *, name: str, source: str, target: str | None, named: NamedOutcomes | None = None
) -> Inference:
    """Infer a schema that every usable row of a raw frame passes, with the findings behind it.

    Columns that cannot be features (constant, empty, free text) are left out; validation ignores them.
    Rows with impossible values are left to quarantine by bounds, never changed.

    Args:
        name: name of the schema.
        source: name of the file, for messages.
        target: column that says who defaulted; None = a schema for scoring.
        named: what a person says of the target's values; None = name and values must say it.

    Raises:
        ConfigurationError: a person must say which values of the target mean default.
        DataError: no row can be read, the target has fewer than two values, or nothing is left to learn from.
    """
    names = [str(name) for name in raw.frame.columns]
    if target is not None and target not in names:
        raise DataError(
            f"the target must be a column of {source}, however: {target!r}.{did_you_mean(target, names)}"
        )
    if raw.frame.empty and len(raw.rejects):
        raise DataError(
            f"the rows of {source} must be readable, however: all {len(raw.rejects):,} are not. The "
            f"first: {raw.rejects['reason'].iloc[0]}. Look at its header and at separators at the ends of "
            "lines."
        )
    findings: list[Finding] = []

    def report(column: str, severity: Severity, message: str) -> None:
        findings.append(Finding(column, severity, message))

    if len(raw.rejects):
        report(
            "",
            Severity.WARNING,
            f"{rows_in_words(len(raw.rejects))} that cannot be read as {len(names)} fields: quarantined",
        )
    columns: list[Column] = []
    comparable: dict[str, pd.Series] = {}
    for column_name in names:
        values, comparable[column_name] = _present(column_name, raw.frame[column_name])
        is_target = column_name == target
        column = infer_target(values, report, named) if is_target else infer_column(values, report)
        if column is not None:
            columns.append(column)
    columns = _keep_one(columns, Kind.IDENTIFIER, report)
    columns = _keep_one(_without_other_times(columns, report), Kind.TIMESTAMP, report)
    if not any(column.is_feature for column in columns):
        raise DataError(
            f"{source} must have a column to learn from, however: none of {names} can be a feature"
        )
    schema = Schema(name=name, columns=tuple(columns), description=f"Inferred from {source}.")
    _report_duplicates(comparable, schema, report)
    return Inference(schema=schema, findings=tuple(findings))


def _present(name: str, raw: pd.Series) -> tuple[Values, pd.Series]:
    """The values of a column that are not missing, and the whole column in a form that compares fast."""
    if isinstance(raw.dtype, pd.CategoricalDtype):
        raw = raw.astype(raw.cat.categories.dtype)
    if isinstance(raw.dtype, pd.StringDtype):
        raw = raw.str.strip()
        missing = raw.isna() | raw.str.lower().isin(MISSING_TEXTS)
    else:
        missing = raw.map(is_missing) if raw.dtype == object else raw.isna()
    numbers, unreadable = parse_numbers(raw)
    comparable = pd.Series(numbers) if not unreadable.any() else raw.reset_index(drop=True)
    present = ~missing.to_numpy(dtype=bool)
    values = Values(name=name, raw=raw[present], n_missing=int((~present).sum()), numbers=numbers[present])
    return values, comparable


def _without_other_times(columns: list[Column], report: Report) -> list[Column]:
    others = [
        column for column in columns if column.kind is Kind.TIMESTAMP and names_another_time(column.name)
    ]
    for column in others:
        report(column.name, Severity.WARNING, "left out: not the time of the application, by its name")
    return [column for column in columns if column not in others]


def _keep_one(columns: list[Column], kind: Kind, report: Report) -> list[Column]:
    several = [column for column in columns if column.kind is kind]
    if len(several) < 2:
        return columns
    is_named_so = names_application_time if kind is Kind.TIMESTAMP else names_identifier
    named_so = [column for column in several if is_named_so(column.name)]
    kept = named_so[0] if named_so else several[0]
    guessed = kind is Kind.TIMESTAMP and len(named_so) != 1
    for column in several:
        if column is not kept:
            message = f"left out: {kept.name!r} is {'guessed to be ' if guessed else ''}the {kind}"
            report(column.name, Severity.WARNING if guessed else Severity.NOTE, message)
    return [column for column in columns if column.kind is not kind or column is kept]


def _report_duplicates(comparable: Mapping[str, pd.Series], schema: Schema, report: Report) -> None:
    used = [column.name for column in schema.columns if column.kind is not Kind.IDENTIFIER]
    count = int(pd.DataFrame({name: comparable[name] for name in used}).duplicated().sum())
    if count:
        apart = " apart from the identifier" if schema.identifier else ""
        report(
            "",
            Severity.NOTE,
            f"{rows_in_words(count)} like an earlier one{apart}: copies stay on one side of each split",
        )
