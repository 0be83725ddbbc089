"""Near-copies that were planted are found, whatever the order of rows and columns; clean sets have none."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.twin_sets import SHAPES, clean_set, schema_of, with_twins
from loan_default.data.datasets.twins import find_twins


def planted(
    *, jitter: float = 0.01, share: float = 0.2, rows: int = 1_500
) -> tuple[pd.DataFrame, np.ndarray]:
    draw = np.random.default_rng(3)
    frame, labels = clean_set("mixed", draw, rows=rows, signal=1.7)
    return with_twins(frame, labels, draw, share=share, jitter=jitter)


@pytest.mark.slow
@pytest.mark.parametrize("jitter", [0.0, 0.001, 0.02])
def test_planted_copies_are_found(jitter):
    frame, labels = planted(jitter=jitter)
    twins = find_twins(frame, schema_of(frame), labels)
    if jitter == 0:
        assert twins is None, "equal rows are groups already, and no near-copies"
        return
    assert twins is not None
    assert 0.18 < twins.share < 0.25
    assert twins.agreement > 0.97 > twins.ordinary
    assert twins.expected < twins.agreement
    assert twins.auc_straddling > twins.auc_apart


@pytest.mark.slow
def test_the_order_of_rows_and_columns_changes_nothing():
    frame, labels = planted()
    first = find_twins(frame, schema_of(frame), labels)
    order = np.random.default_rng(0).permutation(len(frame))
    turned = frame.iloc[order, ::-1].reset_index(drop=True)
    again = find_twins(turned, schema_of(turned), labels[order])
    assert first is not None
    assert again is not None
    pairs = {tuple(sorted(pair)) for pair in order[again.pairs].tolist()}
    assert pairs == {tuple(pair) for pair in first.pairs.tolist()}
    assert (again.auc_straddling, again.auc_apart) == (first.auc_straddling, first.auc_apart)


@pytest.mark.slow
def test_pairs_and_copies_of_copies_are_of_one_group_and_other_rows_alone():
    frame, labels = planted()
    frame = pd.concat([frame, frame.iloc[:50]], ignore_index=True)
    labels = np.concatenate([labels, labels[:50]])
    twins = find_twins(frame, schema_of(frame), labels)
    assert twins is not None
    assert (twins.groups[twins.pairs[:, 0]] == twins.groups[twins.pairs[:, 1]]).all()
    assert (twins.groups[:50] == twins.groups[-50:]).all(), "equal rows go with them"
    alone = np.setdiff1d(np.arange(50, 1_500), twins.pairs)
    assert len(np.unique(twins.groups[alone])) == len(alone)
    sides = twins.with_copies_in(twins.pairs[:, 0], twins.pairs[:, 1])
    assert sides.all()
    assert not twins.with_copies_in(alone[:100], alone[100:]).any()


@pytest.mark.slow
def test_rows_without_an_outcome_and_small_sets_are_left_alone():
    frame, labels = planted()
    assert find_twins(frame, schema_of(frame), np.where(np.arange(1_500) < 1_400, np.nan, labels)) is None
    assert find_twins(frame, schema_of(frame), np.zeros(1_500)) is None
    unknown = np.where(np.arange(1_500) % 10 == 0, np.nan, labels)
    twins = find_twins(frame, schema_of(frame), unknown)
    assert twins is not None
    assert not np.isnan(unknown[twins.pairs]).any()


def test_near_rows_with_outcomes_of_their_own_are_no_copies():
    frame, labels = planted()
    other = np.random.default_rng(1).permutation(labels)
    assert find_twins(frame, schema_of(frame), other) is None


@pytest.mark.slow
def test_a_sample_decides_and_all_copies_are_found(monkeypatch):
    frame, labels = planted(rows=5_000)
    whole = find_twins(frame, schema_of(frame), labels)
    monkeypatch.setattr("loan_default.data.datasets.twins._DISTANCES", 1)
    sampled = find_twins(frame, schema_of(frame), labels)
    assert whole is not None
    assert sampled is not None
    both = {tuple(pair) for pair in whole.pairs.tolist()} & {tuple(pair) for pair in sampled.pairs.tolist()}
    assert len(both) > 0.9 * len(whole.pairs)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("signal", [1.7, 6.0])
def test_clean_sets_have_none(shape, signal):
    """The large simulation is `python -m benchmarks.twins`."""
    for number in range(2):
        frame, labels = clean_set(shape, np.random.default_rng([9, number]), rows=1_200, signal=signal)
        assert find_twins(frame, schema_of(frame), labels) is None
