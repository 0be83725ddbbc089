"""What words in names and values say of a loan."""

import pytest

from loan_default.data.schema.inference.outcome_words import (
    Meaning,
    is_conventional_name,
    is_final,
    is_status_name,
    meaning_of_name,
    meaning_of_value,
)


@pytest.mark.parametrize(
    ("name", "meanings"),
    [
        ("income", set()),
        ("credit_card_default", {Meaning.BAD}),
        ("card_balance", set()),
        ("card", {Meaning.DECISION}),
        ("not_fully_paid", {Meaning.BAD}),
        ("nicht_zurückgezahlt", {Meaning.BAD}),
        ("NonPerforming", {Meaning.BAD}),
        ("sem_atraso", {Meaning.GOOD}),
        ("GoodBad", {Meaning.GOOD, Meaning.BAD}),
        ("badflag", {Meaning.BAD}),
        ("default_free", {Meaning.GOOD}),
        ("unbezahlt", {Meaning.BAD}),
        ("never_defaulted", {Meaning.GOOD}),
        ("isgood", {Meaning.GOOD}),
        ("not_approved", {Meaning.DECISION}),
        ("違約", set()),
    ],
)
def test_a_name_says_what_its_yes_means(name, meanings):
    assert meaning_of_name(name) == meanings


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("Does not meet the credit policy. Status:Fully Paid", Meaning.GOOD),
        ("Does not meet the credit policy. Status:Charged Off", Meaning.BAD),
        ("P I F", Meaning.GOOD),
        ("Not paid", Meaning.BAD),
        ("no risk", Meaning.GOOD),
        ("Default-free", Meaning.GOOD),
        ("Current", Meaning.RUNNING),
        ("Approved", Meaning.DECISION),
        ("yes", None),
        ("12", None),
        ("", None),
    ],
)
def test_a_value_says_what_became_of_the_loan(value, meaning):
    assert meaning_of_value(value) is meaning


def test_names_that_say_nothing_and_ends_that_are_none_yet():
    assert all(map(is_conventional_name, ("y", "TARGET", "label_1", "Class")))
    assert not any(map(is_conventional_name, ("income", "target_income", "loan", "status")))
    assert all(map(is_status_name, ("loan_status", "LoanStatus", "MIS_Status", "situação")))
    assert is_final("Charged Off")
    assert not is_final("Late (16-30 days)")
