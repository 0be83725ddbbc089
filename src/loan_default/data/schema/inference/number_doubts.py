"""What a column of numbers leaves in doubt: its marks, percent beside fractions, several currencies."""

from dataclasses import replace

import numpy as np
import pandas as pd

from loan_default.data.schema.frames import parse_numbers
from loan_default.data.schema.inference.currencies import currencies_among
from loan_default.data.schema.inference.evidence import Certainty
from loan_default.data.schema.inference.findings import Report, Severity, rows_in_words
from loan_default.data.schema.inference.numbers import NumberReading, unreadable_texts
from loan_default.data.schema.mark_uses import FEW
from loan_default.data.schema.number_rules import plain_number
from loan_default.data.schema.number_texts import PERCENT_SIGN
from loan_default.data.schema.schema_files import table_heading

_OTHER_SIZE = 10
"""How many times smaller or larger a typical value without a sign is that does not count the same."""
_MOST_FRACTIONS = 0.1
"""Share of the values without a sign that chance leaves below nearly all of those with one."""


def question_of(reading: NumberReading, counts: pd.Series) -> str | None:
    """What a person must answer before the column can be read, with the lines that do; None = nothing.

    Args:
        counts: different texts of the column, each with its number of rows.
    """
    if reading.marks.certainty is Certainty.DOUBT and reading.marks.other is not None:
        return _question_of_marks(reading, reading.marks.other, counts)
    if reading.column.format == "percent":
        return _question_of_percent(reading, counts)
    return None


def report_doubts(reading: NumberReading, counts: pd.Series, report: Report) -> None:
    """Report what the column was read as where its values do not prove it."""
    _report_marks(reading, counts, report)
    _report_bounds(reading, counts, report)
    if reading.column.format == "percent":
        _report_percent(reading, counts, report)
    elif reading.column.format == "money":
        _report_currencies(reading, counts, report)


# Marks -------------------------------------------------------------------------------------------------


def _question_of_marks(reading: NumberReading, other: tuple[str, str], counts: pd.Series) -> str:
    marks, plain = reading.marks, reading.column
    mark = marks.thousands or marks.decimal
    example = next((text for text in counts.index if mark in text), counts.index[0])
    readings = []
    for decimal, thousands in ((marks.decimal, marks.thousands), other):
        column = replace(plain, decimal=decimal, thousands=thousands)
        number = parse_numbers(pd.Series([example], dtype="str"), column)[0][0]
        lines = f'decimal = "{decimal}"' + (f' and thousands = "{thousands}"' if thousands else "")
        readings.append((lines, plain_number(float(number))))
    (first, as_first), (second, as_second) = readings
    form = f', format = "{plain.format}"' if plain.format else ""
    return (
        f"{example!r} can be read as {as_first} or as {as_second}, and no value tells which. Add "
        f'{table_heading(plain.name)} with kind = "numerical", nullable = true{form} and {first} '
        f"({as_first}) or {second} ({as_second})"
    )


def _report_marks(reading: NumberReading, counts: pd.Series, report: Report) -> None:
    marks, column = reading.marks, reading.column
    if marks.other is None or marks.certainty is Certainty.HABIT:
        return
    mark = column.thousands or column.decimal
    example = next((text for text in counts.index if mark in text), "")
    decimal, thousands = marks.other
    if marks.certainty is Certainty.SURE:
        report(
            column.name,
            Severity.NOTE,
            f'{example!r} is read with decimal = "{column.decimal}", as other columns of the file',
        )
        return
    report(
        column.name,
        Severity.WARNING,
        f'{example!r} is read with decimal = "{column.decimal}" and thousands = "{column.thousands}"; the '
        f'other reading is decimal = "{decimal}" and thousands = "{thousands}": no value tells which',
    )


def _report_bounds(reading: NumberReading, counts: pd.Series, report: Report) -> None:
    column = reading.column
    if not column.capped:
        return
    failed = counts[unreadable_texts(counts, replace(column, capped=False))]
    bounds = failed[~unreadable_texts(failed, column)]
    if bounds.empty:
        return
    example = str(bounds.index[0])
    number = float(parse_numbers(pd.Series([example], dtype="str"), column)[0][0])
    report(
        column.name,
        Severity.NOTE,
        f"{rows_in_words(int(bounds.sum()))} with a bound, such as {example!r}, which is read as "
        f"{plain_number(number)} (capped = true)",
    )


# Percent -----------------------------------------------------------------------------------------------


