"""Words for yes and no."""

from loan_default.data.schema.booleans import NO, UNMISTAKABLE, YES, truth_of
from loan_default.data.schema.values import fold


def test_no_word_says_both_and_all_are_folded():
    assert YES.isdisjoint(NO)
    assert UNMISTAKABLE <= YES | NO
    assert all(fold(word) == word for word in YES | NO)
    assert {len(word) for word in UNMISTAKABLE} == {1}


def test_a_word_says_yes_no_or_neither():
    assert [truth_of(word) for word in ("sim", "ja", "1", "não", "nein", "0", "maybe", "")] == [
        *[True] * 3,
        *[False] * 3,
        *[None] * 2,
    ]
