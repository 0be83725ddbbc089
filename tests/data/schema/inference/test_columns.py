"""One column without a schema: its kind, and what is reported of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import parse_numbers, read_column
from loan_default.data.schema.inference.columns import (
    Decision,
    Severity,
    Values,
    infer_column,
    rows_in_words,
)


def inferred(raw: list[object], *, name: str = "x", missing: int = 0) -> tuple[Column | None, list[str]]:
    """The column, and the findings as "severity: message"."""
    return _run(infer_column, raw, name, missing)


def _run(infer, raw, name, missing):
    series = pd.Series(raw, dtype="str" if all(isinstance(value, str) for value in raw) else None)
    found: list[str] = []

    def report(_: str, severity: Severity, message: str) -> None:
        found.append(f"{severity}: {message}")

    numbers = parse_numbers(series)[0] if len(series) else np.array([])
    decided = infer(Values(name=name, raw=series, n_missing=missing, numbers=numbers), report)
    return (decided.column if isinstance(decided, Decision) else decided), found


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "note: left out: it has no values"),
        (["7"] * 30, "note: left out: every value is '7'"),
        (["a", "A "], "note: left out: all values are spellings of one"),
        ([[1], [2]], "warning: left out: its values are neither numbers nor text"),
    ],
)
def test_a_column_that_says_nothing_is_left_out_with_its_reason(raw, message):
    assert inferred(raw) == (None, [message])


def test_one_value_that_is_there_or_not_is_a_flag():
    column, found = inferred(["yes"] * 10, missing=1)
    assert column is not None
    assert (column.kind, column.categories, column.nullable) == (Kind.CATEGORICAL, ("yes",), True)
    assert found == ["note: 'yes' or missing: kept, as that may say something"]
    assert inferred(["yes"] * 9, missing=1)[0] is None


def test_numbers_have_their_bounds_and_codes_and_may_be_fractions():
    column, found = inferred([str(n % 12) for n in range(120)] + ["98", "98"])
    assert column is not None
    assert (column.kind, column.integer, column.minimum, column.special) == (Kind.NUMERICAL, False, 0, (98,))
    assert found == ["warning: 98 look like codes, not measurements (2 rows): read as missing"]
    column, _ = inferred(["0.5", "1.5", "-2.5"])
    assert column is not None
    assert (column.kind, column.nullable, column.minimum) == (Kind.NUMERICAL, True, None)


def test_a_code_with_leading_zeros_is_no_number():
    column, _ = inferred(["00501", "10001"] * 5)
    assert column is not None
    assert (column.kind, column.categories) == (Kind.CATEGORICAL, ("00501", "10001"))


def test_the_most_frequent_spelling_is_the_category():
    column, found = inferred(["Car", "Car", "car", "house"])
    assert column is not None
    assert (column.categories, dict(column.aliases)) == (("Car", "house"), {"car": "Car"})
    assert found == ["note: spellings merged: 'car' = 'Car'"]


def test_times_and_names_of_rows():
    column, _ = inferred(["2024-01-31", "2024-02-01"])
    assert column is not None
    assert column.kind is Kind.DATE
    column, found = inferred(["a", "b", "c"], name="LoanID", missing=2)
    assert column is not None
    assert column.kind is Kind.IDENTIFIER
    assert found == ["note: identifier (unique, 2 blank): carried along, never a feature"]


def test_rows_are_counted_in_words():
    assert [rows_in_words(count) for count in (0, 1, 1000)] == ["0 rows", "1 row", "1,000 rows"]


# At the limits of each rule of thumb ----------------------------------------------------------------


class Findings(list):
    """Collects what is reported of one column."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self._column = column

    def __call__(self, column: str, severity: Severity, message: str) -> None:
        assert column == self._column
        self.append((severity, message))

    @property
    def messages(self) -> list[str]:
        return [message for _, message in self]


def values_of(cells: object, *, name: str = "x", missing: int = 0) -> Values:
    """The present values of a column of this name, beside `missing` blanks."""
    raw = cells if isinstance(cells, pd.Series) else pd.Series(cells)
    numbers = pd.to_numeric(raw, errors="coerce") if raw.dtype.kind != "M" else pd.Series(np.nan, raw.index)
    return Values(name=name, raw=raw, n_missing=missing, numbers=numbers.to_numpy(np.float64))


