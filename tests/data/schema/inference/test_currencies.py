"""Spellings of currencies: which may be one, and how many rows each has."""

import pandas as pd
import pytest

from loan_default.data.schema.inference.currencies import currencies_among


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["5", "6.5"],
        ["$5", "US$ 6", "7 USD", "8 dollars", "9 USD$"],
        ["$5", "CAD 6"],
        ["€ 5", "6 EUR", "7 Euro", "8 euros"],
        ["¥5", "JPY 6"],
        ["5 zł", "PLN 6"],
        ["Rs. 5", "Rs 6", "INR 7", "₹8"],
    ],
)
def test_spellings_of_one_currency_are_one(texts):
    assert currencies_among(pd.Series(1, index=pd.Index(texts, dtype="str"))) == {}


def test_several_currencies_are_counted_as_they_are_written():
    counts = pd.Series([3, 4, 2, 1, 9], index=["$5", "6 €", "$7", "£8", "9"])
    assert list(currencies_among(counts).items()) == [("$", 5), ("€", 4), ("£", 1)]
    assert currencies_among(pd.Series([2, 1, 1], index=["$5", "CAD 6", "USD 7"])) == {
        "$": 2,
        "CAD": 1,
        "USD": 1,
    }
    assert currencies_among(pd.Series([1, 1], index=["50¢", "$5"])) == {"¢": 1, "$": 1}
