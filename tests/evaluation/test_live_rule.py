"""The rule of the gate on live applications."""

import pytest

from loan_default.evaluation.live_comparison import Estimate
from loan_default.evaluation.live_rule import LiveLead, live_rule
from loan_default.thresholds import GatePolicy, RuleOutcome, Thresholds

PASSED, FAILED, OFF = RuleOutcome.PASSED, RuleOutcome.FAILED, RuleOutcome.OFF


def found(lead):
    return LiveLead(experiment="x-1", outcomes=3_000, planned=5_000, lead=lead, note="20 outcomes")


def rule_of(live, *, has_champion=True, **policy):
    return live_rule(live, thresholds=Thresholds(), policy=GatePolicy(**policy), has_champion=has_champion)


@pytest.mark.parametrize(
    ("low", "high", "beside", "better", "as_good"),
    [
        (0.002, 0.03, PASSED, PASSED, PASSED),
        (-0.001, 0.03, PASSED, FAILED, PASSED),
        (-0.012, 0.03, PASSED, FAILED, FAILED),
        (-0.03, -0.002, FAILED, FAILED, FAILED),
        (-0.008, -0.002, FAILED, FAILED, PASSED),
    ],
)
def test_the_interval_decides_as_the_policy_says(low, high, beside, better, as_good):
    live = found(Estimate(value=(low + high) / 2, low=low, high=high))
    assert rule_of(live).outcome is beside
    decided = rule_of(live, lead_from="live")
    assert (decided.outcome, decided.interval, decided.data) == (better, (low, high), "x-1")
    assert rule_of(live, lead_from="live", demand="as-good").outcome is as_good


@pytest.mark.parametrize("live", [None, found(None)])
def test_too_little_decides_nothing_and_fails_where_it_should_decide(live):
    assert rule_of(live).outcome is OFF
    decided = rule_of(live, lead_from="live")
    assert decided.outcome is FAILED
    assert decided.value is None
    assert ("20 outcomes" if live else "loan-default challenge") in decided.sentence


def test_without_a_champion_nothing_is_asked_for():
    assert rule_of(None, has_champion=False, lead_from="live").outcome is OFF
