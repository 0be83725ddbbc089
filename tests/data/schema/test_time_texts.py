"""Times as people write them: a pattern reads what it writes, and nothing else."""

from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest
from babel.dates import format_date
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import read_column
from loan_default.data.schema.time_texts import plain_times, time_of_number, time_reader
from loan_default.errors import DataError


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "text", "time"),
    [
        ("%d/%m/%Y", "31/12/2011", utc(2011, 12, 31)),
        ("%d/%m/%Y", "1/2/2011", utc(2011, 2, 1)),
        ("%m/%d/%Y", "1/2/2011", utc(2011, 1, 2)),
        ("%d.%m.%y", "01.02.11", utc(2011, 2, 1)),
        ("%d.%m.%Y", "01.02.11", None),
        ("%d/%m/%Y", "32/12/2011", None),
        ("%d/%m/%Y", "29/02/2011", None),
        ("%d/%m/%Y", "12/31/2011", None),
        ("%d/%m/%Y", "31/12/2011 00:00", None),
        ("%d/%m/%Y", "\u0663\u0661/12/2011", None),
        ("%d/%m/%Y %H:%M", "1/2/2011   4:05", utc(2011, 2, 1, 4, 5)),
        ("%d/%m/%Y %I:%M %p", "1/2/2011 12:05 AM", utc(2011, 2, 1, 0, 5)),
        ("%d/%m/%Y %I:%M %p", "1/2/2011 12:05 p.m.", utc(2011, 2, 1, 12, 5)),
        ("%d/%m/%Y %I:%M %p", "1/2/2011 13:05 PM", None),
        ("%Y-%m-%d %H:%M:%S.%f", "2011-02-01 04:05:06.5", utc(2011, 2, 1, 4, 5, 6, 500_000)),
        ("%Y-%m-%d %T%z", "2011-02-01 04:05:06+0200", utc(2011, 2, 1, 2, 5, 6)),
        ("%Y-%m-%d %H:%M:%S", "2011-02-01 24:00:00", None),
        ("%b-%y", "Dec-99", utc(1999, 12, 1)),
        ("%b-%Y", "Dec-2011", utc(2011, 12, 1)),
        ("%b-%y", "Dez-00", utc(2000, 12, 1)),
        ("%d %B %Y", "3 M\u00e4rz 2011", utc(2011, 3, 3)),
        ("%d %B %Y", "3 ao\u00fbt 2011", utc(2011, 8, 3)),
        ("%d %b %Y", "3 sept. 2011", utc(2011, 9, 3)),
        ("%b-%y", "Foo-11", None),
        ("%a %d %b %Y", "Sat 31 Dec 2011", utc(2011, 12, 31)),
        ("%y%m%d", "930705", utc(1993, 7, 5)),
        ("%y%m%d", "50705", None),
        ("%y%m%d", "19930705", None),
        ("%Y%m%d", "20111231", utc(2011, 12, 31)),
        ("%Y%m%d", "2011123", None),
        ("%Y%m", "201112", utc(2011, 12, 1)),
        ("%Y", "2011", utc(2011, 1, 1)),
        ("%Y-%j", "2012-366", utc(2012, 12, 31)),
        ("%Y-%j", "2011-366", None),
        ("%d%%%Y-%m", "5%2011-02", utc(2011, 2, 5)),
        ("%Y-%d-%m", "2011-01-13", None),
        ("%Y-%d-%m", "2011-01-13T00:00:00Z", utc(2011, 1, 13)),
        ("%d/%m/%Y", "2024-01-31T12:00:00.000000Z", utc(2024, 1, 31, 12)),
        ("%d/%m/%Y", "2024-02-30T12:00:00Z", None),
        ("epoch_seconds", "1706702400", utc(2024, 1, 31, 12)),
        ("epoch_seconds", "-1.5", utc(1969, 12, 31, 23, 59, 58, 500_000)),
        ("epoch_seconds", "1e400", None),
        ("epoch_seconds", "1e15", None),
        ("epoch_seconds", "nan", None),
        ("epoch_milliseconds", "1706702400123", utc(2024, 1, 31, 12, 0, 0, 123_000)),
        ("spreadsheet", "1", utc(1900, 1, 1)),
        ("spreadsheet", "59", utc(1900, 2, 28)),
        ("spreadsheet", "60", None),
        ("spreadsheet", "61", utc(1900, 3, 1)),
        ("spreadsheet", "45322.5", utc(2024, 1, 31, 12)),
        ("spreadsheet", "45322.0000115741", utc(2024, 1, 31, 0, 0, 1)),
        ("spreadsheet", "2958465", utc(9999, 12, 31)),
        ("spreadsheet", "2958466", None),
        ("spreadsheet", "0.5", None),
        ("spreadsheet", "-3", None),
    ],
)
def test_times(form, text, time):
    assert time_reader(form)(text) == time