def _question_of_percent(reading: NumberReading, counts: pd.Series) -> str | None:
    signed, bare = _parted(reading, counts)
    if bare.empty or signed.empty:
        return None
    usual, usual_bare = _median(signed), _median(bare)
    fractions = _fractions(signed, bare)
    is_smaller = usual_bare * _OTHER_SIZE < usual
    are_several = fractions["rows"].sum() > max(FEW * counts.sum(), _MOST_FRACTIONS * bare["rows"].sum())
    is_larger = usual_bare > usual * _OTHER_SIZE
    odd = bare if is_larger else fractions if are_several else bare
    if odd["rows"].sum() <= FEW * counts.sum() or not (is_smaller or is_larger or are_several):
        return None
    column = reading.column
    example, beside = str(odd.index[0]), str(signed.index[0])
    number = float(odd["number"].iloc[0])
    as_points, as_share = plain_number(number), f"{100 * number:.6g}"
    marks = f', decimal = "{column.decimal}"' if column.decimal != "." else ""
    marks += f', thousands = "{column.thousands}"' if column.thousands else ""
    return (
        f"{example!r} beside {beside!r} can be {as_points}% or {as_share}%, and no value tells which "
        f"({int(bare['rows'].sum()):,} of {int(counts.sum()):,} rows have no percent sign). Add "
        f'{table_heading(column.name)} with kind = "numerical", nullable = true{marks} and '
        f'format = "percent" ({as_points}%) or format = "share" ({as_share}%), or write all values alike'
    )


def _report_percent(reading: NumberReading, counts: pd.Series, report: Report) -> None:
    """Report values without a sign; a question was asked where they are many and of another size."""
    signed, bare = _parted(reading, counts)
    if bare.empty or signed.empty:
        return
    usual, usual_bare = _median(signed), _median(bare)
    odd = _fractions(signed, bare)
    if odd.empty and not usual / _OTHER_SIZE <= usual_bare <= usual * _OTHER_SIZE:
        odd = bare
    n_odd, n_alike = int(odd["rows"].sum()), int(bare["rows"].sum() - odd["rows"].sum())
    name = reading.column.name
    if n_odd:
        report(
            name,
            Severity.WARNING,
            f"{rows_in_words(n_odd)} without a percent sign, of another size than the others: read as "
            'percent, such as 0.58 as 0.58%; format = "share" reads it as 58%',
        )
    if n_alike:
        report(
            name,
            Severity.NOTE,
            f"{rows_in_words(n_alike)} without a percent sign, of the same size as the others: read as "
            "percent",
        )


def _parted(reading: NumberReading, counts: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The texts with a percent sign and those without: `number`, not 0, and `rows`."""
    texts = counts.index.astype("str")
    numbers, _ = parse_numbers(pd.Series(texts, dtype="str"), reading.column)
    table = pd.DataFrame({"number": numbers, "rows": counts.to_numpy()}, index=texts)
    is_signed = np.asarray(texts.str.contains(PERCENT_SIGN), dtype=bool)
    is_some = np.isfinite(numbers) & (numbers != 0)
    return table[is_some & is_signed], table[is_some & ~is_signed]


def _median(table: pd.DataFrame) -> float:
    return float(np.median(np.repeat(table["number"].abs(), table["rows"])))


def _fractions(signed: pd.DataFrame, bare: pd.DataFrame) -> pd.DataFrame:
    """Values up to 1 below nearly all that have a sign, and among them if they are shares."""
    sizes, size = np.repeat(signed["number"].abs(), signed["rows"]), bare["number"].abs()
    is_fraction: pd.Series = (size <= 1) & (size < np.quantile(sizes, FEW)) & (100 * size <= sizes.max())
    fractions: pd.DataFrame = bare.loc[is_fraction]
    return fractions


# Currencies --------------------------------------------------------------------------------------------


def _report_currencies(reading: NumberReading, counts: pd.Series, report: Report) -> None:
    numbers, _ = parse_numbers(pd.Series(counts.index, dtype="str"), reading.column)
    signs = currencies_among(counts[np.isfinite(numbers)])
    if not signs:
        return
    each = ", ".join(f"{sign} ({rows_in_words(rows)})" for sign, rows in signs.items())
    report(
        reading.column.name,
        Severity.WARNING,
        f"several currencies are read as one number: {each}. Convert the amounts to one currency, or put the "
        "currency into a column of its own; known_after_decision = true keeps the column from the model",
    )
