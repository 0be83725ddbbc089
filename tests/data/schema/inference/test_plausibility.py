"""The rules of thumb at their borders: what is still a measurement, and what is a code or impossible."""

import numpy as np
import pytest

from loan_default.data.schema.inference.code_names import names_identifier, words_of
from loan_default.data.schema.inference.plausibility import (
    age_bounds,
    heavy_tail,
    isolated_bounds,
    names_age,
    names_lender_decision,
    names_protected,
    names_weight,
    special_codes,
)


@pytest.mark.parametrize("name", ["LoanID", "loan_id", "loan-id", "loan id"])
def test_words_of_a_name_do_not_depend_on_its_spelling(name):
    assert words_of(name) == ("loan", "id")
    assert names_identifier(name)


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        (names_identifier, "customer_uuid", "paid"),
        (names_lender_decision, "int_rate", "rate_of_interest"),
        (names_lender_decision, "SubGrade", "upgraded"),
        (names_protected, "marital_status", "sextant"),
        (names_age, "PersonAge", "mileage"),
    ],
)
def test_names_are_read_by_whole_words(rule, yes, no):
    assert rule(yes)
    assert not rule(no)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *[(name, True) for name in ("sample_weight", "SampleWeight", "poids", "Gewicht", "peso", "wgt")],
        *[(name, False) for name in ("weight_kg", "vehicle_weight", "income", "weighted", "risk_weight")],
        *[(name, False) for name in ("RiskWeight", "rwa_weight", "income_pesos", "peso_risco")],
    ],
)
def test_names_of_weights(name, expected):
    assert names_weight(name) is expected


def test_ages_lie_between_18_and_110():
    assert age_bounds(np.array([18.0, 40, 99])) == (18, 110)
    assert age_bounds(np.array([40.0] * 99 + [123])) == (18, 110)  # 1 % outside
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


# At the limits that the docstrings state ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LoanID", ("loan", "id")),
        ("loan_id", ("loan", "id")),
        ("PAY_0", ("pay", "0")),
        ("HTMLPage2", ("html", "page", "2")),
        ("int. rate", ("int", "rate")),
        ("", ()),
    ],
)
def test_words_of_a_name(name, words):
    assert words_of(name) == words


def test_names_tell_what_a_column_is():
    assert names_identifier("CustomerUUID")
    assert not names_identifier("paid")
    assert names_protected("Marital_Status")
    assert not names_protected("status")
    assert names_age("age_of_holder")
    assert not names_age("mileage")


def test_what_the_lender_sets_or_learns_later_is_known_by_its_name():
    for name in ("int_rate", "InterestRate", "sub_grade", "subgrade", "apr", "recoveries"):
        assert names_lender_decision(name), name
    bureau = ("num_collections_last_12m", "current_installment_accounts", "collections_12_mths_ex_med")
    for name in ("rate", "rate_int", "interest", "int_x_rate", "point", "april", *bureau):
        assert not names_lender_decision(name), name


@pytest.mark.parametrize("odd", [17.0, 111.0])
def test_a_column_with_more_than_one_in_a_hundred_beyond_them_is_some_other_age(odd):
    values = np.full(200, 40.0)
    values[:2] = odd
    assert age_bounds(values) == (18.0, 110.0)
    values[:3] = odd
    assert age_bounds(values) is None


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([0, 1, 2, 96, 98], (96.0, 98.0)),
        ([0, 1, 2, 98], ()),  # one row alone may be a measurement
        ([0, 1, 2, 98, 98], (98.0,)),
        ([0, 1, 2, 95, 95], ()),
        ([0, 49, 98, 98], (98.0,)),  # the gap is as wide as the rest
        ([0, 50, 98, 98], ()),
        ([0, 1, 2, 98, 98, 300], ()),  # something else lies as high
        ([0, 1, 9996, 9999], (9996.0, 9999.0)),
        ([0, 60, 97, 996, 999], (996.0, 999.0)),  # 97 is a number of a column that runs so far
        ([5, 98, 98], ()),  # one value has no range
        ([0, 1, 2, -9, -9], (-9.0,)),
        ([0, 1, 2, -9, -99], (-99.0, -9.0)),
        ([0, 1, 2, -9], ()),
        ([0, 1, 2, -7, -8], (-8.0, -7.0)),
        ([0, 1, 2, -6, -6], ()),
        ([0, 1, 2, -9, -5], ()),  # a column with other negative numbers has no such codes
        ([3, -9, -9], ()),
        ([0, 1, -9, -9, 99, 99], (-9.0, 99.0)),
        ([0, 1, 2], ()),
    ],
)
def test_codes_for_not_known(values, codes):
    assert special_codes(np.array(values, float)) == codes


def ramp(size: int = 200) -> np.ndarray:
    """0 to 1 in equal steps: a column with a light tail."""
    return np.linspace(0, 1, size)


def test_a_value_far_beyond_the_rest_is_bounded_out_one_range_beyond_it():
    assert isolated_bounds(np.append(ramp(), 2.5)) == (None, 2.0)
    assert isolated_bounds(np.append(ramp(), 2.49)) == (None, None)
    assert isolated_bounds(np.append(ramp(), -1.5)) == (-1.0, None)
    assert isolated_bounds(np.append(ramp(), [-1000, 1000])) == (None, None), "a heavy tail gets no finding"


def test_three_rows_or_one_in_a_thousand_may_be_far():
    assert isolated_bounds(np.append(ramp(), [9, 9, 9])) == (None, 2.0)
    assert isolated_bounds(np.append(ramp(), [9, 9, 9, 9])) == (None, None)
    assert isolated_bounds(np.append(ramp(5000), [9] * 5)) == (None, 2.0)
    assert isolated_bounds(np.append(ramp(5000), [9] * 6)) == (None, None)


def test_columns_of_few_values_get_no_bounds():
    assert isolated_bounds(np.append(ramp(99), 9)) == (None, 2.0)
    assert isolated_bounds(np.append(ramp(98), 9)) == (None, None)
    for distinct, bounds in ((20, (None, 2.0)), (19, (None, None))):
        assert isolated_bounds(np.append(np.repeat(ramp(distinct), 20), 9)) == bounds


def test_the_largest_of_a_heavy_tail_may_be_anything():
    """The rest is 5 above the median, where 99 % are within 1 of it: too far to say what is impossible."""
    body = np.concatenate([np.linspace(-1, 1, 1000), np.linspace(1, 3.9, 8)])
    light = np.append(body, 30.0)
    assert isolated_bounds(light)[1] is not None
    heavy = np.append(body, [5.0, 30.0])
    assert isolated_bounds(heavy)[1] is None


def test_a_heavy_tail_is_more_than_twenty_times_the_99th_percentile():
    values = np.ones(1000)
    values[-1] = 20.0
    assert heavy_tail(values) is None
    values[-1] = 20.1
    assert heavy_tail(values) == pytest.approx(1.0)
    assert heavy_tail(np.append(np.zeros(999), 50.0)) is None
