"""Two models on live applications: differences that are there, and none that are not."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, spearmanr
from sklearn.metrics import roc_auc_score

from loan_default.evaluation import live_comparison
from loan_default.evaluation.bootstrap import bootstrap_intervals, paired_bootstrap
from loan_default.evaluation.live_comparison import (
    FEWEST_OUTCOMES,
    FEWEST_SCORES,
    Conclusion,
    Scores,
    agreement,
    compare_groups,
    compare_pairs,
    conclusion_of,
    mean_of,
    rank_correlation,
    share_of,
)
from loan_default.evaluation.sequential import ERROR, always_valid_half


def people(rows, *, seed, noise=0.5, known=1.0, shift=0.0):
    """Scores of a model that sees the risk through noise, and the outcomes of a share of its people."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=rows)
    outcomes = (generator.random(rows) < 1 / (1 + np.exp(1.2 - 1.5 * risk))).astype(float)
    seen = risk + noise * generator.normal(size=rows)
    outcomes[generator.random(rows) >= known] = np.nan
    return Scores(pds=1 / (1 + np.exp(1.2 - 1.5 * seen - shift)), outcomes=outcomes)


def named(measures):
    return {each.name: each for each in measures}


GOOD, BAD = people(3_000, seed=1, noise=0.1), people(3_000, seed=2, noise=3)
SAME_PEOPLE = Scores(pds=people(3_000, seed=1, noise=3).pds, outcomes=GOOD.outcomes)


@pytest.mark.parametrize(("compare", "worse"), [(compare_groups, BAD), (compare_pairs, SAME_PEOPLE)])
def test_a_better_challenger_is_found_in_groups_and_in_pairs(compare, worse):
    measures = compare(worse, GOOD, cutoff=0.2)
    auc, brier = named(measures)["auc"], named(measures)["brier"]
    assert auc.challenger.value == pytest.approx(roc_auc_score(GOOD.outcomes, GOOD.pds), abs=1e-9)
    assert auc.champion.value == pytest.approx(roc_auc_score(worse.outcomes, worse.pds), abs=1e-9)
    assert auc.difference.value == pytest.approx(auc.challenger.value - auc.champion.value, abs=1e-9)
    assert auc.difference.low > 0
    assert brier.difference.high < 0
    assert auc.conclusion is brier.conclusion is Conclusion.CHALLENGER
    assert conclusion_of(measures) is Conclusion.CHALLENGER


@pytest.mark.slow
def test_intervals_of_the_auc_are_those_of_the_bootstrap():
    found = named(compare_pairs(SAME_PEOPLE, GOOD, cutoff=0.2))["auc"]
    alone = bootstrap_intervals(GOOD.outcomes, GOOD.pds, seed=0)["auc"]
    lead = paired_bootstrap(GOOD.outcomes, GOOD.pds, SAME_PEOPLE.pds, metric="auc", seed=0)
    # The interval of the difference holds at all looks, and is wider than that of one look.
    wider = always_valid_half(1, outcomes=len(GOOD.pds), alpha=ERROR / 2) / 1.96
    for ours, theirs, factor in ((found.challenger, alone, 1), (found.difference, lead, wider)):
        width = theirs.high - theirs.low
        assert ours.value - (ours.value - ours.low) / factor == pytest.approx(theirs.low, abs=0.15 * width)
        assert ours.value + (ours.high - ours.value) / factor == pytest.approx(theirs.high, abs=0.15 * width)


def test_ties_count_half():
    outcomes = np.repeat([0.0, 1.0], 150)
    tied = Scores(pds=np.full(300, 0.3), outcomes=outcomes)
    other = Scores(pds=np.tile([0.1, 0.2, 0.2], 100), outcomes=outcomes)
    found = named(compare_groups(tied, other, cutoff=0.2))["auc"]
    assert (found.champion.value, found.challenger.value) == pytest.approx((0.5, 0.5))


def test_a_better_champion_is_found_too():
    assert conclusion_of(compare_groups(GOOD, BAD, cutoff=0.2)) is Conclusion.CHAMPION