def test_a_column_says_in_which_year_two_digits_begin():
    column = Column(name="born", kind=Kind.DATE, format="%d.%m.%y", first_year=1904)
    read = read_column(pd.Series(["01.02.03", "01.02.04", "01.02.99"]), column)[0]
    assert read.dt.year.tolist() == [2003, 1904, 1999]
    for wrong in ({"format": "%d.%m.%Y"}, {"format": "%d.%m.%y", "first_year": 19}):
        with pytest.raises(DataError, match="first_year must be a year"):
            Column(**({"name": "born", "kind": Kind.DATE, "first_year": 1904} | wrong))


@pytest.mark.parametrize(
    ("text", "year"), [("00", 2000), ("39", 2039), ("40", 1940), ("68", 1968), ("99", 1999)]
)
def test_a_year_of_two_digits_is_one_of_1940_to_2039(text, year):
    assert time_reader("%d.%m.%y")(f"01.01.{text}") == utc(year, 1, 1)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("%d/%m", "must have a year"),
        ("%d/%m/%Y %Q", "directives"),
        ("%d/%m/%Y%", "directives"),
        ("%d/%m/%Y %y", "once"),
        ("%b %m %Y", "once"),
    ],
)
def test_patterns_that_make_no_date_are_refused(pattern, message):
    with pytest.raises(DataError, match=message):
        Column(name="at", kind=Kind.TIMESTAMP, format=pattern)


PATTERNS = [
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%y%m%d", "%Y%m%d",
    "%Y%m%d%H%M%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S.%f", "%A, %d %B %Y", "%Y-%j",
    "%Y-%m-%d %H:%M:%S%z",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@given(seconds=st.integers(0, 70 * 365 * 86_400), micros=st.integers(0, 999_999))
def test_what_a_pattern_writes_comes_back(pattern, seconds, micros):
    # From 1970 to 2039, where years of two digits mean the same to `strptime`.
    text = (utc(1970, 1, 1) + timedelta(seconds=seconds, microseconds=micros)).strftime(pattern)
    expected = datetime.strptime(text, pattern).replace(tzinfo=UTC)
    assert time_reader(pattern)(text) == expected


@given(
    day=st.dates(date(1940, 1, 1), date(2039, 12, 31)),
    language=st.sampled_from(["en", "de", "fr", "es", "pt", "it"]),
    name=st.sampled_from([("d MMM y", "%d %b %Y"), ("d MMMM y", "%d %B %Y"), ("MMM-yy", "%b-%y")]),
)
def test_names_of_months_in_six_languages(day, language, name):
    written, pattern = name
    expected = day.replace(day=1) if "d" not in written else day
    text = format_date(day, written, locale=language)
    assert time_reader(pattern)(text) == utc(expected.year, expected.month, expected.day)


@given(days=st.integers(61, 2_900_000), seconds=st.integers(0, 86_399))
def test_spreadsheets_count_days_as_pandas_does(days, seconds):
    serial = days + seconds / 86_400
    expected = datetime(1899, 12, 30, tzinfo=UTC) + timedelta(days=days, seconds=seconds)
    assert time_of_number(serial, "spreadsheet") == expected
    if days < 100_000:
        assert pd.to_datetime(days, unit="D", origin="1899-12-30", utc=True) == expected.replace(
            hour=0, minute=0, second=0
        )


@pytest.mark.slow
@given(
    st.lists(
        st.from_regex(r"[0-3]?[0-9][/.][01]?[0-9][/.][0-9]{3,4}( [0-2][0-9]:[0-6][0-9])?", fullmatch=True)
    ),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d/%m/%Y %H:%M", "%m.%d.%Y %H:%M"]),
)
def test_many_times_are_read_as_each_alone(texts, form):
    many = plain_times(pd.Series(texts, dtype="str"), form)
    read = time_reader(form)
    assert many is not None
    for text, time in zip(texts, many, strict=True):
        assert pd.isna(time) or time == read(text)
