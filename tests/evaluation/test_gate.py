"""The gate: each threshold by itself, both sides of it, and metrics that are not defined."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.errors import ConfigurationError
from loan_default.evaluation.gate import gate_verdict
from loan_default.thresholds import Thresholds

GOOD = {"auc": 0.78, "ks": 0.42, "brier": 0.14, "ece": 0.01}
DEFAULT = Thresholds()


def test_a_good_model_passes_and_every_rule_is_named():
    verdict = gate_verdict(GOOD, rows=1_000, champion=None, thresholds=Thresholds())
    assert verdict.passed
    assert len(verdict.reasons) == 5
    assert all(reason.startswith("passed: ") for reason in verdict.reasons)
    assert verdict.reasons[1] == "passed: AUC is 0.7800; it must be at least 0.6500."


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"auc": 0.6}, "failed: AUC is 0.6000; it must be at least 0.6500."),
        ({"ks": 0.1}, "failed: KS is 0.1000; it must be at least 0.2000."),
        ({"brier": 0.3}, "failed: the Brier score is 0.3000; it must be at most 0.2500."),
        ({"ece": 0.06}, "failed: the calibration error is 0.0600; it must be at most 0.0500."),
        ({"auc": None}, "failed: AUC is not defined; it must be at least 0.6500."),
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


@pytest.mark.parametrize(
    ("champion", "lead", "reason"),
    [
        (
            0.77,
            0.0,
            "AUC is 0.7800, which is 0.0100 ahead of the champion's 0.7700; it must be at least 0.0000",
        ),
        (
            0.79,
            0.0,
            "AUC is 0.7800, which is 0.0100 behind the champion's 0.7900; it must be at least 0.0000",
        ),
        (
            0.79,
            -0.02,
            "AUC is 0.7800, which is 0.0100 behind the champion's 0.7900; it may be at most 0.0200",
        ),
    ],
)
def test_a_lead_is_stated_in_words_that_need_no_sign(champion, lead, reason):
    thresholds = Thresholds(minimum_lead=lead)
    verdict = gate_verdict(GOOD, rows=1_000, champion={"auc": champion}, thresholds=thresholds)
    assert verdict.reasons[-1].endswith(f"{reason} {'behind' if lead < 0 else 'ahead'}.")


def test_nothing_is_ahead_of_a_champion_without_an_auc():
    verdict = gate_verdict(GOOD, rows=1_000, champion={"auc": None}, thresholds=Thresholds())
    (broken,) = verdict.broken
    assert broken == (
        "failed: AUC is 0.7800, and the champion's AUC is not defined; it must be at least 0.0000 ahead."
    )


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
def test_a_better_metric_never_turns_a_pass_into_a_failure(passing, share, rows):
    champion = {"auc": share * passing["auc"]}
    assert gate_verdict(passing, rows=rows, champion=champion, thresholds=DEFAULT).passed
    for name, best in (("auc", 1.0), ("ks", 1.0), ("brier", 0.0), ("ece", 0.0)):
        for value in (best, (passing[name] + best) / 2):
            improved = passing | {name: value}
            assert gate_verdict(improved, rows=rows + 1, champion=champion, thresholds=DEFAULT).passed


def test_thresholds_lie_where_metrics_do():
    with pytest.raises(ConfigurationError, match="minimum_auc must lie between 0 and 1, however: 65"):
        Thresholds(minimum_auc=65)


AT_THE_BOUNDS = {"auc": 0.65, "ks": 0.2, "brier": 0.25, "ece": 0.05}


def test_a_metric_on_its_threshold_passes():
    assert gate_verdict(AT_THE_BOUNDS, rows=500, champion={"auc": 0.65}, thresholds=DEFAULT).passed


@pytest.mark.parametrize("name", AT_THE_BOUNDS)
@pytest.mark.parametrize("absent", [True, False])
def test_a_metric_that_is_not_defined_passes_no_rule(name, absent):
    found = {key: value for key, value in GOOD.items() if key != name}
    verdict = gate_verdict(
        found if absent else found | {name: None}, rows=1_000, champion=None, thresholds=DEFAULT
    )
    (broken,) = verdict.broken
    assert " is not defined; " in broken


def test_reasons_state_each_metric_and_its_threshold():
    thresholds = Thresholds(minimum_rows=10, minimum_lead=0.01)
    verdict = gate_verdict(GOOD, rows=12, champion={"auc": 0.7}, thresholds=thresholds)
    assert verdict.reasons == (
        "passed: the model was evaluated on 12 labelled rows; there must be at least 10.",
        "passed: AUC is 0.7800; it must be at least 0.6500.",
        "passed: KS is 0.4200; it must be at least 0.2000.",
        "passed: the Brier score is 0.1400; it must be at most 0.2500.",
        "passed: the calibration error is 0.0100; it must be at most 0.0500.",
        (
            "passed: AUC is 0.7800, which is 0.0800 ahead of the champion's 0.7000; "
            "it must be at least 0.0100 ahead."
        ),
    )


@pytest.mark.parametrize("name", ["minimum_auc", "minimum_ks", "maximum_brier", "maximum_calibration_error"])
def test_each_threshold_may_be_none_or_all_and_no_more(name):
    for value in (0, 1):
        assert getattr(Thresholds(**{name: value}), name) == value
    for value in (-0.01, 1.01):
        with pytest.raises(ConfigurationError, match=f"{name} must lie between 0 and 1"):
            Thresholds(**{name: value})
