"""Rules as data: through JSON and back, and what does not belong into a stored one."""

import json
import math

import pytest

from loan_default.evaluation.gate_rules import (
    NAMES,
    NEVER_OVERRIDDEN,
    at_least,
    at_most,
    decided,
    off,
    rule_from_dict,
)
from loan_default.thresholds import RuleOutcome

RULES = [
    at_least(4, "ks", 0.3, 0.2, called="KS").of("data-1"),
    at_most(5, "brier", None, 0.25, called="the Brier score"),
    decided(4, "certain_lead", passed=False, value=0.01, threshold=0.0, sentence="s.", interval=(-0.1, 0.2)),
    off(3, "cooldown", "none is asked for."),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_comes_back_from_json(rule):
    assert rule_from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


def test_a_rule_states_its_outcome():
    assert [rule.outcome for rule in RULES] == [
        RuleOutcome.PASSED,
        RuleOutcome.FAILED,
        RuleOutcome.FAILED,
        RuleOutcome.OFF,
    ]
    assert RULES[0].reason == "passed: KS is 0.3000; it must be at least 0.2000."
    assert RULES[1].reason == "failed: the Brier score is not defined; it must be at most 0.2500."


def test_an_interval_without_ends_is_left_out():
    rule = decided(
        4, "lead", passed=False, value=0.0, threshold=0.0, sentence="s.", interval=(-math.inf, math.inf)
    )
    assert rule.interval is None


def test_names_have_the_numbers_of_the_gate():
    assert {NAMES[name] for name in ("artefact", "rows", "bads", "coverage")} == NEVER_OVERRIDDEN == {1, 2}
    assert set(NAMES.values()) <= set(range(1, 12))
