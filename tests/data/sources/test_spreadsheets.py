"""Formulas in the data stay text in the CSV files we write, and come back as they were."""

import csv
import io
import math
import re

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loan_default.data.sources.spreadsheets import mark_formula, unmark_formula, write_csv
from loan_default.data.sources.table_files import read_frame

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
texts = st.text(st.sampled_from("=+-@'\t\r\n ,;\"ab1.eE\uff1d\uff20é"), max_size=12) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)


def is_run(cell: str) -> bool:
    """Whether a spreadsheet might take the cell for a formula: by its beginning, unless it is an amount."""
    money = r"([A-Z]{3}|R\$|zł|Kč|kr)?"
    if re.fullmatch(rf"\s*[-+]\s*{money}[^a-zA-Z=+\-@|!()]*\d[^a-zA-Z=+\-@|!()]*{money}\s*", cell):
        return False
    try:
        number = math.isfinite(float(cell))
    except ValueError:
        number = False
    return not number and (cell.startswith(STARTS) or cell.lstrip().startswith(STARTS))


@given(texts)
@example("'=1")
@example("''=1")
@example(" =1")
@example("-1_0")
@example("\r1-")
def test_no_text_is_run_and_each_comes_back(text):
    assert not is_run(mark_formula(text))
    assert unmark_formula(mark_formula(text)) == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_stay_as_they_are(number):
    for text in (str(number), f"{number:+}", f"{number:e}", f" {number} "):
        assert mark_formula(text) == unmark_formula(text) == text


@pytest.mark.parametrize(
    "text", ["", "O'Neil", "'", "'quoted'", "a=b", "1-2", "12:30", "a@b.c", "Ärger", "#1"]
)
def test_other_text_stays_as_it_is(text):
    assert mark_formula(text) == unmark_formula(text) == text


@pytest.mark.parametrize(
    "text",
    ['=HYPERLINK("http://x","y")', "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "--1", "-"],
)
def test_what_would_be_run_is_marked(text):
    assert mark_formula(text) == f"'{text}"


@pytest.mark.slow
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
@example([("='", ",\n"), ("='", "=")])
@example([("='", "="), ("='", "=")])
@example([("='", ""), ("='", "\n")])
@example([("", "\r1;;;"), (";;;", "\r;;;")])
@example([(";;;", "\r;;;")])
def test_a_file_of_ours_is_read_back_by_ours_and_has_no_formula(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "cells.csv"
    frame = pd.DataFrame([(*row, -7.5) for row in rows], columns=["=name", "plain", "number"])
    write_csv(frame, path)
    with path.open(encoding="utf-8", newline="") as file:
        cells = list(csv.reader(file))
    assert len(cells) == 1 + len(rows)
    assert not any(is_run(cell) for row in cells for cell in row)
    assert {row[2] for row in cells[1:]} == {"-7.5"}
    read = read_frame(path)
    assert read.rejects.empty
    assert list(read.frame.columns) == ["=name", "plain", "number"]
    assert list(zip(read.frame["=name"], read.frame["plain"], strict=True)) == rows


def test_rows_can_be_appended_and_missing_values_stay_empty():
    file = io.StringIO()
    write_csv(pd.DataFrame({"a": ["=1", None], "b": [1 / 3, math.nan]}), file, digits="%.3g")
    write_csv(pd.DataFrame({"a": [-2], "b": [2.0]}), file, header=False)
    assert file.getvalue().splitlines() == ["a,b", "'=1,0.333", ",", "-2,2.0"]


@pytest.mark.parametrize("text", ["-5 €", "+12.5%", "-1.234,56 EUR", "-$1,250", "-12 000", "+.5"])
def test_amounts_of_any_writing_stay_as_they_are(text):
    assert mark_formula(text) == unmark_formula(text) == text
