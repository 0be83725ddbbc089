"""The schema language: what a column is, which schemas are refused, and what each digest covers."""

from dataclasses import replace

import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema, schema_to_dict
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.errors import DataError


def test_bounds_of_zero_are_bounds():
    schema = Schema(
        name="s", columns=(Column(name="a", kind=Kind.NUMERICAL, minimum=0, maximum=0.0, special=(0,)),)
    )
    assert schema_to_dict(schema)["columns"]["a"] == {
        "kind": "numerical",
        "minimum": 0,
        "maximum": 0,
        "special": [0],
    }


def test_one_and_one_point_zero_have_one_digest():
    one, same = (
        Schema(name="s", columns=(Column(name="a", kind=Kind.NUMERICAL, minimum=bound),))
        for bound in (1, 1.0)
    )
    assert one.digest == same.digest


def test_a_column_is_found_by_its_name_and_by_what_it_is_for():
    assert "age" in COMPARED
    assert "Age" not in COMPARED
    assert COMPARED["grade"].categories == ("low", "high")
    with pytest.raises(DataError, match=r"column='agee'\. Did you mean 'age'"):
        COMPARED["agee"]
    assert [column.name for column in COMPARED.features] == ["age", "education", "grade"]
    assert [column.name for column in COMPARED.protected] == ["sex"]
    assert COMPARED.target == COMPARED["bad"]
    assert (COMPARED.identifier, COMPARED.timestamp) == (None, None)


def test_a_schema_names_each_column_once_and_has_one_column_of_a_purpose():
    with pytest.raises(DataError, match=r"must be distinct, however: twice=\['age'\]"):
        with_column("grade", name="age")
    with pytest.raises(DataError, match=r"at most one target column, however: \['sex', 'bad'\]"):
        with_column("sex", kind=Kind.TARGET, categories=())
    with pytest.raises(DataError, match="must have at least one feature column"):
        replace(COMPARED, columns=(COMPARED["sex"], COMPARED["bad"]))


@pytest.mark.parametrize(
    ("changes", "may_be_left_out"),
    [
        ({}, False),
        ({"nullable": True}, True),
        ({"optional": True}, True),
        ({"kind": Kind.TARGET}, True),
    ],
)
def test_a_record_may_lack_what_is_nullable_optional_or_the_target(changes, may_be_left_out):
    column = replace(Column(name="x", kind=Kind.NUMERICAL), **changes)
    assert column.may_be_left_out is may_be_left_out


# Digests -------------------------------------------------------------------------------------------------

