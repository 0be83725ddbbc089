"""A schema for a file that has none: kinds, categories, bounds and codes, with findings that say why.

The rules are rules of thumb. Their decisions can be read and edited in the dumped schema; each one that
changes what the model sees is a finding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from loan_default.data.schema.column import TIME_KINDS, Column, Kind
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame, parse_numbers, read_column
from loan_default.data.schema.inference.code_names import names_code, names_identifier, names_person
from loan_default.data.schema.inference.columns import infer_column
from loan_default.data.schema.inference.dates import proven_order
from loan_default.data.schema.inference.evidence import Certainty, FileEvidence, file_evidence, marks_of
from loan_default.data.schema.inference.findings import (
    ColumnReading,
    Finding,
    Report,
    Severity,
    rows_in_words,
)
from loan_default.data.schema.inference.identifiers import Naming, naming_by_numbers
from loan_default.data.schema.inference.outcome import infer_target
from loan_default.data.schema.inference.raw_values import Decision, Values, identifier_of
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.inference.times import settle_times
from loan_default.data.schema.language import Schema
from loan_default.data.schema.missing_texts import MISSING_TEXTS
from loan_default.data.schema.number_rules import plain_number
from loan_default.data.schema.values import is_missing
from loan_default.errors import DataError, did_you_mean

_SAMPLES = 3
_FEWEST_UNGROUPED = 20
"""Different numbers above 999 without a mark that show how a file writes thousands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inference:
    """An inferred schema and the findings behind it."""

    schema: Schema
    findings: tuple[Finding, ...]
    columns: tuple[ColumnReading, ...] = ()
    """What each column of the file was taken for, in the order of the file."""

    @property
    def notes(self) -> dict[str, str]:
        """Findings as comment lines per column ("" = the file), for `dump_schema`."""
        notes: dict[str, str] = {}
        for finding in self.findings:
            line = f"{finding.severity}: {finding.message}"
            notes[finding.column] = f"{notes[finding.column]}\n{line}" if finding.column in notes else line
        return notes


