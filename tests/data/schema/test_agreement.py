"""A row of a file, the record that is made of it, and that record in a batch have one and the same result."""

import math
from collections import Counter
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import NUMBER_FORMATS, NUMBER_KINDS, Column, Kind
from loan_default.data.schema.frames import RawFrame, read_column, validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.data.schema.records import RecordError, record_model, records_frame, validate_record
from loan_default.data.sources.json_rows import json_rows

missing = st.lists(
    st.sampled_from(["?", "-", "unknown", "-1", "99", " N.D. ", "01"]), max_size=3, unique=True
)
marks = st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'")])
texts = st.sampled_from(
    [
        *(
            "",
            " ",
            "NA",
            "n.a.",
            "#DIV/0!",
            "#\u00a1DIV/0!",
            "?",
            " ? ",
            "-",
            "UNKNOWN",
            "n.d.",
            "-1",
            "-1.0",
            "99",
        ),
        *("1", "0", "01", "1.0", "1,5", "1.5", "1.234", "1,234", "1.234,5", "1,25", "5 %", "5%", "(5)", "5-"),
        *("$ 1,234.50", "1.234,50 \u20ac", "36 months", "10+ years", "< 1 year", "2 yrs 3 mon", "inf", "1e3"),
        *(
            "-Infinity",
            "90+",
            ">90",
            "< 1",
            "> 1.234,5",
            "over 5 %",
            "1e999",
            "x",
            "2024-01-31",
            "2024-01-31T12:00:00Z",
            "31/12/2011",
            "01/02/2011",
            "Dec-99",
        ),
        *(
            "dez-99",
            "930705",
            "20111231",
            "45322",
            "1706702400",
            "yes",
            "No",
            "TRUE",
            "ja",
            "n\u00e3o",
            "a",
            "A ",
        ),
        *("b", "\x1f5", "\u00a05", "5\u2003"),
        *("k.A.", "k. A.", "(n/d)", "brak danych", "sin dato", "Není známo", "**", "00/00/0000", "\u2014"),
    ]
)
typed = st.sampled_from(
    [
        pd.Series([1.5, np.nan, -1.0, 99.0]),
        pd.Series([1, 0, 99, -1]),
        pd.Series([20111231, 930705, 45322, 1706702400]),
        pd.Series([True, False, True, True]),
        pd.Series(pd.to_datetime(["2024-01-31", None, "2011-12-31", "1999-12-01"])),
        pd.Series([np.inf, -np.inf, 0.0, 5.0]),
        pd.Series(["?", "1,5", None, "5 %"], dtype=object),
        pd.Series([1, "1,5", True, None], dtype=object),
    ]
)
time_formats = st.sampled_from(
    [
        "",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%b-%y",
        "%y%m%d",
        "%Y%m%d",
        "epoch_seconds",
        "epoch_milliseconds",
        "spreadsheet",
    ]
)


@st.composite
def columns(draw: st.DrawFn) -> Column:
    kind = draw(st.sampled_from([each for each in Kind if each is not Kind.TARGET]))
    settings: dict[str, Any] = {"nullable": draw(st.booleans()), "missing": tuple(draw(missing))}
    if kind in NUMBER_KINDS:
        settings["decimal"], settings["thousands"] = draw(marks)
    if kind is Kind.NUMERICAL:
        settings["format"] = draw(st.sampled_from(["", *NUMBER_FORMATS]))
        settings["special"] = draw(st.sampled_from([(), (99,)]))
        settings["minimum"] = draw(st.sampled_from([None, 0]))
        settings["integer"] = draw(st.booleans())
        settings["capped"] = draw(st.booleans())
    if kind in (Kind.DATE, Kind.TIMESTAMP):
        settings["format"] = draw(time_formats)
    if kind in (Kind.CATEGORICAL, Kind.ORDINAL):
        categories, form = draw(
            st.sampled_from(
                [
                    (("no", "yes"), ""),
                    (("no", "yes"), "boolean"),
                    (("1", "0"), ""),
                    (("F", "T"), "boolean"),
                    (("True", "False"), ""),
                    (("a", "b", "1"), ""),
                    (("-", "a"), ""),
                    (("2", "1"), "boolean"),
                ]
            )
        )
        settings |= {"categories": categories, "format": form, "open": draw(st.booleans())}
    return Column(name="a", kind=kind, **settings)


def schema_of(column: Column) -> Schema:
    return Schema(name="s", columns=(column, Column(name="other", kind=Kind.NUMERICAL)))


