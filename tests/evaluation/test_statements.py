from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from loan_default.evaluation import statements
from loan_default.evaluation.bootstrap import Interval, bootstrap_intervals, paired_bootstrap
from loan_default.evaluation.metrics import STEEPEST_SLOPE, measure
from loan_default.evaluation.report_inputs import NearCopies
from loan_default.evaluation.statements import Statement, Tone


def _interval(low: float, high: float) -> Interval:
    return Interval(value=(low + high) / 2, low=low, high=high)


def _calibration(shift: float, stretch: float) -> Statement:
    """The statement about PDs whose logits are shifted and stretched away from the truth."""
    rng = np.random.default_rng(5)
    truth = rng.normal(-1.2, 1.2, 8000)
    y = (rng.random(8000) < expit(truth)).astype(float)
    pd = expit(stretch * truth + shift)
    found = bootstrap_intervals(y, pd, seed=0, draws=60)
    return statements.calibration(
        found["calibration_slope"],
        found["calibration_intercept"],
        predicted=float(pd.mean()),
        observed=float(y.mean()),
    )


@pytest.mark.slow
def test_true_pds_are_calibrated() -> None:
    statement = _calibration(0, 1)
    assert statement.tone is Tone.GOOD
    assert statement.title == "Calibrated."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shift", "stretch", "fault"),
    [
        (0.5, 1.0, "PDs are too high on average"),
        (-0.5, 1.0, "PDs are too low on average"),
        (0.0, 2.0, "high PDs are too high and low PDs too low"),
        (0.0, 0.5, "PDs are too close together"),
    ],
)
def test_each_fault_of_calibration_is_named(shift: float, stretch: float, fault: str) -> None:
    statement = _calibration(shift, stretch)
    assert statement.tone is Tone.CAUTION
    assert fault in statement.title


def test_baseline_verdicts_follow_the_paired_interval() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(-1, 1.3, 3000)
    y = (rng.random(3000) < expit(truth)).astype(float)
    good, poor = expit(truth), expit(truth + rng.normal(0, 2, 3000))

    def verdict(new: np.ndarray, old: np.ndarray) -> str:
        return statements.against_baseline(
            paired_bootstrap(y, new, old, metric="auc", seed=0, draws=60)
        ).title

    assert verdict(good, poor) == "Better than logistic regression."
    assert verdict(poor, good) == "Worse than logistic regression."
    assert verdict(good, good) == "Not shown to differ from logistic regression."


@given(st.floats(-1, 1), st.floats(0, 1))
def test_better_is_stated_only_above_zero(low: float, width: float) -> None:
    statement = statements.against_baseline(_interval(low, low + width))
    assert (statement.tone is Tone.GOOD) == (low > 0)
    assert (statement.tone is Tone.CAUTION) == (low + width < 0)


def test_ranking_needs_an_interval_above_chance_and_enough_defaults() -> None:
    assert statements.ranking(_interval(0.7, 0.8), rows=6000, defaults=900).tone is Tone.GOOD
    assert statements.ranking(_interval(0.48, 0.8), rows=6000, defaults=900).tone is Tone.CAUTION
    few = statements.ranking(_interval(0.7, 0.8), rows=6000, defaults=statements.FEW_DEFAULTS - 1)
    assert few.tone is Tone.CAUTION
    assert "little evidence" in few.title


def test_rank_order_counts_each_rise() -> None:
    assert statements.rank_order([0.5, 0.3, 0.1]).tone is Tone.GOOD
    once = statements.rank_order([0.5, 0.1, 0.3])
    assert (once.tone, once.title) == (Tone.NOTE, "Rank order breaks once.")
    assert "2 and 3 of 3" in once.text
    assert statements.rank_order([0.1, 0.2, 0.3]).title == "Rank order breaks 2 times."


def test_one_group_has_no_rank_order() -> None:
    statement = statements.rank_order([0.2])
    assert statement.tone is Tone.NOTE
    assert "alike" in statement.text


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**6))
def test_rows_are_accounted_for_only_if_they_add_up(accepted: int, duplicates: int, quarantined: int) -> None:
    read = accepted + duplicates + quarantined

    def tone(rows: int) -> Tone:
        return statements.accounting(
            read=rows, accepted=accepted, duplicates=duplicates, quarantined=quarantined
        ).tone

    assert tone(read) is Tone.GOOD
    assert tone(read + 1) is tone(read - 1) is Tone.CAUTION


