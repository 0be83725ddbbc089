"""Numbers that name rows, amounts that do not, codes of branches, and slips among numbers."""

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import RawFrame, validate
from loan_default.data.schema.inference.findings import Severity
from loan_default.data.schema.inference.identifiers import Naming, naming_by_numbers
from loan_default.data.schema.inference.infer import Inference, infer_frame_schema


def inferred(name: str, values: object) -> tuple[Inference, pd.DataFrame]:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({name: values}).astype("str")
    frame["dti"] = [f"{x:.2f}" for x in rng.uniform(5, 40, len(frame))]
    frame["bad"] = rng.integers(0, 2, len(frame)).astype("str")
    return infer_frame_schema(RawFrame(frame=frame), name="f", source="f", target="bad"), frame


def naming(numbers: np.ndarray, name: str = "v") -> Naming:
    return naming_by_numbers(name, pd.Series(numbers.astype(np.int64).astype(str), dtype="str"), numbers)


@pytest.mark.parametrize("digits", [6, 7, 8])
@pytest.mark.parametrize("rows", [80, 400])
def test_most_numbers_that_are_drawn_evenly_name_the_rows_whatever_the_column_is_called(digits, rows):
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = np.unique(rng.integers(10 ** (digits - 1), 10**digits, rows))
        found.append(naming(rng.permutation(drawn).astype(float)))
    assert found.count(Naming.YES) >= 32
    assert set(found) <= {Naming.YES, Naming.DOUBT}


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 100, 500])
def test_incomes_in_rupees_never_name_the_rows(step):
    misread = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        rows = int(rng.choice([60, 80, 100, 200, 400]))
        center, spread = rng.uniform(np.log(2.5e5), np.log(5.5e5)), rng.uniform(0.05, 0.5)
        incomes = np.round(np.exp(rng.normal(center, spread, rows)) / step) * step
        if naming(incomes) is Naming.YES:
            misread.append(seed)
    assert misread == []


@pytest.mark.parametrize(
    "name",
    [
        *("Antragsnummer", "pratica", "n° dossier", "solicitud", "wniosek", "konto", "request", "serial"),
        *("istanza", "trámite", "protocolo", "requête", "Anfrage", "submission"),
    ],
)
def test_names_decide_where_the_values_leave_a_doubt_and_only_there(name):
    rng = np.random.default_rng(1)
    crowded = np.exp(rng.normal(np.log(3e5), 0.2, 90)).round()
    assert naming(crowded) is Naming.DOUBT
    assert naming(crowded, name) is Naming.YES
    assert naming(np.round(crowded / 100) * 100 + 100.0 * np.arange(90), "income") is Naming.NO
    repeated = rng.integers(1, 9, 300).astype(float)
    assert naming(repeated, name) is Naming.NO


@pytest.mark.parametrize("name", ["agency_no", "dealer_no", "BranchNumber", "Filiale Nr", "agence_numéro"])
def test_numbers_of_branches_and_dealers_are_categories(name):
    numbers = np.random.default_rng(2).integers(1001, 1031, 300)
    assert inferred(name, numbers)[0].schema[name].kind is Kind.CATEGORICAL


@pytest.mark.slow
@pytest.mark.parametrize("name", ["merchant_id", "DealerID", "broker_key", "vermittler_id"])
@pytest.mark.parametrize("form", ["{}", "M{:05d}"])
def test_ids_of_merchants_that_repeat_a_few_times_are_categories(name, form):
    rng = np.random.default_rng(4)
    values = [form.format(10_000 + code) for code in rng.integers(0, 700, 1200)]
    assert inferred(name, values)[0].schema[name].kind is Kind.CATEGORICAL
    for person in ("customer_id", "broker_client_id"):
        assert inferred(person, values)[0].schema[person].kind is Kind.IDENTIFIER


@pytest.mark.parametrize(
    "name", ["number_of_accounts", "no_of_children", "installment_no", "num_late", "dependents_number"]
)
def test_counts_stay_numbers(name):
    assert (
        inferred(name, np.random.default_rng(2).integers(0, 30, 300))[0].schema[name].kind is Kind.NUMERICAL
    )


def garbled(text: str, rng: np.random.Generator) -> str:
    position = int(rng.integers(0, len(text) + 1))
    slips = ["o", "O", "l", "..", " 1 ", "x", "/", "kk", "see file ", "?", "-", "q", ";"]
    return f"{text[:position]}{rng.choice(slips)}{rng.choice(list('abcdeghz'))}{text[position:]}"