@pytest.mark.slow
def test_equal_models_are_inconclusive_nearly_always():
    found = []
    for number in range(100):
        one, other = people(600, seed=2 * number), people(600, seed=2 * number + 1)
        found.append(conclusion_of(compare_groups(one, other, cutoff=0.2)))
    wrong = sum(each is not Conclusion.INCONCLUSIVE for each in found)
    assert binomtest(wrong, 100, 0.10, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("compare", [compare_groups, compare_pairs])
def test_too_few_scores_are_never_a_win(compare):
    few, many = people(FEWEST_SCORES - 1, seed=1), people(FEWEST_SCORES - 1, seed=2, noise=9)
    measures = compare(many, few, cutoff=0.2)
    assert {each.conclusion for each in measures} == {Conclusion.INCONCLUSIVE}
    assert {each.note for each in measures} == {"199 scores in the smaller group, 200 are needed"}
    assert all(each.champion is each.challenger is each.difference is None for each in measures)


def test_an_empty_group_is_inconclusive():
    nobody = Scores(pds=np.array([]), outcomes=np.array([]))
    for groups in ((nobody, people(500, seed=1)), (people(500, seed=1), nobody), (nobody, nobody)):
        assert conclusion_of(compare_groups(*groups, cutoff=0.2)) is Conclusion.INCONCLUSIVE


@pytest.mark.parametrize(
    ("bads", "is_enough"), [(0, False), (FEWEST_OUTCOMES - 1, False), (FEWEST_OUTCOMES, True)]
)
def test_too_few_outcomes_are_inconclusive_though_all_have_scores(bads, is_enough):
    first = people(500, seed=1)
    outcomes = np.full(500, np.nan)
    outcomes[:bads], outcomes[100:200] = 1.0, 0.0
    found = named(compare_groups(first, Scores(pds=first.pds, outcomes=outcomes), cutoff=0.2))
    assert (found["auc"].champion is not None) is is_enough
    assert found["mean_pd"].difference is not None
    assert (found["auc"].note == "") is is_enough


def test_pairs_find_what_groups_cannot_tell_apart():
    """On the same people most of the noise is common."""
    first = people(1_500, seed=3, noise=0.5)
    mixed = 0.6 * first.pds + 0.4 * people(1_500, seed=3, noise=0.1).pds
    better = Scores(pds=mixed, outcomes=first.outcomes)
    apart, paired = (
        named(compare(first, better, cutoff=0.2))["brier"].difference
        for compare in (compare_groups, compare_pairs)
    )
    assert apart.value == pytest.approx(paired.value, abs=1e-12)
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)


def test_a_calibration_gap_shows_a_model_that_is_too_low():
    right, low = people(4_000, seed=1, noise=0), people(4_000, seed=2, noise=0, shift=-1.5)
    found = named(compare_groups(right, low, cutoff=0.2))
    gap = found["calibration_gap"]
    assert gap.champion.low < 0 < gap.champion.high
    assert gap.challenger.low > 0.05
    assert gap.conclusion is None


def test_conclusions_that_contradict_one_another_are_none():
    def measure(conclusion):
        return live_comparison.Measure(
            name="", champion=None, challenger=None, difference=None, conclusion=conclusion
        )

    win, loss, open_ = map(measure, Conclusion)
    assert conclusion_of([win, open_, measure(None)]) is Conclusion.CHALLENGER
    assert conclusion_of([loss, loss]) is Conclusion.CHAMPION
    for mixed in ([win, loss], [open_], [measure(None)], []):
        assert conclusion_of(mixed) is Conclusion.INCONCLUSIVE


def test_agreement_counts_the_swap_set_and_its_defaults():
    champion = Scores(pds=np.array([0.1, 0.1, 0.3, 0.3, 0.1]), outcomes=np.array([0, 1, 0, np.nan, 1.0]))
    challenger = Scores(pds=np.array([0.1, 0.4, 0.1, 0.1, 0.5]), outcomes=champion.outcomes)
    found = agreement(champion, challenger, cutoff=0.2)
    assert found.agree.value == pytest.approx(1 / 5)
    assert (found.only_champion_approves, found.only_challenger_approves) == (2, 2)
    assert (found.bad_rate_only_champion.value, found.bad_rate_only_challenger.value) == (1, 0)
    assert found.rank_correlation == pytest.approx(spearmanr(champion.pds, challenger.pds).statistic)
    assert agreement(Scores(pds=np.array([]), outcomes=np.array([])), challenger, cutoff=0.2) is None


def test_a_share_has_wilsons_interval():
    for count, total in ((0, 10), (3, 10), (10, 10), (250, 1_000)):
        wanted = binomtest(count, total).proportion_ci(method="wilson")
        found = share_of(count, total)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_a_mean_of_one_value_says_nothing():
    assert math.isinf(mean_of(np.array([0.5])).high)


def test_ranks_of_equal_values_have_no_correlation():
    assert rank_correlation(np.full(5, 0.5), np.arange(5.0)) is None
    assert rank_correlation(np.array([0.5]), np.array([0.5])) is None
    assert rank_correlation(np.arange(5.0), np.arange(5.0) ** 3) == pytest.approx(1)
