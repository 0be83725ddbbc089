"""The rules of thumb at their borders: what is still a measurement, and what is a code or impossible."""

import numpy as np
import pytest

from loan_default.data.schema.inference.plausibility import (
    age_bounds,
    heavy_tail,
    isolated_bounds,
    names_age,
    names_application_time,
    names_identifier,
    names_lender_decision,
    names_protected,
    special_codes,
    words_of,
)


@pytest.mark.parametrize("name", ["LoanID", "loan_id", "loan-id", "loan id"])
def test_words_of_a_name_do_not_depend_on_its_spelling(name):
    assert words_of(name) == ("loan", "id")
    assert names_identifier(name)


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        (names_identifier, "customer_uuid", "paid"),
        (names_application_time, "issue_date", "issue_end_date"),
        (names_lender_decision, "int_rate", "rate_of_interest"),
        (names_lender_decision, "SubGrade", "upgraded"),
        (names_protected, "marital_status", "sextant"),
        (names_age, "PersonAge", "mileage"),
    ],
)
def test_names_are_read_by_whole_words(rule, yes, no):
    assert rule(yes)
    assert not rule(no)


def test_ages_end_at_100_or_at_the_oldest_up_to_110():
    assert age_bounds(np.array([18.0, 40, 99])) == (18, 100)
    assert age_bounds(np.array([18.0, 40, 104, 110])) == (18, 110)
    assert age_bounds(np.array([40.0] * 99 + [123])) == (18, 100)  # 1 % outside
    assert age_bounds(np.array([40.0] * 98 + [123, 3])) is None  # 2 %


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([0, 1, 2, 98, 98], (98,)),
        ([0, 1, 2, 96, 98], (96, 98)),
        ([0, 1, 2, 98], ()),  # a single row
        ([0, 50, 90, 97, 97], ()),  # no gap
        ([0, 49, 98, 98], (98,)),  # a gap of exactly the range
        ([0, 50, 98, 98], ()),  # one of less
        ([0, 1, -9, -9], (-9,)),
        ([0, 1, -9, -5], ()),  # not every low value is a code
        ([0, 1, -9], ()),
        ([0, 1, 2, -1 + -8, -9, 99, 99], (-9, 99)),
        ([], ()),
    ],
)
def test_codes_for_unknown(values, codes):
    assert special_codes(np.array(values, float)) == codes


def test_a_value_beyond_all_others_is_outside_of_the_bounds_on_either_side():
    values = np.arange(100.0)
    assert isolated_bounds(values) == (None, None)
    assert isolated_bounds(np.append(values, 10_000)) == (None, 198)
    assert isolated_bounds(np.append(values, -10_000)) == (-99, None)
    assert isolated_bounds(np.append(values[:98], 10_000)) == (None, None)  # fewer than 100
    assert isolated_bounds(np.append(values, [10_000] * 4)) == (None, None)  # more than 3 rows


def test_a_heavy_tail_is_more_than_20_times_the_99th_percentile():
    values = np.ones(1000)
    assert heavy_tail(np.append(values, 20.0)) is None
    assert heavy_tail(np.append(values, 20.5)) == 1
    assert heavy_tail(np.append(-values, 20.5)) is None
