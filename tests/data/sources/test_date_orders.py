"""The order of day and month in a file beside that of its schema: seen where values prove it."""

from datetime import date, timedelta

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.language import Schema
from loan_default.data.sources.date_orders import other_order
from loan_default.data.sources.sniffing import format_for
from loan_default.errors import DataError

DAYS = [date(2015, 1, 1) + timedelta(days=7 * row) for row in range(200)]
ORDERS = [("%d/%m/%Y", "%m/%d/%Y"), ("%d.%m.%y", "%m.%d.%y"), ("%m-%d-%Y %H:%M", "%d-%m-%Y %H:%M")]


def opened(pattern: str) -> Column:
    return Column(name="opened", kind=Kind.DATE, nullable=True, format=pattern)


@pytest.mark.parametrize(("declared", "other"), ORDERS)
def test_the_other_order_is_seen_with_its_pattern(declared, other):
    texts = [day.strftime(other) for day in DAYS]
    found = other_order(opened(declared), [*texts, "", "?"])
    assert found is not None
    assert (found.declared, found.found, found.n_values) == (declared, other, 200)
    assert found.n_unreadable == sum(day.day > 12 for day in DAYS)
    assert other_order(opened(declared), [day.strftime(declared) for day in DAYS]) is None


def test_few_dates_above_12_are_enough_if_nothing_speaks_for_the_schema():
    low = [day.strftime("%m/%d/%Y") for day in DAYS if day.day <= 12]
    assert other_order(opened("%d/%m/%Y"), [*low, "05/13/2015", "05/14/2015", "05/15/2015"]) is not None
    assert other_order(opened("%d/%m/%Y"), ["05/13/2015", "05/06/2015"]) is not None


def test_slips_and_doubt_are_no_other_order():
    right = [day.strftime("%d/%m/%Y") for day in DAYS]
    assert other_order(opened("%d/%m/%Y"), [*right, *["05/13/2015"] * 20]) is None
    low = [day.strftime("%d/%m/%Y") for day in DAYS if day.day <= 12]
    assert other_order(opened("%d/%m/%Y"), [*low, "05/13/2015"]) is None
    for pattern in ("", "%Y%m", "%b-%Y", "spreadsheet"):
        assert other_order(opened(pattern), ["05/13/2015"]) is None


@pytest.mark.parametrize("has_format", [True, False])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_in_the_other_order_is_refused_with_both_orders(tmp_path, delimiter, has_format):
    columns = (Column(name="income", kind=Kind.NUMERICAL), opened("%d/%m/%Y"))
    schema = Schema(name="s", columns=columns, format=FileFormat(delimiter=delimiter) if has_format else None)
    path = tmp_path / "next.csv"
    lines = [f"{1000 + row}{delimiter}{day:%m/%d/%Y}" for row, day in enumerate(DAYS[:60])]
    path.write_text("\n".join([f"income{delimiter}opened", *lines]), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        format_for(path, schema)
    message = str(caught.value)
    assert all(each in message for each in ("%d/%m/%Y", "%m/%d/%Y", "[columns.opened]", "next.csv"))
    lines = [f"{1000 + row}{delimiter}{day:%d/%m/%Y}" for row, day in enumerate(DAYS[:60])]
    path.write_text("\n".join([f"income{delimiter}opened", *lines]), encoding="utf-8")
    assert format_for(path, schema).delimiter == delimiter
