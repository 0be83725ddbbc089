import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from loan_default.errors import DataError
from loan_default.evaluation.vintages import vintage_table


def test_months_by_hand():
    times = pd.DatetimeIndex(["2026-01-05", "2026-01-31", "2026-03-01", None], tz="UTC")
    january, march = vintage_table(times, [1, 0, 0, 1], [0.5, np.nan, np.nan, 0.2])
    assert (january.cohort, january.rows, january.bads, january.tested) == ("2026-01", 2, 1, 1)
    assert (january.bad_rate, january.mean_pd, january.auc) == (0.5, 0.5, None)
    assert (march.cohort, march.rows, march.tested, march.mean_pd) == ("2026-03", 1, 0, None)


def test_more_than_two_years_are_quarters_in_order():
    times = pd.date_range("2023-11-01", periods=36, freq="MS", tz="UTC")
    table = vintage_table(times, np.zeros(36), np.full(36, 0.1))
    assert [each.cohort for each in table][:3] == ["2023-Q4", "2024-Q1", "2024-Q2"]
    assert [each.rows for each in table][:3] == [2, 3, 3]


def test_the_rank_order_of_a_cohort():
    generator = np.random.default_rng(0)
    scores = generator.random(400)
    y = (generator.random(400) < scores).astype(float)
    (only,) = vintage_table(pd.DatetimeIndex(["2026-02-01"] * 400, tz="UTC"), y, scores)
    assert only.auc == pytest.approx(roc_auc_score(y, scores))


def test_no_times_give_no_cohorts():
    assert vintage_table(pd.DatetimeIndex([None, None], tz="UTC"), [0, 1], [0.1, 0.2]) == []


def test_lengths_must_agree():
    with pytest.raises(DataError, match="must be of one length"):
        vintage_table(pd.DatetimeIndex(["2026-01-05"], tz="UTC"), [1, 0], [0.5, 0.2])
