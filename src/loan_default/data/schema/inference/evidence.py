"""What the columns of a file prove together: the marks of numbers, and whether dates begin with the day.

One column may be in doubt where the others are not: "1.250" alone is 1.25 or 1,250, beside "12.500,75" it is
the latter.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import pandas as pd

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.mark_uses import FEW, MARKS, MarkUses, uses_of

_MOST_TEXTS = 10_000  # different texts that are looked at, evenly spread; the reader counts all of them
_FIRST_LOOK = 1_000
_PROOF = 20  # different values from which on a habit is no chance
_HUNDREDS = 3  # whole numbers of three digits beside 1.250; two may be 0 and 100 beside fractions


class Certainty(StrEnum):
    """How well a column proves its marks."""

    NONE = "none"
    """There is no mark in it."""
    DOUBT = "doubt"
    """It reads in two ways."""
    LIKELY = "likely"
    """The same, with one of the readings much more probable than the other."""
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
    looks_like_amounts: bool = False
    """In doubt: whether the values are more probably thousands than fractions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEvidence:
    """What other columns and the format of the file say."""

    decimal: str = "."
    thousands: str = ""
    is_proven: bool = False
    """Whether a column or the format of the file proves the marks."""
    day_first: bool | None = None
    """Whether other dates of the file begin with the day, or with the month; None = no date tells."""
    is_ungrouped: bool = False
    """Whether a column without any mark has numbers above 999."""
    delimiter: str = ","
    n_rows: int = 0


def marks_of(counts: pd.Series) -> Marks:
    """The marks that a column proves by itself.

    Args:
        counts: different texts of the column, each with its number of rows.
    """
    if not counts.index.str.contains("[,' \u00a0\u202f\u2019]").any():
        dotted = counts[counts.index.str.contains(".", regex=False)]
        if dotted.empty:
            return Marks()
        single = dotted[dotted.index.str.fullmatch(r"[^.]*[0-9]*\.[0-9]+[^.0-9]*")]
        is_grouped = single.index.str.fullmatch(r"[^.]*[1-9][0-9]{0,2}\.[0-9]{3}[^.0-9]*")
        few = FEW * counts.sum()
        if single[~is_grouped].sum() > max(1.0, few) and dotted.sum() - single.sum() <= few:
            return Marks(certainty=Certainty.SURE)
    if len(counts) > 10 * _FIRST_LOOK:
        first = _uses(counts, _FIRST_LOOK)
        if first.n_numbers * 10 < first.n_rows:
            return Marks()  # words; a look at a thousand of them is enough
    uses = _uses(counts, _MOST_TEXTS)
    if uses.n_numbers * 2 < uses.n_rows:
        return Marks()  # words with some numbers in them
    return _by_votes(uses) or _by_groups(uses) or Marks()


