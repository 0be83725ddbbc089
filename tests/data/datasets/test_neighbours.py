"""Rows as points: ranks for numbers, rarity of what two rows share."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.datasets.neighbours import NEIGHBOURS, log_chance, nearest, points_of
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

SCHEMA = Schema(
    name="s",
    columns=(
        Column(name="income", kind=Kind.NUMERICAL, nullable=True),
        Column(name="home", kind=Kind.CATEGORICAL, open=True, nullable=True),
    ),
)


def frame_of(rows: int = 60) -> pd.DataFrame:
    homes = ["own", "rent", "rent", "rent"]
    return pd.DataFrame({"income": np.arange(rows) * 10.0, "home": [homes[n % 4] for n in range(rows)]})


def test_the_nearest_of_a_row_are_others_in_order_of_distance():
    points = points_of(frame_of(), SCHEMA)
    found = nearest(points, np.array([0, 30]))
    assert found.nearest.shape == found.distances.shape == (2, NEIGHBOURS)
    assert found.nearest[0].tolist() == list(range(1, NEIGHBOURS + 1))
    assert set(found.nearest[1, :2].tolist()) == {29, 31}
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert found.closeness[0] == pytest.approx(0.1)


def test_among_equal_rows_none_is_its_own_neighbour_and_none_is_close():
    frame = frame_of().assign(income=5.0)
    found = nearest(points_of(frame, SCHEMA), np.arange(60))
    assert not (found.nearest == found.rows[:, None]).any()
    assert (found.closeness == 1).all()


def test_a_missing_number_is_far_from_every_other_and_near_to_missing_ones():
    frame = frame_of()
    frame.loc[[3, 40], "income"] = np.nan
    found = nearest(points_of(frame, SCHEMA), np.array([3, 4]))
    assert found.nearest[0, 0] == 40
    assert found.distances[0, 0] == 0
    assert not np.isin([3, 40], found.nearest[1]).any()


def test_a_shared_rare_value_says_more_than_a_shared_common_one():
    points = points_of(frame_of(), SCHEMA)
    first, second = np.array([0, 1, 0]), np.array([4, 5, 1])
    own, rent, neither = np.exp(log_chance(points, first, second))
    assert own == pytest.approx(60 * (5 / 60) * (15 / 60))
    assert rent == pytest.approx(60 * (5 / 60) * (45 / 60))
    assert neither == pytest.approx(60 * (2 / 60)), "different categories say nothing"


@pytest.mark.slow
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 7.5, np.nan]), min_size=30, max_size=60), st.randoms())
def test_points_follow_the_rows_in_any_order(values, random):
    frame = frame_of(len(values)).assign(income=values)
    order = random.sample(range(len(values)), len(values))
    points, turned = points_of(frame, SCHEMA), points_of(frame.iloc[order, ::-1], SCHEMA)
    assert np.array_equal(points.coordinates[order], turned.coordinates)
    assert np.array_equal(points.below[order], turned.below)
    assert np.array_equal(points.up_to[order], turned.up_to)