def column_of(cells: object, *, name: str = "x", missing: int = 0) -> tuple[Column | None, Findings]:
    found = Findings(name)
    return infer_column(values_of(cells, name=name, missing=missing), found).column, found


def levels(count: int, *, each: int = 4) -> list[str]:
    """So many different words, each that often."""
    return [f"level {number}" for number in range(count)] * each


# Nothing, one value ----------------------------------------------------------------------------------------


def test_no_values_are_no_column():
    assert column_of(pd.Series([], dtype="str"), missing=5) == (
        None,
        [(Severity.NOTE, "left out: it has no values")],
    )


def test_a_value_that_is_there_in_ten_rows_and_absent_in_others_is_a_flag():
    column, _ = column_of(["Y"] * 10, missing=1)
    assert (column.kind, column.categories, column.nullable) == (Kind.CATEGORICAL, ("Y",), True)
    assert column_of(["Y"] * 9, missing=1)[0] is None
    assert column_of(["Y"] * 10)[0] is None
    assert column_of(["y" * 64] * 10, missing=1)[0].categories == ("y" * 64,)
    assert column_of(["y" * 65] * 10, missing=1)[0] is None


def test_values_that_are_neither_numbers_nor_text_are_no_feature():
    column, found = column_of(pd.Series([["a"], "b", "c"], dtype=object))
    assert column is None
    assert found == [(Severity.WARNING, "left out: its values are neither numbers nor text")]


def test_names_that_should_be_looked_at_are_reported():
    assert column_of([1.5, 2.5, 3.5], name="int_rate")[1][0] == (
        Severity.NOTE,
        (
            "by its name it may come with the decision or after it: if so, known_after_decision = true "
            "keeps it from the model"
        ),
    )
    assert column_of(["f", "m"] * 5, name="sex")[1][0] == (
        Severity.NOTE,
        (
            "may be protected by law: protected = true keeps it from the model, actionable = false from "
            "reasons and hints"
        ),
    )
    assert column_of([1.5, 2.5, 3.5])[1] == []


@pytest.mark.parametrize("endless", [np.inf, -np.inf, "inf", "-Infinity"])
def test_an_infinity_among_numbers_is_a_slip_and_the_warning_has_the_line_that_keeps_its_row(endless):
    values = [*np.linspace(0, 1, 99).tolist(), np.inf]
    values = [str(value) for value in values[:-1]] if isinstance(endless, str) else values[:-1]
    column, found = column_of([*values, endless])
    assert column.kind is Kind.NUMERICAL
    way = 'missing = ["inf", "-inf"] reads infinite ones as missing'
    assert found == [(Severity.WARNING, f"1 row without a finite number: quarantined; {way}")]
    raw = pd.Series([*values, endless])
    read, problems = read_column(raw, replace(column, missing=("inf", "-inf"), nullable=True))
    assert not problems
    assert read.isna().sum() == 1


# Numbers ---------------------------------------------------------------------------------------------------


def test_codes_with_leading_zeros_are_no_numbers():
    texts = [str(number % 40 + 100) for number in range(100)]
    assert column_of(["0123", *texts[1:]])[0].kind is Kind.NUMERICAL, "one in a hundred is a slip"
    assert column_of(["0123", "0124", *texts[2:]])[0].kind is Kind.CATEGORICAL


@pytest.mark.slow
def test_one_in_seven_may_be_a_slip_of_its_own_in_a_column_of_numbers():
    numbers = [f"{number}.5" for number in range(190)]
    column, found = column_of([*numbers, *[f"{number}o5" for number in range(10)]])
    assert column.kind is Kind.NUMERICAL
    assert found == [(Severity.WARNING, "10 rows without a finite number: quarantined")]
    slips = [f"{number}o5" for number in range(40)]
    assert column_of([*numbers, *slips[:30]])[0].kind is Kind.NUMERICAL
    assert column_of([*numbers, *slips])[0].kind is not Kind.NUMERICAL
    assert column_of([*numbers, *slips[:7] * 4])[0].kind is not Kind.NUMERICAL
    few = [f"{number % 20}.5" for number in range(190)]
    assert column_of([*few, "3+"])[0].kind is Kind.CATEGORICAL
    more = [f"{number % 21}.5" for number in range(190)]
    assert column_of([*more, "3+"])[0].kind is Kind.NUMERICAL


