"""Schema files: what is written is read back, and mistakes are named."""

from itertools import chain
from pathlib import Path

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import KEYS_OF_KIND, SHARED_KEYS, Column, Kind
from loan_default.data.schema.language import Schema, schema_to_dict
from loan_default.data.schema.schema_files import dump_schema, load_schema, schema_from_dict
from loan_default.errors import DataError

ROOT = Path(__file__).parents[3]

names = st.text(min_size=1, max_size=8)
words = st.text(max_size=8)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000)
flags = {flag: st.booleans() for flag in ("nullable", "optional", "protected", "group")}


@st.composite
def columns(draw, name):
    shared = {flag: draw(values) for flag, values in flags.items()} | {
        "name": name,
        "description": draw(words),
    }
    kind = draw(st.sampled_from([Kind.NUMERICAL, Kind.CATEGORICAL, Kind.ORDINAL]))
    if kind is Kind.NUMERICAL:
        low, high = sorted((draw(numbers), draw(numbers)))
        return Column(
            **shared,
            kind=kind,
            unit=draw(words),
            integer=draw(st.booleans()),
            minimum=draw(st.sampled_from([low, None])),
            maximum=draw(st.sampled_from([high, None])),
            special=tuple(draw(st.lists(numbers, max_size=2))),
        )
    categories = tuple(draw(st.lists(names.filter(str.strip), min_size=1, max_size=4, unique=True)))
    return Column(
        **shared,
        kind=kind,
        categories=categories,
        labels=draw(st.dictionaries(st.sampled_from(categories), words)),
        aliases=draw(st.dictionaries(words, st.sampled_from(categories), max_size=3)),
        open=draw(st.booleans()),
    )


@st.composite
def schemas(draw):
    feature, identifier, target, *others = draw(st.lists(names, min_size=4, max_size=7, unique=True))
    fixed = (
        Column(name=feature, kind=Kind.NUMERICAL, minimum=0),
        Column(
            name=identifier,
            kind=Kind.IDENTIFIER,
            nullable=draw(st.booleans()),
            group=draw(st.booleans()),
        ),
        Column(name=target, kind=Kind.TARGET, positive=draw(names) + "+", negative=draw(names) + "-"),
    )
    drawn = tuple(draw(columns(name)) for name in others)
    return Schema(name=draw(words), description=draw(words), columns=fixed + drawn)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(schemas(), st.data())
def test_dumped_schema_reads_back_the_same(schema, data):
    noted = data.draw(
        st.dictionaries(st.sampled_from(["", *(c.name for c in schema.columns)]), st.text(max_size=20))
    )
    back = schema_from_dict(tomlkit.parse(dump_schema(schema, notes=noted)).unwrap())
    assert back == schema
    assert back.digest == schema.digest
    assert [c.name for c in back.columns] == [c.name for c in schema.columns]


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(schemas())
def test_plain_dict_reads_back_the_same(schema):
    assert schema_from_dict(schema_to_dict(schema)) == schema


@pytest.mark.parametrize("key", sorted({*SHARED_KEYS, *chain(*KEYS_OF_KIND.values())}))
def test_every_key_of_a_column_has_a_type_that_files_are_held_to(key):
    kind = next(kind for kind in Kind if key in (*SHARED_KEYS, *KEYS_OF_KIND[kind]))
    table = {"columns": {"x": {"kind": str(kind), key: object()}}}
    with pytest.raises(DataError, match=f"{key} must be"):
        schema_from_dict({"name": "s", **table})


def test_notes_stand_above_their_column():
    schema = Schema(name="s", columns=(Column(name="a.b", kind=Kind.NUMERICAL),))
    text = dump_schema(schema, notes={"a.b": "first\nsecond\x07", "": "of the file"})
    assert '# first\n# second \n[columns."a.b"]\n' in text
    assert text.startswith("# of the file\n")


def test_bundled_schema_loads_with_protected_columns():
    schema = load_schema(ROOT / "config/schemas/credit_card.toml")
    assert [column.name for column in schema.protected] == ["SEX", "MARRIAGE", "AGE"]
    assert schema.target is not None
    assert schema.target.name == "default.payment.next.month"
    assert len(schema.features) == 20
    assert all(column.description for column in schema.columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[columns.a]\nkind = 'numeric'", "Did you mean 'numerical'"),
        ("[columns.a]\nkind = 'numerical'\nminimun = 1", "Did you mean 'minimum'"),
        ("[columns.a]\nkind = 'numerical'\nminimum = 'x'", "minimum must be float"),
        ("[columns.a]\nkind = 'numerical'\nnullable = 1", "nullable must be bool"),
        ("[columns.a]\nkind = 'numerical'\nminimum = true", "minimum must be float"),
        ("[columns.a]\nkind = 'numerical'\nminimum = inf", "must be finite"),
        ("[columns.a]\nkind = 'numerical'\nminimum = 2\nmaximum = 1", "must not exceed"),
        ("[columns.a]\nkind = 'categorical'", "must list its categories"),
        ("[columns.a]\nkind = 'categorical'\ncategories = [' ']", "must not be empty text"),
        (
            "[columns.a]\nkind = 'categorical'\ncategories = ['x']\nlabels = {y = 'z'}",
            "must belong to a category",
        ),
        (
            "[columns.a]\nkind = 'categorical'\ncategories = ['x']\naliases = {y = 'z'}",
            "must name a category",
        ),
        ("[columns.a]\nkind = 'identifier'", "at least one feature"),
        ("[column.a]\nkind = 'identifier'", "Did you mean 'columns'"),
        ("columns = 3", "tables must be there"),
        ("[columns", "must be TOML"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    path = tmp_path / "schema.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        load_schema(path)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(DataError, match="must exist"):
        load_schema(tmp_path / "none.toml")
    with pytest.raises(DataError, match="must be readable"):
        load_schema(tmp_path)
