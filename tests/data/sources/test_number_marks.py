"""Decimal and thousands marks of number columns, by majority."""

import pytest

from loan_default.data.sources.number_marks import find_marks, marks_of


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        (["29.947,88", "7,5"], (",", ".", "")),
        (["$24,800", "$5,600", "$1,250.50"], (".", ",", "")),
        (["1.200", "24.800", "5.600", "9.900", "1.000"], ("", "", ".")),
        (["0.125", "0.250"], (".", "", "")),
        (["1 250,5", "12\u00a0000"], (",", " ", "")),
        (["1'250.50"], (".", "'", "")),
        (["1.234.567"], ("", ".", "")),
        (["12 %", "(1,5)", "?"], (",", "", "")),
        (["red", "1,5"], ("", "", "")),
        (["36", "60"], ("", "", "")),
    ],
)
def test_the_marks_of_a_column(values, marks):
    assert marks_of(values) == marks


def test_the_majority_decides_and_what_may_be_either_follows_it():
    assert find_marks([["29.947,88", "24.800", "3.5", "7.5", "x"]] * 6, delimiter=";") == (".", "")
    rows = [["29.947,88", "24.800", "7,5"]] * 6
    assert find_marks(rows, delimiter=";") == (",", ".")
    assert find_marks([["24.800"]] * 6, delimiter=";") == (",", ".")
    assert find_marks([["24.800"]] * 6, delimiter=",") == (".", "")
    assert find_marks([["1.5", "x"]], delimiter=",") == (".", "")
