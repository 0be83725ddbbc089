"""Rows against a schema: what is canonical, what is rejected and why; nothing is lost."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import parse_numbers, validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.missing_texts import stands_for_no_number
from loan_default.data.schema.number_rules import number_problems
from loan_default.data.schema.values import fold, value_reader
from loan_default.data.sources.table_files import RawFrame, read_frame
from loan_default.errors import DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER, optional=True),
        Column(name="at", kind=Kind.TIMESTAMP, nullable=True, optional=True),
        Column(name="age", kind=Kind.NUMERICAL, integer=True, minimum=18, maximum=100),
        Column(name="income", kind=Kind.NUMERICAL, nullable=True, minimum=0),
        Column(name="late", kind=Kind.NUMERICAL, integer=True, special=(96, 98), maximum=50),
        Column(
            name="home", kind=Kind.CATEGORICAL, categories=("RENT", "OWN", "1"), aliases={"lease": "RENT"}
        ),
        Column(
            name="city", kind=Kind.CATEGORICAL, categories=("Graz",), open=True, nullable=True, optional=True
        ),
        Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no"),
    ),
)
FAIR_SCHEMA = Schema(
    name="fair",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="at", kind=Kind.TIMESTAMP),
        Column(name="sex", kind=Kind.CATEGORICAL, categories=("f", "m"), protected=True),
        Column(name="income", kind=Kind.NUMERICAL),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
GOOD = {
    "id": "a1", "at": "2024-01-31", "age": "20", "income": "1000", "late": "0",
    "home": "RENT", "city": "Graz", "bad": "no",
}  # fmt: skip


def raw(*rows, **changes):
    rows = rows or ({},)
    return RawFrame(frame=pd.DataFrame([GOOD | changes | row for row in rows], dtype="str"))


def check(**changes):
    result = validate(raw(**changes), SCHEMA, labelled=True)
    return result.rejected["reason"].tolist() or result.accepted.iloc[0].to_dict()


def test_canonical_dtypes_and_order():
    shuffled = RawFrame(
        frame=raw({}, {"at": "", "income": "", "city": "", "bad": ""}).frame[list(GOOD)[::-1]]
    )
    accepted = validate(shuffled, SCHEMA, labelled=True).accepted
    assert list(accepted) == list(GOOD)
    dtypes = {name: str(dtype) for name, dtype in accepted.dtypes.items()}
    assert dtypes == {
        "id": "str", "at": "datetime64[us, UTC]", "age": "float64", "income": "float64", "late": "float64",
        "home": "str", "city": "str", "bad": "float64",
    }  # fmt: skip
    assert accepted.loc[1, ["at", "income", "city", "bad"]].isna().all()


@pytest.mark.parametrize(
    ("column", "text", "canonical"),
    [
        ("age", " 5e1 ", 50.0),
        ("age", "+20", 20.0),
        ("age", "20.0", 20.0),
        ("income", "NA", None),
        ("income", "nan", None),
        ("income", "NULL", None),
        ("income", "-0.0", 0.0),
        ("late", "98", None),
        ("late", "96.0", None),
        ("home", " rent ", "RENT"),
        ("home", "Lease", "RENT"),
        ("home", "1.0", "1"),
        ("city", "gRAZ", "Graz"),
        ("city", " Wien ", "Wien"),
        ("city", "n/a", None),
        ("bad", "YES", 1.0),
        ("bad", "No", 0.0),
        ("bad", "", None),
        ("at", "2024-01-31T12:00:00+02:00", pd.Timestamp(datetime(2024, 1, 31, 10, tzinfo=UTC))),
        ("at", "2024-01-31 12:00", pd.Timestamp(datetime(2024, 1, 31, 12, tzinfo=UTC))),
    ],
)
def test_canonical_values(column, text, canonical):
    value = check(**{column: text})[column]
    assert pd.isna(value) if canonical is None else value == canonical
    assert str(value) != "-0.0"


@given(
    st.lists(
        st.sampled_from(
            ["1e3", "1E3", "2.5e-1", "+5e+2", ".5e1", "5.e1", "1e-400", "1e400", "-1E2", "12", "0.1"]
        )
        | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:e}")
        | st.floats(allow_nan=False, allow_infinity=False).map(repr),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["abc", "1e", "e3", "1e+", "1e3x", "1e3.5", "1,5", "nan", "0x1e3", "1 e3"]),
)
def test_numbers_are_the_same_beside_a_value_that_is_none(texts: list[str], other: str) -> None:
    """One value that is no number sends the column through the careful reading, exponents and all."""
    numbers, unreadable = parse_numbers(pd.Series([*texts, other], dtype="str"))
    assert numbers[:-1].tolist() == [float(text) for text in texts]
    assert np.isnan(numbers[-1])
    assert unreadable.tolist() == [False] * len(texts) + [other != "nan"]


@pytest.mark.parametrize(
    ("column", "text", "reason"),
    [
        ("age", "17", "age: must be at least 18, however: '17'"),
        ("age", "101", "age: must be at most 100, however: '101'"),
        ("age", "20.5", "age: must be a whole number, however: '20.5'"),
        ("age", "", "age: must not be missing"),
        ("age", "NA", "age: must not be missing"),
        ("age", "abc", "age: must be a number, however: 'abc'"),
        (
            "age",
            "1,000",
            'age: must be a number that reads in one way (thousands = "," in the schema allows groups)',
        ),
        ("age", "1,25", "age: must be a number, however: '1,25'"),
        ("age", "1_0", "age: must be a number, however: '1_0'"),
        ("age", "0x20", "age: must be a number, however: '0x20'"),
        ("age", "٢٠", "age: must be a number, however: '٢٠'"),
        ("age", "true", "age: must be a number, however: 'true'"),
        ("income", "inf", "income: must be finite, however: 'inf'"),
        ("income", "-Infinity", "income: must be finite, however: '-Infinity'"),
        ("income", "1e999", "income: must be finite, however: '1e999'"),
        ("late", "97", "late: must be at most 50, however: '97'"),
        ("home", "MORTGAGE", "home: must be one of RENT, OWN, 1, however: 'MORTGAGE'"),
        ("home", "RE\u200bNT", "home: must be one of RENT, OWN, 1, however: 'RE\\u200bNT'"),
        ("home", "", "home: must not be missing"),
        ("city", "a\0b", "city: must be printable text of at most 256 characters, however: 'a\\x00b'"),
        ("id", "", "id: must not be missing"),
        (
            "id",
            "\u202egnp.exe",
            "id: must be printable text of at most 256 characters, however: '\\u202egnp.exe'",
        ),
        ("bad", "maybe", "bad: must be one of no, yes, however: 'maybe'"),
        ("at", "2023-02-30", "at: must be a date or time in ISO 8601"),
        ("at", "0000-01-01", "at: must be a date or time in ISO 8601"),
        ("at", "31/01/2024", "at: must be a date or time in ISO 8601"),
    ],
)
def test_rejections(column, text, reason):
    (got,) = check(**{column: text})
    assert got.startswith(reason)


def test_decomposed_characters_are_the_same_characters():
    schema = Schema(name="s", columns=(Column(name="a", kind=Kind.CATEGORICAL, categories=("café",)),))
    frame = pd.DataFrame({"a": ["cafe\u0301", "CAFÉ"]}, dtype="str")
    assert validate(RawFrame(frame=frame), schema, labelled=False).accepted["a"].tolist() == ["café", "café"]


def test_categories_that_differ_by_case_stay_apart():
    schema = Schema(name="s", columns=(Column(name="a", kind=Kind.CATEGORICAL, categories=("x", "X")),))
    frame = pd.DataFrame({"a": ["x", "X", " X"]}, dtype="str")
    result = validate(RawFrame(frame=frame), schema, labelled=False)
    assert result.accepted["a"].tolist() == ["x", "X"]
    assert result.rejected["row"].tolist() == [2]


def test_all_reasons_of_a_row_and_their_counts():
    result = validate(raw({}, {"age": "7", "home": "x"}, {"age": "8"}), SCHEMA, labelled=True)
    assert result.rejected["reason"].tolist() == [
        "age: must be at least 18, however: '7'; home: must be one of RENT, OWN, 1, however: 'x'",
        "age: must be at least 18, however: '8'",
    ]
    assert result.counts == {"age: must be at least 18": 2, "home: must be one of RENT, OWN, 1": 1}
    assert result.rejected["row"].dtype == np.int64
    assert result.rejected.loc[0, list(GOOD)].to_dict() == GOOD | {"age": "7", "home": "x"}


def test_ragged_rows_are_rejected_rows(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("row,reason,bad\n1,2,yes\n1,2\n9,2,no\n")
    names = ("row", "reason")
    schema = Schema(
        name="s",
        columns=(
            *(Column(name=name, kind=Kind.NUMERICAL, maximum=5) for name in names),
            Column(name="bad", kind=Kind.TARGET, positive="yes", negative="no"),
        ),
    )
    result = validate(read_frame(path), schema, labelled=True)
    assert result.accepted.index.tolist() == [0]
    assert result.rejected["row"].tolist() == [1, 2]
    assert result.rejected["raw_text"].fillna("").tolist() == ["1,2", ""]
    assert result.rejected["raw_row"].fillna("").tolist() == ["", "9"]
    assert result.counts == {"row: must be at most 5": 1, "a row must have 3 fields": 1}


def test_scoring_ignores_target_and_unknown_columns_and_fills_absent_features():
    frame = raw(bad="?", extra="x").frame.drop(columns=["id", "city"])
    result = validate(RawFrame(frame=frame), SCHEMA, labelled=False)
    assert list(result.accepted) == ["age", "income", "late", "home", "city"]
    assert result.accepted["city"].isna().all()
    assert result.unknown_columns == ("extra",)


@pytest.mark.parametrize("ignored", [{}, {"at": "yesterday", "sex": "?"}, {"at": "", "sex": ""}])
def test_scoring_needs_features_and_the_identifier_only(ignored):
    row = {"id": "a1", "income": "5"} | ignored
    result = validate(RawFrame(frame=pd.DataFrame([row], dtype="str")), FAIR_SCHEMA, labelled=False)
    assert result.accepted.to_dict("list") == {"id": ["a1"], "income": [5.0]}
    assert result.rejected.empty
    assert not result.counts
    assert result.unknown_columns == ()


@pytest.mark.parametrize("column", ["id", "income"])
def test_scoring_without_the_identifier_or_a_feature_stops(column):
    frame = pd.DataFrame([{"id": "a1", "income": "5"}], dtype="str").drop(columns=column)
    with pytest.raises(DataError, match=f"column '{column}' .* optional = true"):
        validate(RawFrame(frame=frame), FAIR_SCHEMA, labelled=False)


@pytest.mark.parametrize("column", ["id", "at", "sex", "income", "bad"])
def test_training_needs_protected_columns_and_the_timestamp_too(column):
    row = {"id": "a1", "at": "2024-01-31", "sex": "f", "income": "5", "bad": "1"}
    frame = pd.DataFrame([row], dtype="str")
    assert list(validate(RawFrame(frame=frame), FAIR_SCHEMA, labelled=True).accepted) == list(row)
    way = r"Add it\.$" if column == "bad" else r"Add it, or take it out of the schema\.$"
    with pytest.raises(DataError, match=f"'{column}' of the schema .* {way}"):
        validate(RawFrame(frame=frame.drop(columns=column)), FAIR_SCHEMA, labelled=True)
    wrong = validate(RawFrame(frame=frame.assign(**{column: "\0"})), FAIR_SCHEMA, labelled=True)
    assert len(wrong.rejected) == 1


@pytest.mark.parametrize("labelled", [True, False])
def test_a_missing_column_stops_at_once(labelled):
    frame = raw().frame.rename(columns={"income": "incomes"})
    with pytest.raises(DataError, match=r"column 'income' .* Did you mean 'incomes'\?"):
        validate(RawFrame(frame=frame), SCHEMA, labelled=labelled)


def test_all_columns_that_are_not_there_are_named_at_once():
    frame = pd.DataFrame([{"note": "5"}], dtype="str")
    with pytest.raises(DataError, match=r"column 'id' .* however: it is not, nor is 'income'\. Add it"):
        validate(RawFrame(frame=frame), FAIR_SCHEMA, labelled=False)
    with pytest.raises(DataError, match=r"column 'id' .*, nor are 'at', 'sex', 'income', 'bad'\. Add it"):
        validate(RawFrame(frame=frame), FAIR_SCHEMA, labelled=True)


def test_training_needs_the_target_and_optional_columns():
    with pytest.raises(DataError, match="target 'bad'"):
        validate(RawFrame(frame=raw().frame.drop(columns="bad")), SCHEMA, labelled=True)
    with pytest.raises(DataError, match="column 'city'"):
        validate(RawFrame(frame=raw().frame.drop(columns="city")), SCHEMA, labelled=True)


def test_typed_columns():
    frame = pd.DataFrame(
        {
            "id": pd.array([2**60 + 1, 7, 8], dtype="Int64"),
            "at": pd.to_datetime(["2024-01-31", None, "2024-02-01"]),
            "age": pd.array([20, 30, None], dtype="Int64"),
            "income": [1.5, np.nan, np.inf],
            "late": [0, 98, 1],
            "home": pd.Categorical(["RENT", "own", "OWN"]),
            "city": [None, 5, "x"],
            "bad": ["yes", "no", None],
        }
    )
    result = validate(RawFrame(frame=frame), SCHEMA, labelled=True)
    assert result.accepted["id"].tolist() == ["1152921504606846977", "7"]
    assert result.accepted["at"].dtype == "datetime64[us, UTC]"
    assert result.accepted["city"].fillna("").tolist() == ["", "5"]
    assert result.rejected["reason"].tolist() == [
        "age: must not be missing; income: must be finite, however: inf"
    ]


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (pd.Series([True]), "age: must be a number, however: True"),
        (pd.Series([[1, 2]]), "age: must be a number, however: a list"),
        (pd.Series([10**400], dtype=object), "age: must be finite, however: a whole number of 1329 bits"),
        (pd.Series([pd.Timestamp(0)]), "age: must be a number, however: a Timestamp"),
        (pd.Series(["\ud800"], dtype=object), "age: must be a number, however: '\\ud800'"),
    ],
)
def test_odd_types_are_rejected_not_fatal(values, rule):
    schema = Schema(name="s", columns=(SCHEMA["age"],))
    result = validate(RawFrame(frame=pd.DataFrame({"age": values})), schema, labelled=False)
    assert result.rejected["reason"].tolist() == [rule]


number_texts = st.from_regex(r"[+-]?[0-9]{0,4}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,3})?", fullmatch=True) | st.text(
    max_size=6
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(number_texts, min_size=1, max_size=20))
def test_numbers_of_text_agree_with_python(texts):
    numbers, unreadable = parse_numbers(pd.Series(texts, dtype="str"))
    for text, number, bad in zip(texts, numbers, unreadable, strict=True):
        if bad or not text.isascii() or "_" in text:
            continue
        stripped = text.strip()
        if np.isnan(number):
            assert stands_for_no_number(fold(stripped))
        else:
            assert number == float(stripped)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    st.floats(allow_nan=False) | st.integers(-5, 5).map(float),
    st.booleans(),
    st.none() | st.integers(-3, 0),
    st.none() | st.integers(0, 3),
)
def test_one_number_and_many_are_validated_alike(number, integer, minimum, maximum):
    column = Column(name="a", kind=Kind.NUMERICAL, integer=integer, minimum=minimum, maximum=maximum)
    many = [rule for rule, mask in number_problems(np.array([number, np.nan]), column) if mask[0]]
    _, one = value_reader(column)(number)
    assert many == ([one] if one else [])


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(list(GOOD)), st.text(max_size=6), max_size=3), min_size=1, max_size=8
    )
)
def test_any_text_ends_as_accepted_or_rejected(changes):
    result = validate(raw(*changes), SCHEMA, labelled=True)
    assert sorted([*result.accepted.index, *result.rejected["row"]]) == list(range(len(changes)))
    assert bool(result.counts) == bool(len(result.rejected))


@pytest.mark.slow
def test_every_row_of_a_large_frame_is_accepted_or_rejected():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {f"n{i}": pd.Series(rng.normal(50, 10, 50_000).round(2), dtype="str") for i in range(14)}
    )
    for i in range(6):
        frame[f"c{i}"] = pd.Series(rng.choice(list("abcd"), 50_000), dtype="str")
    schema = Schema(
        name="s",
        columns=tuple(
            Column(name=name, kind=Kind.NUMERICAL, minimum=20)
            if name[0] == "n"
            else Column(name=name, kind=Kind.CATEGORICAL, categories=tuple("abcd"))
            for name in frame
        ),
    )
    result = validate(RawFrame(frame=frame), schema, labelled=False)
    assert len(result.accepted) + len(result.rejected) == 50_000
    assert 0 < len(result.rejected) < 5_000


def test_in_a_column_of_numbers_for_times_a_missing_one_is_missing():
    schema = Schema(
        name="s",
        columns=(
            Column(name="at", kind=Kind.TIMESTAMP, nullable=True),
            Column(name="x", kind=Kind.NUMERICAL),
        ),
    )
    raw = RawFrame(frame=pd.DataFrame({"at": [np.nan, 20240131.0], "x": [1.0, 2.0]}))
    validation = validate(raw, schema, labelled=True)
    assert validation.accepted.index.tolist() == [0]
    assert validation.rejected["reason"].tolist()[0].startswith("at: must be a date or time")
