"""Which rows models are compared on, and what a model has learnt of a column that is still true."""

from dataclasses import replace

import pytest
from conftest import SCHEMA
from pipelines.court import evaluated

from loan_default.data.schema.language import Column, Kind
from loan_default.database.documents import DatasetName
from loan_default.pipelines.promotion.unseen_rows import mean_the_same


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        ({"special": (1.0, 2.0)}, {"special": (2.0, 1.0)}, True),
        ({"special": (1.0,)}, {"special": (1.0, 2.0)}, False),
        ({"unit": "year"}, {"unit": "years"}, True),
        ({"minimum": 0.0}, {"minimum": 1.0, "nullable": True, "description": "more"}, True),
        ({"kind": Kind.CATEGORICAL, "categories": ("a", "b")}, {"categories": ("c", "b", "a")}, True),
        ({"kind": Kind.CATEGORICAL, "categories": ("a", "b")}, {"categories": ("a",)}, False),
        ({"kind": Kind.CATEGORICAL, "categories": ("a",)}, {"labels": {"a": "first"}}, True),
        ({"kind": Kind.CATEGORICAL, "categories": ("a", "b")}, {"aliases": {"0": "a"}}, True),
        ({"kind": Kind.CATEGORICAL, "categories": ("a", "b"), "aliases": {"0": "a"}}, {"aliases": {}}, False),
        (
            {"kind": Kind.CATEGORICAL, "categories": ("a", "b"), "aliases": {"0": "a"}},
            {"aliases": {"0": "b"}},
            False,
        ),
        ({"kind": Kind.ORDINAL, "categories": ("a", "b")}, {"categories": ("b", "a")}, False),
        ({"kind": Kind.ORDINAL, "categories": ("a", "b")}, {"kind": Kind.CATEGORICAL}, False),
    ],
)
def test_what_a_model_has_learnt_of_a_column_is_true_while_its_values_mean_the_same(then, now, same):
    before = Column(name="x", **{"kind": Kind.NUMERICAL} | then)
    assert mean_the_same(before, replace(before, **now)) is same


def test_a_target_that_means_something_else_measures_no_model_of_before(court):
    target = replace(SCHEMA["bad"], positive="late")
    schema = replace(SCHEMA, columns=(*SCHEMA.columns[:-1], target))
    run = court.run("redefined")
    found = evaluated(replace(run, services=replace(run.services, schema=schema)), court.model.version)
    assert found.metrics is None
    assert "the schema reads bad otherwise" in found.rows


def test_the_trained_model_says_by_which_version_it_was_split(court):
    found = evaluated(court.run("mine"), court.model.version)
    assert court.metrics(found.metrics).dataset is DatasetName.HELD_OUT
    assert found.rows.startswith("permanent holdout")


@pytest.mark.parametrize("version", [None, 1])
def test_a_model_whose_encoder_may_have_seen_the_holdout_is_not_measured_on_it(court, version):
    court.candidate("borrowed", seen_until=None, encoder_given=True, encoder_split_version=version)
    found = evaluated(court.run("theirs"), "borrowed")
    assert found.metrics is None
    assert "borrowed started from an encoder that may have seen rows of the permanent holdout" in found.rows
