"""What training never saw: counts of values that a model can only answer for by what it learned of others.

Such rows are scored: a missing value and an unknown category have tokens of their own, and a number beyond
the training rows is read as the nearest that they held. A person should know how many there are.
"""

from collections import Counter

import numpy as np
import pandas as pd

from loan_default.models.features import Features, NumericalFeature, values_of

MISSING = "missing, as in no training row"
UNKNOWN_CATEGORY = "a category unknown to the model"
BELOW = "below the range of the training rows"
ABOVE = "above the range of the training rows"
FRACTION = "a fraction, where the training rows had whole numbers"


def count_unseen(features: Features, frame: pd.DataFrame) -> Counter[str]:
    """Rows of a canonical frame by column and matter: `income: above the range of the training rows`.

    Columns that the frame lacks are not counted. Missing values are counted where the model's file says that
    training had none; the files of older releases do not say it.
    """
    rows: Counter[str] = Counter()
    for feature in features.numerical:
        if feature.name in frame:
            _count_numbers(feature, frame, rows)
    for category in features.categorical:
        if category.name in frame:
            values = frame[category.name]
            is_known = values.notna().to_numpy()
            if category.is_complete:
                _add(rows, category.name, MISSING, ~is_known)
            _add(rows, category.name, UNKNOWN_CATEGORY, is_known & (category.codes(values) == 0))
    return rows


def _count_numbers(feature: NumericalFeature, frame: pd.DataFrame, rows: Counter[str]) -> None:
    name, numbers = feature.name, values_of(feature, frame)
    is_missing = np.isnan(numbers)
    if feature.levels:
        is_unknown = is_missing & frame[name].notna().to_numpy()
        _add(rows, name, UNKNOWN_CATEGORY, is_unknown)
        is_missing &= ~is_unknown
    if feature.is_complete:
        _add(rows, name, MISSING, is_missing)
    if feature.levels:
        return
    if len(feature.quantiles):
        _add(rows, name, BELOW, numbers < feature.quantiles[0])
        _add(rows, name, ABOVE, numbers > feature.quantiles[-1])
    if feature.is_whole:
        _add(rows, name, FRACTION, ~np.isnan(numbers) & (np.trunc(numbers) != numbers))


def _add(rows: Counter[str], name: str, what: str, mask: np.ndarray) -> None:
    if count := int(mask.sum()):
        rows[f"{name}: {what}"] += count
