"""Decimal and thousands marks of the number columns of a table, by majority of its columns."""

import re
from collections import Counter
from typing import NamedTuple

from loan_default.data.sources.cells import is_no_value, is_number

_GROUPED = re.compile(r"\d{1,3}([.,' \u00a0\u202f\u2019])\d{3}(?:\1\d{3})*")
_BLANKS = "\u00a0\u202f"
_FEWEST = 5
"""Values that a column needs before the form of all of them says something."""


def find_marks(rows: list[list[str]], *, delimiter: str) -> tuple[str, str]:
    """The decimal mark and the thousands mark ("" = none) of most number columns of the rows.

    "1.200" alone can be either; beside decimal commas, and in a whole column of such values between
    semicolons, it is twelve hundred.
    """
    decimals: Counter[str] = Counter()
    thousands: Counter[str] = Counter()
    unclear: Counter[str] = Counter()
    for column in zip(*rows, strict=False):
        decimal, group, either = marks_of(list(column))
        decimals[decimal] += 1
        thousands[group] += 1
        unclear[either] += 1
    decimal = "," if decimals[","] > decimals["."] else "."
    is_grouped = thousands["."] or (unclear["."] and delimiter == ";" and not unclear[","])
    if not decimals[","] and not decimals["."] and is_grouped:
        decimal = ","
    other = "." if decimal == "," else ","
    thousands[other] += unclear[other]
    seen = [mark for mark, count in thousands.most_common() if mark not in ("", decimal) and count]
    return decimal, seen[0] if seen else ""


def marks_of(values: list[str]) -> tuple[str, str, str]:
    """The decimal mark, the thousands mark and the mark that may be either, of one column; "" = none is seen.

    A column of which under 90 % are numbers has none.
    """
    cells = [value for value in values if not is_no_value(value)]
    numbers = [re.sub(r"^\D*|\D*$", "", cell) for cell in cells if is_number(cell)]
    if not numbers or len(numbers) < 0.9 * len(cells):
        return "", "", ""
    decimals: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    unclear: Counter[str] = Counter()
    for number in numbers:
        marks = re.findall(r"[.,' \u00a0\u202f\u2019]", number)
        if not marks:
            continue
        if len(set(marks)) > 1:
            decimals[marks[-1]] += marks[-1] in ".,"
            groups[_plain(marks[0])] += 1
        elif len(marks) > 1 or marks[0] not in ".,":
            groups[_plain(marks[0])] += 1
        elif _GROUPED.fullmatch(number) and not number.startswith("0"):
            unclear[marks[0]] += 1
        else:
            decimals[marks[0]] += 1
    decimal = decimals.most_common(1)[0][0] if decimals.total() else ""
    for mark in [each for each in unclear if each == decimal]:
        del unclear[mark]
    group = next((mark for mark, _ in groups.most_common() if mark != decimal), "")
    either = unclear.most_common(1)[0][0] if unclear else ""
    if either and decimal:
        return decimal, group or either, ""
    return decimal, group, either if unclear[either] >= min(_FEWEST, len(numbers)) else ""


class MarkCounts(NamedTuple):
    """Numbers of a column by what they say of an expected decimal mark."""

    agree: int
    differ: int
    either: int
    """Numbers such as 1.250 and 1,250: read with either mark, as values that differ by a factor of 1000."""


def count_marks(values: list[str], *, decimal: str, is_percent: bool) -> MarkCounts:
    """Compare the numbers of a column with an expected decimal mark.

    A column of which under 90 % are numbers says nothing. Nobody means 1,250 %: there a group of three
    digits stands after a decimal mark.
    """
    cells = [value for value in values if not is_no_value(value)]
    numbers = [re.sub(r"^[^\d.,]*|\D*$", "", cell) for cell in cells if is_number(cell)]
    agree = differ = either = 0
    if len(numbers) < 0.9 * len(cells):
        return MarkCounts(0, 0, 0)
    for number in numbers:
        marks = re.findall(r"[.,]", number)
        if not marks:
            continue
        if len(set(marks)) == 1 and len(marks) > 1:
            is_decimal = marks[0] != decimal  # it repeats, so it stands between thousands
        elif len(marks) == 1 and _GROUPED.fullmatch(number) and not number.startswith("0"):
            if not is_percent:
                either += 1
                continue
            is_decimal = marks[0] == decimal
        else:
            is_decimal = marks[-1] == decimal
        agree += is_decimal
        differ += not is_decimal
    return MarkCounts(agree, differ, either)


def _plain(mark: str) -> str:
    return " " if mark in _BLANKS else mark
