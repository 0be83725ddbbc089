"""Columns that look like numbers and are read as categories: each has a warning, and true categories none."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import RawFrame
from loan_default.data.schema.inference.findings import Severity
from loan_default.data.schema.inference.infer import infer_frame_schema
from loan_default.data.schema.inference.lost_numbers import why_no_numbers

ROWS = 400


def inferred(texts: list[str]) -> tuple[Column | None, list[str]]:
    """The column and its warnings, in a file with other columns of numbers."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": texts}).astype("str")
    frame["bad"] = (rng.random(len(frame)) < 0.3).astype(int).astype("str")
    frame["debt"] = pd.Series(rng.normal(50, 9, len(frame))).map("{:.2f}".format).to_numpy()
    inference = infer_frame_schema(RawFrame(frame=frame), name="f", source="f", target="bad")
    found = [
        each.message
        for each in inference.findings
        if each.column == "x" and each.severity is not Severity.NOTE
    ]
    return next((each for each in inference.schema.columns if each.name == "x"), None), found


def written(*forms: Callable[[float], str]) -> list[str]:
    """Amounts in turn in each of the forms; some occur twice."""
    amounts = np.random.default_rng(5).normal(500, 150, ROWS - 20).round(2).tolist()
    return [forms[row % len(forms)](amount) for row, amount in enumerate(amounts + amounts[:20])]


MIXED = {
    "debit and credit": (["'9.99 CR' (5", "'9.99 DR' (5"], lambda x: f"{x:.2f} CR", lambda x: f"{x:.2f} DR"),
    "Haben and Soll": (["'9,99H'", "'9,99S'"], lambda x: f"{x:.2f}H".replace(".", ","),
                       lambda x: f"{x:.2f}S".replace(".", ",")),
    "thousands as k": (["'$9k' (100%)"], lambda x: f"${x:.0f}k"),
    "thousands and millions": (["'9.9 Mio'", "'9 Tsd'"], lambda x: f"{x:.1f} Mio", lambda x: f"{x:.0f} Tsd"),
    "other units": (["'9 days'", "'9 weeks'"], lambda x: f"{x:.0f} days", lambda x: f"{x:.0f} weeks"),
    "a unit of length": (["'9.9 km'"], lambda x: f"{x:.1f} km"),
    "other decimal marks": (["'9,99'", "'9.99'"], lambda x: f"{x:.2f}",
                            lambda x: f"{x:.2f}".replace(".", ",")),
    "bounds": (["'>9'", "'<9'"], lambda x: f">{x:.0f}", lambda x: f"<{x:.0f}"),
    "about": (["'ca. 9'"], lambda x: f"ca. {x:.0f}"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", MIXED)
def test_numbers_that_no_format_reads_are_categories_with_a_warning(kind):
    shapes, *forms = MIXED[kind]
    column, found = inferred(written(*forms))
    assert column is not None
    assert column.kind is Kind.CATEGORICAL
    assert len(found) == 1
    why = found[0].removeprefix("looks like numbers, read as categories because ")
    assert why.startswith(
        ("no one format reads them: '", "nothing says in which unit they are to be counted: '")
    )
    assert [shape for shape in shapes if shape not in found[0]] == []


@pytest.mark.slow
def test_the_warning_shows_the_line_that_reads_most_rows_and_how_many_it_leaves():
    texts = written(lambda x: f"$ {x:.2f}", lambda x: f"$ {x:.2f}", lambda x: f"{x:.2f} per week")
    (found,) = inferred(texts)[1]
    assert 'let [columns.x] hold kind = "numerical", nullable = true and format = "money"' in found
    assert found.endswith("the other rows (33%) are then quarantined")
    assert "hold kind" not in inferred(written(lambda x: f"${x:.0f}k"))[1][0], "no declaration reads any"


@pytest.mark.slow
def test_other_texts_are_named():
    rng = np.random.default_rng(8)
    others = ["on request", "see file", "by phone", "ask", "later", "closed"]
    texts = written(lambda x: f"{x:.0f}")
    texts = [str(rng.choice(others)) if row % 5 == 0 else text for row, text in enumerate(texts)]
    (found,) = inferred(texts)[1]
    assert "'9' (80%) and others such as" in found


STREETS = ["Oak", "Elm", "Bay", "Hill", "Mill", "Lake", "Pine", "High", "King", "Park", "Main", "West"]
CATEGORIES = {
    "codes": [f"A{number}" for number in range(90)],
    "codes behind": [f"{number}{end}" for number in range(40) for end in "ABC"],
    "numbers and codes": [str(number) for number in range(200, 290)] + [f"V{number}" for number in range(30)],
    "leading zeros": [f"{number:05}" for number in range(700, 790)],
    "ranges": [f"{low}-{low + 4}" for low in range(0, 95, 5)] + [">95"],
    "ranges of money": [f"${low} - ${low + 999}" for low in range(0, 40_000, 1_000)],
    "masked codes": [f"{number}xx" for number in range(100, 190)],
    "quarters": [f"{year}Q{quarter}" for year in range(2000, 2020) for quarter in (1, 2, 3, 4)],
    "ordinals": [f"{number}th" for number in range(4, 21)],
    "streets": [f"{number} {street} Street" for number in range(9) for street in STREETS],
    "few terms": ["30 days", "60 days", "90 days"],
    "steps": ["1", "2", "3+"],
    "words and numbers": ["1 - unskilled", "2 - skilled", "3 - managers"],
    "ratios": [f"{number}/{other}" for number in range(1, 9) for other in range(1, 9)],
    "branches": [f"Branch {number}" for number in range(60)],
    "versions": [f"{number}.{other}.1" for number in range(9) for other in range(9)],
    "codes of shops": [*map(str, range(1, 16)), "online", "phone", "other"],
    "classes": [f"{number} {street}" for number, street in enumerate(STREETS)],
}  # fmt: skip


@pytest.mark.parametrize("kind", CATEGORIES)
def test_categories_with_digits_do_not_look_like_numbers(kind):
    for seed in range(5):
        drawn = np.random.default_rng(seed).choice(CATEGORIES[kind], ROWS)
        counts = pd.Series([str(text) for text in drawn], dtype="str").value_counts()
        assert why_no_numbers("x", counts) == ""


def test_codes_that_are_plain_numbers_do_not_look_lost():
    counts = pd.Series([str(number) for number in range(500)], dtype="str").value_counts()
    assert why_no_numbers("branch_code", counts) == ""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ACC{:08d}", "LN-{}", "APPL{:05d}"])
def test_codes_of_capitals_and_a_number_name_the_rows(form):
    numbers = np.random.default_rng(4).choice(90_000, ROWS, replace=False)
    column, messages = inferred([form.format(number + 10_000) for number in numbers])
    assert column is not None
    assert column.kind is Kind.IDENTIFIER
    assert not any("looks like numbers" in message for message in messages)
