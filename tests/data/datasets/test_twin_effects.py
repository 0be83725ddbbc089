"""What near-copies do to a boosted model: nothing where they are kept together."""

import numpy as np
import pytest

from benchmarks.twin_sets import clean_set, schema_of
from loan_default.data.datasets import twin_effects
from loan_default.data.datasets.neighbours import points_of
from loan_default.data.datasets.twin_effects import Booster, booster_of


@pytest.mark.slow
def test_copies_flatter_only_where_they_straddle_the_folds():
    draw = np.random.default_rng(0)
    frame, _ = clean_set("amounts", draw, rows=400, signal=1.0)
    labels = (draw.random(400) < 0.3).astype(np.float64)  # nothing can be learned but copies
    twice = frame.loc[np.repeat(frame.index, 3)].reset_index(drop=True)
    groups = np.repeat(np.arange(400), 3)
    points = points_of(twice, schema_of(twice))
    booster = booster_of(points, np.repeat(labels, 3), groups, first=np.arange(1_200))
    straddling, apart = booster.aucs()
    assert straddling > 0.7
    assert abs(apart - 0.5) < 0.1


@pytest.mark.slow
def test_rows_with_a_copy_are_never_left_out(monkeypatch):
    monkeypatch.setattr(twin_effects, "MOST_ROWS", 300)
    frame, labels = clean_set("amounts", np.random.default_rng(0), rows=500, signal=2.0)
    first = np.arange(100, 200)
    booster = booster_of(points_of(frame, schema_of(frame)), labels, np.arange(500), first=first)
    used = ~np.isnan(booster.apart)
    assert used.sum() == 300
    assert used[first].all()
    assert np.array_equal(used, ~np.isnan(booster.straddling))


def test_disagreement_is_that_of_independent_outcomes():
    booster = Booster(labels=np.zeros(3), apart=np.array([0.1, 0.5, np.nan]), straddling=np.zeros(3))
    assert booster.disagreement(np.array([[0, 0]])) == pytest.approx(0.18)
    assert booster.disagreement(np.array([[0, 1], [0, 2]])) == pytest.approx(0.5), "unknown PDs do not count"
