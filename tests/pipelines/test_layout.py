"""What the home folder keeps for itself, and what says that something was ingested."""

import pytest

from loan_default.pipelines.layout import (
    FEEDS,
    MODELS,
    OUTBOX,
    PREDICTION_SPOOL,
    REPLAYS,
    SCHEDULED_RUNS,
    SERVING_FILES,
    TRAINING_STORE,
    has_ingested,
    is_reserved,
)

RESERVED = [MODELS, SERVING_FILES, TRAINING_STORE, SCHEDULED_RUNS, OUTBOX, REPLAYS, FEEDS, PREDICTION_SPOOL]


@pytest.mark.parametrize("name", RESERVED)
def test_folders_of_the_home_are_not_for_runs_by_hand(tmp_path, name):
    assert is_reserved(tmp_path / name, tmp_path)
    assert is_reserved(tmp_path / "run" / ".." / name, tmp_path)
    assert not is_reserved(tmp_path / f"{name}-2", tmp_path)
    assert not is_reserved(tmp_path / "run" / name, tmp_path)


@pytest.mark.parametrize(("name", "expected"), [(OUTBOX, True), (TRAINING_STORE, True), (FEEDS, False)])
def test_an_outbox_or_a_training_store_says_that_something_was_ingested(tmp_path, name, expected):
    assert not has_ingested(tmp_path)
    (tmp_path / name).mkdir()
    assert has_ingested(tmp_path) is expected
