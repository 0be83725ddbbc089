import numpy as np
import pytest

from loan_default.evaluation.fairness import fairness_of
from loan_default.evaluation.fairness_rule import fairness_rule
from loan_default.evaluation.training_evidence import FairnessFacts
from loan_default.review_policy import FairnessMode, PolicyProfile
from loan_default.thresholds import RuleOutcome

GATE = PolicyProfile(name="eu", fairness_mode=FairnessMode.GATE)


def facts(rate, *, rows=2_000):
    """Two groups, of which one is approved at this rate and the other always."""
    at = np.arange(rows)
    pd = np.where((at % 2 == 1) & (at >= rate * rows), 0.9, 0.1)
    group = np.where(at % 2 == 1, "b", "a")
    attribute = fairness_of(
        "sex", at % 3 == 0, pd, list(group), cutoff=0.2, minimum_rows=10, minimum_ratio=0.8
    )
    return FairnessFacts(
        mode=FairnessMode.GATE,
        minimum_ratio=0.8,
        minimum_group_rows=10,
        attributes=(attribute,),
        alternatives=(),
    )


@pytest.mark.parametrize(("rate", "outcome"), [(0.5, "failed"), (0.9, "passed")])
def test_a_ratio_below_the_minimum_fails(rate, outcome):
    rule = fairness_rule(facts(rate), GATE, data="data-1")
    assert (rule.number, rule.outcome, rule.threshold, rule.data) == (8, outcome, 0.8, "data-1")
    assert rule.value == pytest.approx(rate)
    assert rule.interval[0] < rate < rule.interval[1]
    assert "of sex b" in rule.sentence


def test_what_may_be_chance_passes():
    rule = fairness_rule(facts(0.75, rows=12), GATE, data=None)
    few = facts(0.75, rows=24)
    assert rule.outcome is RuleOutcome.FAILED  # too few rows to compare anything: nothing is shown
    assert fairness_rule(few, GATE, data=None).outcome is RuleOutcome.PASSED


def test_a_missing_figure_fails():
    none = facts(0.9).model_copy(update={"attributes": ()})
    for given in (None, none):
        rule = fairness_rule(given, GATE, data=None)
        assert (rule.outcome, rule.value) == (RuleOutcome.FAILED, None)


@pytest.mark.parametrize("mode", [FairnessMode.MONITOR, FairnessMode.OFF])
def test_it_is_off_where_the_profile_only_watches(mode):
    rule = fairness_rule(facts(0.5), PolicyProfile(fairness_mode=mode), data=None)
    assert rule.outcome is RuleOutcome.OFF
    assert "0.5000" in rule.sentence
