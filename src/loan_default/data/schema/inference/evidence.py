"""What the columns of a file prove together: the marks of numbers, and whether dates begin with the day.

One column may be in doubt where the others are not: "1.250" alone is 1.25 or 1,250, beside "12.500,75" it is
the latter.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pandas as pd

from loan_default.data.schema.file_format import FileFormat

_FIRST_NUMBER = re.compile(r"[0-9](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9])?|[.,][0-9]+")
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'"})
_GROUPED = {
    mark: re.compile(rf"[1-9][0-9]{{0,2}}(?:{re.escape(mark)}[0-9]{{2,3}})*{re.escape(mark)}[0-9]{{3}}")
    for mark in (".", ",", " ", "'")
}
_MARKS = ((",", "."), (".", ","))
_FEW = 0.01  # share of values that may contradict the others: typing errors
_MOST_TEXTS = 10_000  # different texts that are looked at, evenly spread; the reader counts all of them
_FIRST_LOOK = 1_000
_LONGEST_SIGN, _LONGEST_UNIT = 6, 14  # characters before and after a number: a currency, a unit
_PROOF = 20  # different values from which on a habit is no chance


class Certainty(StrEnum):
    """How well a column proves its marks."""

    NONE = "none"
    """There is no mark in it."""
    DOUBT = "doubt"
    """It reads in two ways."""
    HABIT = "habit"
    """Its numbers look grouped, and nothing but other columns tells better."""
    SURE = "sure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """The decimal mark and the mark between thousands of a column."""

    decimal: str = "."
    thousands: str = ""
    certainty: Certainty = Certainty.NONE
    other: tuple[str, str] | None = None
    """In doubt, or settled by other columns: the other reading."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEvidence:
    """What other columns and the format of the file say."""

    decimal: str = "."
    thousands: str = ""
    is_proven: bool = False
    """Whether a column or the format of the file proves the marks."""
    day_first: bool | None = None
    """Whether other dates of the file begin with the day, or with the month; None = no date tells."""
    n_rows: int = 0


def marks_of(counts: pd.Series) -> Marks:
    """The marks that a column proves by itself.

    Args:
        counts: different texts of the column, each with its number of rows.
    """
    if not counts.index.str.contains("[,' \u00a0\u202f\u2019]").any():
        dotted = counts.index[counts.index.str.fullmatch(r"[^.]*[0-9]*\.[0-9]+[^.0-9]*")]
        if not len(dotted):
            return Marks()
        if not dotted.str.fullmatch(r"[^.]*[1-9][0-9]{0,2}\.[0-9]{3}[^.0-9]*").all():
            return Marks(certainty=Certainty.SURE)
    if len(counts) > 10 * _FIRST_LOOK:
        first = _seen(counts, _FIRST_LOOK)
        if first.n_numbers * 10 < first.n_rows:
            return Marks()  # words; a look at a thousand of them is enough
    seen = _seen(counts, _MOST_TEXTS)
    if seen.n_numbers * 2 < seen.n_rows:
        return Marks()  # words with some numbers in them
    return _by_both(seen) or _by_repeats(seen) or _by_fractions(seen) or _by_groups(seen) or Marks()


