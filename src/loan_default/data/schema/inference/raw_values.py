"""The values of one raw column, and what it is taken for."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.identifiers import Naming
from loan_default.data.schema.inference.markers import markers_in_words
from loan_default.data.schema.values import as_text


def _nothing() -> pd.Series:
    return pd.Series(index=pd.Index([], dtype="str"), dtype="int64")


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """The values of one raw column that are not missing."""

    name: str
    raw: pd.Series
    """The values as they are in the file, without missing ones."""
    n_missing: int
    numbers: np.ndarray = field(repr=False)
    """The values as plain numbers; NaN where a value is not one."""
    no_values: pd.Series = field(default_factory=_nothing, repr=False)
    """Different texts that mean "no value" in every column, such as none and NA, each with its rows."""

    @property
    def n_blank(self) -> int:
        """Rows in which nothing is written."""
        return self.n_missing - int(self.no_values.sum())

    @property
    def is_typed(self) -> bool:
        """Whether the values are numbers already."""
        dtype = self.raw.dtype
        return bool(pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype))

    @property
    def is_mixed(self) -> bool:
        """Whether the values are objects of any type, some of them perhaps neither text nor numbers."""
        return not self.is_typed and not isinstance(self.raw.dtype, pd.StringDtype)

    @property
    def texts(self) -> pd.Series:
        """The values as trimmed text; None where one is neither text, number nor boolean."""
        if isinstance(self.raw.dtype, pd.StringDtype):
            return self.raw.str.strip()
        return self.raw.map(as_text).str.strip()

    @property
    def looks_like_dates(self) -> bool:
        """Whether most of the first values have the form of a date, whose dots are no marks of numbers."""
        head = self.raw.iloc[:200].astype("str").str.strip()
        return bool(head.str.contains(r"^[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{2,4}\b").mean() > 0.5)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a column was taken for; `column` is None where it is left out."""

    column: Column | None
    why: str


def left_out(name: str, report: Report, severity: Severity, reason: str) -> Decision:
    """The decision to leave a column out, reported with its reason."""
    report(name, severity, f"left out: {reason}")
    return Decision(column=None, why=f"left out: {reason}")


def report_markers(name: str, markers: tuple[str, ...], counts: pd.Series, report: Report) -> None:
    """Report which texts of a column are read as missing, each with its rows."""
    if markers:
        report(name, Severity.WARNING, f"read as missing: {markers_in_words(markers, counts)}")


def identifier_of(values: Values, report: Report, *, naming: Naming, copies: int = 0) -> Decision:
    """The decision that a column names the rows, reported with whether it is unique.

    Args:
        copies: rows that are equal to an earlier one in all columns, which the name shares.
    """
    is_unique = naming is Naming.YES
    what = "unique" if is_unique else "not unique"
    what += f", but for {rows_in_words(copies)} written twice" if copies else ""
    blank = f", {values.n_missing:,} blank" if values.n_missing else ""
    severity = Severity.NOTE if naming is Naming.YES else Severity.WARNING
    why = f"identifier ({what}{blank}): carried along, never a feature"
    why += "" if is_unique else "; group = true: no split separates its rows"
    report(values.name, severity, why)
    column = Column(name=values.name, kind=Kind.IDENTIFIER, nullable=True, optional=True, group=not is_unique)
    return Decision(column=column, why=why)