COMPARED = Schema(
    name="loans",
    description="Loans.",
    columns=(
        Column(
            name="age", kind=Kind.NUMERICAL, description="Age", unit="years", minimum=18, special=(96, 98)
        ),
        Column(
            name="education",
            kind=Kind.CATEGORICAL,
            categories=("1", "2"),
            labels={"1": "school"},
            aliases={"0": "2", "x": "1"},
        ),
        Column(name="grade", kind=Kind.ORDINAL, categories=("low", "high")),
        Column(name="sex", kind=Kind.CATEGORICAL, categories=("1", "2"), protected=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)


def with_column(column_name: str, /, **changes: object) -> Schema:
    return replace(
        COMPARED,
        columns=tuple(
            replace(column, **changes) if column.name == column_name else column
            for column in COMPARED.columns
        ),
    )


@pytest.mark.parametrize(
    "same",
    [
        replace(COMPARED, name="other", description="Mended."),
        replace(COMPARED, columns=COMPARED.columns[::-1]),
        with_column("age", description="Age of the holder"),
        with_column("age", unit="yrs"),
        with_column("age", special=(98.0, 96)),
        with_column("age", minimum=21, maximum=99, nullable=True, integer=True, optional=True),
        with_column("education", labels={"1": "graduate school"}),
        with_column("education", categories=("2", "1"), aliases={"x": "1", "0": "2"}),
        with_column("education", open=True),
        with_column("sex", categories=("f", "m")),
        with_column("bad", description="Defaulted"),
    ],
)
def test_texts_order_and_validation_rules_do_not_change_the_comparison_digest(same):
    assert same.comparison_digest == COMPARED.comparison_digest


@pytest.mark.parametrize(
    "other",
    [
        with_column("age", name="years"),
        with_column("age", kind=Kind.CATEGORICAL, special=(), minimum=None, open=True),
        with_column("age", special=(96,)),
        with_column("age", protected=True),
        with_column("sex", protected=False),
        with_column("education", kind=Kind.ORDINAL),
        with_column("education", categories=("1", "2", "3")),
        with_column("education", aliases={"0": "1", "x": "1"}),
        with_column("education", aliases={"0": "2"}),
        with_column("grade", categories=("high", "low")),
        with_column("bad", positive="0", negative="1"),
        with_column("bad", name="default"),
        replace(COMPARED, columns=COMPARED.columns[1:]),
    ],
)
def test_what_a_model_reads_or_predicts_changes_the_comparison_digest(other):
    assert other.comparison_digest != COMPARED.comparison_digest


def test_the_digest_of_the_schema_covers_its_texts():
    assert with_column("age", description="Age of the holder").digest != COMPARED.digest


@pytest.mark.parametrize(
    "same",
    [
        replace(COMPARED, description="Mended."),
        with_column("age", description="Age of the holder"),
        with_column("age", unit="yrs"),
        with_column("education", labels={"1": "graduate school"}),
        with_column("age", monotonic="increasing"),
    ],
)
def test_texts_for_people_do_not_change_the_digest_of_the_rules(same):
    assert same.rules_digest == COMPARED.rules_digest


@pytest.mark.parametrize(
    "other",
    [
        replace(COMPARED, name="other"),
        with_column("age", minimum=21),
        with_column("age", nullable=True),
        with_column("education", open=True),
        with_column("sex", categories=("f", "m")),
        with_column("sex", protected=False),
        with_column("bad", positive="2"),
    ],
)
def test_a_rule_changes_the_digest_of_the_rules(other):
    assert other.rules_digest != COMPARED.rules_digest


def test_columns_that_name_applicants_are_groups_beside_one_name_of_the_application():
    loan = Column(name="loan", kind=Kind.IDENTIFIER)
    customer = Column(name="customer", kind=Kind.IDENTIFIER, group=True)
    town = Column(name="town", kind=Kind.CATEGORICAL, open=True, group=True)
    both = Schema(name="s", columns=(customer, town, loan))
    assert both.identifier == loan
    assert both.groups == (customer, town)
    assert town.is_feature
    alone = Schema(name="s", columns=(customer, town))
    assert alone.identifier == customer
    plain = Schema(name="s", columns=(replace(customer, group=False), replace(town, group=False)))
    assert plain.groups == ()
    assert alone.comparison_digest != plain.comparison_digest, "other rows are held out"
    assert schema_to_dict(both)["columns"]["customer"] == {"kind": "identifier", "group": True}
    with pytest.raises(DataError, match="at most one identifier column"):
        Schema(name="s", columns=(loan, replace(customer, group=False), town))
    with pytest.raises(DataError, match="group must name applicants"):
        Column(name="bad", kind=Kind.TARGET, group=True)


def test_a_pd_moves_up_or_down_with_what_has_an_order():
    table = {"kind": "numerical", "monotonic": "decreasing"}
    schema = schema_from_dict({"name": "s", "columns": {"income": table, "bad": {"kind": "target"}}})
    assert schema.columns[0].monotonic == "decreasing"
    assert schema_to_dict(schema)["columns"]["income"] == table
    assert replace(schema.columns[0], monotonic="") != schema.columns[0]
    for kind in ("categorical", "date", "weight"):
        broken = {"kind": kind, "monotonic": "increasing"}
        with pytest.raises(DataError, match=f"a {kind} column must use keys of"):
            schema_from_dict({"name": "s", "columns": {"income": broken, "bad": {"kind": "target"}}})
    with pytest.raises(DataError, match=r"must be one of increasing, decreasing, however: 'incresing'.*mean"):
        replace(schema.columns[0], monotonic="incresing")
    for unseen in ({"protected": True}, {"known_after_decision": True}):
        with pytest.raises(DataError, match="monotonic must stand in a feature, however"):
            replace(schema.columns[0], **unseen)


def test_rejected_applications_are_a_key_of_the_target_that_older_schemas_lack():
    plain = Column(name="status", kind=Kind.TARGET)
    named = replace(plain, rejected=("Declined",))
    older, newer = (
        Schema(name="s", columns=(Column(name="income", kind=Kind.NUMERICAL), each))
        for each in (plain, named)
    )
    assert "rejected" not in schema_to_dict(older)["columns"]["status"]
    assert schema_from_dict(schema_to_dict(newer)) == newer
    assert newer.comparison_digest == older.comparison_digest
    assert newer.rules_digest != older.rules_digest
    for twice in ({"unknown": ("Declined",)}, {"excluded": ("Declined",)}, {"positive": "Declined"}):
        with pytest.raises(DataError, match="must have one meaning, however: twice=\\['Declined'\\]"):
            replace(named, **twice)
