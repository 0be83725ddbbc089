import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from sklearn.preprocessing import QuantileTransformer

from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema, schema_from_dict
from loan_default.data.sources.generator import generate, to_text
from loan_default.errors import DataError
from loan_default.models import categories
from loan_default.models.categories import (
    CategoricalFeature,
    bucket_of,
    category_from_dict,
    category_to_dict,
    level_key,
)
from loan_default.models.features import (
    Features,
    Inputs,
    features_from_dict,
    features_to_dict,
    fit_features,
)
from loan_default.pipelines.training.plan import plan_training
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import FileData, TrainingOptions


def as_text(features: Features) -> str:
    return json.dumps(features_to_dict(features), default=np.ndarray.tolist, sort_keys=True)


def one_number(values: Any, **options: Any) -> Features:
    """Features of one numerical column beside one that always varies."""
    schema = schema_from_dict(
        {"name": "s", "columns": {"x": {"kind": "numerical"}, "other": {"kind": "numerical"}}}
    )
    other = np.arange(len(values), dtype=np.float64)
    return fit_features(pd.DataFrame({"x": values, "other": other}), schema, **options)


# Leakage


@pytest.fixture
def prepared_from(schema: Schema, tmp_path: Path) -> Callable[[pd.DataFrame], Any]:
    def plan(frame: pd.DataFrame) -> Any:
        data, schema_file = tmp_path / "rows.csv", tmp_path / "schema.toml"
        to_text(frame, schema).to_csv(data, index=False)
        schema_file.write_text(dump_schema(schema))
        options = TrainingOptions(data=FileData(data), schema=schema_file, device="cpu")
        return plan_training(options, watch=Stopwatch(lambda name, detail: None), environ={})

    return plan


@pytest.mark.slow
def test_the_pipeline_fits_features_on_its_training_rows_only(
    prepared_from: Callable[[pd.DataFrame], Any], frame: pd.DataFrame, schema: Schema
) -> None:
    plan = prepared_from(frame)
    rows = plan.dataset.frame
    assert as_text(plan.features) == as_text(fit_features(rows.iloc[plan.split.train], schema))
    assert as_text(plan.features) != as_text(fit_features(rows, schema))


@pytest.mark.slow
def test_other_values_in_the_held_out_rows_change_nothing_that_is_fitted(
    prepared_from: Callable[[pd.DataFrame], Any], frame: pd.DataFrame
) -> None:
    before = prepared_from(frame)
    held_out = np.concatenate([before.split.validation, before.split.test])
    assert len(before.dataset.frame) == len(frame)
    other = frame.copy()
    draws = np.random.default_rng(0).uniform(900, 1000, len(held_out))
    other.iloc[held_out, other.columns.get_loc("amount")] = draws
    other.iloc[held_out, other.columns.get_loc("income")] = np.nan
    other.iloc[held_out, other.columns.get_loc("purpose")] = "study"
    after = prepared_from(other)
    np.testing.assert_array_equal(after.split.train, before.split.train)
    assert as_text(after.features) == as_text(before.features)

    changed = frame.copy()
    changed.iloc[before.split.train[:20], changed.columns.get_loc("amount")] = 999.0
    assert as_text(prepared_from(changed).features) != as_text(before.features)


def test_protected_and_target_columns_are_no_features(features: Features) -> None:
    assert set(features.names) == {"amount", "income", "term", "grade", "purpose", "region"}


# Against scikit-learn


