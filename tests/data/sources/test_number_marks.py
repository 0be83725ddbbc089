"""Decimal and thousands marks of a file, as its columns prove them."""

import pytest

from loan_default.data.sources.number_marks import find_marks


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        (["29.947,88", "7,5"], (",", ".")),
        (["$24,800", "$5,600", "$1,250.50"], (".", ",")),
        (["1.200", "24.800", "5.600", "9.900", "1.000"], (".", "")),
        (["0.125", "0.250"], (".", "")),
        (["1 250,5", "12\u00a0000"], (",", " ")),
        (["1'250.50"], (".", "'")),
        (["1.234.567"], (",", ".")),
        (["12 %", "(1,5)", "?"], (",", "")),
        (["red", "1,5"], (".", "")),
        (["36", "60"], (".", "")),
    ],
)
def test_the_marks_of_a_column(cells, marks):
    assert find_marks([[cell] for cell in cells]) == marks


def test_the_majority_decides_and_what_may_be_either_follows_it():
    assert find_marks([["29.947,88", "24.800", "3.5", "7.5", "x"]] * 6) == (".", "")
    assert find_marks([["29.947,88", "24.800", "7,5"]] * 6) == (",", ".")
    assert find_marks([["24.800", "7,5"]] * 6) == (",", ".")
    assert find_marks([["24.800"]] * 6) == (".", "")
    assert find_marks([["1.5", "x"]]) == (".", "")