AMOUNTS = {
    "amounts": lambda rng: [f"{x:.2f}" for x in np.exp(rng.normal(9, 0.8, 400))],
    "whole": lambda rng: [f"{x:.0f}" for x in np.exp(rng.normal(9, 0.8, 400))],
    "ages": lambda rng: [str(x) for x in rng.integers(20, 70, 400)],
    "shares": lambda rng: [f"{x:.1f}" for x in rng.uniform(0, 60, 400)],
    "percents": lambda rng: [f"{x:.2f}%" for x in rng.uniform(3, 30, 400)],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", AMOUNTS)
@pytest.mark.parametrize("share", [0.01, 0.06, 0.1])
def test_a_column_of_numbers_with_slips_stays_one_and_its_slips_are_quarantined(kind, share):
    rng = np.random.default_rng(4)
    texts = AMOUNTS[kind](rng)
    wrong = rng.choice(400, int(share * 400), replace=False)
    for position in wrong:
        texts[position] = garbled(texts[position], rng)
    inference, frame = inferred("v", texts)
    assert inference.schema["v"].kind is Kind.NUMERICAL
    validation = validate(RawFrame(frame=frame), inference.schema, labelled=True)
    assert sorted(validation.rejected["row"]) == sorted(wrong)
    warnings = [each.message for each in inference.findings if each.severity is Severity.WARNING]
    assert any(f"{len(wrong)} rows without a finite number: quarantined" in each for each in warnings)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.06, 0.12])
def test_codes_some_of_which_are_words_stay_codes(share):
    rng = np.random.default_rng(6)
    codes = [f"A{x:02}" if x < 100 * share else f"{100 + x}" for x in range(100)]
    kind = inferred("v", rng.choice(codes, 400))[0].schema["v"].kind
    assert kind is Kind.CATEGORICAL
    serial = [f"{'A' if rng.random() < share else 1}{x}" for x in rng.permutation(90_000)[:300] + 10_000]
    column = inferred("v", serial)[0].schema["v"]
    assert column == Column(name="v", kind=Kind.IDENTIFIER, nullable=True, optional=True)


def test_a_loan_id_that_only_copied_rows_share_still_names_the_loan():
    """One row written twice must not turn it into the name of an applicant, nor put that one out."""
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(
        {
            "loan_id": [f"L{row:05d}" for row in range(300)],
            "applicant_id": [f"A{row // 2:05d}" for row in range(300)],
            "dti": [f"{x:.2f}" for x in rng.uniform(5, 40, 300)],
            "bad": rng.integers(0, 2, 300).astype("str"),
        }
    )
    copied = pd.concat([frame, frame.iloc[[7]]], ignore_index=True)
    schemas = []
    for each in (frame, copied):
        inference = infer_frame_schema(RawFrame(frame=each), name="f", source="f", target="bad")
        schemas.append(inference.schema)
        assert (inference.schema["loan_id"].group, inference.schema["applicant_id"].group) == (False, True)
    assert schemas[0] == schemas[1]
    assert [finding.message for finding in inference.findings if finding.column == "loan_id"] == [
        "identifier (unique, but for 1 row written twice): carried along, never a feature"
    ]
    copied.loc[300, "dti"] = "1.00"  # another row of the same loan
    inference = infer_frame_schema(RawFrame(frame=copied), name="f", source="f", target="bad")
    assert inference.schema.identifier.group


@pytest.mark.parametrize("kind", ["text", "integers"])
def test_whole_numbers_that_are_one_as_floats_are_codes(kind):
    rng = np.random.default_rng(6)
    codes = rng.choice([2**53, 2**53 + 1], 400)
    frame = pd.DataFrame({"branch": codes, "bad": rng.integers(0, 2, 400)})
    frame["dti"] = rng.uniform(5, 40, 400).round(2)
    if kind == "text":
        frame = frame.astype("str")
    inference = infer_frame_schema(RawFrame(frame=frame), name="f", source="f", target="bad")
    branch = inference.schema["branch"]
    assert branch.kind is Kind.CATEGORICAL
    assert set(branch.categories) == {"9007199254740992", "9007199254740993"}
    accepted = validate(RawFrame(frame=frame), inference.schema, labelled=True).accepted
    assert accepted["branch"].tolist() == codes.astype(str).tolist()