@pytest.mark.parametrize("kind", ["continuous", "ties", "heavy tail", "one value dominates"])
@pytest.mark.parametrize("rows", [400, 4_000])
def test_the_transform_is_that_of_scikit_learn(kind: str, rows: int) -> None:
    rng = np.random.default_rng(rows)
    values = {
        "continuous": rng.normal(size=rows),
        "ties": rng.integers(0, 9, rows).astype(np.float64),
        "heavy tail": rng.lognormal(0, 4, rows),
        "one value dominates": np.where(rng.random(rows) < 0.7, 0.0, rng.normal(size=rows)),
    }[kind]
    oracle = QuantileTransformer(output_distribution="normal", n_quantiles=rows // 30, subsample=None)
    oracle.fit(values[:, None])
    unseen = rng.uniform(values.min() - 1, values.max() + 1, 500)
    everything = np.concatenate([values, unseen, [-1e300, 1e300]])
    if kind == "ties":  # at its ends, scikit-learn does not average over ties; see the next test
        everything = everything[(everything != values.min()) & (everything != values.max())]
    ours = one_number(values).transform(pd.DataFrame({"x": everything})).numerical[:, 0]
    np.testing.assert_allclose(ours, oracle.transform(everything[:, None])[:, 0], atol=1e-5)


def test_ties_at_the_ends_get_the_middle_of_their_places_too() -> None:
    values = np.repeat([0.0, 1.0, 2.0, 3.0], 300)  # quantiles are a 39th apart, each value has ten
    scores = one_number(values).transform(pd.DataFrame({"x": [0.0, 3.0, -1.0, 4.0]})).numerical[:, 0]
    np.testing.assert_allclose(scores[:2], ndtri([4.5 / 39, 34.5 / 39]), atol=1e-6)
    np.testing.assert_allclose(scores[2:], ndtri([1e-7, 1 - 1e-7]), atol=1e-5)


def test_ties_get_one_score_and_scores_keep_the_order() -> None:
    values = np.repeat([1.0, 2.0, 2.0, 2.0, 5.0], 60)
    scores = one_number(values).transform(pd.DataFrame({"x": [1.0, 2.0, 3.0, 5.0]})).numerical[:, 0]
    assert (np.diff(scores) > 0).all()
    assert abs(scores[1]) < 0.3  # the middle of the places 0.2 to 0.8


# Bins


@pytest.mark.parametrize(("known", "bins"), [(900, 30), (90, 3), (20, 1), (40_000, 512)])
def test_bins_hold_thirty_known_rows_and_are_512_at_most(known: int, bins: int) -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(size=known), np.full(100, np.nan)])
    feature = one_number(values).numerical[0]
    assert len(feature.edges) == bins + 1
    assert (np.diff(feature.edges) > 0).all()


def test_fewer_bins_where_asked() -> None:
    assert len(one_number(np.arange(3000.0), max_bins=7).numerical[0].edges) == 8
    assert len(one_number(np.arange(3000.0), rows_per_bin=1000).numerical[0].edges) == 4


@pytest.mark.parametrize(("labelled", "bins"), [(12_000, 400), (900, 30), (480, 16), (20, 16), (0, 16)])
def test_labelled_rows_decide_how_fine_bins_are(labelled: int, bins: int) -> None:
    features = one_number(np.arange(12_000.0), labelled=np.arange(12_000) < labelled)
    assert len(features.numerical[0].edges) == bins + 1


def test_rows_without_a_label_show_where_the_values_lie_but_never_make_finer_bins() -> None:
    assert len(one_number(np.arange(300.0), labelled=np.arange(300) < 20).numerical[0].edges) == 11
    rows = np.arange(12_000)
    half = np.where(rows % 2, np.nan, rows.astype(float))
    assert len(one_number(half, labelled=rows < 6_000).numerical[0].edges) == 101
    late = np.where(rows < 6_000, np.nan, rows.astype(float))  # a column that is new: no outcome is known yet
    assert len(one_number(late, labelled=rows < 6_000).numerical[0].edges) == 17


# Odd columns


@pytest.mark.parametrize("values", [np.full(50, 3.0), np.full(50, np.nan), np.full(50, np.inf)])
def test_a_column_that_says_nothing_is_left_out(values: np.ndarray) -> None:
    assert [feature.name for feature in one_number(values).numerical] == ["other"]


def test_a_constant_with_gaps_is_kept_for_its_gaps() -> None:
    features = one_number([7.0, np.nan] * 30)
    scores = features.transform(pd.DataFrame({"x": [7.0, 100.0, np.nan]})).numerical[:, 0]
    np.testing.assert_array_equal(scores, [0.0, 0.0, np.nan])


