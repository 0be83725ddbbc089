"""Segments: who is compared, with what result, and when a loss is certain."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from loan_default.evaluation.segments import compare_segments, segment_rules
from loan_default.thresholds import RuleOutcome, Thresholds

SMALL = Thresholds(minimum_segment_rows=100, minimum_bads=20)


def rows(count: int, *, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Outcomes, PDs of a new and of an old model, and segments `a` and `b`; in `b` the new one is noise."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=count)
    y = (generator.random(count) < expit(risk - 1)).astype(float)
    segments = np.where(np.arange(count) % 3 == 0, "b", "a")
    old = expit(risk - 1)
    new = np.where(segments == "b", expit(generator.normal(size=count) - 1), old)
    return y, new, old, segments


def compared(y, new, old, segments, **options):
    given = {"weights": None, "thresholds": SMALL} | options
    return compare_segments([("home", segments)], y=y, new=new, old=old, **given)


def test_each_segment_is_compared_on_its_own_rows():
    y, new, old, segments = rows(3_000)
    found = compared(y, new, old, segments)
    assert [(each.column, each.value) for each in found] == [("home", "a"), ("home", "b")]
    for each in found:
        inside = segments == each.value
        assert (each.rows, each.bads) == (inside.sum(), y[inside].sum())
        by_hand = roc_auc_score(y[inside], new[inside]) - roc_auc_score(y[inside], old[inside])
        assert each.lead.lead == pytest.approx(by_hand)
        gaps = y[inside] - new[inside]
        assert each.gap == pytest.approx(gaps.mean())
        assert each.gap_error == pytest.approx(gaps.std(ddof=1) / np.sqrt(inside.sum()))


def test_the_segment_in_which_the_model_is_noise_breaks_its_rule_alone():
    y, new, old, segments = rows(3_000)
    found = list(segment_rules(compared(y, new, old, segments), thresholds=SMALL, columns=["home"]))
    failed = [rule for rule in found if rule.outcome is RuleOutcome.FAILED]
    assert [rule.name for rule in failed] == ["segment_lead"]
    assert "home b" in failed[0].sentence
    assert failed[0].interval[1] < failed[0].threshold
    assert len(found) == 4


def test_a_small_segment_is_named_and_not_compared():
    y, new, old, segments = rows(90)
    found = list(segment_rules(compared(y, new, old, segments), thresholds=SMALL, columns=["home"]))
    assert [rule.outcome for rule in found] == [RuleOutcome.OFF] * 2
    assert "too few to compare" in found[0].sentence


def test_without_a_champion_the_level_alone_is_checked():
    y, new, _, segments = rows(3_000)
    found = list(segment_rules(compared(y, new, None, segments), thresholds=SMALL, columns=["home"]))
    assert [rule.name for rule in found] == ["segment_gap"] * 2


def test_weights_count():
    y, new, old, segments = rows(600)
    weights = np.random.default_rng(2).integers(1, 4, 600)
    ours = compared(y, new, old, segments, weights=weights)
    again = compared(*(np.repeat(each, weights) for each in (y, new, old, segments)))
    for one, other in zip(ours, again, strict=True):
        assert one.gap == pytest.approx(other.gap)
        assert one.lead.lead == pytest.approx(other.lead.lead)
        assert one.rows < other.rows


@pytest.mark.slow
def test_the_segments_of_two_equal_models_rarely_fail():
    """Ten segments at once, 200 times: intervals hold together at 95 %."""
    failures = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        risk = generator.normal(size=2_000)
        y = (generator.random(2_000) < expit(risk - 1)).astype(float)
        new, old = (expit(risk - 1 + 0.3 * generator.normal(size=2_000)) for _ in range(2))
        segments = np.char.mod("%d", generator.integers(0, 10, 2_000))
        found = segment_rules(
            compared(y, new, old, segments),
            thresholds=Thresholds(
                minimum_segment_rows=100, minimum_bads=20, maximum_segment_gap=0.0, maximum_auc_loss=0.0
            ),
            columns=["home"],
        )
        failures += any(rule.outcome is RuleOutcome.FAILED for rule in found)
    assert failures <= 25
