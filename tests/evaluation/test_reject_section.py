"""What is stated of rejected applications: the sample always, an assumption where there is one, no claim."""

from dataclasses import replace

from evaluation.test_reject_metrics import BAND, FACTS, METRICS

from loan_default.evaluation.card_blocks import Note, as_markdown
from loan_default.evaluation.reject_metrics import RejectFacts
from loan_default.evaluation.reject_section import assumption, rejected_applications, sample_in_words
from loan_default.evaluation.statements import Tone

FUZZY = replace(FACTS, method="fuzzy", factor=None)
NONE = RejectFacts(rows=300, held_out=60, mean_pd=0.4, accepted_mean_pd=0.2, method="none")


def text_of(facts: RejectFacts | None) -> str:
    return as_markdown("x", [], [rejected_applications(facts)])


def test_the_sample_is_always_stated():
    for facts in (None, NONE, FUZZY, FACTS):
        assert "that the lender has accepted and whose outcome is known" in text_of(facts)
    for facts in (None, NONE):
        assert "none was inferred" in sample_in_words(facts)
    assert "300 rejected ones" in sample_in_words(NONE)
    assert "mean PD of 40.0%, and the accepted test rows one of 20.0%" in text_of(NONE)


def test_each_method_states_its_assumption_in_a_sentence():
    assert assumption(NONE) == ""
    assert (
        assumption(FUZZY) == "It assumes that rejected applicants default as the model of the accepted says."
    )
    assert assumption(FACTS).startswith("It assumes that rejected applicants default 1.3 times as often as")
    for facts in (FUZZY, FACTS):
        shown = text_of(facts)
        assert assumption(facts) in shown
        assert "No row of the data can confirm it." in shown
        assert "observed" in sample_in_words(facts)


def test_both_tables_are_shown_and_the_second_is_marked():
    shown = text_of(FACTS)
    assert "| AUC | 0.7000 | 0.7000 | 0.0000 | \N{MINUS SIGN}0.0100 to +0.0100 |" in shown
    assert "| AUC | 0.8000 | 0.8000 |" in shown
    assert "These figures rest on the assumption." in shown
    assert "They cannot show which of the two models is the better one." in shown
    assert "| 0.0% to 100.0% | 9 | 10.0% | 3 | 13.0% |" in shown


def verdict(**values) -> Note:
    metrics = tuple(replace(each, **values) if each.name in ("auc", "brier") else each for each in METRICS)
    blocks = rejected_applications(replace(FACTS, metrics=metrics)).blocks
    return next(each for each in blocks if isinstance(each, Note) and "On accepted appl" in each.text)


def test_an_improvement_is_claimed_only_where_the_interval_excludes_zero():
    assert "no difference is shown" in verdict().text
    assert "no difference is shown" in verdict(difference=0.05, low=-0.001, high=0.1).text
    higher = verdict(difference=0.05, low=0.01, high=0.1)
    assert (higher.tone, higher.text.count("better in AUC and worse in Brier score")) == (Tone.CAUTION, 1)
    lower = verdict(difference=-0.05, low=-0.1, high=-0.01)
    assert "better in Brier score and worse in AUC" in lower.text
    assert "It says nothing of rejected ones." in lower.text


def test_what_speaks_against_the_assumption_is_stated():
    assert "higher PD than every accepted row" not in text_of(FACTS)
    assert "7 of them have a higher PD than every accepted row" in text_of(replace(FACTS, beyond=7))
    assert "That is less than the model of accepted" not in text_of(FACTS)
    assert "That is less than the model of accepted" in text_of(replace(FACTS, inferred_rate=0.3))


def test_a_band_without_rejects_has_no_assumed_rate():
    empty = replace(BAND, rejects=0, inferred_rate=None)
    assert "| 0 | \N{EN DASH} |" in text_of(replace(FACTS, bands=(empty,)))
