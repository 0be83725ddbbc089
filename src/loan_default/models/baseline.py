"""The baseline that a network must beat to earn its place: logistic regression on the same features."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from loan_default.models.features import Features, Inputs
from loan_default.models.labelled import Labelled


def normalised(weights: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """Weights with a mean of 1, so that they leave the strength of a penalty as it is."""
    return None if weights is None else weights / weights.mean()


def fit_logistic(features: Features, train: Labelled) -> Callable[[Inputs], NDArray[np.float64]]:
    """A function from inputs to PDs `(rows,)`, fitted on the training rows.

    Numbers enter as their normal scores with an indicator where they are missing, each category as one.
    """

    def design(inputs: Inputs) -> NDArray[np.float64]:
        missing = np.isnan(inputs.numerical)
        categories = [
            np.eye(cardinality)[inputs.codes[:, column]]
            for column, cardinality in enumerate(features.cardinalities)
        ]
        return np.hstack([np.where(missing, 0.0, inputs.numerical), missing, *categories])

    model = LogisticRegression(C=1.0, max_iter=2000).fit(
        design(train.inputs), train.labels, sample_weight=normalised(train.weights)
    )

    def predict(inputs: Inputs) -> NDArray[np.float64]:
        probabilities: NDArray[np.float64] = model.predict_proba(design(inputs))[:, 1]
        return probabilities

    return predict
