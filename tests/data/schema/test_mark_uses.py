"""How numbers use points, commas and blanks."""

import pytest

from loan_default.data.schema.mark_uses import uses_of


@pytest.mark.parametrize(
    ("text", "votes"),
    [
        ("1,250.50", {".": 1, ",": 0}),
        ("€ 1.250,50", {".": 0, ",": 1}),
        ("1.250.000", {".": 0, ",": 1}),
        ("1,00,000", {".": 1, ",": 0}),
        ("3,5", {".": 0, ",": 1}),
        ("0.125", {".": 1, ",": 0}),
        ("16,250 %", {".": 0, ",": 1}),
        ("1 250,5", {".": 0, ",": 1}),
        ("1250", {".": 0, ",": 0}),
        ("1.250", {".": 0, ",": 0}),
        ("12.5,3", {".": 0, ",": 0}),
        ("12.03.2020", {".": 0, ",": 0}),
        ("a remark with 3,5 in it", {".": 0, ",": 0}),
    ],
)
def test_a_number_votes_for_the_decimal_mark_that_alone_reads_it(text, votes):
    uses = uses_of([(text, 1)])
    assert {mark: uses.votes(mark) for mark in ".,"} == votes


def test_a_mark_before_three_digits_may_be_either():
    uses = uses_of([("1.250", 3), ("12.500", 1), ("950", 2), ("4000", 1)])
    assert (uses.single["."], uses.single_rows["."], uses.leads) == (2, 4, {1, 2})
    assert (uses.plain_hundreds, uses.plain_long) == (1, 1)
    assert not uses.proves(".")


@pytest.mark.parametrize(
    ("endings", "is_round"),
    [
        (["100", "300", "500", "900"], True),
        (["000", "000"], True),
        (["000", "500"], False),
        (["250", "500", "750", "125"], False),
        (["137", "512"], False),
    ],
)
def test_amounts_end_in_hundreds_and_rates_in_halves(endings, is_round):
    uses = uses_of([(f"{lead}.{ending}", 1) for lead in range(1, 9) for ending in endings])
    assert uses.is_round == is_round


def test_blanks_and_apostrophes_between_thousands_are_seen():
    assert uses_of([("1\u202f250", 1)]).spacing == " "
    assert uses_of([("1\u2019250", 1)]).spacing == "'"
    assert uses_of([("12 50", 1)]).spacing == ""
