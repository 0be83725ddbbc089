"""Which rows models are compared on, and what a model has learnt of a column that is still true."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import SCHEMA
from pipelines.promotion_setup import evaluated

from loan_default.data.datasets.splits import held_out
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.generator import generate
from loan_default.database.documents import DatasetName
from loan_default.models.model import LoanModel, load_model
from loan_default.pipelines.promotion.unseen_rows import columns_read_differently, mean_the_same, unseen_rows
from loan_default.pipelines.training.dataset import Dataset


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


def test_a_target_that_means_something_else_measures_no_model_of_before(promotion):
    target = replace(SCHEMA["bad"], positive="late")
    schema = replace(SCHEMA, columns=(*SCHEMA.columns[:-1], target))
    run = promotion.run("redefined")
    found = evaluated(replace(run, services=replace(run.services, schema=schema)), promotion.model.version)
    assert found.metrics is None
    assert "the schema reads bad differently" in found.rows


@pytest.mark.slow
def test_the_trained_model_says_by_which_version_it_was_split(promotion):
    found = evaluated(promotion.run("mine"), promotion.model.version)
    assert promotion.metrics(found.metrics).dataset is DatasetName.HELD_OUT
    assert found.rows.startswith("permanent holdout")


@pytest.mark.slow
@pytest.mark.parametrize("version", [None, 1])
def test_a_model_whose_encoder_may_have_seen_the_holdout_is_not_measured_on_it(promotion, version):
    promotion.candidate("borrowed", seen_until=None, encoder_given=True, encoder_split_version=version)
    found = evaluated(promotion.run("theirs"), "borrowed")
    assert found.metrics is None
    assert "borrowed started from an encoder that may have seen rows of the permanent holdout" in found.rows


# The choice of rows ----------------------------------------------------------------------------------------


@pytest.fixture
def model(promotion) -> LoanModel:
    return load_model(promotion.home / promotion.model.path)


def claiming(
    model: LoanModel, version: str = "m", *, schema: Schema = SCHEMA, **provenance: object
) -> LoanModel:
    """A model that says this of its training."""
    claimed = dict(model.provenance) | provenance
    return replace(model, version=version, schema=schema, provenance=claimed)


def dataset_of(frame: pd.DataFrame, schema: Schema = SCHEMA) -> Dataset:
    return Dataset(
        schema=schema,
        source="a test",
        frame=frame,
        quarantined=frame.iloc[:0],
        reasons={},
        rows_read=len(frame),
        duplicates=0,
        ignored_columns=(),
        digest="",
        period=None,
    )


def a_day_apart(rows: int = 300) -> pd.DataFrame:
    """Rows in order of time, a day apart, whose outcomes alternate."""
    frame = generate(SCHEMA, rows=rows, seed=4).frame
    days = pd.date_range("2025-01-01", periods=rows, freq="D", tz="UTC").as_unit("us")
    return frame.assign(made=days, bad=np.arange(rows) % 2.0)


def test_rows_after_all_that_both_models_have_seen_are_taken_where_there_are_enough(model):
    frame = a_day_apart()
    early = claiming(model, seen_until=frame["made"].iloc[100].isoformat())
    late = claiming(model, seen_until=frame["made"].iloc[199].isoformat())
    for models, first in (([early], 101), ([early, late], 200), ([late, early], 200)):
        chosen = unseen_rows(dataset_of(frame), models, fewest=100)
        assert (chosen.name, chosen.can_be_measured) == (DatasetName.OUT_OF_TIME, True)
        assert chosen.positions.tolist() == list(range(first, 300))
    assert unseen_rows(dataset_of(frame), [late], fewest=101).name is DatasetName.HELD_OUT


def test_later_rows_count_once_their_outcome_is_known_and_both_are_among_them(model):
    frame = a_day_apart()
    late = claiming(model, seen_until=frame["made"].iloc[199].isoformat())
    unlabelled = frame.assign(bad=frame["bad"].where(frame.index != frame.index[250]))
    chosen = unseen_rows(dataset_of(unlabelled), [late], fewest=99)
    assert chosen.positions.tolist() == [*range(200, 250), *range(251, 300)]
    assert unseen_rows(dataset_of(unlabelled), [late], fewest=100).name is DatasetName.HELD_OUT
    one_outcome = frame.assign(bad=frame["bad"].where(np.arange(300) < 200, 1.0))
    assert unseen_rows(dataset_of(one_outcome), [late], fewest=10).name is DatasetName.HELD_OUT


@pytest.mark.parametrize(
    "unknown", [{"seen_until": None}, {"schema": replace(SCHEMA, columns=SCHEMA.columns[2:])}]
)
def test_where_one_model_does_not_say_until_when_it_has_seen_no_row_counts_as_later(model, unknown):
    frame = a_day_apart()
    long_ago = "2000-01-01T00:00:00+00:00"
    says, does_not = (
        claiming(model, seen_until=long_ago),
        claiming(model, **({"seen_until": long_ago} | unknown)),
    )
    for models in ([says, does_not], [does_not, says], [does_not]):
        assert unseen_rows(dataset_of(frame), models, fewest=10).name is DatasetName.HELD_OUT
    assert unseen_rows(dataset_of(frame), [says], fewest=10).name is DatasetName.OUT_OF_TIME


def test_times_of_another_column_do_not_compare(model):
    decided = tuple(replace(each, name="decided") if each.name == "made" else each for each in SCHEMA.columns)
    other = claiming(model, schema=replace(SCHEMA, columns=decided), seen_until="2000-01-01T00:00:00+00:00")
    assert unseen_rows(dataset_of(a_day_apart()), [other], fewest=10).name is DatasetName.HELD_OUT


def test_the_permanent_holdout_is_its_labelled_rows(model):
    frame = a_day_apart()
    frame = frame.assign(bad=frame["bad"].where(np.arange(300) % 3 > 0))
    chosen = unseen_rows(dataset_of(frame), [claiming(model, seen_until=None)], fewest=10)
    expected = held_out(frame, SCHEMA) & frame["bad"].notna().to_numpy()
    assert chosen.positions.tolist() == np.flatnonzero(expected).tolist()
    assert chosen.can_be_measured


def test_a_holdout_of_one_outcome_measures_nothing_and_says_how_many_rows_there_are(model):
    frame = a_day_apart().assign(bad=1.0)
    chosen = unseen_rows(dataset_of(frame), [claiming(model, seen_until=None)], fewest=10)
    assert (len(chosen.positions), chosen.can_be_measured) == (0, False)
    kept = int(held_out(frame, SCHEMA).sum())
    assert f"of 300 labelled rows {kept} are in the permanent holdout" in chosen.reason


def with_column(name: str, **changes: object) -> Schema:
    columns = (replace(each, **changes) if each.name == name else each for each in SCHEMA.columns)
    return replace(SCHEMA, columns=tuple(columns))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claimed", "reason"),
    [
        ({"split": "stratified"}, "m was trained on a split of its own (stratified)"),
        ({"split": "out of time"}, "m was trained on a split of its own (out of time)"),
        ({"split_version": 1}, "m was trained with version 1 of the permanent holdout, this is version 2"),
        ({"split_version": None}, "m was trained with version 1 of the permanent holdout, this is version 2"),
        ({"encoder_given": True, "encoder_split_version": 1}, "m started from an encoder that may have seen"),
        (
            {"schema": with_column("purpose", categories=("car", "house"))},
            "the schema reads purpose differently than it did for m, which moves rows of the permanent",
        ),
    ],
)
def test_a_model_that_may_have_seen_the_permanent_holdout_is_not_measured_on_it(model, claimed, reason):
    sound = claiming(model, "sound", seen_until=None)
    doubtful = claiming(model, **({"seen_until": None} | claimed))
    for models, them in (([doubtful], "it"), ([sound, doubtful], "both"), ([doubtful, sound], "both")):
        chosen = unseen_rows(dataset_of(a_day_apart()), models, fewest=10)
        assert (len(chosen.positions), chosen.can_be_measured) == (0, False)
        assert chosen.reason.startswith(f"no row is known to be new to {them}: {reason}")
    assert unseen_rows(dataset_of(a_day_apart()), [sound, sound], fewest=10).can_be_measured


def test_an_encoder_that_left_the_same_holdout_out_is_no_obstacle(model):
    own = claiming(model, seen_until=None, encoder_given=True, encoder_split_version=2)
    assert unseen_rows(dataset_of(a_day_apart()), [own], fewest=10).can_be_measured


def test_columns_that_are_columns_read_differently_are_named(model):
    assert columns_read_differently(model, SCHEMA) == []
    changed = with_column("purpose", categories=("car",))
    without = replace(changed, columns=tuple(each for each in changed.columns if each.name != "debt"))
    assert columns_read_differently(model, without) == ["debt", "purpose"]
    assert columns_read_differently(model, with_column("bad", negative="maybe")) == ["bad"]
    targetless = replace(SCHEMA, columns=SCHEMA.columns[:-1])
    assert columns_read_differently(model, targetless) == ["bad"]
    assert columns_read_differently(claiming(model, schema=targetless), SCHEMA) == ["the target"]
    chosen = unseen_rows(dataset_of(a_day_apart(), without), [model], fewest=10)
    assert chosen.reason == f"the schema reads debt, purpose differently than it did for {model.version}"
    assert not chosen.can_be_measured