@pytest.mark.slow
def test_a_text_that_repeats_among_numbers_means_that_there_is_none():
    numbers = [f"{number}.5" for number in range(60)]
    column, found = column_of([*numbers, *["never"] * 90, "never again"])
    assert (column.kind, column.missing) == (Kind.NUMERICAL, ("never",))
    assert found == [
        (Severity.WARNING, "read as missing: 'never' (90 rows)"),
        (Severity.WARNING, "1 row without a finite number: quarantined"),
    ]
    column, found = column_of([*["1", "2", "3"] * 20, "?"])
    assert (column.kind, column.missing) == (Kind.NUMERICAL, ("?",))
    assert found == [(Severity.WARNING, "read as missing: '?' (1 row)")]


def test_a_marker_beside_categories_is_no_category():
    column, found = column_of(["own", "rent"] * 9 + ["?", "-", "-"])
    assert (column.categories, column.missing) == (("own", "rent"), ("-", "?"))
    assert found == [(Severity.WARNING, "read as missing: '-' (2 rows), '?' (1 row)")]
    assert column_of(["ND", "NY"] * 9)[0].missing == (), "North Dakota"


def test_a_few_negative_counts_are_impossible_with_a_warning():
    counts = [n % 7 for n in range(298)]
    column, found = inferred([*counts, -1, -1], name="num_collections")
    assert column is not None
    assert column.minimum == 0
    (warning,) = (each for each in found if "negative" in each)
    assert warning.startswith("warning: 2 rows with -1: a count cannot be negative. Quarantined")
    many, found = inferred([*counts, *[-1] * 34], name="num_collections")
    assert many is not None
    assert many.minimum is None
    assert any("34 rows with -1" in each and "special = [-1] reads them" in each for each in found)
    amounts, _ = inferred([*counts, -1, -1], name="net_balance")
    assert amounts is not None
    assert amounts.minimum is None


def test_a_number_that_cannot_be_negative_begins_at_zero():
    assert column_of([3.5, 0.0, 7.0], name="income")[0].minimum == 0.0
    assert column_of([3.5, -0.5, 7.0], name="income")[0].minimum is None
    assert column_of([3.5, 0.0, 7.0], name="balance")[0].minimum is None
    assert column_of([0, 1, 2, 7] * 25)[0].minimum == 0.0, "counts"
    assert column_of([2, 3, 4, 7] * 25)[0].minimum is None


def test_numbers_in_equal_steps_name_the_rows():
    assert column_of(list(range(20)))[0].kind is Kind.IDENTIFIER
    assert column_of(list(range(19)))[0].kind is Kind.NUMERICAL
    assert column_of(list(range(100_000, 100_140, 7)))[0].kind is Kind.IDENTIFIER
    assert column_of(list(range(20)), name="income")[0].kind is Kind.IDENTIFIER
    assert column_of(list(range(1_000, 1_040, 2)), name="income")[0].kind is Kind.NUMERICAL


@pytest.mark.slow
def test_numbers_that_never_repeat_though_chance_would_have_it_name_the_rows():
    rng = np.random.default_rng(1)
    given_out = rng.permutation(4_000)[:400] + 2_000
    column, found = column_of(given_out)
    assert column.kind is Kind.IDENTIFIER
    assert found == [(Severity.NOTE, "identifier (unique): carried along, never a feature")]
    assert column_of(given_out, name="income")[0].kind is Kind.NUMERICAL
    assert column_of(rng.permutation(4_000_000)[:400] + 1_004_000_000)[0].kind is Kind.IDENTIFIER
    assert column_of(10**17 + rng.permutation(10**6)[:400])[0].kind is Kind.IDENTIFIER
    assert column_of(rng.permutation(900_000)[:400] + 100_000)[0].kind is Kind.IDENTIFIER
    incomes = np.unique(np.exp(rng.normal(9.5, 0.9, 400)).astype(int))
    assert column_of(rng.permutation(incomes))[0].kind is Kind.NUMERICAL
    column, found = column_of(rng.permutation(90_000)[:100] + 10_000)
    assert column.kind is Kind.NUMERICAL
    assert found.messages[0].startswith("all values are different: kept as a number")


