import hashlib
import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.sources import generator
from loan_default.data.sources.generating_process import DataGeneratingProcess, _range
from loan_default.data.sources.generator import Generated, bayes_auc, chunks, generate, to_text
from loan_default.data.sources.table_files import RawFrame, read_frame
from loan_default.errors import ConfigurationError, DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, maximum=10_000_000, nullable=True),
        Column(name="limit", kind=Kind.NUMERICAL, minimum=10_000, maximum=1_000_000, integer=True),
        Column(name="balance", kind=Kind.NUMERICAL),
        Column(name="ratio", kind=Kind.NUMERICAL, minimum=0, maximum=1, optional=True, nullable=True),
        Column(name="late", kind=Kind.NUMERICAL, minimum=0, maximum=98, integer=True, special=(0, 96, 98)),
        Column(
            name="purpose", kind=Kind.CATEGORICAL, categories=("car", "house", "no"), aliases={"auto": "car"}
        ),
        Column(name="city", kind=Kind.CATEGORICAL, open=True, nullable=True),
        Column(name="grade", kind=Kind.ORDINAL, categories=("A", "B", "C", "D"), nullable=True),
        Column(name="age", kind=Kind.NUMERICAL, minimum=18, maximum=100, integer=True, protected=True),
        Column(name="bad", kind=Kind.TARGET, positive="Y", negative="N"),
    ),
)


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    kind = draw(st.sampled_from([Kind.NUMERICAL, Kind.CATEGORICAL, Kind.ORDINAL]))
    options = {"nullable": draw(st.booleans()), "protected": name != "c0" and draw(st.booleans())}
    if kind is not Kind.NUMERICAL:
        categories = draw(
            st.lists(st.sampled_from(["1", "2", "x", "y.0", "NA", "é"]), max_size=5, unique=True)
        )
        return Column(name=name, kind=kind, categories=tuple(categories), open=not categories, **options)
    bounds = sorted(draw(st.tuples(*[st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0, 100.0, 1e6])] * 2)))
    integer = draw(st.booleans()) and bounds[1] - bounds[0] >= 4
    minimum, maximum = (bound if draw(st.booleans()) else None for bound in bounds)
    special = (
        (math.ceil(bounds[0]), math.floor(bounds[1])) if integer else (0.0,) if bounds[0] != bounds[1] else ()
    )
    forms = ["", "percent", "money"] if minimum is None or minimum < 0 else ["", "months", "years"]
    decimal, thousands = draw(st.sampled_from([(".", ","), (",", "."), (",", "")]))
    return Column(
        name=name,
        kind=kind,
        integer=integer,
        minimum=minimum,
        maximum=maximum,
        special=special,
        format=draw(st.sampled_from(forms)),
        decimal=decimal,
        thousands=thousands,
        **options,
    )


time_formats = st.sampled_from(
    [
        "",
        "%d/%m/%Y",
        "%b-%y",
        "%Y%m%d",
        "%Y-%m-%d %H:%M:%S",
        "epoch_seconds",
        "epoch_milliseconds",
        "spreadsheet",
    ]
)


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    names = [f"c{number}" for number in range(draw(st.integers(1, 5)))]
    parts = [draw(columns(name)) for name in names]
    for name, kind in (("id", Kind.IDENTIFIER), ("weight", Kind.WEIGHT), ("bad", Kind.TARGET)):
        if draw(st.booleans()):
            parts.append(Column(name=name, kind=kind))
    if draw(st.booleans()):
        parts.append(Column(name="made", kind=Kind.TIMESTAMP, format=draw(time_formats)))
        derive = draw(st.sampled_from(["", "years_before_application"]))
        nullable = draw(st.booleans())
        parts.append(
            Column(name="opened", kind=Kind.DATE, format=draw(time_formats), derive=derive, nullable=nullable)
        )
    return Schema(name="drawn", columns=tuple(parts))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(schemas(), st.integers(0, 10_000))
def test_every_row_of_any_schema_passes_validation_as_it_is(schema: Schema, seed: int) -> None:
    frame = generate(schema, rows=300, seed=seed, missing_rate=0.2).frame
    assert list(frame.columns) == [column.name for column in schema.columns]
    raw = RawFrame(frame=to_text(frame, schema).reset_index(drop=True))
    validation = validate(raw, schema, labelled=True)
    assert validation.rejected["reason"].tolist() == []
    pd.testing.assert_frame_equal(validation.accepted, frame, check_index_type=False)
    for column in schema.columns:
        values = frame[column.name]
        assert column.nullable or not values.isna().any()
        assert not column.special or not values.isin(column.special).any()


