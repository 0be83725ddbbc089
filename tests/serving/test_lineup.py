"""Who answers: draws that last, that are even, and that are another one in each experiment."""

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency

from loan_default.database.experiment_documents import Mode
from loan_default.database.serving_documents import Group
from loan_default.serving.lineup import Lineup, Trial

PEOPLE = [str(number) for number in range(20_000)]


class Named:
    """A model of which only the name counts here."""

    def __init__(self, version):
        self.version = version


CHAMPION, CHALLENGER = Named("old"), Named("new")


def lineup_of(share, *, experiment="e1", mode=Mode.SHARE):
    return Lineup(
        champion=CHAMPION, trial=Trial(id=experiment, mode=mode, share=share, challenger=CHALLENGER)
    )


def challenged(share, **values):
    lineup = lineup_of(share, **values)
    return {person for person in PEOPLE if lineup.group_of(person) is Group.CHALLENGER}


def test_without_an_experiment_all_have_the_champion():
    lineup = Lineup(champion=CHAMPION)
    assert {lineup.group_of(person) for person in [*PEOPLE[:100], None]} == {Group.CHAMPION}
    assert {lineup.scorer_of(group) for group in Group} == {CHAMPION}


def test_a_group_names_its_model():
    lineup = lineup_of(0.5)
    assert lineup.scorer_of(Group.CHAMPION) is CHAMPION
    assert lineup.scorer_of(Group.CHALLENGER) is CHALLENGER
    assert lineup.scorer_of(Group.SHADOW) is CHALLENGER


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("experiment", ["e1", "e2", "2026-11-30/0c4f"])
def test_shares_are_exact_within_binomial_noise(share, experiment):
    drawn = challenged(share, experiment=experiment)
    assert binomtest(len(drawn), len(PEOPLE), share).pvalue > 1e-4


@pytest.mark.slow
def test_nobody_leaves_the_challenger_when_its_share_grows():
    groups = [challenged(share) for share in (0.01, 0.05, 0.2, 0.21, 0.8, 1)]
    for smaller, larger in itertools.pairwise(groups):
        assert smaller < larger
    assert groups[-1] == set(PEOPLE)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_takes_whom_a_smaller_one_takes(person, one, other):
    smaller, larger = sorted((one, other))
    if lineup_of(smaller).group_of(person) is Group.CHALLENGER:
        assert lineup_of(larger).group_of(person) is Group.CHALLENGER


@pytest.mark.parametrize("others", [{"experiment": "e2"}, {"mode": Mode.SHADOW}])
def test_another_experiment_draws_anew(others):
    first, second = lineup_of(0.5).trial, lineup_of(0.5, **{"experiment": "e1", **others}).trial
    table = [[0, 0], [0, 0]]
    for person in PEOPLE:
        table[first.takes(person)][second.takes(person)] += 1
    assert chi2_contingency(table).pvalue > 1e-4


def test_numbers_one_after_the_other_are_spread():
    drawn = challenged(0.5)
    runs = sum((one in drawn) != (other in drawn) for one, other in itertools.pairwise(PEOPLE))
    assert binomtest(runs, len(PEOPLE) - 1, 0.5).pvalue > 1e-4


def test_who_is_not_named_has_the_champion_and_a_shadow_answers_for_nobody():
    assert lineup_of(1).group_of(None) is Group.CHAMPION
    assert lineup_of(1).group_of("a") is Group.CHALLENGER
    assert lineup_of(1, mode=Mode.SHADOW).group_of("a") is Group.CHAMPION


def test_a_draw_is_the_same_in_each_process():
    # Computed by hand: sha256(b"e1\\0007")[:8] as a share of 2**64.
    place = int(hashlib.sha256(b"e1\x007").hexdigest()[:16], 16) / 2**64
    assert lineup_of(place * 0.999).group_of("7") is Group.CHAMPION
    assert lineup_of(place * 1.001).group_of("7") is Group.CHALLENGER
