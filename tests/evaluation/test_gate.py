"""The gate: each rule by itself, both sides of its threshold, and values that are not defined."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from loan_default.errors import ConfigurationError
from loan_default.evaluation.delong import PairedAuc
from loan_default.evaluation.gate import Verdict, check_rules, verdict_of
from loan_default.evaluation.gate_checks import ERROR, level_of
from loan_default.evaluation.gate_evidence import BesideChampion, Evidence
from loan_default.evaluation.gate_rules import NAMES, Rule
from loan_default.evaluation.segments import SegmentComparison
from loan_default.thresholds import GatePolicy, RuleOutcome, Thresholds

METRICS = {
    "auc": 0.78,
    "ks": 0.42,
    "brier": 0.14,
    "ece": 0.01,
    "calibration_intercept": 0.05,
    "calibration_slope": 0.95,
    "mean_pd": 0.21,
}
GOOD = Evidence(
    artefact="a" * 64,
    data="data-1",
    rows=1_000,
    bads=210,
    metrics=METRICS,
    auc_interval=(0.74, 0.82),
    coverage=0.9,
    golden_gap=1e-9,
    score_psi=(0.02, 0.03),
    column_psi=("income", 0.04, 0.05),
    approval_rate=0.6,
)
BESIDE = BesideChampion(
    metrics=METRICS | {"auc": 0.75, "brier": 0.145, "mean_pd": 0.2},
    lead=PairedAuc(new=0.78, old=0.75, error=0.01),
    approval_rate=0.62,
)
DEFAULT = Thresholds()
AS_GOOD = GatePolicy(demand="as-good")


def verdict(
    evidence: Evidence = GOOD, *, thresholds: Thresholds = DEFAULT, policy: GatePolicy | None = None
) -> Verdict:
    return verdict_of(check_rules(evidence, thresholds=thresholds, policy=policy or GatePolicy()))


def with_metric(name: str, value: float | None) -> Evidence:
    return replace(GOOD, metrics=METRICS | {name: value})


def beside(**changes: object) -> Evidence:
    return replace(GOOD, champion=replace(BESIDE, **changes))


def rule(found: Verdict, name: str) -> Rule:
    (only,) = (each for each in found.rules if each.name == name)
    return only


def broken(found: Verdict) -> set[str]:
    return {each.name for each in found.rules if each.outcome is RuleOutcome.FAILED}


def test_a_good_model_passes_and_every_rule_is_stored_as_data():
    found = verdict()
    assert found.passed
    names = [each.name for each in found.rules if each.outcome is RuleOutcome.PASSED]
    assert names == [
        *("artefact", "rows", "bads", "coverage", "auc", "ks", "brier", "ece"),
        *("calibration_intercept", "calibration_slope", "score_psi", "column_psi"),
    ]
    assert len(found.reasons) == len(names)
    assert all(reason.startswith("passed: ") for reason in found.reasons)
    auc = rule(found, "auc")
    assert (auc.number, auc.value, auc.threshold, auc.interval) == (4, 0.78, 0.65, (0.74, 0.82))
    assert auc.data == "data-1"
    assert rule(found, "artefact").data == GOOD.artefact
    assert all(NAMES[each.name] == each.number for each in found.rules)


def test_numbers_of_the_rules_are_in_order():
    numbers = [each.number for each in verdict(replace(GOOD, champion=BESIDE)).rules]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (with_metric("ks", 0.1), "failed: KS is 0.1000; it must be at least 0.2000."),
        (with_metric("brier", 0.3), "failed: the Brier score is 0.3000; it must be at most 0.2500."),
        (with_metric("ece", 0.06), "failed: the calibration error is 0.0600; it must be at most 0.0500."),
        (
            with_metric("calibration_intercept", -0.4),
            "failed: the calibration intercept is -0.4000; it must be within 0.3500 of 0.",
        ),
        (
            with_metric("calibration_slope", 0.5),
            "failed: the calibration slope is 0.5000; it must be between 0.6000 and 1.7000.",
        ),
        (
            replace(GOOD, rows=499),
            "failed: the model was evaluated on 499 labelled rows; there must be at least 500.",
        ),
        (
            replace(GOOD, bads=49),
            "failed: 49 of these rows are defaults; of the rarer outcome there must be at least 50.",
        ),
        (
            replace(GOOD, bads=960),
            "failed: 960 of these rows are defaults; of the rarer outcome there must be at least 50.",
        ),
        (
            replace(GOOD, coverage=0.2),
            (
                "failed: the outcome of 20.0% of the rows that are old enough is known; it must be at least "
                "30.0%."
            ),
        ),
        (
            replace(GOOD, score_psi=(0.3, 0.05)),
            (
                "failed: the PSI of the scores of these 1,000 rows against those of the training is 0.3000 "
                "(by chance 0.0500); it must be at most 0.2500."
            ),
        ),
        (
            replace(GOOD, auc_interval=(0.64, 0.9)),
            (
                "failed: AUC is 0.7800, and at least 0.6400 on nearly all samples of so many rows; it must "
                "be at least 0.6500."
            ),
        ),
        (
            replace(GOOD, golden_gap=2e-6),
            "failed: the file has its digest, and scores its golden rows within 2.0e-06; 1e-06 is allowed.",
        ),
    ],
)
def test_one_broken_rule_is_enough_and_says_why(evidence, reason):
    found = verdict(evidence)
    assert not found.passed
    assert found.broken == (reason,)
    assert reason in found.reasons


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        *((with_metric(name, None), name) for name in METRICS if name != "mean_pd"),
        (replace(GOOD, auc_interval=None), "auc"),
        (replace(GOOD, coverage=None), "coverage"),
        (replace(GOOD, golden_gap=None), "artefact"),
        (replace(GOOD, score_psi=None), "score_psi"),
        (beside(lead=None), "certain_lead"),
        (beside(metrics=METRICS | {"auc": None}), "lead"),
        (beside(metrics=METRICS | {"auc": 0.75, "brier": None}), "brier_loss"),
        (beside(metrics=METRICS | {"auc": 0.75, "mean_pd": None}), "mean_pd_change"),
        (beside(approval_rate=None), "approval_change"),
        (replace(beside(), approval_rate=None), "approval_change"),
    ],
)
def test_what_is_missing_passes_no_rule(evidence, name):
    assert broken(verdict(evidence)) == {name}


@pytest.mark.parametrize("missing", [True, False])
def test_a_metric_that_is_absent_is_as_one_that_is_not_defined(missing):
    metrics = {name: value for name, value in METRICS.items() if name != "ks"}
    found = verdict(replace(GOOD, metrics=metrics if missing else metrics | {"ks": None}))
    assert found.broken == ("failed: KS is not defined; it must be at least 0.2000.",)


def test_values_on_their_thresholds_pass():
    at = METRICS | {
        "auc": 0.65,
        "ks": 0.2,
        "brier": 0.25,
        "ece": 0.05,
        "calibration_intercept": 0.35,
        "calibration_slope": 0.6,
    }
    champion = BesideChampion(
        metrics=at | {"mean_pd": 0.16},
        lead=PairedAuc(new=0.65, old=0.65, error=0),
        approval_rate=0.5,
    )
    evidence = Evidence(
        artefact="a",
        data="d",
        rows=500,
        bads=50,
        metrics=at,
        auc_interval=(0.65, 0.7),
        coverage=0.3,
        golden_gap=1e-6,
        score_psi=(0.25, 0.1),
        column_psi=("income", 0.25, 0.1),
        approval_rate=0.6,
        champion=champion,
        days_since_promotion=7,
    )
    assert verdict(evidence, policy=replace(AS_GOOD, cooldown_days=7)).passed


def test_a_small_sample_may_be_as_far_from_the_training_as_chance_makes_it():
    assert verdict(replace(GOOD, score_psi=(0.3, 0.31))).passed
    assert verdict(replace(GOOD, column_psi=("income", 0.3, 0.31))).passed


def test_a_column_that_has_moved_beyond_chance_is_named():
    (broken,) = verdict(replace(GOOD, column_psi=("income", 0.3, 0.1))).broken
    assert "income" in broken
    assert "0.3000" in broken
    (unknown,) = verdict(replace(GOOD, column_psi=None)).broken
    assert "train the model again" in unknown


@pytest.mark.parametrize(
    ("lead", "error", "better", "as_good"),
    [
        (0.03, 0.01, True, True),  # 0.0104 to 0.0496
        (0.019, 0.01, False, True),  # -0.0006: it may be chance
        (0.0, 0.004, False, True),  # -0.0078, within the margin
        (0.0, 0.006, False, False),  # -0.0118, beyond it
        (0.0, 0.0, False, True),  # the same ranking
        (0.005, math.inf, False, False),
    ],
)
def test_a_lead_must_be_certain(lead, error, better, as_good):
    paired = PairedAuc(new=0.75 + lead, old=0.75, error=error)
    evidence = replace(
        beside(lead=paired, metrics=METRICS | {"auc": 0.75}), metrics=METRICS | {"auc": 0.75 + lead}
    )
    assert verdict(evidence).passed is better
    assert verdict(evidence, policy=AS_GOOD).passed is as_good
    for policy, passed in ((GatePolicy(), better), (AS_GOOD, as_good)):
        assert broken(verdict(evidence, policy=policy)) == (set() if passed else {"certain_lead"})


def test_the_floor_of_the_lead_stays_where_as_good_is_enough():
    evidence = beside(metrics=METRICS | {"auc": 0.781}, lead=PairedAuc(new=0.78, old=0.781, error=0.001))
    assert broken(verdict(evidence, policy=AS_GOOD)) == {"lead"}
    assert verdict(evidence, policy=AS_GOOD, thresholds=Thresholds(minimum_lead=-0.005)).passed


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
    found = verdict(
        beside(metrics=METRICS | {"auc": champion}), thresholds=Thresholds(minimum_lead=lead), policy=AS_GOOD
    )
    assert rule(found, "lead").sentence.endswith(f"{reason} {'behind' if lead < 0 else 'ahead'}.")


def test_the_certain_lead_states_its_interval_and_what_is_asked():
    found = rule(verdict(beside(comparisons=2)), "certain_lead")
    z = ndtri(1 - ERROR / 6)
    assert found.interval == (pytest.approx(0.03 - z * 0.01), pytest.approx(0.03 + z * 0.01))
    assert found.sentence == (
        f"on these 1,000 rows the lead over the champion is {0.03 - z * 0.01:.4f} to {0.03 + z * 0.01:.4f} "
        "at a level of 98.33%, as 2 models were compared with this champion; the whole of it must be above "
        "0.0000, as the model must be better."
    )


def test_errors_of_all_comparisons_with_one_champion_add_up_to_the_error():
    levels = [level_of(count) for count in range(1, 5_000)]
    assert levels[0] == pytest.approx(0.95)
    assert all(first < second for first, second in pairwise(levels))
    assert sum((1 - level) / 2 for level in levels) == pytest.approx(ERROR, rel=1e-3)


@pytest.mark.slow
def test_however_many_equal_models_are_tried_the_champion_is_rarely_replaced():
    """40 equally good models one after the other, on rows of their own: at most 5 % of champions fall."""
    generator = np.random.default_rng(0)
    champions, tried = 2_000, 40
    fallen = 0
    for _ in range(champions):
        leads = generator.normal(0, 0.01, tried)
        fallen += any(
            PairedAuc(new=0.7 + lead, old=0.7, error=0.01).interval(level_of(number))[0] > 0
            for number, lead in enumerate(leads, start=1)
        )
    assert 0.02 < fallen / champions < 0.05 + 3 * math.sqrt(0.05 * 0.95 / champions)


def test_a_cooldown_is_off_unless_it_is_asked_for():
    soon = replace(GOOD, days_since_promotion=0.5)
    assert rule(verdict(soon), "cooldown").outcome is RuleOutcome.OFF
    found = verdict(soon, policy=GatePolicy(cooldown_days=7))
    assert found.broken == ("failed: the last promotion was 0.5 days ago; between two there must be 7.",)
    assert rule(verdict(GOOD, policy=GatePolicy(cooldown_days=7)), "cooldown").outcome is RuleOutcome.OFF


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"metrics": METRICS | {"auc": 0.75, "mean_pd": 0.27}}, "mean_pd_change"),
        ({"metrics": METRICS | {"auc": 0.75, "mean_pd": 0.15}}, "mean_pd_change"),
        ({"approval_rate": 0.71}, "approval_change"),
        ({"metrics": METRICS | {"auc": 0.75, "brier": 0.129}}, "brier_loss"),
    ],
)
def test_a_model_that_decides_all_too_differently_fails(change, name):
    assert broken(verdict(beside(**change))) == {name}
    assert verdict(beside()).passed


def test_a_segment_must_not_certainly_be_worse():
    columns = GatePolicy(segments=("home",))
    sound = SegmentComparison(
        column="home",
        value="rent",
        rows=400,
        bads=80,
        lead=PairedAuc(new=0.75, old=0.76, error=0.01),
        gap=0.01,
        gap_error=0.01,
    )
    small = SegmentComparison(column="home", value="other", rows=20, bads=3)
    passed = verdict(replace(GOOD, segments=(sound, small)), policy=columns)
    assert passed.passed
    assert rule(passed, "segment").outcome is RuleOutcome.OFF
    worse = replace(sound, lead=PairedAuc(new=0.70, old=0.76, error=0.01))
    assert broken(verdict(replace(GOOD, segments=(worse,)), policy=columns)) == {"segment_lead"}
    wrong = replace(sound, gap=-0.1)
    assert broken(verdict(replace(GOOD, segments=(wrong,)), policy=columns)) == {"segment_gap"}
    assert broken(verdict(GOOD, policy=columns)) == {"segments"}


@given(
    passing=st.fixed_dictionaries(
        {
            "auc": st.floats(DEFAULT.minimum_auc, 1),
            "ks": st.floats(DEFAULT.minimum_ks, 1),
            "brier": st.floats(0, DEFAULT.maximum_brier),
            "ece": st.floats(0, DEFAULT.maximum_calibration_error),
        }
    ),
    rows=st.integers(DEFAULT.minimum_rows, 10_000),
)
def test_a_better_metric_never_turns_a_pass_into_a_failure(passing, rows):
    evidence = replace(
        GOOD, metrics=METRICS | passing, rows=rows, auc_interval=(passing["auc"], passing["auc"])
    )
    assert verdict(evidence).passed
    for name, best in (("auc", 1.0), ("ks", 1.0), ("brier", 0.0), ("ece", 0.0)):
        for value in (best, (passing[name] + best) / 2):
            improved = replace(evidence, metrics=METRICS | passing | {name: value}, rows=rows + 1)
            assert verdict(improved).passed


def test_thresholds_lie_where_metrics_do():
    with pytest.raises(ConfigurationError, match="minimum_auc must lie between 0 and 1, however: 65"):
        Thresholds(minimum_auc=65)


@pytest.mark.parametrize("name", ["minimum_auc", "minimum_ks", "maximum_brier", "maximum_calibration_error"])
def test_each_threshold_may_be_none_or_all_and_no_more(name):
    for value in (0, 1):
        assert getattr(Thresholds(**{name: value}), name) == value
    for value in (-0.01, 1.01):
        with pytest.raises(ConfigurationError, match=f"{name} must lie between 0 and 1"):
            Thresholds(**{name: value})