@pytest.mark.slow
def test_a_csv_file_round_trips(tmp_path: Path) -> None:
    frame = generate(SCHEMA, rows=2000, seed=1).frame
    to_text(frame, SCHEMA).to_csv(tmp_path / "loans.csv", index=False)
    validation = validate(read_frame(tmp_path / "loans.csv"), SCHEMA, labelled=True)
    assert len(validation.rejected) == 0
    pd.testing.assert_frame_equal(validation.accepted, frame, check_index_type=False)


def test_text_of_missing_values_is_empty() -> None:
    frame = generate(SCHEMA, rows=3, seed=1, missing_rate=0).frame
    frame.loc[1] = None
    text = to_text(frame, SCHEMA)
    assert text.loc[1].tolist() == [""] * len(SCHEMA.columns)
    assert set(text["bad"]) <= {"Y", "N", ""}
    assert text["limit"].iloc[0] == str(int(frame["limit"].iloc[0]))
    assert str(text["made"].iloc[0]).startswith("2025-")


def test_the_frame_is_canonical() -> None:
    frame = generate(SCHEMA, rows=5000, seed=1, missing_rate=0.1).frame
    assert frame.dtypes.astype(str).to_dict() == {
        **dict.fromkeys(["income", "limit", "balance", "ratio", "late", "age", "bad"], "float64"),
        **dict.fromkeys(["id", "purpose", "city", "grade"], "str"),
        "made": "datetime64[us, UTC]",
    }
    assert frame.index.tolist() == list(range(5000))
    assert frame["id"].is_unique
    assert frame["made"].is_monotonic_increasing
    assert frame["made"].iloc[-1] - frame["made"].iloc[0] > pd.Timedelta(days=364)
    assert frame["made"].iloc[-1] < pd.Timestamp("2026-01-01", tz="UTC")
    assert set(frame["purpose"]) == {"car", "house", "no"}
    assert set(frame["grade"].dropna()) == set("ABCD")
    for name in ("income", "ratio", "city", "grade"):
        assert frame[name].isna().mean() == pytest.approx(0.1, abs=0.02)
    assert frame.drop(columns=["income", "ratio", "city", "grade"]).notna().all(axis=None)
    assert not set(frame["late"]) & {0, 96, 98}


def test_wide_ranges_are_skewed_like_incomes_and_narrow_ones_are_not() -> None:
    frame = generate(SCHEMA, rows=5000, seed=1).frame
    for name in ("income", "limit"):
        assert frame[name].skew() > 1
        assert abs(np.log(frame[name]).skew()) < 0.7
    for name in ("ratio", "age", "balance"):
        assert abs(frame[name].skew()) < 1


def test_columns_move_together() -> None:
    frame = generate(SCHEMA, rows=5000, seed=1).frame.select_dtypes("number").drop(columns="bad")
    correlations = frame.corr(method="spearman").abs().to_numpy()
    assert 0.1 < correlations[~np.eye(len(correlations), dtype=bool)].max() < 0.95


@pytest.mark.slow
@pytest.mark.parametrize(("base_rate", "signal"), [(0.2, 1.5), (0.03, 1.0), (0.5, 3.0), (0.9, 0.5)])
def test_the_level_and_the_signal_are_as_asked(base_rate: float, signal: float) -> None:
    generated = generate(SCHEMA, rows=40_000, seed=5, base_rate=base_rate, signal=signal)
    p = generated.probability
    assert p.mean() == pytest.approx(base_rate, rel=0.05)
    assert np.log(p / (1 - p)).std() == pytest.approx(signal, rel=0.05)
    assert generated.frame["bad"].mean() == pytest.approx(p.mean(), abs=4 * math.sqrt(base_rate / 40_000))


@pytest.mark.slow
def test_the_labels_have_the_auc_that_is_promised() -> None:
    gaps = []
    for seed in range(8):
        generated = generate(SCHEMA, rows=20_000, seed=seed)
        gaps.append(roc_auc_score(generated.frame["bad"], generated.probability) - generated.bayes_auc)
    assert np.abs(gaps).max() < 0.016  # the standard error of one is about 0.004
    assert abs(np.mean(gaps)) < 0.006


@pytest.mark.slow
def test_a_model_finds_most_of_the_signal_in_the_features_and_not_all_of_it_is_linear() -> None:
    generated = generate(SCHEMA, rows=12_000, seed=3, signal=2.0)
    features = generated.frame[[column.name for column in SCHEMA.features]]
    table = features.apply(lambda values: values if values.dtype == "float64" else pd.factorize(values)[0])
    y = generated.frame["bad"].to_numpy()
    model = HistGradientBoostingClassifier(max_iter=80, random_state=0).fit(table[:9000], y[:9000])
    found = roc_auc_score(y[9000:], model.predict_proba(table[9000:])[:, 1])
    assert generated.bayes_auc - 0.05 < found < generated.bayes_auc + 0.03
    linear = np.linalg.lstsq(
        np.column_stack([np.ones(12_000), table.fillna(table.mean())]), np.log(1 / generated.probability - 1)
    )[1]
    assert linear[0] / 12_000 > 0.02 * 2.0**2


