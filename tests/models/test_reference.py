import numpy as np
import pandas as pd

from loan_default.evaluation.drift_statistics import count_bins
from loan_default.models.features import Features
from loan_default.models.reference import counts_over, reference_of, score_histogram


def test_every_row_is_counted_once_in_each_histogram(frame: pd.DataFrame, features: Features) -> None:
    pds = np.random.default_rng(0).uniform(0, 1, 150)
    reference = reference_of(features.transform(frame), features, pds)
    assert reference["numerical"].keys() | reference["categorical"].keys() == set(features.names)
    for name, histogram in reference["numerical"].items():
        assert histogram["counts"].sum() == len(frame), name
        assert len(histogram["counts"]) == len(histogram["edges"]) + 2, name
        assert (np.diff(histogram["edges"]) > 0).all()
        assert histogram["counts"][-1] == frame[name].isna().sum(), "the last count is that of missing values"
    for name, histogram in reference["categorical"].items():
        assert histogram["counts"].sum() == len(frame), name
        assert histogram["counts"][0] == frame[name].isna().sum()
    assert reference["pd"]["counts"].sum() == 150
    assert reference["pd"]["counts"][-1] == 0


def test_bins_of_a_continuous_column_hold_about_the_same(frame: pd.DataFrame, features: Features) -> None:
    counts = reference_of(features.transform(frame), features, np.array([0.5]))["numerical"]["amount"][
        "counts"
    ][:-1]
    assert len(counts) == 10
    # Values with two decimals: a tie can move a few rows over an edge.
    assert np.abs(counts / counts.sum() - 0.1).max() < 0.02


def test_a_column_that_is_missing_altogether(features: Features) -> None:
    reference = reference_of(features.transform(pd.DataFrame(index=range(4))), features, np.array([0.1, 0.1]))
    assert reference["numerical"]["amount"]["counts"].tolist() == [0, 4]
    assert reference["categorical"]["purpose"]["counts"].tolist() == [4, 0, 0, 0]
    assert reference["pd"]["edges"].tolist() == [0.1]
    assert reference["pd"]["counts"].tolist() == [0, 2, 0]


def test_values_are_counted_as_the_evaluation_counts_them() -> None:
    values, edges = np.array([-5, 0.99, 1, 1.5, 2, 7, np.nan, np.inf]), np.array([1.0, 2.0])
    assert counts_over(values, edges).tolist() == count_bins(values, edges).tolist() == [2, 2, 2, 2]


def test_scores_have_what_means_and_approval_rates_are_compared_with() -> None:
    pds = np.random.default_rng(1).uniform(0.1, 0.6, 500)
    scores = score_histogram(pds)
    assert (scores["mean"], scores["sd"]) == (pds.mean(), pds.std())
    assert scores["quantiles"][[0, 50, 100]].tolist() == [pds.min(), np.median(pds), pds.max()]
    assert scores["counts"].tolist() == [50] * 10 + [0]