def check_agreement(values: pd.Series, column: Column) -> None:
    schema = schema_of(column)
    frame = pd.DataFrame({"a": values, "other": np.zeros(len(values))})
    validation = validate(RawFrame(frame=frame), schema, labelled=True)
    assert len(validation.accepted) + len(validation.rejected) == len(values)
    sent = orjson.loads(orjson.dumps(json_rows(frame, schema)))
    check_records(sent, schema, validation.accepted, validation.counts)


def read_alone(record: dict[str, Any], schema: Schema, model: Any) -> dict[str, Any] | RecordError:
    try:
        return validate_record(record, schema, model=model)
    except RecordError as error:
        return error


def check_records(records: list[dict[str, Any]], schema: Schema, accepted: pd.DataFrame, counts: Any) -> None:
    model, canonical, rules = record_model(schema), [], Counter[str]()
    by_batch = RecordBatchReader(schema)(records)
    for record, read in zip(records, by_batch, strict=True):
        alone = read_alone(record, schema, model)
        if isinstance(alone, RecordError):
            rules.update(alone.rules)
            assert isinstance(read, RecordError)
            assert (str(read), read.rules) == (str(alone), alone.rules)
        else:
            canonical.append(alone)
            assert repr(read) == repr(alone)
    assert rules == counts
    pd.testing.assert_frame_equal(records_frame(canonical, schema), accepted.reset_index(drop=True))


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(values=st.lists(texts | st.text(max_size=5), min_size=1, max_size=8), column=columns())
def test_texts_of_a_file_and_their_records_agree(values, column):
    values = [value.encode(errors="replace").decode() for value in values]
    check_agreement(pd.Series(values, dtype="str"), column)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(values=typed, column=columns())
def test_typed_columns_and_their_records_agree(values, column):
    check_agreement(values, column)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(values=st.lists(texts, min_size=1, max_size=8), column=columns())
def test_a_record_whose_text_has_a_declared_form_is_read_as_in_a_file(values, column):
    if column.kind in NUMBER_KINDS and not (
        column.missing or column.format or column.thousands or column.decimal == ","
    ):
        return  # text is a number in a file and never in a record
    if not column.nullable:
        values = [value for value in values if value.strip()]
    schema = schema_of(column)
    frame = pd.DataFrame({"a": pd.Series(values, dtype="str"), "other": np.zeros(len(values))})
    validation = validate(RawFrame(frame=frame), schema, labelled=True)
    check_records(
        [{"a": value, "other": 0} for value in values], schema, validation.accepted, validation.counts
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("categories", "values"),
    [
        (("false", "true"), [True, 1, 1.0, "1", "1.0", "True", " yes ", "Y", "ja", "T"]),
        (("0", "1"), [True, 1, 1.0, "true", "TRUE", "yes"]),
        (("No", "Yes"), [True, 1, "1.0", "true", "s\u00ed"]),
        (("yes", "no"), [False, 0, 0.0, "0", "FALSE", "n"]),
        (("nein", "ja"), [True, 1, "yes"]),
    ],
)
def test_other_spellings_of_booleans_are_the_same_category(categories, values):
    column = Column(name="a", kind=Kind.CATEGORICAL, categories=categories)
    for value in values:
        series = pd.Series([value], dtype="str" if isinstance(value, str) else None)
        check_agreement(series, column)
        frame = pd.DataFrame({"a": series, "other": [0.0]})
        validation = validate(RawFrame(frame=frame), schema_of(column), labelled=True)
        assert validation.accepted["a"].tolist() == [categories[1]]


@pytest.mark.parametrize("categories", [("a", "b"), ("f", "m"), ("0", "1", "2"), ("1", "2"), ("n", "s")])
def test_two_codes_that_are_no_booleans_have_no_other_spellings(categories):
    column = Column(name="a", kind=Kind.CATEGORICAL, categories=categories)
    frame = pd.DataFrame({"a": pd.Series(["true", "yes"], dtype="str"), "other": [0.0, 0.0]})
    assert len(validate(RawFrame(frame=frame), schema_of(column), labelled=True).rejected) == 2


def test_weights_are_positive_numbers():
    column = Column(name="a", kind=Kind.WEIGHT)
    frame = pd.DataFrame(
        {"a": pd.Series(["0.5", "0", "-1", "inf", "", "x"], dtype="str"), "other": np.zeros(6)}
    )
    validation = validate(RawFrame(frame=frame), schema_of(column), labelled=True)
    assert validation.accepted["a"].tolist() == [0.5]
    assert validation.counts == {
        "a: must be above 0": 2,
        "a: must be finite": 1,
        "a: must not be missing": 1,
        "a: must be a number": 1,
    }
    assert validate(RawFrame(frame=frame), schema_of(column), labelled=False).accepted.columns.tolist() == [
        "other"
    ]