def test_without_signal_all_rows_are_alike() -> None:
    generated = generate(SCHEMA, rows=100, seed=1, signal=0)
    assert generated.probability == pytest.approx(0.2)
    assert generated.bayes_auc == pytest.approx(0.5)


@pytest.mark.slow
def test_the_seed_decides() -> None:
    first, again, other = (generate(SCHEMA, rows=200, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first.frame, again.frame)
    assert first.probability.tolist() == again.probability.tolist()
    assert not first.frame["income"].equals(other.frame["income"])
    assert not set(first.frame["id"]) & set(other.frame["id"])


@pytest.mark.slow
@pytest.mark.parametrize("chunk_rows", [1, 999, 8192, 12_345, 50_000])
def test_chunks_are_the_rows_of_the_whole(chunk_rows: int) -> None:
    rows = 300 if chunk_rows == 1 else 20_000
    whole = generate(SCHEMA, rows=rows, seed=4)
    parts = list(chunks(SCHEMA, rows=rows, chunk_rows=chunk_rows, seed=4))
    assert [len(part.frame) for part in parts[:-1]] == [chunk_rows] * (len(parts) - 1)
    together = pd.concat([part.frame for part in parts])
    pd.testing.assert_frame_equal(together, whole.frame, check_index_type=False)
    assert np.concatenate([part.probability for part in parts]) == pytest.approx(whole.probability, abs=1e-15)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([0.0, 0.2, 0.5, 1.0]) | st.floats(0, 1, allow_subnormal=False),
        min_size=2,
        max_size=30,
    )
)
def test_bayes_auc_agrees_with_all_pairs(probabilities: list[float]) -> None:
    p = np.array(probabilities)
    won = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    weight = p[:, None] * (1 - p[None, :]) * (1 - np.eye(len(p)))
    expected = (won * weight).sum() / weight.sum() if weight.sum() > 0 else 0.5
    assert bayes_auc(p) == pytest.approx(expected, abs=1e-6)


def test_bayes_auc_by_hand() -> None:
    assert bayes_auc(np.array([0.0, 1.0])) == 1
    assert bayes_auc(np.array([0.3])) == 0.5
    # The riskier row is the bad one in 0.8 * 0.9 of the cases in which they differ, the other in 0.1 * 0.2.
    assert bayes_auc(np.array([0.1, 0.8])) == pytest.approx(0.72 / 0.74)


def test_degenerate_columns() -> None:
    feature = Column(name="x", kind=Kind.NUMERICAL, minimum=0.1, maximum=0.1)
    generated = generate(Schema(name="s", columns=(feature,)), rows=10, seed=1)
    assert set(generated.frame["x"]) == {0.1}
    assert generated.probability == pytest.approx(0.2)
    only = Column(name="x", kind=Kind.NUMERICAL, minimum=1, maximum=3, integer=True, special=(1, 3))
    assert set(generate(Schema(name="s", columns=(only,)), rows=10, seed=1).frame["x"]) == {2.0}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column(name="x", kind=Kind.NUMERICAL, minimum=1.2, maximum=1.8, integer=True), "a whole number"),
        (
            Column(name="x", kind=Kind.NUMERICAL, minimum=1, maximum=2, integer=True, special=(1, 2)),
            "special",
        ),
        (Column(name="x", kind=Kind.NUMERICAL, minimum=7.5, maximum=7.5, special=(7.5,)), "not special"),
    ],
)
def test_a_column_that_no_value_fits_is_refused(column: Column, message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(Schema(name="s", columns=(column,)), rows=10, seed=1)


@pytest.mark.parametrize(
    "options",
    [{"base_rate": 0}, {"base_rate": 1}, {"signal": -1}, {"missing_rate": 1}, {"seed": -1}, {"rows": 0}],
)
def test_impossible_options_are_refused_before_the_first_row(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))}="):
        chunks(SCHEMA, **{"rows": 10, "chunk_rows": 10, "seed": 1, **options})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="chunk_rows=0"):
        chunks(SCHEMA, rows=10, chunk_rows=0, seed=1)