def test_nothing_but_constants_is_refused() -> None:
    schema = schema_from_dict({"name": "s", "columns": {"x": {"kind": "numerical"}}})
    with pytest.raises(DataError, match="two different values, however: all are constant"):
        fit_features(pd.DataFrame({"x": [1.0, 1.0]}), schema)
    with pytest.raises(DataError, match="rows=0"):
        fit_features(pd.DataFrame({"x": pd.Series([], dtype=float)}), schema)


def test_rare_unseen_and_missing_categories_are_code_0() -> None:
    column = {"kind": "categorical", "categories": ["a", "b", "rare"], "open": True}
    schema = schema_from_dict({"name": "s", "columns": {"c": column}})
    frame = pd.DataFrame({"c": pd.Series(["a"] * 600 + ["b"] * 399 + ["rare"], dtype="str")})
    features = fit_features(frame, schema, rare_share=0.002)
    assert features.categorical[0].vocabulary == ("a", "b")
    codes = features.transform(pd.DataFrame({"c": ["b", "a", "rare", "new", None]})).codes[:, 0]
    np.testing.assert_array_equal(codes, [2, 1, 0, 0, 0])
    assert fit_features(frame, schema, rare_share=0).categorical[0].vocabulary == ("a", "b", "rare")


def test_ordinal_levels_become_their_ranks(frame: pd.DataFrame, features: Features) -> None:
    spelled = pd.DataFrame({"grade": ["low", "middle", "high", "unheard of", None]})
    place = features.names.index("grade")
    scores = features.transform(spelled).numerical[:, place]
    assert scores[0] < scores[1] < scores[2]
    assert np.isnan(scores[3:]).all()
    # The alphabet would put "high" first.
    assert features.numerical[place].levels == ("low", "middle", "high")


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.sampled_from(["car", "low", "1e999", "-inf", "nan", "12"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=1), st.integers(), max_size=1),
    st.datetimes(),
    st.just(pd.NaT),
    st.just(pd.NA),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_value_makes_the_transform_raise(data: st.DataObject, features: Features) -> None:
    rows = data.draw(st.integers(0, 4))
    names = data.draw(st.lists(st.sampled_from([*features.names, "unknown"]), unique=True))
    columns = {
        name: pd.Series(data.draw(st.lists(ANYTHING, min_size=rows, max_size=rows)), dtype=object)
        for name in names
    }
    inputs = features.transform(pd.DataFrame(columns, index=range(rows)))
    assert inputs.numerical.shape == (rows, 4)
    assert inputs.codes.shape == (rows, 2)
    assert not np.isinf(inputs.numerical).any()
    assert ((inputs.codes >= 0) & (inputs.codes < features.cardinalities)).all()


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(["1", "inf", "x", ""], dtype="str"),
        pd.Series(["1", "x", None, "2"], dtype="category"),
        pd.Series([1, None, 2, 3], dtype="Int64"),
        pd.Series([True, False, True, True]),
        pd.Series(pd.to_datetime(["2026-01-01", None, None, None], utc=True)),
        pd.Series(pd.to_timedelta([1, None, 2, 3], unit="s")),
        pd.Series([1 + 2j, 0, 1, 2]),
        pd.Series([1, 2, None, 3], dtype="int64[pyarrow]"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_no_column_type_makes_the_transform_raise(values: pd.Series, features: Features) -> None:
    inputs = features.transform(pd.DataFrame(dict.fromkeys(features.names, values)))
    assert not np.isinf(inputs.numerical).any()
    if values.dtype.kind in "mMc":
        assert np.isnan(inputs.numerical).all(), "a time or a complex number is not a measurement"


def test_text_and_numbers_are_the_same_number(features: Features) -> None:
    place = features.names.index("amount")
    spelled = features.transform(pd.DataFrame({"amount": pd.Series(["12.5", "700"], dtype="str")}))
    numbers = features.transform(pd.DataFrame({"amount": [12.5, 700.0]}))
    np.testing.assert_array_equal(spelled.numerical[:, place], numbers.numerical[:, place])


def test_absent_columns_and_no_rows(features: Features) -> None:
    inputs = features.transform(pd.DataFrame(index=range(3)))
    assert np.isnan(inputs.numerical).all()
    assert (inputs.codes == 0).all()
    assert len(features.transform(pd.DataFrame())) == 0


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.floats(allow_nan=True), st.sampled_from([0.0, 1.0])), min_size=2, max_size=200
    )
)
@example(values=[1.9557172242547087e306, -1.7781359626197687e308])
def test_fitting_any_numbers_gives_ascending_edges_and_finite_scores(values: list[float]) -> None:
    features = one_number(values, rows_per_bin=3)
    for feature in features.numerical:
        assert (np.diff(feature.edges) > 0).all()
        assert (feature.quantiles[1:] >= feature.quantiles[:-1]).all()
        assert np.isfinite(feature.edges).all()
    scores = features.transform(pd.DataFrame({"x": values})).numerical[:, :-1]
    finite = np.isfinite(values)
    assert np.isfinite(scores[finite]).all()
    assert np.isnan(scores[~finite]).all()
    order = np.argsort(np.array(values)[finite], kind="stable")
    assert (np.diff(scores[finite][order], axis=0) >= 0).all()