def test_the_calibration_step_helped_only_if_the_loss_fell() -> None:
    assert statements.calibration_step(0.45, 0.44).tone is Tone.GOOD
    assert statements.calibration_step(0.44, 0.45).tone is Tone.NOTE


def test_where_no_form_was_better_there_is_no_calibration_step() -> None:
    found = statements.calibration_step(0.44, 0.44)
    assert (found.tone, "No calibration step" in found.title) == (Tone.NOTE, True)
    assert "0.4400" in found.text


def test_the_headline_needs_no_jargon() -> None:
    text = statements.headline(0.7731, rows=6000, predicted=0.2264, observed=0.2175)
    assert "77 times out of 100" in text
    assert "6,000 applications" in text
    assert "22.6% to default, and 21.8% did" in text
    assert "AUC" not in text


def test_negative_figures_carry_a_minus_sign() -> None:
    text = statements.against_baseline(_interval(-0.02, -0.01)).text
    assert "\N{MINUS SIGN}0.015 (\N{MINUS SIGN}0.020 to \N{MINUS SIGN}0.010)" in text


# Limits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "rows", "defaults", "tone"),
    [
        (0.5, 6000, 900, Tone.CAUTION),
        (0.501, 6000, 900, Tone.GOOD),
        (0.7, 6000, 100, Tone.GOOD),
        (0.7, 6000, 99, Tone.CAUTION),
        (0.7, 1000, 900, Tone.GOOD),
        (0.7, 1000, 901, Tone.CAUTION),
    ],
)
def test_ranking_at_its_limits(low: float, rows: int, defaults: int, tone: Tone) -> None:
    statement = statements.ranking(Interval(value=0.75, low=low, high=0.8), rows=rows, defaults=defaults)
    assert statement.tone is tone
    assert statement.text.startswith(
        f"AUC 0.750 ({low:.3f} to 0.800) on {rows:,} rows with {defaults:,} defaults."
    )


@pytest.mark.parametrize(
    ("slope", "intercept", "faults"),
    [
        ((0.9, 1.1), (-0.1, 0.1), ""),
        ((1.0, 1.1), (0.0, 0.1), ""),
        ((0.9, 1.0), (-0.1, 0.0), ""),
        ((0.8, 0.99), (-0.1, 0.1), "high PDs are too high and low PDs too low"),
        ((1.01, 1.2), (-0.1, 0.1), "PDs are too close together"),
        ((0.9, 1.1), (0.01, 0.1), "PDs are too low on average"),
        ((0.9, 1.1), (-0.1, -0.01), "PDs are too high on average"),
        ((1.01, 1.2), (0.01, 0.1), "PDs are too close together and PDs are too low on average"),
    ],
)
def test_calibration_at_its_limits(
    slope: tuple[float, float], intercept: tuple[float, float], faults: str
) -> None:
    statement = statements.calibration(_interval(*slope), _interval(*intercept), predicted=0.21, observed=0.2)
    assert statement.tone is (Tone.CAUTION if faults else Tone.GOOD)
    assert statement.title == (f"Not calibrated: {faults}." if faults else "Calibrated.")
    assert statement.text.startswith("Mean PD 21.0%, observed default rate 20.0%; slope ")


@pytest.mark.parametrize(
    ("slope", "intercept", "known"),
    [
        ((0.5, 1.5), (-0.5, 0.5), True),
        ((0.49, 1.5), (-0.1, 0.1), False),
        ((0.9, 1.1), (-0.51, 0.5), False),
        ((-42.0, 100.0), (-0.1, 0.1), False),
    ],
)
def test_too_wide_an_interval_says_nothing_about_calibration(
    slope: tuple[float, float], intercept: tuple[float, float], known: bool
) -> None:
    statement = statements.calibration(_interval(*slope), _interval(*intercept), predicted=0.2, observed=0.2)
    assert statement.tone is (Tone.GOOD if known else Tone.CAUTION)
    assert statement.title == ("Calibrated." if known else "Calibration cannot be determined.")


