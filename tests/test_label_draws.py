"""The draws of a few labels, and the table of what is reached with them."""

import numpy as np
import pytest

from benchmarks.generated_sets import generated_set
from benchmarks.kept import keep, kept_path
from benchmarks.label_draws import few_labels, name_of_draws, table


@pytest.fixture(scope="module")
def data():
    return generated_set("edges_2k", seed=0)


def test_a_draw_parts_the_rows_that_are_not_the_test_and_keeps_the_outcomes_alike(data):
    few = few_labels(data, 0.1, draw=0)
    known = np.concatenate([few.train, few.validation])
    assert len(few.train) == round(0.1 * len(data.train))
    assert set(few.train) <= set(data.train)
    assert set(few.validation) <= set(data.validation)
    parts = np.concatenate([known, few.unlabelled])
    assert sorted(parts) == sorted([*data.train, *data.validation])
    assert data.y[known].mean() == pytest.approx(data.y[parts].mean(), abs=0.01)
    np.testing.assert_array_equal(few.test, data.test)
    assert set(few_labels(data, 0.1, draw=1).train) != set(few.train)


def test_the_smallest_draw_can_be_learned_from_and_scored(data):
    few = few_labels(data, 0.0001, draw=0)
    for part in (few.train, few.validation):
        assert 0 < data.y[part].sum() < len(part) == 8


def test_the_table_has_means_and_differences_of_the_same_draws(data, tmp_path):
    """Draw by draw ours ranks all rows right and the booster has some wrong; draw 2 has no booster yet."""
    right = data.y[data.test] * 0.5 + 0.25
    for draw, wrong in ((0, 0.2), (1, 0.4)):
        flipped = np.random.default_rng(draw).random(len(right)) < wrong
        worse = np.where(flipped, 1 - right, right)
        keep(
            kept_path(tmp_path, name_of_draws(data.name, 0.02), "LightGBM", draw),
            {"refitted": worse},
            seconds=1,
        )
    for draw in range(3):
        keep(
            kept_path(tmp_path, name_of_draws(data.name, 0.02), "detection", draw),
            {"refitted": right},
            seconds=1,
        )
    lines = table([data], [0.02], draws=10, folder=tmp_path).splitlines()
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    assert cells[:2] == ["edges_2k", "2.0%"]
    booster, ours = cells[2], cells[6]
    assert ours == "1.0000 ± 0.0000 (3)"
    assert booster.endswith("(2)")
    gap = float(lines[-1].split("|")[3].split("±")[0])
    assert gap == pytest.approx(1 - float(booster.split("±")[0]), abs=2e-4)
    assert gap == pytest.approx(0.3, abs=0.03), "pairs of a row right and a row wrong by these shares"
    assert lines[-1].split("|")[4].strip() == "-"
