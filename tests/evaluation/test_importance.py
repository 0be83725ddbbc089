from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance as reference
from sklearn.metrics import roc_auc_score

from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.importance import permutation_importance

Floats = NDArray[np.float64]
COLUMNS = ["strong", "weak", "grade", "unused"]


def sample(rows: int = 3000, *, seed: int = 1) -> tuple[pd.DataFrame, Floats]:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "strong": generator.normal(size=rows),
            "weak": generator.normal(size=rows),
            "grade": pd.array(
                np.array(["a", "b", None], object)[generator.integers(0, 3, rows)], dtype="str"
            ),
            "unused": generator.normal(size=rows),
        },
        index=generator.permutation(rows) + 10,
    )
    frame.loc[frame.index[::7], "weak"] = np.nan
    return frame, (generator.random(rows) < predict(frame)).astype(float)


def predict(frame: pd.DataFrame) -> Floats:
    assert frame["grade"].dtype == "str"
    grade = frame["grade"].map({"a": 0.0, "b": 0.8}).fillna(0.3)
    return expit(np.asarray(1.5 * frame["strong"] + 0.4 * frame["weak"].fillna(0) + grade - 2, np.float64))


class AsEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    classes_ = np.array([0.0, 1.0])

    def fit(self, frame: pd.DataFrame, y: Floats) -> "AsEstimator":
        return self


@pytest.mark.slow
def test_drops_agree_with_scikit_learn_and_the_unused_column_costs_nothing() -> None:
    frame, y = sample()
    ours = permutation_importance(predict, frame, y, COLUMNS, repeats=8, seed=1, rows=len(frame))
    theirs = reference(
        AsEstimator(),
        frame,
        y,
        scoring=lambda _, rows, labels: roc_auc_score(labels, predict(rows)),
        n_repeats=8,
        random_state=1,
    )
    expected = dict(zip(frame.columns, theirs.importances_mean, strict=True))
    assert ours[0].column == "strong"
    assert [importance.mean_drop for importance in ours] == sorted(
        (importance.mean_drop for importance in ours), reverse=True
    )
    for importance in ours:
        assert importance.mean_drop == pytest.approx(expected[importance.column], abs=0.012)
    unused = next(importance for importance in ours if importance.column == "unused")
    assert (unused.mean_drop, unused.sd) == (0, 0)


@pytest.mark.slow
def test_a_seed_gives_one_result_and_the_frame_stays_as_it_was() -> None:
    frame, y = sample()
    before = frame.copy(deep=True)
    first, again, other = (
        permutation_importance(predict, frame, y, COLUMNS, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    pd.testing.assert_frame_equal(frame, before)


def counting(sizes: list[int]) -> Callable[[pd.DataFrame], Floats]:
    def counted(frame: pd.DataFrame) -> Floats:
        sizes.append(len(frame))
        return predict(frame)

    return counted


def test_rows_and_repeats_bound_the_work() -> None:
    frame, y = sample()
    sizes: list[int] = []
    found = permutation_importance(counting(sizes), frame, y, ["weak", "strong"], repeats=2, seed=1, rows=500)
    assert sizes == [500] * 5
    assert {importance.column for importance in found} == {"weak", "strong"}
    once = permutation_importance(predict, frame, y, ["weak"], repeats=1, seed=1)
    assert once[0].sd == 0


def test_a_rare_class_is_in_the_sample() -> None:
    frame, _ = sample()
    y = np.zeros(len(frame))
    y[17] = 1
    assert len(permutation_importance(predict, frame, y, COLUMNS, seed=1, rows=50)) == 4


def test_unusable_input_is_refused() -> None:
    frame, y = sample(100)
    with pytest.raises(DataError, match="Did you mean 'strong'"):
        permutation_importance(predict, frame, y, ["stron"], seed=1)
    with pytest.raises(DataError, match="one outcome per row"):
        permutation_importance(predict, frame, y[:-1], COLUMNS, seed=1)
    with pytest.raises(DataError, match="both classes"):
        permutation_importance(predict, frame, np.zeros(100), COLUMNS, seed=1)
    with pytest.raises(DataError, match="both classes"):
        permutation_importance(predict, frame, np.ones(100), COLUMNS, seed=1, rows=10)
    with pytest.raises(ConfigurationError, match="repeats"):
        permutation_importance(predict, frame, y, COLUMNS, seed=1, repeats=0)


def test_means_and_deviations_are_those_of_the_repeats() -> None:
    frame, y = sample(400)
    reached: list[float] = []

    def noted(rows: pd.DataFrame) -> Floats:
        scores = predict(rows)
        reached.append(roc_auc_score(y, scores))
        return scores

    (found,) = permutation_importance(noted, frame, y, ["strong"], repeats=4, seed=3, rows=400)
    drops = reached[0] - np.array(reached[1:])
    assert len(drops) == 4
    assert found.mean_drop == pytest.approx(drops.mean())
    assert found.sd == pytest.approx(drops.std(ddof=1))
    assert found.sd > 0


def test_three_repeats_of_two_thousand_rows_by_default() -> None:
    frame, y = sample(2100)
    sizes: list[int] = []
    permutation_importance(counting(sizes), frame, y, ["weak"], seed=1)
    assert sizes == [2000] * 4


@pytest.mark.parametrize(
    ("bads", "of", "drawn"), [(250, 1000, 25), (1, 1000, 1), (999, 1000, 99), (4, 1000, 1)]
)
def test_a_sample_keeps_the_rate_and_a_row_of_each_class(bads: int, of: int, drawn: int) -> None:
    frame, _ = sample(of)
    y = np.zeros(of)
    y[:: of // bads][:bads] = 1
    seen: list[pd.DataFrame] = []

    def noted(rows: pd.DataFrame) -> Floats:
        seen.append(rows)
        return predict(rows)

    permutation_importance(noted, frame, y, ["weak"], seed=1, rows=100)
    places = frame.index.get_indexer(seen[0].index)
    assert len(set(places)) == 100
    assert y[places].sum() == drawn
    assert (np.diff(places) > 0).all()


def test_as_many_rows_as_there_are_is_all_of_them() -> None:
    frame, y = sample(100)
    for rows in (100, 101):
        sizes: list[int] = []
        permutation_importance(counting(sizes), frame, y, ["weak"], seed=1, rows=rows, repeats=1)
        assert sizes == [100, 100]
    two = [int(np.flatnonzero(y == 1)[0]), int(np.flatnonzero(y == 0)[0])]
    assert permutation_importance(predict, frame.iloc[two], y[two], ["weak"], seed=1, rows=2, repeats=1)
    with pytest.raises(ConfigurationError, match="rows at least 2"):
        permutation_importance(predict, frame, y, ["weak"], seed=1, rows=1)
