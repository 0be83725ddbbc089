"""What is noticed while a schema is inferred: findings, and for each column what it was read as and why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from loan_default.data.schema.column import FEATURE_KINDS, Column, Kind


class Severity(StrEnum):
    """How much a finding asks of the reader."""

    NOTE = "note"
    """It is handled; there is nothing to do."""
    WARNING = "warning"
    """It is handled by a guess, or not at all: look at it."""
    QUESTION = "question"
    """It can be read in several ways and is not guessed: the message shows the lines that answer it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation about a file that its owner should know."""

    column: str
    """Name of the column; empty = the whole file."""
    severity: Severity
    message: str


Report = Callable[[str, Severity, str], None]

_URGENCY = (Severity.QUESTION, Severity.WARNING, Severity.NOTE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReading:
    """What one column of a file was taken for."""

    name: str
    column: Column | None
    """None = it is left out of the schema."""
    why: str
    """The evidence in words, with counts."""
    samples: tuple[tuple[str, str], ...]
    """Up to three different values as they stand in the file, each with its canonical value as text."""

    @property
    def read_as(self) -> str:
        """What the column is, in words: "numerical, percent", "date, not a feature", "left out"."""
        column = self.column
        if column is None:
            return "left out"
        words = [str(column.kind)]
        words += [each for each in (column.format, column.derive.replace("_", " ")) if each]
        can_be_feature = column.kind in FEATURE_KINDS or column.kind is Kind.DATE
        if can_be_feature and not column.is_feature:
            words.append("not a feature")
        return ", ".join(words)


def most_urgent_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, questions first, then warnings; otherwise in their order."""
    return sorted(findings, key=lambda finding: _URGENCY.index(finding.severity))


def rows_in_words(count: int) -> str:
    """The number of rows with its noun: "1 row", "1,000 rows"."""
    return "1 row" if count == 1 else f"{count:,} rows"
