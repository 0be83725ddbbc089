import numpy as np
import pytest

from loan_default.models.features import Inputs
from loan_default.models.labelled import Labelled


def inputs(rows: int) -> Inputs:
    return Inputs(numerical=np.zeros((rows, 1), np.float32), codes=np.zeros((rows, 0), np.int64))


def test_rows_are_taken_with_their_labels_and_weights() -> None:
    labels = np.array([0, 1, 1], np.float32)
    taken = Labelled(inputs=inputs(3), labels=labels, weights=np.array([1.0, 2, 3]))[np.array([2, 0])]
    assert len(taken.inputs) == 2
    assert taken.labels.tolist() == [1, 0]
    assert taken.weights is not None
    assert taken.weights.tolist() == [3, 1]


@pytest.mark.parametrize("labels", [[0.0, 1.0], [0.0, 1.0, 2.0], [0.0, 1.0, np.nan]])
def test_labels_must_be_0_or_1_one_a_row(labels: list[float]) -> None:
    with pytest.raises(ValueError, match="labels must be 0 or 1, one a row, however: rows=3"):
        Labelled(inputs=inputs(3), labels=np.array(labels, np.float32))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, np.inf]])
def test_weights_must_be_above_0_one_a_row(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights must be above 0, one a row, however: rows=2"):
        Labelled(inputs=inputs(2), labels=np.array([0, 1], np.float32), weights=np.array(weights))