def test_whole_numbers_are_ids_by_their_name_if_unique_or_many():
    unique = [7, 3, 9, 30, 11]
    for name in ("loan_id", "LoanNr", "account number", "Unnamed: 0", "__index_level_0__"):
        assert column_of(unique, name=name)[0].kind is Kind.IDENTIFIER
    assert column_of(unique)[0].kind is Kind.NUMERICAL
    assert column_of(unique * 2, name="Unnamed: 0")[0].kind is Kind.NUMERICAL
    many = [number * 3 % 157 for number in range(51)]
    column, found = column_of(many * 2, name="customer_id")
    assert column.kind is Kind.IDENTIFIER
    what = (
        "identifier (not unique): carried along, never a feature; group = true: no split separates its rows"
    )
    assert found == [(Severity.WARNING, what)]
    column, found = column_of(many * 5, name="branch_id")
    assert (column.kind, len(column.categories), found) == (Kind.CATEGORICAL, 51, [])
    assert column_of(many[:50] * 2, name="loan_id")[0].kind is Kind.CATEGORICAL
    assert column_of([60301, 80331, 99999] * 9, name="zip")[0].kind is Kind.CATEGORICAL


def test_codes_are_read_as_missing_and_bound_nothing():
    column, found = column_of([*range(1, 31), 98, 98, 99, 5.5])
    assert column.special == (98.0, 99.0)
    assert (column.minimum, column.maximum) == (None, None)
    assert found[0] == (
        Severity.WARNING,
        "98, 99 look like codes, not measurements (3 rows): read as missing",
    )


def test_ages_are_bounded_and_what_lies_beyond_is_named():
    ages = [*np.linspace(20, 70, 300).round(1), 7.0, 130.0]
    column, found = column_of(ages, name="age")
    assert (column.minimum, column.maximum) == (18.0, 110.0)
    assert found.messages[-1] == (
        "2 rows with 7, 130: an age lies between 18 and 110. Quarantined; edit the bounds to keep"
    )
    for name in ("mileage", "age_oldest_tr", "vehicle_age", "age_of_account"):
        column, found = column_of([20.5, 30.5, 40.5], name=name)
        assert (column.maximum, found) == (None, []), name


def test_an_amount_far_from_all_others_is_kept_and_named():
    column, found = column_of([*np.repeat(np.arange(50.0), 4), 28_000.0], name="outgoings")
    assert column.maximum is None
    (message,) = found.messages
    assert message.startswith("1 row with 28000: far from all other values. Kept; minimum and maximum")


def test_a_heavy_tail_is_kept_and_named():
    column, found = column_of([*([1.0, 2.0] * 150), 0.5, 900.0])
    assert column.maximum is None
    assert found == [
        (Severity.NOTE, "heavy tail: 1 % of values exceed 2, the largest is 900; kept"),
    ]


# Text ------------------------------------------------------------------------------------------------------


def test_fifty_levels_are_categories_and_more_are_a_long_list():
    column, found = column_of(levels(50))
    assert (len(column.categories), column.buckets, column.open, found) == (50, 0, True, [])
    column, found = column_of(levels(51))
    assert (column.categories, column.buckets, column.open) == ((), 6, True)
    assert found == [
        (Severity.NOTE, "51 levels, none frequent enough to be a category: all are hashed into 6 buckets")
    ]


def test_spellings_of_a_level_are_merged_under_the_most_frequent():
    column, found = column_of(["Car"] * 3 + ["car"] * 5 + ["CAR "] + ["house"] * 2)
    assert column.categories == ("car", "house")
    assert column.aliases == {"Car": "car", "CAR": "car"}
    assert found == [(Severity.NOTE, "spellings merged: 'Car' = 'car', 'CAR' = 'car'")]
    assert column_of(["y", "Y"] * 10)[0] is None
    assert column_of(["y", "Y"] * 10, missing=1)[0].categories == ("y",)


@pytest.mark.slow
def test_text_is_an_id_by_its_name_if_unique_or_many():
    assert column_of(["a", "b", "c"], name="customer id")[0].kind is Kind.IDENTIFIER
    assert column_of(["a", "b", "b"], name="customer id")[0].kind is Kind.CATEGORICAL
    assert column_of(levels(51, each=3), name="customer id")[0].kind is Kind.IDENTIFIER
    assert column_of(levels(51), name="branch id")[0].kind is Kind.CATEGORICAL, "four rows each"
    assert column_of(levels(51), name="customer id")[0].group, "a person may come as often"
    assert column_of(levels(50), name="customer id")[0].kind is Kind.CATEGORICAL