@dataclass(slots=True)
class _Seen:
    """How the numbers of a column use the marks: rows, or different texts where it says so."""

    n_rows: int = 0
    n_numbers: int = 0
    both: Counter[str] = field(default_factory=Counter)
    """The last mark of numbers with both."""
    repeated: Counter[str] = field(default_factory=Counter)
    """Marks that stand several times in a number, each before three digits."""
    fractions: Counter[str] = field(default_factory=Counter)
    """Marks that cannot stand between thousands: in 3,5 and 0.125."""
    single: Counter[str] = field(default_factory=Counter)
    """Marks that stand once, before three digits: different texts."""
    spaced: Counter[str] = field(default_factory=Counter)
    """Blanks and apostrophes between thousands."""
    plain: int = 0
    """Different texts without a mark."""
    plain_long: int = 0
    """Of these, texts of more than three digits."""
    plain_hundreds: int = 0
    """Of these, texts of three digits."""
    leads: set[int] = field(default_factory=set)
    """How many digits stand before a single mark."""
    end_in_zero: int = 0
    end_in_zeros: int = 0
    """Of the texts with a single mark, those that end in 0 and in 00."""

    def add(self, text: str, rows: int) -> None:
        """Count one text."""
        self.n_rows += rows
        match = _FIRST_NUMBER.search(text)
        if match is None or match.start() > _LONGEST_SIGN or len(text) - match.end() > _LONGEST_UNIT:
            return
        self.n_numbers += rows
        core = match[0].translate(_BLANKS)
        for mark in (" ", "'"):
            if mark in core:
                self.spaced[mark] += rows * bool(_GROUPED[mark].fullmatch(re.split("[.,]", core)[0]))
                core = core.replace(mark, "")
        marks = [mark for mark in ".," if mark in core]
        if not marks:
            self.plain += 1
            self.plain_long += len(core) > 3
            self.plain_hundreds += len(core) == 3
        elif len(marks) == 2:
            self.both[max(marks, key=core.rindex)] += rows
        else:
            self._add_marked(core, marks[0], rows, is_percent="%" in text)

    def _add_marked(self, core: str, mark: str, rows: int, *, is_percent: bool) -> None:
        # Nobody means 16,250 %: there three digits are a fraction.
        if not _GROUPED[mark].fullmatch(core) or (is_percent and core.count(mark) == 1):
            self.fractions[mark] += rows * (core.count(mark) == 1)
        elif core.count(mark) > 1:
            self.repeated[mark] += rows
        else:
            self.single[mark] += 1
            self.leads.add(core.index(mark))
            self.end_in_zero += core.endswith("0")
            self.end_in_zeros += core.endswith("00")

    @property
    def spacing(self) -> str:
        """The blank or apostrophe between thousands, or none."""
        return next((mark for mark, rows in self.spaced.most_common(1) if rows), "")

    @property
    def few(self) -> float:
        """Rows up to which a mark that contradicts the others is a slip."""
        return _FEW * self.n_rows


