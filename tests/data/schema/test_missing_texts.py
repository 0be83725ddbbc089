"""Texts that mean "no value" among numbers and times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.schema.missing_texts import MISSING_TEXTS, stands_for_no_number, stands_for_no_time
from loan_default.data.schema.values import fold


@given(st.floats(allow_nan=False) | st.integers())
def test_no_number_and_no_date_is_a_marker(number):
    assert not stands_for_no_number(fold(str(number)))
    assert not stands_for_no_time(fold(f"{number}"))


@pytest.mark.parametrize(
    "text", ["12 months", "nine", "45o00", "see file", "none of them", "€ -", "%", "-5", "()"]
)
def test_other_texts_are_no_markers(text):
    assert not stands_for_no_number(fold(text))


def test_what_is_missing_everywhere_is_missing_among_numbers_and_times():
    assert all(stands_for_no_number(text) and stands_for_no_time(text) for text in MISSING_TEXTS)


def test_dates_of_zeros_are_no_times():
    dates = [
        "0000-00-00",
        "0000-00-00 00:00:00",
        "00/00/0000",
        "0.0.0000",
        "00-00-00",
        "0000-00-00T00:00:00.000",
    ]
    assert [date for date in dates if not stands_for_no_time(fold(date))] == []
    assert not any(stands_for_no_number(fold(date)) for date in dates)
    assert not any(map(stands_for_no_time, ("0", "000000", "2000-00-00", "1970-01-01")))
