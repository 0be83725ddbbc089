"""What the columns of a file prove together: the marks of numbers, and whether dates begin with the day.

One column may be in doubt where the others are not: "1.250" alone is 1.25 or 1,250, beside "12.500,75" it is
the latter.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from loan_default.data.schema.file_format import FileFormat

_FIRST_NUMBER = re.compile(r"[0-9](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9])?|[.,][0-9]+")
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'"})
_GROUPED = {
    mark: re.compile(rf"[1-9][0-9]{{0,2}}(?:{re.escape(mark)}[0-9]{{2,3}})*{re.escape(mark)}[0-9]{{3}}")
    for mark in (".", ",", " ", "'")
}
_FEW = 0.01  # share of values that may contradict the others: typing errors
_MOST_TEXTS = 50_000  # different texts that are looked at, evenly spread; the reader counts all of them
_LONGEST_SIGN, _LONGEST_UNIT = 6, 14  # characters before and after a number: a currency, a unit
_PROOF = 20  # different values from which on a habit is no chance


class Certainty(StrEnum):
    """How well a column proves its marks."""

    NONE = "none"
    """There is no mark in it."""
    DOUBT = "doubt"
    """It reads in two ways."""
    SURE = "sure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Marks:
    """The decimal mark and the mark between thousands of a column."""

    decimal: str = "."
    thousands: str = ""
    certainty: Certainty = Certainty.NONE
    other: tuple[str, str] | None = None
    """In doubt: the other reading."""


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
    counts = counts.iloc[:: max(1, len(counts) // _MOST_TEXTS)]
    plain, single, groups, fractions, both = 0, Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    plain_long = ends_in_zero = ends_in_zeros = n_numbers = 0
    spaced: Counter[str] = Counter()
    for text, rows in zip(counts.index, counts.to_numpy(), strict=True):
        match = _FIRST_NUMBER.search(text)
        if match is None or match.start() > _LONGEST_SIGN or len(text) - match.end() > _LONGEST_UNIT:
            continue
        n_numbers += rows
        core = match[0].translate(_BLANKS)
        for mark in (" ", "'"):
            if mark in core:
                whole = core.split(",")[0].split(".")[0]
                if _GROUPED[mark].fullmatch(whole):
                    spaced[mark] += rows
                core = core.replace(mark, "")
        present = [mark for mark in ".," if mark in core]
        if len(present) == 2:
            both[max(present, key=core.rindex)] += rows
        elif not present:
            plain += 1
            plain_long += len(core) > 3
        elif not _GROUPED[present[0]].fullmatch(core):
            fractions[present[0]] += rows if core.count(present[0]) == 1 else 0
        elif core.count(present[0]) > 1:
            groups[present[0]] += rows
        else:
            single[present[0]] += 1
            ends_in_zero += core.endswith("0")
            ends_in_zeros += core.endswith("00")
    if n_numbers * 2 < counts.sum():
        return Marks()  # words with some numbers in them
    spacing = next((mark for mark, rows in spaced.most_common(1) if rows), "")
    return _weigh(
        fractions=fractions,
        groups=groups,
        both=both,
        single=single,
        spacing=spacing,
        n_rows=int(counts.sum()),
        mixes=plain > 0 and (plain_long == 0 or ends_in_zero > 0) and sum(single.values()) > 0,
        is_round=ends_in_zeros * 2 > sum(single.values()),
    )


def _weigh(
    *,
    fractions: Counter[str],
    groups: Counter[str],
    both: Counter[str],
    single: Counter[str],
    spacing: str,
    n_rows: int,
    mixes: bool,
    is_round: bool,
) -> Marks:
    if both:
        decimal = both.most_common(1)[0][0]
        return Marks(decimal=decimal, thousands="," if decimal == "." else ".", certainty=Certainty.SURE)
    # "1,250,000": a mark that repeats stands between thousands.
    for mark, other in ((",", "."), (".", ",")):
        if groups[mark] and fractions[mark] <= _FEW * n_rows:
            return Marks(decimal=other, thousands=mark, certainty=Certainty.SURE)
    for mark, other in ((",", "."), (".", ",")):
        if fractions[mark] > _FEW * n_rows or (fractions[mark] and not single[mark]):
            # "3,5": a decimal mark. Beside it "1.250" can only be grouped by the other one.
            is_grouped = single[other] > 0 and fractions[other] <= _FEW * n_rows
            if fractions[other] > fractions[mark]:
                continue
            thousands = other if is_grouped else spacing
            return Marks(decimal=mark, thousands=thousands, certainty=Certainty.SURE)
    for mark, other in ((",", "."), (".", ",")):
        if single[mark]:
            # Numbers below 1,000 have no mark and none from there on lacks it; a fraction that is written
            # without its last zeros never ends in one.
            if mixes and (single[mark] >= _PROOF or (mark == "," and is_round)):
                return Marks(decimal=other, thousands=mark, certainty=Certainty.SURE)
            as_thousands, as_decimal = (other, mark), (mark, spacing)
            first, second = (as_thousands, as_decimal) if mark == "," else (as_decimal, as_thousands)
            return Marks(decimal=first[0], thousands=first[1], certainty=Certainty.DOUBT, other=second)
    if spacing:
        return Marks(decimal=",", thousands=spacing, certainty=Certainty.NONE)
    return Marks()


def settle(marks: Marks, evidence: FileEvidence) -> Marks:
    """The marks of a column in the light of the whole file."""
    if marks.certainty is Certainty.NONE:
        if marks.thousands:
            return Marks(decimal=evidence.decimal, thousands=marks.thousands)
        return Marks(decimal=evidence.decimal, thousands=evidence.thousands)
    if marks.certainty is Certainty.DOUBT and evidence.is_proven and marks.other is not None:
        for decimal, thousands in ((marks.decimal, marks.thousands), marks.other):
            if decimal == evidence.decimal:
                return Marks(decimal=decimal, thousands=thousands, certainty=Certainty.SURE)
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
    sure = [marks for marks in columns if marks.certainty is Certainty.SURE]
    decimals = Counter(marks.decimal for marks in sure)
    known = form or FileFormat()
    decimal, thousands, is_proven = known.decimal, known.thousands, known.decimal != "." or bool(known.thousands)
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
