"""Columns of text that are neither dates nor numbers: categories, names of the rows, or remarks."""

from dataclasses import replace

import pandas as pd

from loan_default.data.schema.inference.code_names import names_identifier
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.identifiers import Naming, naming_by_texts
from loan_default.data.schema.inference.levels import is_free_text, markers_among_levels, read_levels
from loan_default.data.schema.inference.lost_numbers import why_no_numbers
from loan_default.data.schema.inference.no_values import none_beside_blanks, report_no_values
from loan_default.data.schema.inference.raw_values import (
    Decision,
    Values,
    identifier_of,
    left_out,
    report_markers,
)


def infer_text(values: Values, texts: pd.Series, counts: pd.Series, report: Report) -> Decision:
    """The column that texts make which are neither dates nor numbers: names of the rows, or categories.

    Args:
        texts: the values as trimmed text.
        counts: different texts, each with its number of rows.
    """
    name = values.name
    markers = markers_among_levels(counts)
    levels = counts.drop(list(markers))
    if levels.empty:
        return left_out(name, report, Severity.NOTE, "all its values mean that there is none")
    lost = "" if names_identifier(name) else why_no_numbers(name, levels)
    naming = Naming.NO if lost else naming_by_texts(name, texts[~texts.isin(markers)])
    if naming in (Naming.YES, Naming.REPEATED):
        return identifier_of(values, report, naming=naming)
    if not lost and is_free_text(levels):
        what = f"free text, {len(levels):,} different values in {rows_in_words(int(levels.sum()))}"
        return left_out(name, report, Severity.WARNING, what)
    nones = none_beside_blanks(values)
    if not lost and len(nones):
        levels = pd.concat([levels, nones]).sort_values(ascending=False, kind="stable")
    reading = read_levels(name, levels)
    n_missing = values.n_missing + int(counts[list(markers)].sum())
    if reading.n_levels == 1 and not n_missing:
        return left_out(name, report, Severity.NOTE, "all values are spellings of one")
    report_markers(name, markers, counts, report)
    report_no_values(values, reading.column, report)
    if lost:
        report(name, Severity.WARNING, lost)
    if naming is Naming.DOUBT:
        report(
            name,
            Severity.WARNING,
            'all values are different: kept as categories; kind = "identifier" if they name the rows',
        )
    if reading.merged:
        few = ", ".join(f"{other!r} = {first!r}" for other, first in list(reading.merged.items())[:3])
        report(name, Severity.NOTE, f"spellings merged: {few}")
    column = replace(reading.column, missing=markers)
    if reading.n_listed < reading.n_levels:
        report(name, Severity.NOTE, reading.in_words)
    return Decision(column=column, why=reading.in_words)
