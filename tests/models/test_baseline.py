import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from loan_default.models.baseline import fit_logistic
from loan_default.models.features import Features
from loan_default.models.labelled import Labelled


def test_it_is_logistic_regression_on_the_same_columns(
    frame: pd.DataFrame, features: Features, labelled: Labelled
) -> None:
    ours = fit_logistic(features, labelled)(labelled.inputs)
    numbers = labelled.inputs.numerical
    columns = pd.DataFrame(np.hstack([np.nan_to_num(numbers), np.isnan(numbers)]))
    columns["purpose"], columns["region"] = (labelled.inputs.codes[:, place] for place in (0, 1))
    columns.columns = columns.columns.astype(str)
    pipeline = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(), ["purpose", "region"]), remainder="passthrough", sparse_threshold=0
        ),
        LogisticRegression(max_iter=2000),
    )
    theirs = pipeline.fit(columns, labelled.labels).predict_proba(columns)[:, 1]
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert roc_auc_score(labelled.labels, ours) > 0.6


def test_rows_with_nothing_known_get_a_probability(features: Features, labelled: Labelled) -> None:
    predicted = fit_logistic(features, labelled)(features.transform(pd.DataFrame(index=range(2))))
    assert predicted.shape == (2,)
    assert ((predicted > 0) & (predicted < 1)).all()
