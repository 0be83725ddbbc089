"""What proves the marks of numbers: the column itself, other columns, or nothing."""

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.column import Kind
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame, read_column
from loan_default.data.schema.inference.evidence import Certainty, marks_of
from loan_default.data.schema.inference.findings import Severity
from loan_default.data.schema.inference.infer import Inference, infer_frame_schema
from loan_default.data.schema.schema_files import load_schema

N = 300
RNG = np.random.default_rng(11)
RATES = [f"{rate:.3f}" for rate in RNG.integers(40, 240, N) / 8]
AMOUNTS = [f"{amount:,}" for amount in (np.exp(RNG.normal(7.5, 1.2, N))).astype(int)]
HUNDREDS = [f"{amount:,}" for amount in RNG.integers(21, 660, N) * 100]
WHOLE = [str(amount) for amount in (np.exp(RNG.normal(8, 1.2, N))).astype(int) + 500]


def comma(text: str) -> str:
    """A number with the marks of half of Europe: 1.250,50 for 1,250.50."""
    return text.translate(str.maketrans(",.", ".,"))


def inferred(column: str, texts: list[str], *, delimiter: str = ",", **others: list[str]) -> Inference:
    frame = pd.DataFrame({column: texts, **others}).astype("str")
    frame["children"] = [str(number) for number in RNG.integers(0, 5, len(texts))]
    frame["bad"] = ["0", "1", "0"] * (len(texts) // 3)
    form = FileFormat(delimiter=delimiter)
    return infer_frame_schema(RawFrame(frame=frame), name="f", source="f", target="bad", form=form)


def severities(inference: Inference, column: str) -> set[Severity]:
    return {finding.severity for finding in inference.findings if finding.column == column}


def numbers(texts: list[str], inference: Inference, column: str) -> list[float]:
    return read_column(pd.Series(texts, dtype="str"), inference.schema[column])[0].tolist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("whole", ["0", "", "100"])
def test_fractions_of_three_digits_that_nothing_proves_are_a_question(delimiter, mark, whole, tmp_path):
    texts = [whole if row % 9 == 0 else text.replace(".", mark) for row, text in enumerate(RATES)]
    inference = inferred("apr", texts, delimiter=delimiter)
    assert "apr" not in inference.schema
    (question,) = (each for each in inference.findings if each.severity is Severity.QUESTION)
    other = "." if mark == "," else ","
    assert f'decimal = "{mark}"' in question.message
    assert f'decimal = "{other}" and thousands = "{mark}"' in question.message
    lines = ['name = "f"', "[columns.bad]", 'kind = "target"', "[columns.apr]"]
    for answer in (f'decimal = "{mark}"', f'decimal = "{other}"\nthousands = "{mark}"'):
        path = tmp_path / "schema.toml"
        path.write_text("\n".join([*lines, 'kind = "numerical"', "nullable = true", answer]))
        read = read_column(pd.Series(texts, dtype="str"), load_schema(path)["apr"])[0]
        assert read.notna().sum() == N - texts.count("")


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_amounts_that_vary_in_groups_are_read_without_a_question(mark, delimiter):
    texts = ["1,250,000", "950", *AMOUNTS[2:]]
    inference = inferred("amount", [text.replace(",", mark) for text in texts], delimiter=delimiter)
    assert [each.message for each in inference.findings if "decimal" in each.message] == []
    assert numbers([f"12{mark}300"], inference, "amount") == [12300]


@pytest.mark.parametrize(("mark", "delimiter"), [(".", ";"), (",", ","), (",", "\t")])
def test_round_thousands_are_read_as_usual_with_a_warning(mark, delimiter):
    inference = inferred("amount", [text.replace(",", mark) for text in HUNDREDS], delimiter=delimiter)
    assert severities(inference, "amount") == {Severity.WARNING}
    assert numbers([f"12{mark}300"], inference, "amount") == [12300]


@pytest.mark.slow
def test_amounts_with_a_currency_are_thousands_where_nothing_speaks_against_it():
    texts = ["0 €" if row % 9 == 0 else f"{text} €" for row, text in enumerate(RATES)]
    inference = inferred("rate", texts)
    assert numbers(["5.250 €"], inference, "rate") == [5250]
    dinars = [text.replace("€", "KWD") for text in texts]
    assert "rate" not in inferred("rate", dinars).schema


@pytest.mark.slow
@pytest.mark.parametrize("delimiter", [",", "|", "\t"])
def test_a_point_is_a_decimal_one_where_other_columns_write_thousands_without_a_mark(delimiter):
    inference = inferred("apr", RATES, delimiter=delimiter, balance=WHOLE)
    assert numbers(["5.250"], inference, "apr") == [5.25]
    assert severities(inference, "apr") == {Severity.NOTE}


@pytest.mark.slow
@pytest.mark.parametrize(
    "others",
    [
        {"zip": [str(code) for code in RNG.integers(10000, 99999, N)]},
        {"customer_id": [str(number) for number in range(900, 900 + N)]},
        {"row": [str(number) for number in range(900, 900 + N)]},
        {"year": [str(year) for year in RNG.integers(1960, 2010, N)]},
    ],
)
def test_codes_years_and_names_of_rows_prove_nothing_about_thousands(others):
    assert "apr" not in inferred("apr", RATES, **others).schema


@pytest.mark.slow
@pytest.mark.parametrize("decimal", [".", ","])
def test_columns_that_prove_their_mark_settle_fractions_of_three_digits(decimal):
    texts = [text.replace(".", decimal) for text in RATES]
    ratios = [f"{ratio:.2f}".replace(".", decimal) for ratio in RNG.uniform(0, 4, N)]
    inference = inferred("apr", texts, delimiter=";", ratio=ratios)
    assert numbers([f"5{decimal}250"], inference, "apr") == [5.25]


@pytest.mark.parametrize("slip", ["1,250.50", "3,5", "1.250.000", "0,573", "1,250,000"])
def test_one_row_proves_no_mark(slip):
    texts = pd.Series([slip, *map(str, range(100, 399))], dtype="str")
    assert marks_of(texts.value_counts()).certainty is not Certainty.SURE
    twice = pd.Series([slip, slip, *map(str, range(100, 399))], dtype="str")
    assert marks_of(twice.value_counts()).certainty is Certainty.SURE
    few = pd.Series([slip, *map(str, range(100, 106))], dtype="str")
    assert marks_of(few.value_counts()).certainty is Certainty.SURE


@pytest.mark.slow
@pytest.mark.parametrize("slip", ["1.250,50", "3,5", "1.250.000"])
def test_a_slip_changes_no_other_column(slip):
    plain = [slip, *map(str, RNG.integers(10, 900, N - 1))]
    inference = inferred("apr", RATES, debt=plain)
    assert "apr" not in inference.schema
    assert (inference.schema["debt"].decimal, inference.schema["debt"].thousands) == (".", "")
    assert inference.schema["debt"].kind is Kind.NUMERICAL


def test_many_slips_of_one_kind_do_not_outvote_the_others():
    texts = pd.Series(["1.250,50"] * 3 + [f"{x:.2f}" for x in RNG.uniform(1, 99, N)], dtype="str")
    marks = marks_of(texts.value_counts())
    assert (marks.certainty, marks.decimal) == (Certainty.SURE, ".")


@pytest.mark.slow
@pytest.mark.parametrize("decimal", [",", "."])
def test_no_group_is_read_in_a_column_of_fractions_because_another_column_has_some(decimal):
    other = "." if decimal == "," else ","
    swap = comma if decimal == "," else str
    amounts = [swap(f"{amount:,.2f}") for amount in np.exp(RNG.normal(9, 1, N))]
    ratios = [swap(f"{ratio:.2f}") for ratio in RNG.uniform(0, 4, N)]
    inference = inferred("ratio", ratios, delimiter=";", income=amounts)
    texts = [f"1{other}573", f"1{other}573{decimal}25", f"1{decimal}573"]
    assert numbers(texts, inference, "ratio")[1:] == [1573.25, 1.573]
    assert np.isnan(numbers(texts, inference, "ratio")[0])
    assert numbers(texts, inference, "income") == [1573, 1573.25, 1.573]
    assert numbers([f"1{other}573"], inference, "children") == [1573]
