"""Measuring models: on which rows, beside which champion, and with which verdict of the gate."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from conftest import SCHEMA
from pipelines.promotion_setup import ROWS, STRICT, decide, evaluated, feed
from sklearn.metrics import roc_auc_score

from loan_default.data.datasets.duplicates import duplicate_groups
from loan_default.data.datasets.splits import permanent_holdout_split
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.feeds import GeneratedFeed
from loan_default.database.documents import DatasetName, PerformanceMetrics
from loan_default.database.repositories import MetricsRepository
from loan_default.errors import DependencyError
from loan_default.kafka.memory import MemoryBroker
from loan_default.models.model import load_model
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion import comparison
from loan_default.pipelines.promotion.comparison import check_thresholds
from loan_default.pipelines.training.dataset import Dataset, load_store
from loan_default.pipelines.training.snapshots import snapshot_store


@pytest.mark.slow
def test_metrics_are_computed_on_rows_that_no_training_has_seen(promotion):
    found = evaluated(promotion.run("first"), promotion.model.version)
    metrics = MetricsRepository(promotion.services.database).get(found.metrics)
    trained = [
        m
        for m in MetricsRepository(promotion.services.database).of_model(promotion.model.version)
        if not m.run
    ]
    on_test = next(m for m in trained if m.dataset is DatasetName.TEST)
    # Its own test rows are those of the permanent holdout, and nothing has come since.
    assert (metrics.rows, metrics.label_rate) == (on_test.rows, on_test.label_rate)
    # By hand: what the registered file gives on those rows, which its last fit has not learned from either.
    model = load_model(promotion.home / promotion.model.path)
    rows = load_store(promotion.home / TRAINING_STORE, SCHEMA, maturity_days=0, now=datetime.now(UTC)).frame
    split = permanent_holdout_split(rows, SCHEMA, groups=duplicate_groups(rows, SCHEMA))
    held_out = rows.iloc[split.test]
    assert len(held_out) == metrics.rows
    by_hand = roc_auc_score(held_out["bad"], model.predict_pd(held_out))
    assert metrics.figures["auc"] == pytest.approx(by_hand, abs=1e-9)
    assert metrics.figures["auc"] != on_test.figures["auc"], "that was measured before the last fit"
    assert metrics.dataset is DatasetName.HELD_OUT
    assert evaluated(promotion.run("first"), promotion.model.version).metrics == found.metrics


@pytest.mark.slow
def test_later_rows_are_taken_where_there_are_enough(promotion):
    early = promotion.candidate("early", seen_until="2000-01-01T00:00:00+00:00", split="out of time")
    found = evaluated(promotion.run(), early.version)
    metrics = MetricsRepository(promotion.services.database).get(found.metrics)
    assert metrics.dataset is DatasetName.OUT_OF_TIME
    assert metrics.rows > 0.5 * ROWS


def test_a_schema_that_reads_a_feature_differently_measures_no_model_of_before(promotion):
    name, schema = with_a_feature_changed(special=(1.0,))
    run = promotion.run("changed")
    found = evaluated(replace(run, services=replace(run.services, schema=schema)), promotion.model.version)
    assert found.metrics is None
    assert f"the schema reads {name} differently than it did for {promotion.model.version}" in found.rows


def with_a_feature_changed(**changes: object) -> tuple[str, Schema]:
    """The name of a numerical feature, and the schema in which that is another."""
    feature = next(each for each in SCHEMA.features if each.kind is Kind.NUMERICAL)
    changed = replace(feature, **changes)
    return feature.name, replace(
        SCHEMA, columns=tuple(changed if each is feature else each for each in SCHEMA.columns)
    )


@pytest.mark.slow
def test_both_models_are_measured_on_the_same_rows_though_the_champion_changed_meanwhile(promotion):
    """The rows that are later than all that both have seen are fewer beside another champion."""
    promotion.candidate("slow", seen_until="2000-01-01T00:00:00+00:00")
    run = promotion.run("slow-run")
    alone = evaluated(run, "slow")
    times = load_store(promotion.home / TRAINING_STORE, SCHEMA, maturity_days=0, now=datetime.now(UTC)).frame[
        "made"
    ]
    promotion.candidate("quick", seen_until=times.median().isoformat())
    decide(promotion.run("quick-run"), "quick", rollback=True)
    found = evaluated(run, "slow")
    slow, quick = promotion.metrics(found.metrics), promotion.metrics(found.champion_metrics)
    assert slow.rows == quick.rows < promotion.metrics(alone.metrics).rows
    assert {each.dataset for each in (slow, quick)} == {DatasetName.OUT_OF_TIME}
    assert (slow.beside, quick.beside) == ("quick", "slow")


@pytest.mark.slow
def test_a_verdict_names_each_rule_and_the_rows(promotion):
    run = promotion.run("strict", thresholds=STRICT)
    verdict = check_thresholds(run, evaluated(run, promotion.model.version))
    (broken,) = verdict.broken
    assert broken.startswith("failed: AUC is 0.")
    assert broken.endswith("; it must be at least 0.9990.")
    assert broken in verdict.reasons
    assert verdict.reasons[-1].startswith("evaluated on ")


def test_a_rollback_is_not_measured_and_waits_for_nothing(promotion):
    class Away(MemoryBroker):
        def consumer(self, *args, **kwargs):
            raise DependencyError("no consumer must be asked for, however: one was")

    run = promotion.run("undo")
    run = replace(run, services=replace(run.services, broker=Away()))
    with pytest.raises(DependencyError):
        store_processed_data(run.services, run.home / TRAINING_STORE)
    found = evaluated(run, promotion.model.version, rollback=True)
    assert (found.metrics, found.snapshot) == (None, None)
    assert check_thresholds(run, found).passed


@pytest.mark.slow
def test_an_evaluation_reads_the_training_store_as_it_is(promotion):
    """Bringing the store up to date is a step of its own, which the caller sees."""
    before = evaluated(promotion.run("before"), promotion.model.version)
    source = GeneratedFeed(SCHEMA, rows=200, seed=9, state=promotion.home / "feed-9.json")
    feed(promotion.services, source)
    meanwhile = evaluated(promotion.run("meanwhile"), promotion.model.version)
    assert meanwhile.snapshot == before.snapshot
    store_processed_data(promotion.services, promotion.home / TRAINING_STORE)
    after = evaluated(promotion.run("after"), promotion.model.version)
    assert promotion.metrics(after.metrics).rows > promotion.metrics(meanwhile.metrics).rows


@pytest.mark.slow
def test_rows_of_later_events_are_no_reason_to_forget_what_is_held_out(promotion):
    """The held-out rows of the store stay the same rows when it grows."""
    before = evaluated(promotion.run("before"), promotion.model.version)
    promotion.grow(300, seed=2)
    after = evaluated(promotion.run("after"), promotion.model.version)
    metrics = MetricsRepository(promotion.services.database)
    rows = [metrics.get(each.metrics).rows for each in (before, after)]
    assert rows[0] < rows[1] < rows[0] + 0.35 * 300
    assert after.snapshot != before.snapshot


@pytest.mark.slow
def test_an_evaluation_remembers_the_move_of_the_pointer_that_it_has_seen(promotion):
    """Without it a promotion could not tell that another one came in between."""
    assert evaluated(promotion.run("none"), promotion.model.version).seen_rev == 0
    for rev, name in enumerate(("first", "second"), start=1):
        promotion.candidate(name)
        decide(promotion.run(name), name)
        pointer = promotion.models.champion()
        assert (pointer.version, pointer.rev) == (name, rev)
        assert evaluated(promotion.run("look"), promotion.model.version).seen_rev == rev


@pytest.mark.slow
@pytest.mark.parametrize("replaced", ["with a champion", "without one"])
def test_weighted_rows_are_compared_as_rows_that_stand_there_as_often(promotion, monkeypatch, replaced):
    """Whole weights: model and champion get the metrics, and the gate the reasons, of repeated rows."""
    if replaced == "with a champion":
        promotion.candidate("first")
        decide(promotion.run("first"), "first", rollback=True)
    plain, snapshot = snapshot_store(promotion.services, promotion.home / TRAINING_STORE, maturity_days=0)
    weights = np.random.default_rng(4).integers(1, 5, len(plain.frame)).astype(float)
    columns = (*SCHEMA.columns, Column(name="times", kind=Kind.WEIGHT))
    weighted = replace(
        plain, schema=replace(SCHEMA, columns=columns), frame=plain.frame.assign(times=weights)
    )
    repeated = replace(plain, frame=plain.frame.loc[plain.frame.index.repeat(weights.astype(int))])
    assert weighted.weights is not None
    assert repeated.weights is None

    def measured(name: str, dataset: Dataset) -> tuple[list[PerformanceMetrics], tuple[str, ...]]:
        shot = snapshot.model_copy(update={"id": f"snapshot-{name}"})
        monkeypatch.setattr(comparison, "snapshot_store", lambda *_, **__: (dataset, shot))
        run = promotion.run(name)
        found = evaluated(run, promotion.model.version)
        ids = [each for each in (found.metrics, found.champion_metrics) if each is not None]
        return [promotion.metrics(each) for each in ids], check_thresholds(run, found).reasons

    ours, reasons = measured("weighted", weighted)
    oracle, expected_reasons = measured("repeated", repeated)
    plainly, _ = measured("plain", plain)
    assert len(ours) == len(oracle) == (2 if replaced == "with a champion" else 1)
    for own, expected, unweighted in zip(ours, oracle, plainly, strict=True):
        assert own.rows < expected.rows
        counts = ("rows", "bads")
        names = [name for name in own.figures if name not in counts]
        assert set(names) == set(expected.figures) - set(counts)
        for name in names:
            assert own.figures[name] == pytest.approx(expected.figures[name], rel=1e-4, abs=1e-6), name
        assert own.figures["auc"] != pytest.approx(unweighted.figures["auc"], abs=1e-6)
    # Reasons differ in the numbers of rows only.
    without_rows = [reason for reason in reasons if " rows" not in reason]
    assert without_rows == [reason for reason in expected_reasons if " rows" not in reason]
