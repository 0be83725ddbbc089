"""Schemas for files without one: the traps of real files are reported, and the file passes its own schema."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import Kind
from loan_default.data.schema.frames import RawFrame, validate
from loan_default.data.schema.inference.code_names import names_identifier, words_of
from loan_default.data.schema.inference.infer import Severity, infer_frame_schema
from loan_default.data.schema.inference.plausibility import (
    age_bounds,
    heavy_tail,
    isolated_bounds,
    names_age,
    names_lender_decision,
    special_codes,
)
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.schema_files import dump_schema, schema_from_dict
from loan_default.data.sources.table_files import infer_schema, read_frame
from loan_default.errors import ConfigurationError, DataError

ROOT = Path(__file__).parents[4]
BUNDLED = ROOT / "data/credit_card/credit_card.csv.gz"
REAL = Path(os.environ.get("LOAN_DEFAULT_SETS", ROOT / "build/sets"))

RNG = np.random.default_rng(7)
N = 400


def base():
    return {"amount": RNG.integers(1_000, 50_000, N), "bad": RNG.integers(0, 2, N)}


def infer(folder, target="bad", **columns):
    path = folder / "file.csv"
    pd.DataFrame(base() | columns).to_csv(path, index=False)
    return infer_schema(path, target=target)


def messages(inference, column):
    return [finding.message for finding in inference.findings if finding.column == column]


def real(name):
    path = REAL / name
    if not path.exists():
        pytest.skip(f"{name} must not be redistributed and is not here")
    return path


def rejected(path, schema):
    return validate(read_frame(path), schema, labelled=True).counts


@pytest.mark.slow
def test_bundled_set():
    inference = infer_schema(BUNDLED, target="default.payment.next.month")
    schema = inference.schema
    assert schema.name == "credit_card"
    assert schema.identifier is not None
    assert schema.identifier.name == "ID"
    assert len(schema.features) == 23
    assert all(column.kind is Kind.NUMERICAL for column in schema.features)
    assert (schema["PAY_0"].integer, schema["PAY_0"].minimum, schema["LIMIT_BAL"].minimum) == (False, None, 0)
    assert messages(inference, "") == ["35 rows like an earlier one apart from the identifier"]
    assert messages(inference, "default.payment.next.month") == ["'1' means default (22.12% of rows)"]
    assert rejected(BUNDLED, schema) == {}


def test_give_me_some_credit():
    path = real("give_me_some_credit.csv")
    inference = infer_schema(path, target="SeriousDlqin2yrs")
    schema = inference.schema
    late = [column for column in schema.columns if "PastDue" in column.name or "DaysLate" in column.name]
    assert schema.identifier == schema["unnamed_1"]
    assert [column.special for column in late] == [(96, 98)] * 3
    assert all(column.nullable for column in schema.features)
    assert messages(inference, "")[0].startswith("609 rows")
    assert "heavy tail" in messages(inference, "RevolvingUtilizationOfUnsecuredLines")[0]
    assert rejected(path, schema) == {"age: must be at least 18": 1}


def test_credit_risk():
    path = real("credit_risk.csv")
    inference = infer_schema(path, target="loan_status", named=NamedOutcomes(bad=("1",), good=("0",)))
    schema = inference.schema
    assert schema.identifier is None
    assert "123, 144" in messages(inference, "person_age")[1]
    assert "far from all other values" in messages(inference, "person_emp_length")[0]
    assert not any(
        finding.severity is Severity.WARNING and "decision" in finding.message
        for finding in inference.findings
    )
    assert messages(inference, "")[0].startswith("165 rows")
    assert schema["loan_intent"].kind is Kind.CATEGORICAL
    assert rejected(path, schema) == {
        "person_age: must be at most 110": 5,
    }


def test_loan_default():
    path = real("loan_default.csv")
    inference = infer_schema(path, target="Default")
    assert inference.schema.identifier == inference.schema["LoanID"]
    assert inference.schema["LoanID"].nullable
    assert inference.schema["Education"].categories == ("Bachelor's", "High School", "Master's", "PhD")
    assert len(inference.schema.features) == 16
    assert rejected(path, inference.schema) == {}


@pytest.mark.slow
def test_dumped_inference_reads_back_with_its_findings():
    inference = infer_schema(BUNDLED, target="default.payment.next.month")
    text = dump_schema(inference.schema, notes=inference.notes)
    assert schema_from_dict(tomlkit.parse(text).unwrap()) == inference.schema
    assert "# note: identifier (unique): carried along, never a feature\n[columns.ID]\n" in text


# Columns -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_case_variants_are_merged(tmp_path):
    inference = infer(tmp_path, home=["RENT"] * 250 + ["Rent"] * 100 + [" own"] * 40 + ["OWN "] * 10)
    assert inference.schema["home"].categories == ("RENT", "own")
    assert inference.schema["home"].aliases == {"Rent": "RENT", "OWN": "own"}
    assert "spellings merged" in messages(inference, "home")[0]
    assert rejected(tmp_path / "file.csv", inference.schema) == {}


def test_constant_and_empty_columns_are_left_out(tmp_path):
    inference = infer(tmp_path, same=3, none="", spelt=["x", "X"] * (N // 2))
    assert [column.name for column in inference.schema.columns] == ["amount", "bad"]
    assert messages(inference, "same") == ["left out: every value is '3'"]
    assert messages(inference, "none") == ["left out: it has no values"]
    assert messages(inference, "spelt") == ["left out: all values are spellings of one"]
    result = validate(read_frame(tmp_path / "file.csv"), inference.schema, labelled=True)
    assert result.unknown_columns == ("same", "none", "spelt")


@pytest.mark.slow
def test_a_column_that_is_there_or_not_says_something(tmp_path):
    flags = {"bankrupt": ["Y", "", "", ""] * (N // 4), "guarantor": ["none", "guarantor"] * (N // 2)}
    inference = infer(tmp_path, **flags, hit=["1", ""] * (N // 2), spelt=["y", "Y", "", ""] * (N // 4))
    assert messages(inference, "bankrupt") == ["'Y' or missing: kept, as that may say something"]
    for name in (*flags, "hit", "spelt"):
        assert inference.schema[name].nullable
        assert inference.schema[name].is_feature
    assert rejected(tmp_path / "file.csv", inference.schema) == {}


@pytest.mark.slow
def test_a_column_of_one_value_and_blanks_displaces_no_other(tmp_path):
    start, note = ["2023-05-01"] * 20, ["He called. " * 5 + "He will pay."]
    ids = [f"L{n}" for n in range(N)]
    columns = {"hardship_start": start, "referrer_id": ["R1"], "note": note, "rare": ["Y"] * 9}
    columns = {name: values + [""] * (N - len(values)) for name, values in columns.items()}
    days = pd.date_range("2024-01-01", periods=N).strftime("%Y-%m-%d")
    inference = infer(tmp_path, **columns, seen=days, loan_id=ids)
    for name in columns:
        assert messages(inference, name)[0].startswith("left out: every value is")
    assert (inference.schema.timestamp.name, inference.schema.identifier.name) == ("seen", "loan_id")


def test_rows_that_are_all_longer_than_the_header_are_the_error_that_is_named(tmp_path):
    (tmp_path / "file.csv").write_text("a,bad\n" + "1,0,\n2,1,\n" * 50)
    with pytest.raises(DataError, match=r"names 2, and its rows have 3 fields"):
        infer_schema(tmp_path / "file.csv", target="bad")


@pytest.mark.slow
def test_one_identifier_is_kept(tmp_path):
    inference = infer(
        tmp_path, row=range(N), LoanID=[f"L{n}" for n in range(N)], key=[f"k{n}" for n in range(N)]
    )
    assert inference.schema.identifier == inference.schema["LoanID"]
    assert messages(inference, "row")[-1] == "left out: 'LoanID' is the identifier"
    assert "key" not in inference.schema


TEXTS = st.one_of(
    st.sampled_from(["", "?", "n/a", "yes", "no", "A", "B", "0", "1", "-1", "99", "1.5", "12,5", "3%"]),
    st.dates(min_value=date(1950, 1, 1), max_value=date(2030, 1, 1)).map(str),
    st.dates(min_value=date(1950, 1, 1), max_value=date(2030, 1, 1)).map("{:%d/%m/%y}".format),
    st.integers(10_000, 60_000).map(str),
    st.text(alphabet="abc 1", max_size=12),
)
NAMES = ("loan_id", "member_id", "opened", "issue_date", "birth_date", "sex", "grade", "x", "sample_weight")


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([12, 40]))
def test_no_column_has_findings_that_contradict_one_another(data, n_rows):
    texts = {"bad": ["0", "1"] * (n_rows // 2), "sound": [str(row % 7) for row in range(n_rows)]}
    for name in NAMES:
        alphabet = data.draw(st.lists(TEXTS, min_size=1, max_size=5), label=name)
        counted = data.draw(st.sampled_from(["", "L{}", "{}"]), label=f"{name} counted")
        chosen = [
            counted.format(1000 + row) if counted else alphabet[row % len(alphabet)] for row in range(n_rows)
        ]
        texts[name] = chosen
    raw = RawFrame(frame=pd.DataFrame(texts, dtype="str"))
    inference = infer_frame_schema(raw, name="f", source="f", target="bad")
    kept = {column.name: column for column in inference.schema.columns}
    for reading in inference.columns:
        found = [finding.message for finding in inference.findings if finding.column == reading.name]
        assert len(found) == len(set(found))
        assert (reading.column is None) == (reading.name not in kept) == (reading.read_as == "left out")
        assert reading.why.startswith("left out: ") == (reading.column is None)
        if reading.column is None:
            assert len(found) == 1
            assert found[0].startswith("left out: ")
        else:
            assert not any(message.startswith("left out") for message in found)
            is_feature = any(message.endswith("are a feature") for message in found)
            assert is_feature <= reading.column.is_feature
            no_feature = any("no feature" in message or "never a feature" in message for message in found)
            assert no_feature <= (not reading.column.is_feature)
            if reading.column.kind is Kind.IDENTIFIER:
                assert len(found) == 1


def test_unique_amounts_are_no_identifier(tmp_path):
    inference = infer(tmp_path, income=RNG.permutation(N) + 20_000)
    assert inference.schema["income"].kind is Kind.NUMERICAL
    assert not inference.schema["income"].integer


def test_repeated_ids_are_reported(tmp_path):
    inference = infer(tmp_path, customer_id=RNG.integers(0, 300, N))
    assert inference.schema["customer_id"].kind is Kind.IDENTIFIER
    assert [f.severity for f in inference.findings if f.column == "customer_id"] == [Severity.WARNING]


@pytest.mark.slow
def test_an_applicant_who_comes_again_is_a_group_beside_the_name_of_the_loan(tmp_path):
    """Six rows of each are many for a branch, and few for a customer."""
    inference = infer(
        tmp_path,
        loan_id=[f"L{n}" for n in range(N)],
        customer_id=[f"C{n % (N // 6)}" for n in range(N)],
        branch_id=[f"B{n % (N // 6)}" for n in range(N)],
    )
    schema = inference.schema
    assert schema.identifier == schema["loan_id"]
    assert not schema["loan_id"].group
    assert schema.groups == (schema["customer_id"],)
    assert not schema["customer_id"].is_feature
    assert schema["branch_id"].kind is Kind.CATEGORICAL
    assert "no split separates its rows" in messages(inference, "customer_id")[-1]


@pytest.mark.slow
def test_text_that_is_no_plain_list_of_categories(tmp_path):
    inference = infer(
        tmp_path,
        words=[f"some words {n % 150}" for n in range(N)],
        rate=[f"{n % 99}.5%" for n in range(N)],
        opened=pd.date_range("2020-01-01", periods=N).strftime("%d/%m/%Y"),
        zip=[f"0{n % 30 + 100}" for n in range(N)],
    )
    schema = inference.schema
    assert (schema["words"].kind, schema["words"].buckets) == (Kind.CATEGORICAL, 13)
    assert schema["rate"].format == "percent"
    assert (schema["opened"].kind, schema["opened"].format) == (Kind.DATE, "%d/%m/%Y")
    assert schema["zip"].kind is Kind.CATEGORICAL  # 0100 is a code
    assert rejected(tmp_path / "file.csv", schema) == {}


def test_frequent_levels_of_a_long_list(tmp_path):
    jobs = ["nurse", "driver"] * 165 + [f"rare {n}" for n in range(N - 330)]
    inference = infer(tmp_path, job=jobs)
    assert inference.schema["job"].categories == ("driver", "nurse")
    assert (inference.schema["job"].open, inference.schema["job"].buckets) == (True, 2)
    assert rejected(tmp_path / "file.csv", inference.schema) == {}


@pytest.mark.slow
def test_a_few_slips_do_not_make_numbers_text(tmp_path):
    income = [str(n) for n in RNG.integers(1_000, 9_000, N)]
    income[3], income[4], income[5] = "abc", "inf", ""
    inference = infer(tmp_path, income=income)
    assert inference.schema["income"].kind is Kind.NUMERICAL
    assert inference.schema["income"].nullable
    assert "2 rows without a finite number" in messages(inference, "income")[0]
    counts = rejected(tmp_path / "file.csv", inference.schema)
    assert counts == {"income: must be a number": 1, "income: must be finite": 1}


@pytest.mark.slow
def test_the_time_of_the_application_is_known_by_its_name_or_guessed(tmp_path):
    days = pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d")
    earlier = pd.date_range("2010-01-01", periods=N, freq="3D").strftime("%Y-%m-%d")
    inference = infer(tmp_path, issued=days, visit=days)
    assert inference.schema.timestamp == inference.schema["issued"]
    assert messages(inference, "visit") == ["carried along, no feature: it says what 'issued' says"]
    inference = infer(tmp_path, birth_date=earlier, application_date=days)
    assert inference.schema.timestamp == inference.schema["application_date"]
    assert inference.schema["birth_date"].derive == "years_before_application"
    assert messages(inference, "birth_date") == ["the years from it to 'application_date' are a feature"]
    inference = infer(tmp_path, date_of_birth=days)
    assert inference.schema.timestamp is None
    assert not inference.schema["date_of_birth"].is_feature
    inference = infer(tmp_path, seen=days, visit=days)
    assert messages(inference, "seen") == [
        "it is guessed to be the time of the application rather than 'visit'"
    ]
    assert rejected(tmp_path / "file.csv", inference.schema) == {}


def test_of_two_times_of_the_application_the_finer_one_is_taken(tmp_path):
    """The month of an application is read as its first day, which lies before it."""
    times = pd.date_range("2020-01-01", periods=N, freq="25h")
    months, minutes = times.strftime("%b-%Y"), times.strftime("%Y-%m-%d %H:%M")
    inference = infer(tmp_path, issue_d=months, application_date=minutes)
    assert inference.schema.timestamp == inference.schema["application_date"]


@pytest.mark.slow
def test_a_date_after_the_application_is_no_feature(tmp_path):
    days = pd.date_range("2020-01-01", periods=N)
    columns = {"issue_d": days, "last_pymnt_d": days + pd.to_timedelta(RNG.integers(-10, 900, N), unit="D")}
    inference = infer(tmp_path, **{name: each.strftime("%b-%Y") for name, each in columns.items()})
    assert inference.schema.timestamp == inference.schema["issue_d"]
    assert not inference.schema["last_pymnt_d"].is_feature
    (message,) = messages(inference, "last_pymnt_d")
    assert "lie after 'issue_d': known only later? known_after_decision = true settles it" in message


def test_ragged_rows_are_reported(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("a,bad\n" + "1,0\n2,1\n" * 30 + "3\n")
    inference = infer_schema(path, target="bad")
    assert messages(inference, "")[0] == "1 row that cannot be read as 2 fields: quarantined"


@pytest.mark.slow
def test_rows_that_differ_in_a_word_are_no_copies(tmp_path):
    frame = pd.DataFrame({"job": ["nurse", "driver", "Nurse", "nurse"] * 5, "bad": [0, 0, 0, 1] * 5})
    frame.to_csv(tmp_path / "file.csv", index=False)
    (copies,) = messages(infer_schema(tmp_path / "file.csv", target="bad"), "")
    assert copies == "16 rows like an earlier one"
    frame.insert(0, "id", range(20))
    frame.to_csv(tmp_path / "file.csv", index=False)
    (copies,) = messages(infer_schema(tmp_path / "file.csv", target="bad"), "")
    assert copies == "16 rows like an earlier one apart from the identifier"
    frame.assign(debt=[n * 7 % 20 + 0.5 for n in range(20)]).to_csv(tmp_path / "file.csv", index=False)
    assert messages(infer_schema(tmp_path / "file.csv", target="bad"), "") == []


@pytest.mark.slow
def test_parquet_types(tmp_path):
    path = tmp_path / "file.parquet"
    frame = pd.DataFrame(base()).assign(
        bad=lambda data: data["bad"] == 1,
        owner=[True, False] * (N // 2),
        home=pd.Categorical(["a", "b"] * (N // 2)),
        at=pd.date_range("2020-01-01", periods=N),
        parts=[[1]] * N,
        took=pd.to_timedelta(range(N), unit="D"),
    )
    frame.to_parquet(path)
    inference = infer_schema(path, target="bad")
    schema = inference.schema
    assert (schema["bad"].positive, schema["bad"].negative) == ("true", "false")
    assert schema["owner"].categories == ("false", "true")
    assert schema.timestamp == schema["at"]
    assert {"parts", "took"}.isdisjoint(column.name for column in schema.columns)
    assert rejected(path, schema) == {}


# Target ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "positive", "severity"),
    [
        ([0, 0, 1, 0], "1", Severity.NOTE),
        (["1.0", "0.0", "0.0", "0.0"], "1", Severity.NOTE),
        ([1, 1, 0, 1], "1", Severity.WARNING),
        (["No", "no", "Yes", "NO"], "yes", Severity.NOTE),
        (["Fully Paid", "Charged Off", "Fully Paid", "Fully Paid"], "charged off", Severity.NOTE),
        (["good", "other", "good", "good"], "other", Severity.WARNING),
    ],
)
def test_target_values(tmp_path, values, positive, severity):
    inference = infer(tmp_path, bad=values * (N // 4))
    (finding,) = [finding for finding in inference.findings if finding.column == "bad"]
    assert inference.schema["bad"].positive == positive
    assert finding.severity is severity
    assert rejected(tmp_path / "file.csv", inference.schema) == {}


def test_missing_labels_are_kept(tmp_path):
    inference = infer(tmp_path, bad=["1", "0", "", "0"] * (N // 4))
    result = validate(read_frame(tmp_path / "file.csv"), inference.schema, labelled=True)
    assert len(result.accepted) == N
    assert int(result.accepted["bad"].isna().sum()) == N // 4


@pytest.mark.parametrize(
    ("values", "message"),
    [(1, "has 1 "), (["a", "b", "c", "d"], "has 4 .*'a'"), ("", r"has 0 \(none\)")],
)
def test_unusable_targets_are_named(tmp_path, values, message):
    with pytest.raises(
        (ConfigurationError, DataError), match=f"must have two values, however: 'bad' {message}"
    ):
        infer(tmp_path, bad=values if isinstance(values, int | str) else values * (N // 4))


def test_unknown_targets_are_named(tmp_path):
    with pytest.raises(DataError, match=r"Did you mean 'bad'\?"):
        infer(tmp_path, target="bed")


def test_a_file_without_features_is_named(tmp_path):
    with pytest.raises(DataError, match="must have a column to learn from"):
        infer(tmp_path, amount=1)


def test_no_target_makes_a_schema_for_scoring(tmp_path):
    assert infer(tmp_path, target=None).schema.target is None


cells = st.sampled_from(
    ["", "1", "2.5", "-3", "NA", "inf", "x", "X", "0", "98", "2024-01-31", "007", "é", " y "]
) | st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n"'), max_size=4)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(cells, cells, st.sampled_from(["0", "1", ""])), min_size=2, max_size=60))
def test_any_file_ends_as_a_schema_or_a_data_error(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("files") / "file.csv"
    pd.DataFrame(rows, columns=["first", "second", "bad"]).to_csv(path, index=False)
    try:
        schema = infer_schema(path, target="bad").schema
    except DataError:
        return  # two labels or a feature are missing
    raw = read_frame(path)
    result = validate(raw, schema, labelled=True)
    # Blank fields alone at the end are counted as footer lines; an infinite number is never a value.
    assert len(result.accepted) + len(result.rejected) + raw.footer_lines == len(rows)
    infinite = sum("must be finite" in reason for reason in result.rejected["reason"])
    assert len(result.accepted) + infinite + raw.footer_lines >= 0.8 * len(rows)


# Rules -------------------------------------------------------------------------------------------------


def test_words():
    assert words_of("LoanID") == ("loan", "id")
    assert words_of("NumberOfTime30-59Days") == ("number", "of", "time", "30", "59", "days")
    assert [names_identifier(name) for name in ("ID", "member_id", "paid", "RIDE")] == [
        True,
        True,
        False,
        False,
    ]
    assert [names_age(name) for name in ("AGE", "personAge", "mortgage", "average")] == [
        True,
        True,
        False,
        False,
    ]
    lender = ("loan_grade", "int_rate", "InterestRate", "upgrade", "rate", "Loan_Amount")
    assert [names_lender_decision(name) for name in lender] == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([0, 1, 2, 13, 96, 98, 98], (96, 98)),
        ([0, 1, 2, 98], ()),  # once is no habit
        ([*range(60), 96, 96], ()),  # too near
        ([*range(96), 96, 97, 98], ()),
        ([300, 850, 9999, 9999], (9999,)),
        ([0, 5, 9, -99, -99], (-99,)),
        ([0, 5, -9, -8, 97, 97], (-9, -8, 97)),
        ([-5, 5, -9, -9], ()),
        ([-1, 0, 1, -1], ()),
        ([99, 99], ()),
    ],
)
def test_special_codes(values, codes):
    assert special_codes(np.array(values, float)) == codes


def test_isolated_values():
    years = np.concatenate([np.repeat(np.arange(42.0), 100), [123.0, 123.0]])
    assert isolated_bounds(years) == (None, 82.0)
    assert isolated_bounds(-years) == (-82.0, None)
    assert isolated_bounds(years[:-2]) == (None, None)
    assert isolated_bounds(np.concatenate([years, np.repeat(123.0, 50)])) == (None, None)  # not that rare
    incomes = np.exp(np.random.default_rng(7).normal(10, 1, 5_000))
    assert isolated_bounds(np.append(incomes, 3 * incomes.max())) == (None, None)


def test_ages():
    ages = np.repeat(np.arange(21.0, 80.0), 50)
    assert age_bounds(np.append(ages, [0, 144])) == (18, 110)
    assert age_bounds(np.append(ages, [109, 130])) == (18, 110)
    assert age_bounds(np.arange(100.0)) is None  # the age of something else


def test_heavy_tail():
    assert heavy_tail(np.append(np.arange(1_000.0), 50_000)) == 990
    assert heavy_tail(np.arange(1_000.0)) is None
    assert heavy_tail(np.zeros(10)) is None