def test_a_slope_that_was_capped_is_not_shown_as_measured() -> None:
    slope = Interval(value=STEEPEST_SLOPE, low=-STEEPEST_SLOPE, high=STEEPEST_SLOPE)
    text = statements.calibration(slope, _interval(0, 0.1), predicted=0.2, observed=0.2).text
    assert "slope beyond 100 (beyond \N{MINUS SIGN}100 to beyond 100), intercept" in text


def test_signs_stand_before_an_intercept_and_not_before_a_slope() -> None:
    text = statements.calibration(_interval(0.9, 1.1), _interval(0.0, 0.2), predicted=0.2, observed=0.2).text
    assert "slope 1.000 (0.900 to 1.100), intercept +0.100 (+0.000 to +0.200)." in text


def test_groups_of_one_rate_break_no_order() -> None:
    statement = statements.rank_order([0.3, 0.3, 0.1])
    assert statement.tone is Tone.GOOD
    assert statement.text == (
        "The default rate falls from 30.0% in the riskiest of 3 groups to 10.0% in the safest, "
        "without a break."
    )
    assert statements.rank_order([0.3, 0.1]).tone is Tone.GOOD
    assert statements.rank_order([0.1, 0.2]).tone is Tone.NOTE
    twice = statements.rank_order([0.1, 0.2, 0.3])
    assert (twice.tone, "groups 1 and 2, 2 and 3 of 3" in twice.text) == (Tone.CAUTION, True)


def test_sums_and_losses_are_written_out() -> None:
    exact = statements.accounting(read=3_000, accepted=2_000, duplicates=400, quarantined=600)
    assert exact.text == "3,000 read = 2,000 accepted + 600 quarantined + 400 duplicates."
    short = statements.accounting(read=3_001, accepted=2_000, duplicates=400, quarantined=600)
    assert short.text == "3,001 read, but 2,000 accepted + 600 quarantined + 400 duplicates."
    assert statements.calibration_step(0.45, 0.44).text.startswith(
        "Log loss on the test split 0.4500 before, 0.4400 after."
    )
    assert statements.calibration_step(0.44, 0.45).text.startswith(
        "Log loss on the test split 0.4400 before, 0.4500 after."
    )


def test_an_auc_above_98_percent_is_never_called_good():
    interval = Interval(value=0.9951, low=0.99, high=1.0)
    found = statements.ranking(
        interval, rows=5_000, defaults=900, alone={"status": 1.0, "paid": 0.97, "income": 0.6, "age": 0.5}
    )
    assert found.tone is Tone.CAUTION
    assert "status 1.000, paid 0.970, income 0.600." in found.text
    assert "twins" in found.text
    assert statements.ranking(interval, rows=50, defaults=9).tone is Tone.CAUTION
    fine = Interval(value=0.98, low=0.97, high=0.99)
    assert statements.ranking(fine, rows=5_000, defaults=900).tone is Tone.GOOD


@pytest.mark.parametrize("slope", [100.0, -100.0])
def test_separated_classes_have_no_slope_to_speak_of(slope):
    found = statements.calibration(
        Interval(value=slope, low=slope, high=slope),
        Interval(value=0.0, low=-0.1, high=0.1),
        predicted=0.3,
        observed=0.3,
    )
    assert found.tone is Tone.CAUTION
    assert "separate the classes" in found.title
    assert "too close together" not in found.title


def test_near_copies_are_stated_with_what_they_do_to_the_metrics() -> None:
    y = np.repeat([0.0, 1.0], 50)
    metrics = measure(y, np.linspace(0.01, 0.99, 100))
    found = NearCopies(
        rows=270,
        share=0.27,
        agreement=0.994,
        ordinary=0.81,
        auc_straddling=0.96,
        auc_apart=0.93,
        tested=0,
    )
    apart = statements.near_copies(found, metrics=metrics)
    assert apart.tone is Tone.NOTE
    assert "270 rows (27.0% of the different ones)" in apart.text
    assert "0.960" in apart.text
    assert "0.930" in apart.text
    tested = statements.near_copies(replace(found, tested=40, without=(0.9, 0.7, 0.12)), metrics=metrics)
    assert tested.tone is Tone.CAUTION
    assert "40 test rows" in tested.text
    assert f"AUC is 0.900 instead of {metrics.auc:.3f}" in tested.text
    assert "Without" not in statements.near_copies(replace(found, tested=40), metrics=metrics).text