def infer_frame_schema(
    raw: RawFrame,
    *,
    name: str,
    source: str,
    target: str | None,
    named: NamedOutcomes | None = None,
    form: FileFormat | None = None,
) -> Inference:
    """Infer a schema that every usable row of a raw frame passes, with the findings behind it.

    Columns that cannot be features (constant, empty, free text) are left out; validation ignores them.
    Rows with impossible values are left to quarantine by bounds, never changed. The schema is lenient: any
    feature may be missing, unseen categories pass, and only what cannot be is bounded.

    Args:
        name: name of the schema.
        source: name of the file, for messages.
        target: column that says who defaulted; None = a schema for scoring.
        named: what a person says of the target's values; None = name and values must say it.
        form: how the file is written; it goes into the schema, with the marks that the numbers prove.

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
        finding = Finding(column, severity, message)
        if finding not in findings:
            findings.append(finding)

    if len(raw.rejects):
        report(
            "",
            Severity.WARNING,
            f"{rows_in_words(len(raw.rejects))} that cannot be read as {len(names)} fields: quarantined",
        )
    comparable: dict[str, pd.Series] = {}
    present: dict[str, Values] = {}
    for column_name in names:
        present[column_name], comparable[column_name] = _present(column_name, raw.frame[column_name])
    counted = {
        column_name: values.texts.value_counts()
        for column_name, values in present.items()
        if len(values.raw) and isinstance(values.raw.dtype, pd.StringDtype)
    }
    evidence = _evidence(present, counted, form, n_rows=len(raw.frame))
    decisions: dict[str, Decision] = {}
    for column_name, values in present.items():
        if column_name == target:
            outcome = infer_target(values, report, named)
            decisions[column_name] = Decision(column=outcome, why="the outcome")
        else:
            decisions[column_name] = infer_column(values, report, evidence, counts=counted.get(column_name))
    for column_name, copies in _names_of_copied_rows(decisions, present, comparable, raw.frame.index).items():
        findings[:] = [finding for finding in findings if finding.column != column_name]
        decisions[column_name] = identifier_of(present[column_name], report, naming=Naming.YES, copies=copies)
    columns = [decision.column for decision in decisions.values() if decision.column is not None]
    columns = settle_times(columns, raw.frame, report)
    columns = _keep_one_identifier(columns, decisions, report)
    if not any(column.is_feature for column in columns):
        raise DataError(
            f"{source} must have a column to learn from, however: none of {names} can be a feature"
        )
    if form is not None:
        form = replace(form, decimal=evidence.decimal, thousands=evidence.thousands)
    schema = Schema(name=name, columns=tuple(columns), description=f"Inferred from {source}.", format=form)
    _report_duplicates(comparable, schema, report)
    return Inference(
        schema=schema,
        findings=_in_order(list(_agreeing(findings, schema)), names),
        columns=tuple(_readings(decisions, schema, present)),
    )


def _evidence(
    present: Mapping[str, Values],
    counted: Mapping[str, pd.Series],
    form: FileFormat | None,
    *,
    n_rows: int,
) -> FileEvidence:
    """What all columns of text prove together; `counted` holds their different texts with their rows."""
    marks, orders = [], []
    for name, counts in counted.items():
        order = proven_order(counts)
        if order is not None:
            orders.append(order)
        elif not present[name].looks_like_dates:
            marks.append(marks_of(counts))
    is_in_doubt = any(each.certainty is Certainty.DOUBT for each in marks)
    is_ungrouped = is_in_doubt and any(map(_is_ungrouped, present.values()))
    return file_evidence(marks, orders, form=form, n_rows=n_rows, is_ungrouped=is_ungrouped)


def _is_ungrouped(values: Values) -> bool:
    """Whether a column measures in whole numbers, many of them above 999, without a mark."""
    numbers = values.numbers
    if len(numbers) == 0 or not np.isfinite(numbers).all() or (np.trunc(numbers) != numbers).any():
        return False
    if len(np.unique(numbers[np.abs(numbers) >= 1000])) < _FEWEST_UNGROUPED:
        return False
    texts = values.texts
    is_code = texts.str.len().nunique() == 1 or names_code(values.name) or names_identifier(values.name)
    return not is_code and naming_by_numbers(values.name, texts, numbers) is Naming.NO


def _in_order(findings: list[Finding], names: list[str]) -> tuple[Finding, ...]:
    """The findings on the file first, then those on its columns in the order of the file."""
    positions = {name: position for position, name in enumerate(names)}
    return tuple(sorted(findings, key=lambda finding: positions.get(finding.column, -1)))


def _readings(
    decisions: Mapping[str, Decision], schema: Schema, present: Mapping[str, Values]
) -> Iterator[ColumnReading]:
    for name, decision in decisions.items():
        column = next((column for column in schema.columns if column.name == name), None)
        samples = () if column is None else _samples(present[name].raw, column)
        yield ColumnReading(name=name, column=column, why=decision.why, samples=samples)


def _samples(raw: pd.Series, column: Column) -> tuple[tuple[str, str], ...]:
    """The first different values of a column, each with its canonical value."""
    first = raw.iloc[:1000].astype(object)
    first = first[~first.map(str).duplicated()].iloc[:_SAMPLES]
    canonical, _ = read_column(raw.loc[first.index], column)
    return tuple((str(before), _shown(after, column)) for before, after in zip(first, canonical, strict=True))


def _shown(value: object, column: Column) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return "missing"
    if column.kind in TIME_KINDS:
        return pd.Timestamp(str(value)).isoformat().removesuffix("+00:00").removesuffix("T00:00:00")
    return plain_number(value) if isinstance(value, float) else str(value)


def _present(name: str, raw: pd.Series) -> tuple[Values, pd.Series]:
    """The values of a column that are not missing, and the whole column in a form that compares fast."""
    if isinstance(raw.dtype, pd.CategoricalDtype):
        raw = raw.astype(raw.cat.categories.dtype)
    if isinstance(raw.dtype, pd.StringDtype):
        raw = raw.str.strip()
        missing = raw.isna() | raw.str.lower().isin(MISSING_TEXTS)
        no_values = raw[missing].value_counts().drop("", errors="ignore")
    else:
        missing = raw.map(is_missing) if raw.dtype == object else raw.isna()
        no_values = raw.iloc[:0].astype("str").value_counts()
    numbers, unreadable = parse_numbers(raw)
    comparable = pd.Series(numbers) if not unreadable.any() else raw.reset_index(drop=True)
    present = ~missing.to_numpy(dtype=bool)
    values = Values(
        name=name,
        raw=raw[present],
        n_missing=int((~present).sum()),
        numbers=numbers[present],
        no_values=no_values,
    )
    return values, comparable


def _names_of_copied_rows(
    decisions: Mapping[str, Decision],
    present: Mapping[str, Values],
    comparable: Mapping[str, pd.Series],
    rows: pd.Index,
) -> dict[str, int]:
    """Identifiers that only rows share which are equal in all columns, with how many such copies there are.

    They name applications of which some were written twice. What by its name is a person's stays a person's.
    """
    repeated = [
        name
        for name, decision in decisions.items()
        if decision.column is not None
        and decision.column.kind is Kind.IDENTIFIER
        and decision.column.group
        and not names_person(name)
    ]
    if not repeated:
        return {}
    copied = pd.DataFrame(dict(comparable)).duplicated().to_numpy()
    found = {}
    for name in repeated:
        named = rows.get_indexer(present[name].raw.index)
        once = comparable[name].iloc[named[~copied[named]]]
        if once.is_unique and copied[named].any():
            found[name] = int(copied[named].sum())
    return found


def _keep_one_identifier(
    columns: list[Column], decisions: dict[str, Decision], report: Report
) -> list[Column]:
    """One name of applications and one of applicants, if there are several of a kind."""
    for is_group in (False, True):
        columns = _keep_one(columns, decisions, report, is_group=is_group)
    return columns


def _keep_one(
    columns: list[Column], decisions: dict[str, Decision], report: Report, *, is_group: bool
) -> list[Column]:
    several = [each for each in columns if each.kind is Kind.IDENTIFIER and each.group is is_group]
    if len(several) < 2:
        return columns
    kept = next((column for column in several if names_identifier(column.name)), several[0])
    for column in several:
        if column is not kept:
            why = f"left out: {kept.name!r} is the identifier"
            report(column.name, Severity.NOTE, why)
            decisions[column.name] = Decision(column=None, why=why)
    return [column for column in columns if column is kept or column not in several]


def _agreeing(findings: list[Finding], schema: Schema) -> Iterator[Finding]:
    """The findings without those that a later decision on the same column has made void.

    Of a column that is left out only the reason is worth a line, of an identifier only that it is one.
    """
    kinds = {column.name: column.kind for column in schema.columns}
    for finding in findings:
        kind = kinds.get(finding.column)
        is_last = (
            finding.message.startswith("left out: ") if kind is None else "identifier (" in finding.message
        )
        if finding.column == "" or kind not in (None, Kind.IDENTIFIER) or is_last:
            yield finding


def _report_duplicates(comparable: Mapping[str, pd.Series], schema: Schema, report: Report) -> None:
    used = [column.name for column in schema.columns if column.kind is not Kind.IDENTIFIER]
    count = int(pd.DataFrame({name: comparable[name] for name in used}).duplicated().sum())
    if count:
        apart = " apart from the identifier" if schema.identifier else ""
        report(
            "",
            Severity.NOTE,
            f"{rows_in_words(count)} like an earlier one{apart}",
        )
