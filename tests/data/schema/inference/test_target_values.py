"""The values of a target are counted by what they are, and shown as they are spelled most often."""

import numpy as np
import pandas as pd

from loan_default.data.schema.inference.columns import Values
from loan_default.data.schema.inference.target_values import NamedOutcomes, TargetValues


def counted(cells: list[str], named: NamedOutcomes | None = None) -> TargetValues:
    raw = pd.Series(cells, dtype="str")
    return TargetValues(Values(name="s", raw=raw, n_missing=0, numbers=np.full(len(raw), np.nan)), named)


def test_spellings_of_a_value_are_counted_together():
    target = counted(["Paid", "paid ", "PAID", "Paid", "Late, 30", "?"])
    assert dict(target.rows) == {"paid": 4, "late, 30": 1}
    assert dict(target.marks) == {"?": 1}
    assert target.counts() == "'Paid' 4, 'Late, 30' 1"
    assert target.options(bad=["late, 30"], good=[]) == """--bad '"Late, 30"' --good VALUE"""


def test_a_mark_that_is_named_is_a_value():
    assert dict(counted(["a", "-"], NamedOutcomes(bad=("-",))).rows) == {"a": 1, "-": 1}


def test_a_long_list_of_values_is_cut():
    assert counted([f"v{number}" for number in range(40)]).counts().endswith("… (40 values in all)")