def _uses(counts: pd.Series, n_texts: int) -> MarkUses:
    """How so many texts, evenly spread, use the marks."""
    some = counts.iloc[:: max(1, len(counts) // n_texts)]
    return uses_of(zip(some.index.tolist(), some.tolist(), strict=True))


def _by_votes(uses: MarkUses) -> Marks | None:
    """1,250.50 or 1,250,000 or 3.5: what can be read with one decimal mark alone.

    Beside 3,5 a column's 1.250 can only be grouped by the other mark.
    """
    decimal, other = max((pair for pair in reversed(MARKS)), key=lambda pair: uses.votes(pair[0]))
    if not uses.proves(decimal):
        return None
    is_grouped = uses.both[decimal] or uses.repeated[other]
    if uses.single[other] and uses.votes(other) <= FEW * uses.n_rows:
        is_grouped = True
    return Marks(decimal=decimal, thousands=other if is_grouped else uses.spacing, certainty=Certainty.SURE)


def _by_groups(uses: MarkUses) -> Marks | None:
    """1,250 beside 159: numbers below 1,000 have no mark and none from there on lacks it.

    Fractions of three digits, such as 5.250 beside 0 and 100, look alike. Amounts of all sizes are a habit:
    hundreds without a mark beside thousands and tens of thousands. With few hundreds other columns know
    better.
    """
    for mark, other in MARKS:
        n_single = uses.single[mark]
        if not n_single:
            continue
        as_thousands, as_decimal = (other, mark), (mark, uses.spacing)
        varies = uses.plain_hundreds >= _HUNDREDS and len(uses.leads) > 1
        mixes = varies and uses.plain_long * 50 <= n_single
        if mixes and n_single >= _PROOF and uses.plain_hundreds >= _PROOF:
            # Fractions of three digits are hardly ever whole.
            return Marks(decimal=other, thousands=mark, certainty=Certainty.SURE)
        is_money = uses.money[mark] * 2 > n_single
        if is_money or (mixes and (n_single >= _PROOF or (mark == "," and uses.is_round))):
            return Marks(decimal=other, thousands=mark, certainty=Certainty.HABIT, other=as_decimal)
        first, second = (as_thousands, as_decimal) if mark == "," else (as_decimal, as_thousands)
        has_sizes = mark == "," and 3 in uses.leads and len(uses.leads) > 1
        return Marks(
            decimal=first[0],
            thousands=first[1],
            certainty=Certainty.DOUBT,
            other=second,
            looks_like_amounts=uses.is_round or has_sizes,
        )
    return Marks(decimal=",", thousands=uses.spacing) if uses.spacing else None


def settle(marks: Marks, evidence: FileEvidence) -> Marks:
    """The marks of a column in the light of the whole file."""
    if marks.certainty is Certainty.NONE:
        return replace(marks, decimal=evidence.decimal, thousands=marks.thousands or evidence.thousands)
    if marks.certainty is Certainty.SURE:
        # Between digits that a blank parts there is no doubt; 1.250 in a column of 3,5 would be one.
        is_spaced = not marks.thousands and evidence.thousands not in (".", ",")
        return replace(marks, thousands=evidence.thousands) if is_spaced else marks
    if evidence.is_proven and marks.other is not None:
        return _settle_by_proof(marks, marks.other, evidence)
    if marks.certainty is Certainty.DOUBT and marks.other is not None:
        return _settle_by_habits(marks, marks.other, evidence)
    return marks


def _settle_by_proof(marks: Marks, other: tuple[str, str], evidence: FileEvidence) -> Marks:
    """The marks of a column that reads in two ways, in a file that proves its decimal mark."""
    if marks.decimal == evidence.decimal and marks.certainty is Certainty.HABIT:
        return marks
    first, second = (marks.decimal, marks.thousands), other
    if second[0] == evidence.decimal:
        first, second = second, first
    return replace(marks, decimal=first[0], thousands=first[1], other=second, certainty=Certainty.SURE)


def _settle_by_habits(marks: Marks, other: tuple[str, str], evidence: FileEvidence) -> Marks:
    """The marks of a column in doubt in a file that proves none, by the habits of those who write such files.

    Points stand between thousands where fields are separated by semicolons, and commas where they are not.
    Where other columns write thousands without a mark, a point is a decimal one.
    """
    mark = marks.thousands or marks.decimal
    of_semicolons = evidence.delimiter == ";"
    if mark == "." and evidence.is_ungrouped and not of_semicolons:
        return replace(marks, certainty=Certainty.SURE)
    if marks.looks_like_amounts and (mark == ".") == of_semicolons:
        readings = ((marks.decimal, marks.thousands), other)
        second, first = sorted(readings, key=lambda pair: pair[1] == mark)
        return replace(marks, decimal=first[0], thousands=first[1], other=second, certainty=Certainty.LIKELY)
    return marks


def file_evidence(
    columns: Iterable[Marks],
    orders: Iterable[bool],
    *,
    form: FileFormat | None,
    n_rows: int,
    is_ungrouped: bool = False,
) -> FileEvidence:
    """What all columns together prove.

    Args:
        is_ungrouped: whether a column without any mark has numbers above 999.
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
        pairs = [(marks.decimal, marks.thousands) for marks in known_marks]
        pairs += [marks.other for marks in known_marks if marks.other is not None]
        grouped = Counter(mark for each, mark in pairs if each == decimal and mark)
        thousands = grouped.most_common(1)[0][0] if grouped else thousands
    found = set(orders)
    return FileEvidence(
        decimal=decimal,
        thousands=thousands,
        is_proven=is_proven,
        day_first=found.pop() if len(found) == 1 else None,
        is_ungrouped=is_ungrouped,
        delimiter=known.delimiter,
        n_rows=n_rows,
    )
