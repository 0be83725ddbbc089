"""The format of files in a schema: read back as written, and refused where it contradicts itself."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.file_format import (
    Compression,
    Container,
    FileFormat,
    format_from_dict,
    format_to_dict,
)
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema, load_schema, schema_from_dict
from loan_default.errors import DataError

FORMATS = st.builds(
    FileFormat,
    container=st.sampled_from(Container),
    compression=st.sampled_from(Compression),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
    delimiter=st.sampled_from([",", ";", "\t", "|", " "]),
    quote=st.sampled_from(['"', "'", ""]),
    header=st.booleans(),
    skip=st.integers(0, 3),
    footer=st.booleans(),
    decimal=st.sampled_from([".", ","]),
    thousands=st.sampled_from(["", "'", " "]),
    sheet=st.sampled_from(["", "Loans"]),
)


@given(FORMATS)
def test_a_format_reads_back_as_written(form):
    assert format_from_dict(format_to_dict(form), where="schema") == form


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"delimeter": ";"}, "did you mean 'delimiter'?"),
        ({"container": "csv"}, "container must be one of"),
        ({"skip": "1"}, "skip must be int"),
        ({"header": 0}, "header must be bool"),
        ({"skip": -1}, "skip must be at least 0"),
        ({"delimiter": "::"}, "delimiter must be one character"),
        ({"encoding": "latin-one"}, "encoding must be one that Python knows"),
        ({"decimal": ",", "thousands": ","}, "decimal and thousands must differ"),
        ({"decimal": ";"}, "decimal must be"),
        ("text", "must be a table"),
    ],
)
def test_a_wrong_format_is_refused(raw, words):
    with pytest.raises(DataError) as caught:
        format_from_dict(raw, where="loans.toml")
    assert words.casefold() in str(caught.value).casefold()


def test_number_columns_take_the_marks_of_the_format(tmp_path):
    form = FileFormat(delimiter=";", decimal=",", thousands=".")
    columns = (
        Column(name="income", kind=Kind.NUMERICAL, decimal=",", thousands="."),
        Column(name="rate", kind=Kind.NUMERICAL, decimal=".", thousands=""),
        Column(name="bad", kind=Kind.TARGET),
    )
    schema = Schema(name="loans", columns=columns, format=form)
    text = dump_schema(schema)
    assert text.count("decimal") == 2, "once in [format], once where a column differs"
    (tmp_path / "loans.toml").write_text(text, encoding="utf-8")
    assert load_schema(tmp_path / "loans.toml") == schema
    inherited = schema_from_dict(
        {"format": {"decimal": ",", "thousands": "."}, "columns": {"income": {"kind": "numerical"}}}
    )
    assert (inherited["income"].decimal, inherited["income"].thousands) == (",", ".")


def test_the_format_of_files_changes_no_rule_of_the_values():
    schema = Schema(name="loans", columns=(Column(name="income", kind=Kind.NUMERICAL),))
    other = replace(schema, format=FileFormat(delimiter=";"))
    assert schema.digest != other.digest
    assert schema.rules_digest == other.rules_digest
    assert schema.comparison_digest == other.comparison_digest