@pytest.mark.slow
def test_chunks_add_up_to_the_rows_that_were_asked_for() -> None:
    assert sum(len(part.frame) for part in chunks(SCHEMA, rows=100_000, chunk_rows=20_000, seed=1)) == 100_000


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 1),
    begin=st.integers(0, 20_000) | st.sampled_from([8191, 8192, 8193, 16_384, 20_000]),
    chunk_rows=st.integers(200, 25_000),
)
def test_a_row_is_the_same_wherever_the_chunks_begin(seed: int, begin: int, chunk_rows: int) -> None:
    whole = whole_of(seed)
    parts = list(chunks(SCHEMA, rows=20_000, chunk_rows=chunk_rows, seed=seed, begin=begin))
    if begin == 20_000:
        assert parts == []
        return
    together = pd.concat([part.frame for part in parts])
    pd.testing.assert_frame_equal(
        together, whole.frame.iloc[begin:], check_index_type=False, check_exact=True
    )
    assert np.concatenate([part.probability for part in parts]).tolist() == whole.probability[begin:].tolist()


@cache
def whole_of(seed: int) -> Generated:
    return generate(SCHEMA, rows=20_000, seed=seed)


def test_going_on_draws_the_blocks_of_the_new_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = drawn_blocks(monkeypatch)
    list(chunks(SCHEMA, rows=1_000_000, chunk_rows=5_000, seed=1, begin=990_000))
    assert drawn == [120, 121, 122]  # of 8192 rows each


@pytest.mark.slow
def test_an_end_leaves_out_what_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole_of(1).frame.iloc[100:8192]
    drawn = drawn_blocks(monkeypatch)
    parts = list(chunks(SCHEMA, rows=20_000, chunk_rows=5_000, seed=1, begin=100, end=8192))
    assert [len(part.frame) for part in parts] == [5_000, 3_092]
    together = pd.concat([part.frame for part in parts])
    pd.testing.assert_frame_equal(together, expected, check_index_type=False, check_exact=True)
    assert drawn == [0]


@pytest.mark.parametrize(("begin", "end"), [(-1, 5), (6, 5), (0, 11), (11, None)])
def test_a_beginning_or_an_end_outside_of_the_rows_is_refused(begin: int, end: int | None) -> None:
    with pytest.raises(ConfigurationError, match=f"begin={begin}, end={10 if end is None else end}"):
        chunks(SCHEMA, rows=10, chunk_rows=10, seed=1, begin=begin, end=end)


@pytest.mark.slow
def test_the_rows_of_a_seed_stay_what_they_were() -> None:
    """Watermarks and ids of rows that were sent name rows of this content: a change here needs new ids."""
    frame = generate(SCHEMA, rows=9_000, seed=7).frame
    assert digest_of_text(to_text(frame, SCHEMA)) == "a0d189c163fbd802"


def digest_of_text(frame: pd.DataFrame) -> str:
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:16]


def drawn_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the blocks that are drawn from now on."""
    real, drawn = generator._numbered_block, []

    def noting(process: DataGeneratingProcess, number: int) -> object:
        drawn.append(number)
        return real(process, number)

    monkeypatch.setattr(generator, "_numbered_block", noting)
    return drawn


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ({}, -10_000, 10_000),
        ({"minimum": 0}, 0, 100_000),
        ({"minimum": 500}, 500, 500_000),
        ({"minimum": -300}, -300, 1_300),
        ({"maximum": 300}, -1_300, 300),
        ({"maximum": -300}, -1_900, -300),
        ({"minimum": 2.5, "maximum": 7.5, "integer": True}, 3, 7),
    ],
)
def test_a_bound_that_is_not_declared_is_guessed(bounds: dict[str, object], low: float, high: float) -> None:
    column = Column(name="x", kind=Kind.NUMERICAL, **bounds)
    found = _range(column)
    assert found[:2] == (low, high)
    values = generate(Schema(name="s", columns=(column,)), rows=20_000, seed=2).frame["x"]
    assert low <= values.min() < values.max() <= high
    assert values.max() - values.min() > 0.25 * (high - low) or found[2]


@pytest.mark.parametrize(
    ("low", "high", "wide"),
    [(1, 50, True), (1, 49, False), (0, 1_000, True), (0, 999, False), (-1, 1_000, False)],
)
def test_a_range_is_wide_from_fifty_fold_or_a_thousand_on(low: float, high: float, wide: bool) -> None:
    assert _range(Column(name="x", kind=Kind.NUMERICAL, minimum=low, maximum=high))[2] is wide


def test_each_generated_row_has_a_weight_as_each_has_a_label():
    weight = Column(name="weight", kind=Kind.WEIGHT, nullable=True)
    schema = Schema(name="weighted", columns=(*SCHEMA.columns, weight))
    made = generate(schema, rows=500, seed=3).frame
    assert made["weight"].notna().all()
    assert made["income"].isna().any()
