"""The evidence of the gate: computed from the right rows, stored, and read back as it was."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from conftest import SCHEMA
from pipelines.promotion_setup import AS_GOOD, LENIENT, decide, evaluated

from loan_default.data.schema.column import CODED_KINDS
from loan_default.errors import ConfigurationError
from loan_default.evaluation.delong import paired_auc
from loan_default.models.model import load_model, save_model
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.promotion.comparison import check_thresholds
from loan_default.pipelines.promotion.measuring import golden_gap
from loan_default.pipelines.promotion.stored_evidence import comparisons_with
from loan_default.pipelines.promotion.unseen_rows import unseen_rows
from loan_default.pipelines.training.dataset import load_store
from loan_default.thresholds import RuleOutcome

pytestmark = pytest.mark.slow  # each test validates trained models

CODED = next(column.name for column in SCHEMA.features if column.kind in CODED_KINDS)


def noisy(promotion, name: str, noise: float):
    """A candidate whose networks have noise in their weights, and no golden rows."""
    document = promotion.candidate(name)
    path = promotion.home / document.path
    model = load_model(path)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for member in model.members:
            for weight in member.parameters():
                weight.add_(
                    noise * weight.std(unbiased=False) * torch.randn(weight.shape, generator=generator)
                )
    digest = save_model(path, replace(model, golden=None))
    promotion.services.database["model_metadata"].update_one({"_id": name}, {"$set": {"sha256": digest}})
    return load_model(path)


def test_the_evidence_is_that_of_the_rows_on_which_both_were_measured(promotion):
    other = noisy(promotion, "noisy", 0.5)
    decide(promotion.run("first"), promotion.model.version)
    found = evaluated(promotion.run("second"), "noisy")
    metrics = promotion.metrics(found.metrics)
    evidence = metrics.evidence
    data = load_store(promotion.home / TRAINING_STORE, SCHEMA, maturity_days=0, now=datetime.now(UTC))
    champion = load_model(promotion.home / promotion.model.path)
    rows = unseen_rows(data, [other, champion], fewest=LENIENT.minimum_rows)
    frame, y = data.frame.iloc[rows.positions], data.labels[rows.positions]
    pds, theirs = other.predict_pd(frame), champion.predict_pd(frame)
    assert len(y) == metrics.rows
    assert evidence.bads == y.sum()
    assert evidence.coverage == 1.0
    by_hand = paired_auc(y, pds, theirs)
    assert (evidence.lead.new, evidence.lead.old) == pytest.approx((by_hand.new, by_hand.old))
    assert evidence.lead.error == pytest.approx(by_hand.error)
    low, high = evidence.lead.bootstrap
    assert low < by_hand.lead < high
    assert (high - low) / 3.92 == pytest.approx(by_hand.error, rel=0.25)
    assert evidence.approval_rate == pytest.approx(np.mean(pds <= AS_GOOD.cutoff))
    assert promotion.metrics(found.champion_metrics).evidence.approval_rate == pytest.approx(
        np.mean(theirs <= AS_GOOD.cutoff)
    )
    assert evidence.artefact == promotion.models.get("noisy").sha256
    assert evidence.golden_gap is None
    found = check_thresholds(promotion.run("second"), found)
    rules = {rule.name: rule for rule in found.rules}
    assert rules["artefact"].outcome is RuleOutcome.FAILED
    assert rules["certain_lead"].value == pytest.approx(by_hand.lead)
    assert rules["certain_lead"].interval == pytest.approx(by_hand.interval(0.95))


def test_scores_of_the_training_are_stable_on_rows_like_it(promotion):
    evidence = promotion.metrics(evaluated(promotion.run(), promotion.model.version).metrics).evidence
    assert 0 <= evidence.score_psi < max(0.25, evidence.score_psi_critical)
    assert evidence.lead is None


def test_golden_rows_are_scored_by_torch_and_by_the_arrays_of_servers(promotion):
    path = promotion.home / promotion.model.path
    model, digest = load_model(path), promotion.model.sha256
    assert golden_gap(model, sha256=digest) < 1e-6
    assert golden_gap(replace(model, golden=None), sha256=digest) is None
    off = replace(
        model.golden, pds=model.golden.pds + np.where(np.arange(len(model.golden.pds)) == 3, 0.01, 0)
    )
    assert golden_gap(replace(model, golden=off), sha256=digest) == pytest.approx(0.01, abs=1e-5)
    lost = replace(model.golden, pds=np.full(len(model.golden.pds), np.nan))
    assert golden_gap(replace(model, golden=lost), sha256=digest) is None


def test_segments_are_those_of_the_columns_that_are_named(promotion):
    decide(promotion.run("first"), promotion.model.version)
    promotion.candidate("same")
    run = promotion.run("second", policy=replace(AS_GOOD, segments=(CODED,)))
    run = replace(run, thresholds=replace(LENIENT, minimum_segment_rows=20))
    found = evaluated(run, "same")
    segments = promotion.metrics(found.metrics).evidence.segments
    assert {each.column for each in segments} == {CODED}
    assert sum(each.rows for each in segments) == promotion.metrics(found.metrics).rows
    assert any(each.lead is not None and each.lead.error == 0 for each in segments)
    names = {rule.name for rule in check_thresholds(run, found).rules}
    assert {"segment_gap", "segment_lead"} <= names


def test_a_column_without_categories_has_no_segments(promotion):
    run = promotion.run(policy=replace(AS_GOOD, segments=("nonsense",)))
    with pytest.raises(ConfigurationError, match="LOAN_DEFAULT_SEGMENTS must name columns with categories"):
        evaluated(run, promotion.model.version)


def test_comparisons_with_a_champion_are_counted_from_its_promotion(promotion):
    for name in ("a", "b", "c"):
        promotion.candidate(name)
    champion = promotion.model.version
    decide(promotion.run("first"), champion)
    counted = []
    for name in ("a", "b", "b"):
        found = evaluated(promotion.run(f"run-{len(counted)}"), name)
        own = promotion.metrics(found.metrics)
        counted.append(comparisons_with(promotion.run(), champion, until=own.computed_at))
    assert counted == [1, 2, 2], "the same model on the same data is no new comparison"
    promotion.grow(30, seed=41)
    own = promotion.metrics(evaluated(promotion.run("grown"), "b").metrics)
    assert comparisons_with(promotion.run(), champion, until=own.computed_at) == 3
    decide(promotion.run("move"), "c", rollback=True)
    own = promotion.metrics(evaluated(promotion.run("anew"), "a").metrics)
    assert comparisons_with(promotion.run(), "c", until=own.computed_at) == 1


def test_a_cooldown_counts_from_the_last_promotion(promotion):
    promotion.candidate("next")
    week = replace(AS_GOOD, cooldown_days=7)
    first = check_thresholds(
        promotion.run("first", policy=week), evaluated(promotion.run("first"), promotion.model.version)
    )
    assert first.passed
    decide(promotion.run("first"), promotion.model.version)
    run = promotion.run("second", policy=week)
    verdict = check_thresholds(run, evaluated(run, "next"))
    (broken,) = verdict.broken
    assert broken.startswith("failed: the last promotion was 0.0 days ago; between two there must be 7.")