def test_a_missing_marker_that_is_a_number_is_that_number_however_it_is_written():
    column = Column(name="a", kind=Kind.NUMERICAL, nullable=True, missing=("-1", "?"))
    frame = pd.DataFrame({"a": pd.Series(["-1", "-1.0", " ? ", "1"], dtype="str"), "other": np.zeros(4)})
    accepted = validate(RawFrame(frame=frame), schema_of(column), labelled=True).accepted["a"].tolist()
    assert [math.isnan(value) for value in accepted] == [True, True, True, False]


MARKERS = ["k.A.", "K. A.", "n/d", "n.d.", "s/d", "S. D.", "brak", "Brak danych", "sin dato"]
MARKERS += ["-", "?", ".", "#N/D", "#N/A", "--", "\u2014", "***", "não informado", "NAO INFORMADO"]
MARKERS += ["non renseigné", "(n/a)", "neuvedeno", "není známo", "non disponibile", "not reported"]
MARKERS += ["nicht bekannt", "[missing]", "-brak-", "n.c.", "", "NA"]
NUMBERS_AND_TIMES = [
    Column(name="a", kind=Kind.NUMERICAL, nullable=True),
    Column(name="a", kind=Kind.NUMERICAL, nullable=True, integer=True, minimum=0),
    Column(name="a", kind=Kind.NUMERICAL, nullable=True, decimal=",", thousands="."),
    *(Column(name="a", kind=Kind.NUMERICAL, nullable=True, format=each) for each in NUMBER_FORMATS),
    Column(name="a", kind=Kind.DATE, nullable=True),
    Column(name="a", kind=Kind.TIMESTAMP, nullable=True, format="%d/%m/%Y"),
    Column(name="a", kind=Kind.DATE, nullable=True, format="epoch_seconds"),
]


@pytest.mark.slow
@pytest.mark.parametrize("column", NUMBERS_AND_TIMES, ids=lambda each: f"{each.kind} {each.format}")
def test_markers_that_no_schema_declares_are_missing_among_numbers_and_times(column):
    check_agreement(pd.Series(MARKERS, dtype="str"), column)
    records = [{"a": marker, "other": 0} for marker in MARKERS]
    assert [read["a"] for read in RecordBatchReader(schema_of(column))(records)] == [None] * len(MARKERS)
    values, problems = read_column(pd.Series(MARKERS, dtype="str"), column)
    assert problems == []
    assert values.isna().all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        pd.Series(
            ["yes", "NO", "ja", "nein", "T", "F", "oui", "Non", "sí", "tak", "nie", "1", "0", "1.0", "0.0"]
        ),
        pd.Series(["yes", "NO", "true", "FALSE", " t ", "n", "2", "maybe", "", "o", "inf"], dtype="str"),
        pd.Series([True, False, True]),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([True, None, "yes", 0, 1.0, "x", 10**400], dtype=object),
        pd.Series([1.0, 0.0, np.nan]),
    ],
)
def test_words_for_yes_and_no_are_1_and_0_in_a_column_of_numbers_that_declares_them(values):
    column = Column(name="a", kind=Kind.NUMERICAL, nullable=True, format="boolean")
    check_agreement(values, column)
    numbers, _ = read_column(values, column)
    meant = {"yes": 1, "ja": 1, "t": 1, "oui": 1, "sí": 1, "tak": 1, "true": 1, "1": 1, "1.0": 1}
    meant |= {"no": 0, "nein": 0, "f": 0, "non": 0, "nie": 0, "false": 0, "0": 0, "0.0": 0, "n": 0, "2": 2}
    expected = [meant.get(str(value).strip().casefold(), math.nan) for value in values]
    np.testing.assert_array_equal(numbers[~np.isinf(numbers)], np.array(expected)[~np.isinf(numbers)])
    if values.dtype == bool or values.dtype == "boolean":
        records = [{"a": None if pd.isna(value) else bool(value), "other": 0} for value in values]
        read = RecordBatchReader(schema_of(column))(records)
        assert [each["a"] for each in read] == [None if pd.isna(number) else number for number in numbers]


@pytest.mark.parametrize("marker", ["k.A.", "brak", "?", "-", "n/d"])
def test_the_same_markers_are_categories_unless_the_schema_declares_them(marker):
    column = Column(name="a", kind=Kind.CATEGORICAL, nullable=True, open=True)
    assert read_column(pd.Series([marker], dtype="str"), column)[0].tolist() == [marker]