# To a file and back


def test_round_trip(features: Features, frame: pd.DataFrame) -> None:
    again = features_from_dict(features_to_dict(features))
    assert as_text(again) == as_text(features)
    for left, right in zip(_arrays(again, frame), _arrays(features, frame), strict=True):
        np.testing.assert_array_equal(left, right)


def _arrays(features: Features, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    inputs = features.transform(frame)
    return inputs.numerical, inputs.codes


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda raw: raw["numerical"][0].update(edges=np.array([1.0, 1.0])),
            "edges must be finite and ascend",
        ),
        (lambda raw: raw["numerical"][0].update(edges=np.array([1.0])), "edges must be finite and ascend"),
        (lambda raw: raw["numerical"][0].update(quantiles=np.array([2.0, 1.0])), "quantiles must be finite"),
        (lambda raw: raw["numerical"][0].update(quantiles=np.zeros((2, 2))), "quantiles must be finite"),
        (lambda raw: raw["numerical"][0].update(quantiles=np.zeros(0)), "quantiles must be finite"),
        (lambda raw: raw["numerical"][0].update(name="income"), "names must be text and distinct"),
        (lambda raw: raw["numerical"][0].update(name=5), "names must be text and distinct"),
        (lambda raw: raw["categorical"][0].update(vocabulary=["a", "a"]), "names must be text and distinct"),
        (lambda raw: raw["numerical"][3].update(levels=["a", "a"]), "names must be text and distinct"),
    ],
)
def test_features_that_contradict_themselves_are_refused(
    features: Features, damage: Callable[[dict[str, Any]], None], says: str
) -> None:
    raw = features_to_dict(features)
    damage(raw)
    with pytest.raises(DataError, match=says):
        features_from_dict(raw)


def test_inputs_can_be_cut(features: Features, frame: pd.DataFrame) -> None:
    inputs = features.transform(frame)
    part = inputs[np.array([5, 2])]
    assert isinstance(part, Inputs)
    assert len(part) == 2
    np.testing.assert_array_equal(part.codes[1], inputs.codes[2])


def test_fitting_does_not_depend_on_the_order_of_rows(schema: Schema) -> None:
    frame = generate(schema, rows=300, seed=11).frame
    shuffled = frame.sample(frac=1, random_state=2)
    assert as_text(fit_features(frame, schema)) == as_text(fit_features(shuffled, schema))


# Dates

DATED = schema_from_dict(
    {
        "name": "s",
        "columns": {
            "made": {"kind": "timestamp", "nullable": True},
            "opened": {"kind": "date", "nullable": True, "derive": "years_before_application"},
            "closed": {"kind": "date", "nullable": True},
            "weight": {"kind": "weight"},
            "income": {"kind": "numerical"},
        },
    }
)