def _seen(counts: pd.Series, n_texts: int) -> _Seen:
    """How so many texts, evenly spread, use the marks."""
    seen = _Seen()
    some = counts.iloc[:: max(1, len(counts) // n_texts)]
    for text, rows in zip(some.index.tolist(), some.tolist(), strict=True):
        seen.add(text, rows)
    return seen


def _by_both(seen: _Seen) -> Marks | None:
    """1,250.50: the last mark is the decimal one."""
    if not seen.both:
        return None
    decimal = seen.both.most_common(1)[0][0]
    return Marks(decimal=decimal, thousands="," if decimal == "." else ".", certainty=Certainty.SURE)


def _by_repeats(seen: _Seen) -> Marks | None:
    """1,250,000: a mark that repeats stands between thousands."""
    for mark, other in _MARKS:
        if seen.repeated[mark] and seen.fractions[mark] <= seen.few:
            return Marks(decimal=other, thousands=mark, certainty=Certainty.SURE)
    return None


def _by_fractions(seen: _Seen) -> Marks | None:
    """3,5: a decimal mark; beside it 1.250 can only be grouped by the other one."""
    for mark, other in _MARKS:
        proves = seen.fractions[mark] > seen.few or (seen.fractions[mark] > 0 and not seen.single[mark])
        if proves and seen.fractions[other] <= seen.fractions[mark]:
            is_grouped = seen.single[other] > 0 and seen.fractions[other] <= seen.few
            return Marks(
                decimal=mark, thousands=other if is_grouped else seen.spacing, certainty=Certainty.SURE
            )
    return None


def _by_groups(seen: _Seen) -> Marks | None:
    """1,250 beside 159: numbers below 1,000 have no mark and none from there on lacks it.

    Fractions of three digits, such as 5.250 beside 0, look alike. Amounts of all sizes are a habit: hundreds
    without a mark beside thousands and tens of thousands. With few hundreds other columns know better.
    """
    for mark, other in _MARKS:
        if not seen.single[mark]:
            continue
        varies = seen.plain_hundreds > 0 and len(seen.leads) > 1
        mixes = varies and seen.plain_long == 0
        is_round = seen.end_in_zeros * 2 > seen.single[mark]
        if mixes and (seen.single[mark] >= _PROOF or (mark == "," and is_round)):
            if seen.plain_hundreds >= _PROOF:  # fractions of three digits are hardly ever whole
                return Marks(decimal=other, thousands=mark, certainty=Certainty.SURE)
            return Marks(decimal=other, thousands=mark, certainty=Certainty.HABIT, other=(mark, seen.spacing))
        as_thousands, as_decimal = (other, mark), (mark, seen.spacing)
        first, second = (as_thousands, as_decimal) if mark == "," else (as_decimal, as_thousands)
        return Marks(decimal=first[0], thousands=first[1], certainty=Certainty.DOUBT, other=second)
    return Marks(decimal=",", thousands=seen.spacing) if seen.spacing else None


def settle(marks: Marks, evidence: FileEvidence) -> Marks:
    """The marks of a column in the light of the whole file."""
    if marks.certainty is Certainty.NONE:
        if marks.thousands:
            return Marks(decimal=evidence.decimal, thousands=marks.thousands)
        return Marks(decimal=evidence.decimal, thousands=evidence.thousands)
    if marks.certainty is Certainty.HABIT and marks.decimal == evidence.decimal:
        return marks
    if (
        marks.certainty in (Certainty.DOUBT, Certainty.HABIT)
        and evidence.is_proven
        and marks.other is not None
    ):
        readings = ((marks.decimal, marks.thousands), marks.other)
        for decimal, thousands in readings:
            if decimal == evidence.decimal:
                return replace(
                    marks,
                    decimal=decimal,
                    thousands=thousands,
                    certainty=Certainty.SURE,
                    other=next(pair for pair in readings if pair[0] != decimal),
                )
    if marks.certainty is Certainty.SURE and not marks.thousands and marks.decimal == evidence.decimal:
        return Marks(decimal=marks.decimal, thousands=evidence.thousands, certainty=Certainty.SURE)
    return marks


def file_evidence(
    columns: Iterable[Marks], orders: Iterable[bool], *, form: FileFormat | None, n_rows: int
) -> FileEvidence:
    """What all columns together prove.

    Args:
        orders: for each column of dates that tells, whether the day comes first.
        form: the format of the file; None = not known.
    """
    known_marks = list(columns)
    sure = [marks for marks in known_marks if marks.certainty is Certainty.SURE]
    sure = sure or [marks for marks in known_marks if marks.certainty is Certainty.HABIT]
    decimals = Counter(marks.decimal for marks in sure)
    known = form or FileFormat()
    decimal, thousands, is_proven = (
        known.decimal,
        known.thousands,
        known.decimal != "." or bool(known.thousands),
    )
    if decimals:
        decimal, is_proven = decimals.most_common(1)[0][0], True
        if len(decimals) > 1 and decimals["."] == decimals[","]:
            decimal = known.decimal
        if thousands == decimal:
            thousands = ""
        grouped = Counter(marks.thousands for marks in sure if marks.decimal == decimal and marks.thousands)
        thousands = grouped.most_common(1)[0][0] if grouped else thousands
    found = set(orders)
    return FileEvidence(
        decimal=decimal,
        thousands=thousands,
        is_proven=is_proven,
        day_first=found.pop() if len(found) == 1 else None,
        n_rows=n_rows,
    )
