import numpy as np
import pytest
from scipy.stats import norm

from loan_default.evaluation.drift import (
    ColumnSample,
    DriftLevel,
    DriftLimits,
    DriftSample,
    Mean,
    Measured,
    default_rate_signal,
    find_drift,
    overall,
    realised_auc_signal,
)

BINS = [0.1] * 10


def sample(
    generator: np.random.Generator, rows: int, *, columns: int = 20, shift: float = 0.0
) -> DriftSample:
    """Ten bins of equal mass and one of missing values; a shift moves mass from the first bin to the last."""
    moved = np.array([0.1 - shift, *BINS[1:-1], 0.1 + shift]) * 0.97

    def one(name: str, shares: np.ndarray) -> ColumnSample:
        before = generator.multinomial(20_000, [*(np.array(BINS) * 0.97), 0.03])
        return ColumnSample(
            name=name, expected=before, actual=generator.multinomial(rows, [*shares, 0.03]), missing=10
        )

    mean = generator.normal(0.2, 0.15 / np.sqrt(rows))
    still = np.array(BINS) * 0.97
    return DriftSample(
        rows=rows,
        columns=[one("moved", moved), *(one(f"c{at}", still) for at in range(1, columns))],
        score=one("score", still),
        mean_pd=(Mean(value=0.2, sd=0.15, rows=20_000), Mean(value=mean, sd=0.15, rows=rows)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("rows", [200, 500, 5000])
def test_of_samples_without_drift_hardly_any_alarms_however_many_columns_there_are(rows: int) -> None:
    generator = np.random.default_rng(rows)
    alarms = sum(
        overall(find_drift(sample(generator, rows, columns=40))) is not DriftLevel.OK for _ in range(60)
    )
    assert alarms <= 2, "1 % of 60 are expected at most"


def test_a_column_that_moved_is_found_and_named_first() -> None:
    signals = find_drift(sample(np.random.default_rng(1), 1000, shift=0.09))
    assert (signals[0].measured, signals[0].column) == (Measured.COLUMN, "moved")
    assert signals[0].level is DriftLevel.ACT
    assert {each.level for each in signals[1:]} == {DriftLevel.OK}
    assert overall(signals) is DriftLevel.ACT
    assert "PSI of moved is 0." in signals[0].sentence


def test_too_few_rows_say_nothing() -> None:
    generator = np.random.default_rng(2)
    assert find_drift(sample(generator, 199, shift=0.09)) == ()
    assert overall(()) is DriftLevel.INSUFFICIENT
    assert find_drift(sample(generator, 200, shift=0.09)) != ()


def test_a_measure_must_exceed_both_what_matters_and_what_chance_explains() -> None:
    small = find_drift(sample(np.random.default_rng(3), 250))
    large = find_drift(sample(np.random.default_rng(3), 5000))
    for signals, by_chance in ((small, True), (large, False)):
        psi = next(each for each in signals if each.column == "c5" and each.measured is Measured.COLUMN)
        assert (psi.limit == psi.critical) is by_chance
        assert psi.limit == pytest.approx(max(0.10, psi.critical))


def test_a_rate_is_compared_by_the_normal_distribution_with_its_part_of_the_false_alarms() -> None:
    signals = find_drift(sample(np.random.default_rng(4), 1000), false_alarms=0.02)
    mean = next(each for each in signals if each.measured is Measured.MEAN_PD)
    # 21 PSIs, 20 rates of missing values and the mean PD share the 2 %.
    error = np.sqrt(0.15**2 / 20_000 + 0.15**2 / 1000)
    assert len(signals) == 42
    assert mean.critical == pytest.approx(norm.isf(0.02 / 42 / 2) * error, rel=1e-12)


def test_missing_values_and_unknown_categories_raise_alarms_of_their_own() -> None:
    column = ColumnSample(
        name="purpose", expected=[5000, 5000, 0, 0], actual=[350, 350, 100, 200], missing=3, unknown=2
    )
    score = ColumnSample(name="score", expected=[5000, 5000], actual=[500, 500])
    signals = find_drift(DriftSample(rows=1000, columns=[column], score=score))
    levels = {each.measured: each.level for each in signals}
    assert levels[Measured.MISSING] is DriftLevel.ACT
    assert levels[Measured.UNKNOWN] is DriftLevel.WARN
    missing = next(each for each in signals if each.measured is Measured.MISSING)
    assert missing.sentence.startswith("Missing values of purpose are 20.0%, in training 0.0%;")


@pytest.mark.parametrize(
    ("bads", "level"), [(205, DriftLevel.OK), (240, DriftLevel.WARN), (320, DriftLevel.ACT)]
)
def test_a_default_rate_is_compared_with_the_pds_of_the_same_people(bads: int, level: DriftLevel) -> None:
    found = default_rate_signal(bads=bads, rows=1000, mean_pd=0.2, limits=DriftLimits())
    assert found.level is level
    assert "by the PDs 20.0%" in found.sentence


@pytest.mark.parametrize(
    ("auc", "level"),
    [(0.90, DriftLevel.OK), (0.76, DriftLevel.OK), (0.74, DriftLevel.WARN), (0.68, DriftLevel.ACT)],
)
def test_a_fall_of_the_auc_below_what_the_pds_promise_is_an_alarm_and_a_rise_is_none(
    auc: float, level: DriftLevel
) -> None:
    found = realised_auc_signal(auc=auc, error=0.005, expected=0.8, limits=DriftLimits())
    assert found.level is level
    assert "by their PDs 0.800" in found.sentence


def test_a_fall_of_the_auc_that_chance_explains_is_no_alarm() -> None:
    found = realised_auc_signal(auc=0.7, error=0.05, expected=0.8, limits=DriftLimits())
    assert found.limit == found.critical == pytest.approx(norm.isf(0.01) * 0.05)
    assert found.level is DriftLevel.OK