@pytest.mark.slow
def test_many_different_words_without_a_space_name_the_rows():
    words = [f"L{number:03}" for number in range(60)]
    column, found = column_of(words, missing=1_500)
    assert (column.kind, column.optional, column.nullable) == (Kind.IDENTIFIER, True, True)
    assert found == [(Severity.NOTE, "identifier (unique, 1,500 blank): carried along, never a feature")]
    assert column_of([*words[:-1], "L0 59"])[0].kind is Kind.CATEGORICAL
    assert column_of([*words[:-1], "x" * 64])[0].kind is Kind.IDENTIFIER
    assert column_of([*words[:-1], "x" * 65])[0].kind is Kind.CATEGORICAL
    draw = np.random.default_rng(1)
    firms = ["".join(draw.choice(list("aBcdE1"), number % 30 + 3)) for number in range(60)]
    column, found = column_of(firms)
    assert column.kind is Kind.CATEGORICAL
    assert found.messages[0].startswith("all values are different: kept as categories")


def rare(count: int) -> list[str]:
    return [f"rare one {number}" for number in range(count)]


def test_of_a_long_list_the_frequent_levels_are_kept_and_the_others_share_buckets():
    column, found = column_of(["nurse"] * 120 + ["driver"] * 120 + rare(60))
    assert (column.kind, column.categories, column.open) == (Kind.CATEGORICAL, ("driver", "nurse"), True)
    assert column.buckets == 2, "thirty rows each"
    assert found == [
        (
            Severity.NOTE,
            "62 levels: 2 are frequent enough to be categories, the other 60 are hashed into 2 buckets",
        ),
    ]


def test_five_rows_make_a_level_frequent():
    frequent = ["nurse"] * 400
    assert column_of(frequent + ["driver"] * 5 + rare(60))[0].categories == ("driver", "nurse")
    assert column_of(frequent + ["driver"] * 4 + rare(60))[0].categories == ("nurse",)


def test_two_hundred_frequent_levels_are_listed_and_more_are_not():
    assert len(column_of(levels(200, each=10))[0].categories) == 200
    column, _ = column_of(levels(201, each=10))
    assert (len(column.categories), column.buckets) == (200, 1)


def test_sentences_are_no_categories():
    column, found = column_of([f"the customer called {number} times about it" for number in range(60)])
    assert column is None
    assert found == [(Severity.WARNING, "left out: free text, 60 different values in 60 rows")]
    assert column_of([f"the firm of {number % 20} and sons" for number in range(60)])[0] is not None


def test_spellings_of_a_frequent_level_are_one_category():
    column, _ = column_of(["nurse"] * 90 + ["Nurse"] * 80 + ["driver"] * 90 + rare(60))
    assert column.categories == ("driver", "nurse")


# Times -----------------------------------------------------------------------------------------------------


def days(count: int) -> list[str]:
    return [str(day.date()) for day in pd.date_range("2020-01-01", periods=count)]


def test_ninety_nine_in_a_hundred_readable_times_make_a_date():
    column, found = column_of([*days(99), "soon"])
    assert column.kind is Kind.DATE
    assert found == [(Severity.WARNING, "1 row without a readable time: quarantined")]
    column, found = column_of([*days(98), "soon", "later"])
    assert column is None
    assert (found[0][0], "others such as 'soon'" in found[0][1]) == (Severity.WARNING, True)
    assert column_of(days(30)) == (Column(name="x", kind=Kind.DATE, nullable=True), [])


def test_times_of_a_typed_column_are_dates():
    column, found = column_of(pd.Series(pd.to_datetime(days(3))), missing=2)
    assert column == Column(name="x", kind=Kind.DATE, nullable=True)
    assert found == []


def test_a_column_that_may_be_a_weight_is_asked_about():
    column, found = column_of([1.0, 4.75] * 20, name="sample_weight")
    assert column.kind is Kind.NUMERICAL
    ((severity, message),) = found
    assert severity is Severity.QUESTION
    assert 'kind = "weight" be the line below [columns.sample_weight]' in message
    assert "known_after_decision = false" in message
    assert column_of([60.5, 80.0] * 20, name="body_weight")[1] == []
