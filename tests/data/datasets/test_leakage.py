"""What gives the outcome away is found, and what merely predicts it is not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.leak_sets import FAMILIES, LENDER, PLAIN, Family
from benchmarks.leaks import false_alarms, found_leaks
from loan_default.data.datasets.leakage import Leak, LeakCheck, check_leaks
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema


def checked(values: object, y: np.ndarray, **settings_: object) -> LeakCheck:
    """The check of one column x; text makes a category, numbers a number."""
    series = pd.Series(values)
    is_number = pd.api.types.is_numeric_dtype(series.dtype)
    settings_ = {"kind": Kind.NUMERICAL if is_number else Kind.CATEGORICAL, "nullable": True, **settings_}
    if settings_["kind"] is Kind.CATEGORICAL:
        settings_["open"] = True
    schema = Schema(
        name="s",
        columns=(
            Column(name="x", **settings_),
            Column(name="other", kind=Kind.NUMERICAL),
            Column(name="bad", kind=Kind.TARGET),
        ),
    )
    return check_leaks(pd.DataFrame({"x": series, "other": np.arange(len(y)) % 7.0}), schema, y)


def leak_of(check: LeakCheck) -> Leak:
    (leak,) = check.leaks
    assert leak.column == "x"
    return leak


@pytest.fixture
def y() -> np.ndarray:
    return (np.random.default_rng(2).random(600) < 0.2).astype(float)


def test_the_outcome_under_another_name_stops(y):
    leak = leak_of(checked(np.where(y == 1, "CHGOFF", "P I F"), y))
    assert leak.stops
    assert leak.evidence.startswith("AUC 1.000 alone; 'CHGOFF' means default: ")


def test_a_number_that_splits_the_outcomes_stops_either_way_round(y):
    generator = np.random.default_rng(0)
    for sign in (1, -1):
        leak = leak_of(checked(sign * (y * 10 + generator.random(600)), y))
        assert leak.stops
        assert "AUC 1.000 alone" in leak.evidence


def test_what_is_filled_for_some_defaults_only_stops(y):
    generator = np.random.default_rng(0)
    some = (y == 1) & (generator.random(600) < 0.5)
    leak = leak_of(checked(np.where(some, generator.random(600), np.nan), y))
    assert leak.stops
    assert f"filled for default only: {some.sum()} of {some.sum()} such rows defaulted" in leak.evidence
    recovered = leak_of(checked(np.where(some, generator.random(600) + 1, 0.0), y))
    assert "a value other than 0 means default" in recovered.evidence


def test_what_is_filled_for_good_ends_only_stops(y):
    paid = (y == 0) & (np.random.default_rng(0).random(600) < 0.6)
    leak = leak_of(checked(pd.Series(np.where(paid, "2015", None), dtype="str"), y))
    assert leak.stops
    assert "filled for good ends only: 0 of" in leak.evidence


def test_a_time_is_checked_by_its_being_filled(y):
    times = pd.Series(pd.Timestamp("2015-01-01", tz="UTC"), index=range(600)).astype("datetime64[us, UTC]")
    times[y == 0] = pd.NaT
    for kind in (Kind.TIMESTAMP, Kind.DATE):
        assert "filled for default only" in leak_of(checked(times, y, kind=kind)).evidence
    assert checked(times.fillna(pd.Timestamp("2015-01-01", tz="UTC")), y, kind=Kind.DATE).leaks == ()


def dated(closed: pd.Series, applied: pd.Series, y: np.ndarray, **settings_: object) -> LeakCheck:
    """The check of a date beside the time of the application."""
    schema = Schema(
        name="s",
        columns=(
            Column(name="applied", kind=Kind.TIMESTAMP),
            Column(name="x", kind=Kind.DATE, nullable=True, **settings_),
            Column(name="other", kind=Kind.NUMERICAL),
            Column(name="bad", kind=Kind.TARGET),
        ),
    )
    frame = pd.DataFrame({"applied": applied, "x": closed, "other": np.arange(len(y)) % 7.0})
    return check_leaks(frame, schema, y)


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_a_date_after_the_application_that_comes_early_for_defaults_stops(y, share):
    generator = np.random.default_rng(1)
    applied = pd.Series(pd.Timestamp("2016-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(y)), "D"))
    days = np.where(y == 1, generator.integers(90, 420, len(y)), generator.integers(700, 1400, len(y)))
    closed = (applied + pd.to_timedelta(days, "D")).where(generator.random(len(y)) < share)
    leak = leak_of(dated(closed, applied, y))
    assert leak.stops
    assert f"{closed.notna().sum():,} of {closed.notna().sum():,} lie after the application" in leak.evidence
    assert not leak.could_be_weight
    assert dated(closed, applied, y, known_after_decision=True).leaks == ()


def test_dates_that_do_not_part_the_outcomes_are_no_leak(y):
    generator = np.random.default_rng(1)
    applied = pd.Series(pd.Timestamp("2016-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(y)), "D"))
    for low, high in ((90, 1400), (-9000, -200)):
        days = pd.to_timedelta(generator.integers(low, high, len(y)) - 60 * y, "D")
        assert dated(applied + days, applied, y).leaks == ()


def test_a_derived_date_is_checked_as_the_model_sees_it(y):
    made = pd.Series(pd.to_datetime("2014-01-01", utc=True), index=range(600)).astype("datetime64[us, UTC]")
    days = pd.to_timedelta(np.where(y == 1, 90, -400) + np.arange(600) % 50, unit="D")
    schema = Schema(
        name="s",
        columns=(
            Column(name="made", kind=Kind.TIMESTAMP),
            Column(name="last_payment", kind=Kind.DATE, derive="years_before_application"),
            Column(name="other", kind=Kind.NUMERICAL),
            Column(name="bad", kind=Kind.TARGET),
        ),
    )
    frame = pd.DataFrame({"made": made, "last_payment": made + days, "other": 1.0})
    check = check_leaks(frame, schema, y)
    assert [leak.column for leak in check.stopping] == ["last_payment"]


def test_a_very_strong_column_is_a_warning(y):
    generator = np.random.default_rng(4)
    values = 2.5 * y + generator.normal(size=600)
    assert 0.95 < roc_auc_score(y, values) < 0.98
    leak = leak_of(checked(values, y))
    assert not leak.stops
    assert checked(1.2 * y + generator.normal(size=600), y).leaks == ()


@pytest.mark.parametrize("settled", [True, False])
def test_what_a_person_has_settled_is_not_checked(y, settled):
    check = checked(y * 1.0, y, known_after_decision=settled)
    assert check.leaks == ()
    assert list(check.alone) == ["other"]
    assert checked(y + 1, y, kind=Kind.WEIGHT).leaks == ()
    assert checked(y * 1.0, y, protected=True).leaks == ()


def test_few_rows_decide_nothing():
    y = np.zeros(60)
    y[:9] = 1
    assert checked(y * 1.0, y) == LeakCheck(alone={})
    y[:10] = 1
    assert checked(y * 1.0, y).leaks != ()


def test_levels_of_their_own_rows_are_no_leak(y):
    assert checked([f"L{number}" for number in range(600)], y).leaks == ()
    assert checked([f"L{number // 3}" for number in range(600)], y).leaks == ()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_clean_sets_raise_no_alarm(family: Family):
    sets, alarms = 0, 0
    for rows, bads in family.sizes:
        counts = false_alarms(family, 40, rows=rows, bads=bads, seed=7)
        sets, alarms = sets + 40, alarms + counts["warned"]
    assert alarms <= 0.01 * sets


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "leak"),
    [pytest.param(family, leak, id=leak) for family in FAMILIES for leak in family.leaks],
)
def test_leaks_with_few_wrong_labels_are_found(family: Family, leak: str):
    rows, bads = (2_000, 400) if family is PLAIN else (1_000, 400)
    for noise, fewest in ((0.0, 10), (0.01, 9), (0.05, 7)):
        stopped, _ = found_leaks(family, 10, rows=rows, bads=bads, noise=noise, leak=leak, seed=7)
        assert stopped >= fewest, noise


@pytest.mark.slow
def test_a_leak_stops_with_ten_defaults_and_a_strong_predictor_does_not():
    for leak in ("status", "repaid share", "weight"):
        assert found_leaks(LENDER, 5, rows=200, bads=10, noise=0.0, leak=leak, seed=3) == (5, 5)
    y = np.repeat([1.0, 0.0], [10, 190])
    predictor = np.concatenate([np.linspace(0.97, 1, 10), np.linspace(0, 1, 190)])
    assert 0.98 < roc_auc_score(y, predictor) < 0.996
    assert checked(predictor, y).leaks == ()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_clean_set_has_predictors(family: Family):
    frame, y = family.clean(np.random.default_rng(0), rows=2_000, bads=400)
    best = max(
        abs(roc_auc_score(y, frame[name]) - 0.5)
        for name in frame
        if frame[name].dtype.kind == "f" and frame[name].notna().all()
    )
    assert best > 0.25
