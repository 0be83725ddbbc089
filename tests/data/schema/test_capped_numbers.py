"""Numbers with a bound instead of an exact value: alike in files, records, batches and schema files."""

import math

import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import RawFrame, parse_numbers, validate
from loan_default.data.schema.inference.columns import infer_column
from loan_default.data.schema.inference.findings import Severity
from loan_default.data.schema.inference.raw_values import Values
from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.data.schema.records import validate_record
from loan_default.data.schema.schema_files import dump_schema, load_schema

CASES = [
    ("90+", 90, {}),
    ("90 +", 90, {}),
    (">90", 90, {}),
    ("> 90", 90, {}),
    ("\u2265 10", 10, {}),
    (">=10", 10, {}),
    ("\u2264 5", 5, {}),
    ("<1", 0, {}),
    ("< 5", 4, {}),
    ("<0.5", 0.5, {}),
    ("mehr als 90", 90, {}),
    ("\u00dcber 90", 90, {}),
    ("90 or more", 90, {}),
    ("menos de 3", 2, {}),
    ("> 1.250,5", 1250.5, {"decimal": ",", "thousands": "."}),
    ("> $1,000", 1000, {"format": "money", "thousands": ","}),
    ("< 1 %", 0, {"format": "percent"}),
    ("90", 90, {}),
    ("> x", None, {}),
    ("<", None, {}),
    ("+", None, {}),
    (">> 5", None, {}),
    ("< 5+", None, {}),
    ("AB90", None, {}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "number", "settings"), CASES)
def test_files_records_and_batches_read_a_bound_alike(text, number, settings):
    column = Column(name="a", kind=Kind.NUMERICAL, nullable=True, capped=True, **settings)
    schema = Schema(name="s", columns=(column,))
    validation = validate(RawFrame(frame=pd.DataFrame({"a": [text]}, dtype="str")), schema, labelled=True)
    [batched] = RecordBatchReader(schema)([{"a": text}])
    if number is None:
        assert len(validation.rejected) == 1
        assert isinstance(batched, Exception)
        return
    assert validation.accepted["a"].tolist() == [number]
    assert validate_record({"a": text}, schema) == batched == {"a": number}


def test_a_bound_is_no_number_where_the_column_does_not_say_so():
    column = Column(name="a", kind=Kind.NUMERICAL, nullable=True)
    assert parse_numbers(pd.Series(["90+", ">5"], dtype="str"), column)[1].all()


def test_a_declared_marker_is_missing_and_its_number_is_not():
    column = Column(name="a", kind=Kind.NUMERICAL, nullable=True, capped=True, missing=("<1",))
    numbers, unreadable = parse_numbers(pd.Series(["<1", "0", "90+"], dtype="str"), column)
    assert math.isnan(numbers[0])
    assert numbers.tolist()[1:] == [0, 90]
    assert not unreadable.any()


def test_it_is_part_of_the_schema_file_and_of_the_digests(tmp_path):
    plain = Column(name="a", kind=Kind.NUMERICAL)
    capped = Column(name="a", kind=Kind.NUMERICAL, capped=True)
    schema = Schema(name="s", columns=(capped,))
    path = tmp_path / "schema.toml"
    path.write_text(dump_schema(schema))
    assert load_schema(path) == schema
    other = Schema(name="s", columns=(plain,))
    assert schema.rules_digest != other.rules_digest
    assert schema.comparison_digest != other.comparison_digest


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["90+", ">90", "> 90", "over 90", "\u2265 90"])
@pytest.mark.parametrize("each", [1, 30])
def test_inference_declares_bounds_among_numbers_with_their_count(bound, each):
    raw = pd.Series([str(number) for number in range(20, 91)] * 4 + [bound] * each, dtype="str")
    found: list[tuple[Severity, str]] = []
    values = Values(name="x", raw=raw, n_missing=0, numbers=parse_numbers(raw)[0])
    column = infer_column(values, lambda _, severity, text: found.append((severity, text))).column
    assert column is not None
    assert (column.kind, column.capped, column.missing) == (Kind.NUMERICAL, True, ())
    rows = "1 row" if each == 1 else "30 rows"
    [message] = [text for severity, text in found if "bound" in text and severity is Severity.NOTE]
    assert message.startswith(f"{rows} with a bound")
    assert not [text for severity, text in found if severity is not Severity.NOTE]
    assert parse_numbers(raw, column)[0][-1] == 90


def test_a_plain_column_is_not_capped():
    raw = pd.Series([str(number) for number in range(20, 91)] * 4, dtype="str")
    values = Values(name="x", raw=raw, n_missing=0, numbers=parse_numbers(raw)[0])
    column = infer_column(values, lambda *_: None).column
    assert column is not None
    assert not column.capped