def dated_rows(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    made = pd.Series(pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(rng.uniform(0, 900, n), unit="D"))
    opened = made - pd.to_timedelta(rng.uniform(30, 9000, n), unit="D")
    frame = pd.DataFrame(
        {"made": made, "opened": opened, "closed": opened, "weight": 1.0, "income": rng.random(n)}
    )
    return frame.astype(dict.fromkeys(("made", "opened", "closed"), "datetime64[us, UTC]"))


def test_a_date_becomes_the_years_before_the_application() -> None:
    frame = dated_rows()
    years = (frame["made"] - frame["opened"]).dt.total_seconds() / (365.25 * 86_400)
    as_number = schema_from_dict(
        {"name": "s", "columns": {"opened": {"kind": "numerical"}, "income": {"kind": "numerical"}}}
    )
    features = fit_features(frame, DATED)
    expected = fit_features(frame.assign(opened=years), as_number)
    assert features.names == expected.names == ("opened", "income")  # neither the weight nor the other dates
    got = features.transform(frame).numerical
    np.testing.assert_allclose(got, expected.transform(frame.assign(opened=years)).numerical, atol=1e-6)
    again = features_from_dict(features_to_dict(features))
    np.testing.assert_array_equal(again.transform(frame).numerical, got)


def test_a_derived_value_is_missing_where_either_time_is() -> None:
    features = fit_features(dated_rows(), DATED)
    rows = dated_rows(4)
    rows.loc[0, "made"] = pd.NaT
    rows.loc[1, "opened"] = pd.NaT
    assert np.isnan(features.transform(rows).numerical[:, 0]).tolist() == [True, True, False, False]
    for odd in (rows.drop(columns="made"), rows.assign(made="x"), rows.assign(opened=1.0)):
        assert np.isnan(features.transform(odd).numerical[:, 0]).all()


# Buckets

GOLDEN_BUCKETS = [7, 8, 10, 11, 6, 1]
GOLDEN_KEYS = [8442629554481457546, 2102830818897968440, -31749812733618643]


def many_levels(buckets: int) -> Schema:
    column = {
        "kind": "categorical",
        "categories": ["a", "b"],
        "open": True,
        "nullable": True,
        "buckets": buckets,
    }
    return schema_from_dict({"name": "s", "columns": {"employer": column}})


def test_golden_buckets() -> None:
    """A change here gives stored models other inputs."""
    texts = ["Acme", "caf\u00e9", "", "Stra\u00dfe 1", "\u4e2d", "1.0"]
    assert [bucket_of(text, 16) for text in texts] == GOLDEN_BUCKETS
    assert bucket_of(" ACME ", 16) == bucket_of("acme", 16)


def test_unlisted_categories_share_levels_of_their_own() -> None:
    names = ["a"] * 50 + ["b"] * 50 + [f"employer {number}" for number in range(300)] + [None] * 20
    frame = pd.DataFrame({"employer": pd.Series(names, dtype="str")})
    (feature,) = fit_features(frame, many_levels(8)).categorical
    assert feature.vocabulary == ("a", "b")
    assert feature.known_buckets == tuple(range(8))
    assert feature.cardinality == 1 + 2 + 8
    codes = feature.codes(pd.Series(["a", "b", None, "employer 7", " EMPLOYER 7", "never seen"], dtype="str"))
    assert codes[:3].tolist() == [1, 2, 0]
    assert codes[3] == codes[4] == 3 + bucket_of("employer 7", 8)
    assert codes[5] == 3 + bucket_of("never seen", 8)


def test_a_bucket_that_no_training_row_has_is_unknown() -> None:
    frame = pd.DataFrame({"employer": pd.Series(["a"] * 50 + ["Acme"] * 50, dtype="str")})
    features = fit_features(frame, many_levels(16))
    (feature,) = features.categorical
    bucket = bucket_of("Acme", 16)
    assert feature.known_buckets == (bucket,)
    other = next(text for text in map(str, range(1000)) if bucket_of(text, 16) != bucket)
    assert feature.codes(pd.Series(["Acme", other], dtype="str")).tolist() == [2, 0]
    again = features_from_dict(features_to_dict(features))
    assert again.categorical == features.categorical


@given(texts=st.lists(st.none() | st.text(max_size=5), max_size=20), buckets=st.integers(0, 20))
def test_any_text_has_a_code_in_range(texts: list[str | None], buckets: int) -> None:
    frame = pd.DataFrame({"employer": pd.Series(["a", "b", "x", "y", "z", *texts], dtype=object)})
    features = fit_features(frame, many_levels(buckets))
    codes = features.transform(frame).codes[:, 0]
    assert codes.min() >= 0
    assert codes.max() < features.cardinalities[0]


@pytest.mark.parametrize(
    "damage",
    [
        {"buckets": -1},
        {"buckets": "8"},
        {"known_buckets": [9]},
        {"known_buckets": [1, 1]},
        {"buckets": 10**9},
    ],
)
def test_buckets_that_contradict_themselves_are_refused(damage: dict[str, Any]) -> None:
    frame = pd.DataFrame({"employer": pd.Series(["a", "x"], dtype="str")})
    raw = features_to_dict(fit_features(frame, many_levels(8)))
    raw["categorical"][0].update(damage)
    with pytest.raises(DataError, match="buckets must be whole numbers"):
        features_from_dict(raw)


def test_features_of_earlier_releases_have_no_new_keys(features: Features) -> None:
    raw = features_to_dict(features)
    # Older releases read past the two flags, which only counts of scored rows need.
    flags = {"is_complete", "is_whole"}
    keys = {key for item in raw["numerical"] for key in item}
    assert keys - flags == {"name", "quantiles", "edges", "levels"}
    assert {key for item in raw["categorical"] for key in item} - flags == {"name", "vocabulary"}


# Many levels


def with_levels(names: list[str | None]) -> CategoricalFeature:
    frame = pd.DataFrame({"employer": pd.Series(names, dtype="str")})
    (feature,) = fit_features(frame, many_levels(8)).categorical
    return feature


def test_golden_level_keys() -> None:
    """A change here gives stored models other inputs."""
    assert [level_key(text) for text in ("Acme", "caf\u00e9", "")] == GOLDEN_KEYS
    assert level_key(" ACME ") == level_key("acme")


@pytest.mark.slow
def test_levels_that_repeat_have_a_position() -> None:
    repeated = [f"employer {number}" for number in range(60)]
    feature = with_levels([*repeated, *repeated, "once", None, None])
    assert len(feature.levels) == 60
    asked = ["employer 0", " EMPLOYER 59", "once", "never seen", None, "employer 0"]
    positions = feature.level_positions(pd.Series(asked, dtype="str"))
    assert positions[0] == positions[5] > 0
    assert positions[1] == 1 + list(feature.levels).index(level_key("employer 59"))
    assert positions[2:5].tolist() == [0, 0, 0]
    assert feature.level_positions(pd.Series([], dtype="str")).tolist() == []
    assert feature.level_positions(pd.Series([1.5, True, None], dtype=object)).tolist() == [0, 0, 0]


def test_few_levels_have_no_positions_nor_a_key_in_files() -> None:
    repeated = [f"employer {number}" for number in range(50)]
    feature = with_levels(repeated * 2)
    assert len(feature.levels) == 0
    assert "levels" not in category_to_dict(feature)
    assert len(with_levels([f"employer {number}" for number in range(200)]).levels) == 0  # none repeats


def test_the_most_frequent_levels_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categories, "MAX_LEVELS", 2)
    names = [f"employer {number}" for number in range(60)]
    feature = with_levels([*names, *names, *["employer 7", "employer 9"] * 3])
    assert list(feature.levels) == sorted(map(level_key, ("employer 7", "employer 9")))


def test_levels_come_back() -> None:
    names = [f"employer {number}" for number in range(60)]
    frame = pd.DataFrame({"employer": pd.Series(names * 2, dtype="str")})
    features = fit_features(frame, many_levels(8))
    again = features_from_dict(features_to_dict(features))
    np.testing.assert_array_equal(again.transform(frame).levels, features.transform(frame).levels)
    assert again.level_counts == [60]
    assert features.transform(frame.drop(columns="employer")).levels.tolist() == [[0]] * 120


@pytest.mark.parametrize(
    "levels", [[2, 1], [1, 1], np.array([1.0, 2.0]), np.array([[1, 2]]), ["a"], "x", np.array([True])]
)
def test_levels_that_contradict_themselves_are_refused(levels: Any) -> None:
    with pytest.raises(DataError, match="levels must be"):
        category_from_dict({"name": "employer", "vocabulary": [], "levels": levels})
