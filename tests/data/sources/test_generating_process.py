"""The data-generating process: a seed decides it, and its risk has the level and the spread asked for."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.generating_process import Block, draw_block, draw_process, true_pd
from loan_default.errors import ConfigurationError, DataError

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, maximum=1_000_000, nullable=True),
        Column(name="late", kind=Kind.NUMERICAL, minimum=0, maximum=98, integer=True, special=(96, 98)),
        Column(name="grade", kind=Kind.ORDINAL, categories=("A", "B", "C")),
        Column(name="sex", kind=Kind.CATEGORICAL, categories=("f", "m"), protected=True),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
ASKED = {"seed": 7, "base_rate": 0.2, "signal": 1.5, "missing_rate": 0.1}


def drawn(rows: int = 20_000, **changes: object) -> tuple[Block, np.ndarray]:
    process = draw_process(SCHEMA, **(ASKED | changes))
    block = draw_block(process, np.random.default_rng(1), rows)
    return block, true_pd(process, block)


def test_the_mean_and_the_spread_of_the_risk_are_those_that_were_asked_for():
    for base_rate, signal in ((0.2, 1.5), (0.05, 0.5), (0.6, 2.0)):
        _, probability = drawn(base_rate=base_rate, signal=signal)
        assert probability.mean() == pytest.approx(base_rate, abs=0.02)
        assert logit(probability).std() == pytest.approx(signal, rel=0.05)


@pytest.mark.slow
def test_without_a_signal_every_row_has_the_base_rate():
    _, probability = drawn(signal=0.0)
    assert probability == pytest.approx(np.full(20_000, 0.2))


def test_the_seed_decides_the_process():
    (one, pd_one), (same, pd_same), (_, pd_other) = drawn(), drawn(), drawn(seed=8)
    assert all(np.array_equal(one.values[name], same.values[name], equal_nan=True) for name in one.values)
    assert np.array_equal(pd_one, pd_same)
    assert not np.allclose(pd_one, pd_other)


def test_only_features_change_the_risk():
    process = draw_process(SCHEMA, **ASKED)
    block = draw_block(process, np.random.default_rng(1), 1_000)
    before = true_pd(process, block)

    def changed(name: str) -> np.ndarray:
        values = block.values | {name: block.values[name][::-1]}
        return true_pd(process, replace(block, values=values))

    assert np.array_equal(changed("sex"), before)
    for name in ("income", "late", "grade"):
        assert not np.allclose(changed(name), before), name


def test_values_are_allowed_and_missing_where_they_may_be():
    block, _ = drawn()
    income, late, grade = (block.values[name] for name in ("income", "late", "grade"))
    assert np.isnan(income).mean() == pytest.approx(0.1, abs=0.01)
    assert np.nanmin(income) >= 0
    assert np.nanmax(income) <= 1_000_000
    assert set(late) <= set(range(98)) - {96}
    assert set(grade) == {0, 1, 2}


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_rate": 0.0},
        {"base_rate": 1.0},
        {"missing_rate": 0.96},
        {"missing_rate": -0.1},
        {"signal": -1.0},
        {"signal": float("inf")},
        {"seed": -1},
    ],
)
def test_settings_out_of_their_range_are_named(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigurationError, match=f"{name}={value}"):
        draw_process(SCHEMA, **(ASKED | wrong))


def test_a_column_without_a_possible_value_is_named():
    narrow = Column(name="x", kind=Kind.NUMERICAL, integer=True, minimum=0.2, maximum=0.8)
    with pytest.raises(DataError, match="'x' must have a whole number between its bounds"):
        draw_process(Schema(name="s", columns=(narrow,)), **ASKED)
    codes = Column(name="x", kind=Kind.NUMERICAL, integer=True, minimum=0, maximum=1, special=(0, 1))
    with pytest.raises(DataError, match="'x' must have values that are not special"):
        draw_process(Schema(name="s", columns=(codes,)), **ASKED)
