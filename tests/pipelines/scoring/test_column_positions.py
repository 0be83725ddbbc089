"""Files without a header: columns are known by their positions, with the target or without it."""

import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.errors import DataError
from loan_default.pipelines.scoring.column_positions import check_target_position, names_by_position


def schema_of(*, target: int, others: tuple[int, ...]) -> Schema:
    columns = [Column(name=f"column_{index}", kind=Kind.NUMERICAL, nullable=True) for index in others]
    outcome = Column(name=f"column_{target}", kind=Kind.TARGET, nullable=True)
    return Schema(name="s", columns=(*columns, outcome))


def positions(*indices: int) -> list[str]:
    return [f"column_{index}" for index in indices]


@pytest.mark.parametrize(("target", "expected"), [(1, (2, 3, 4, 5)), (3, (1, 2, 4, 5)), (5, (1, 2, 3, 4))])
def test_a_file_without_the_target_has_its_columns_behind_it(target, expected):
    schema = schema_of(target=target, others=tuple(index for index in range(1, 6) if index != target))
    assert names_by_position(positions(1, 2, 3, 4), schema) == positions(*expected)


@pytest.mark.parametrize("count", [3, 5, 6])
def test_another_count_says_nothing(count):
    schema = schema_of(target=1, others=(2, 3, 4, 5))
    present = positions(*range(1, count + 1))
    assert names_by_position(present, schema) == present


def test_named_columns_stay_as_they_are():
    schema = Schema(name="s", columns=(Column(name="income", kind=Kind.NUMERICAL),))
    assert names_by_position(["column_1"], schema) == ["column_1"]


def test_a_target_without_any_outcome_is_refused_in_one_sentence():
    schema = schema_of(target=1, others=(2, 3))
    wrong = pd.DataFrame({"column_1": ["3174.37", "2790.42"], "column_2": ["1", "2"]}, dtype="str")
    with pytest.raises(DataError, match=r"no value of column_1, the target, is an outcome in next\.csv"):
        check_target_position(wrong, schema, "next.csv")
    income = Column(name="column_2", kind=Kind.NUMERICAL)
    outcome = Column(name="column_1", kind=Kind.TARGET, open=True)
    open_schema = Schema(name="s", columns=(income, outcome))
    amounts = pd.DataFrame({"column_1": [str(1000 + row) for row in range(30)]}, dtype="str")
    with pytest.raises(DataError, match="no value of column_1"):
        check_target_position(amounts, open_schema, "next.csv")
    check_target_position(amounts.assign(column_1="Current").astype("str"), open_schema, "next.csv")
    for right in (["0", "1"], ["", ""], ["1", "?"]):
        frame = wrong.assign(column_1=pd.Series(right, dtype="str"))
        check_target_position(frame, schema, "next.csv")
