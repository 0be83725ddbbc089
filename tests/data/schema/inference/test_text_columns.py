"""Columns of categories: how many levels they have, and which of them are categories."""

import pandas as pd
import pytest

from loan_default.data.schema.inference.levels import read_levels


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([9] * 3, "3 categories"),
        ([1] * 60, "60 levels, none frequent enough to be a category: all are hashed into 2 buckets"),
        (
            [9] + [1] * 60,
            "61 levels: 1 is frequent enough to be a category, the other 60 are hashed into 2 buckets",
        ),
        (
            [9] * 60 + [1],
            "61 levels: 60 are frequent enough to be categories, the other one is hashed into 1 bucket",
        ),
    ],
)
def test_levels_are_counted_with_what_becomes_of_them(rows, words):
    counts = pd.Series(rows, index=pd.Index([f"level {n}" for n in range(len(rows))], dtype="str"))
    assert read_levels("x", counts).in_words == words
