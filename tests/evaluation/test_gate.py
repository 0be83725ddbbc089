"""The gate: each threshold by itself, both sides of it, and figures that do not exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.errors import ConfigurationError
from loan_default.evaluation.gate import Thresholds, gate_verdict

GOOD = {"auc": 0.78, "ks": 0.42, "brier": 0.14, "ece": 0.01}
DEFAULT = Thresholds()


def test_a_good_model_passes_and_every_rule_is_named():
    verdict = gate_verdict(GOOD, rows=1_000, champion=None, thresholds=Thresholds())
    assert verdict.passed
    assert len(verdict.reasons) == 5
    assert all(reason.startswith("held: ") for reason in verdict.reasons)
    assert verdict.reasons[1] == "held: AUC must be at least 0.6500, it is 0.7800"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"auc": 0.6}, "broken: AUC must be at least 0.6500, it is 0.6000"),
        ({"ks": 0.1}, "broken: KS must be at least 0.2000, it is 0.1000"),
        ({"brier": 0.3}, "broken: Brier score must be at most 0.2500, it is 0.3000"),
        ({"ece": 0.06}, "broken: calibration error must be at most 0.0500, it is 0.0600"),
        ({"auc": None}, "broken: AUC must be at least 0.6500, it is not defined"),
    ],
)
def test_one_broken_rule_is_enough(change, reason):
    verdict = gate_verdict(GOOD | change, rows=1_000, champion=None, thresholds=Thresholds())
    assert not verdict.passed
    assert verdict.broken == (reason,)
    assert reason in verdict.reasons


def test_few_rows_say_too_little():
    assert not gate_verdict(GOOD, rows=499, champion=None, thresholds=Thresholds()).passed
    assert gate_verdict(GOOD, rows=500, champion=None, thresholds=Thresholds()).passed


@pytest.mark.parametrize(
    ("champion", "lead", "passed"),
    [(0.77, 0.0, True), (0.78, 0.0, True), (0.79, 0.0, False), (0.77, 0.02, False), (0.79, -0.02, True)],
)
def test_a_model_must_be_ahead_of_the_champion(champion, lead, passed):
    thresholds = Thresholds(minimum_lead=lead)
    verdict = gate_verdict(GOOD, rows=1_000, champion={"auc": champion}, thresholds=thresholds)
    assert verdict.passed is passed
    assert f"the champion's {champion:.4f}" in verdict.reasons[-1]


def test_nothing_is_ahead_of_a_champion_without_a_figure():
    verdict = gate_verdict(GOOD, rows=1_000, champion={"auc": None}, thresholds=Thresholds())
    (broken,) = verdict.broken
    assert broken.startswith("broken: AUC must be ahead of the champion's not defined")


@given(
    passing=st.fixed_dictionaries(
        {
            "auc": st.floats(DEFAULT.minimum_auc, 1),
            "ks": st.floats(DEFAULT.minimum_ks, 1),
            "brier": st.floats(0, DEFAULT.maximum_brier),
            "ece": st.floats(0, DEFAULT.maximum_calibration_error),
        }
    ),
    share=st.floats(0, 1),
    rows=st.integers(DEFAULT.minimum_rows, 10_000),
)
def test_a_better_figure_never_turns_a_pass_into_a_failure(passing, share, rows):
    champion = {"auc": share * passing["auc"]}
    assert gate_verdict(passing, rows=rows, champion=champion, thresholds=DEFAULT).passed
    for name, best in (("auc", 1.0), ("ks", 1.0), ("brier", 0.0), ("ece", 0.0)):
        for value in (best, (passing[name] + best) / 2):
            improved = passing | {name: value}
            assert gate_verdict(improved, rows=rows + 1, champion=champion, thresholds=DEFAULT).passed


def test_thresholds_lie_where_figures_do():
    with pytest.raises(ConfigurationError, match="minimum_auc must lie between 0 and 1, however: 65"):
        Thresholds(minimum_auc=65)
