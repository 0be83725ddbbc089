"""Which values of a target mean default: by their words, by the name of the column, or as a person says."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.inference.columns import Severity, Values
from loan_default.data.schema.inference.outcome import infer_target
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.values import value_reader
from loan_default.errors import ConfigurationError, DataError

MARKETPLACE = (
    ["Fully Paid"] * 6
    + ["Charged Off"] * 3
    + ["Default", "Current", "Current", "In Grace Period", "Late (31-120 days)"]
)


STATUSES = ("Loan_Status", "status", "GB", "pl_status", "Kreditstatus")
RISKS = ("Risk", "credit_risk", "Risk_Class", "CreditRisk", "riskflag")


def infer(
    cells: list[str] | pd.Series,
    *,
    name: str = "default",
    missing: int = 0,
    named: NamedOutcomes | None = None,
) -> tuple[Column, list[tuple[Severity, str]]]:
    found: list[tuple[Severity, str]] = []
    raw = cells if isinstance(cells, pd.Series) else pd.Series(cells, dtype="str")
    values = Values(name=name, raw=raw, n_missing=missing, numbers=np.full(len(raw), np.nan))
    column = infer_target(values, lambda _, severity, message: found.append((severity, message)), named)
    assert column.kind is Kind.TARGET
    return column, found


def question(cells: list[str], *, name: str = "default", named: NamedOutcomes | None = None) -> str:
    with pytest.raises(ConfigurationError) as asked:
        infer(cells, name=name, named=named)
    return str(asked.value)


# By the values ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("Fully Paid", "Charged Off"),
        ("P I F", "CHGOFF"),
        ("good", "bad"),
        ("Good", "BAD"),
        ("Paid", "Not Paid"),
        ("no default", "default"),
        ("Non-default", "Default"),
        ("bezahlt", "ausgefallen"),
        ("gut", "schlecht"),
        ("bom", "mau"),
        ("adimplente", "inadimplente"),
        ("remboursé", "impayé"),
        ("pagado", "moroso"),
        ("rimborsato", "insolvente"),
        ("performing", "non-performing"),
    ],
)
@pytest.mark.parametrize("name", ["loan_status", "paid", "x1", "Risk", "Zustand"])
def test_words_that_speak_decide_whatever_the_name(good, bad, name):
    column, found = infer([good] * 3 + [bad], name=name)
    assert (column.positive, column.negative) == (bad.casefold(), good.casefold())
    assert found[0][0] is Severity.NOTE
    assert value_reader(column)(f" {bad.upper()} ") == (1.0, "")


def test_a_running_loan_beside_a_bad_end_counts_as_good_with_a_warning():
    column, found = infer(["Current"] * 3 + ["Late"], name="status")
    assert (column.positive, column.negative) == ("late", "current")
    assert found[0][0] is Severity.WARNING
    assert "still runs" in found[0][1]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (("red", "blue"), "bad"),
        (("1", "2"), "credit_risk"),
        (("A", "B"), "default"),
        (("default", "charged off"), "status"),
        (("paid", "repaid"), "status"),
        (("yes", "maybe"), "default"),
        (("0", "1"), "column_7"),
        (("yes", "no"), "y"),
        (("Y", "N"), "Loan_Status"),
        *[((no, yes), name) for no, yes in (("0", "1"), ("N", "Y")) for name in STATUSES],
        *[((no, yes), name) for no, yes in (("0", "1"), ("no", "yes")) for name in RISKS],
        (("0", "1"), "good_bad"),
        (("0", "1"), "approved_default"),
    ],
)
def test_what_nobody_knows_is_asked(values, name):
    first, second = values
    words = question([first] * 3 + [second], name=name)
    assert "3" in words
    assert "--bad" in words
    assert "--good" in words


def test_a_question_offers_options_that_answer_it():
    words = question(["blue"] * 3 + ["red"], name="x")
    for bad, good in re.findall(r"--bad (\w+) --good (\w+)", words):
        column, found = infer(["blue"] * 3 + ["red"], name="x", named=NamedOutcomes(bad=(bad,), good=(good,)))
        assert (column.positive, column.negative) == (bad, good)
        assert found[0][0] is Severity.NOTE


# By the name -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "default",
        "Default",
        "bad",
        "BAD",
        "charged_off",
        "ChargedOff",
        "delinquent",
        "bad_flag",
        "isDefault",
        "inadimplência",
        "Ausfall",
        "Zahlungsausfall",
        "défaut",
        "impayé",
        "impago",
        "incumplimiento",
        "moroso",
        "insolvenza",
        "sofferenza",
        "SeriousDlqin2yrs",
        "default.payment.next.month",
        "not.fully.paid",
        "não_pago",
        "nicht_bezahlt",
        "non_rimborsato",
        "unpaid",
        "unbezahlt",
        "DefaultRisk",
        "bad_risk",
        "credit_card_default",
        "NPL",
    ],
)
@pytest.mark.parametrize(
    ("no", "yes"), [("0", "1"), ("no", "yes"), ("N", "Y"), ("False", "True"), ("não", "sim"), ("nein", "ja")]
)
def test_the_name_of_a_default_says_that_yes_is_one(name, no, yes):
    column, found = infer([no] * 3 + [yes], name=name)
    assert (column.positive, column.negative) == (yes.casefold(), no.casefold())
    assert found == [(Severity.NOTE, f"'{yes.casefold()}' means default (25.00% of rows)")]


@pytest.mark.parametrize(
    "name",
    [
        "approved",
        "Approval",
        "granted",
        "accepted",
        "card",
        "Loan_Approval_Status",
        "decision",
        "rejected",
        "bewilligt",
        "Genehmigung",
        "aprovado",
        "deferido",
        "aprobado",
        "concedido",
        "accordé",
        "octroi",
        "accettato",
        "erogato",
        "loanapproved",
    ],
)
@pytest.mark.parametrize(
    ("no", "yes"), [("0", "1"), ("no", "yes"), ("N", "Y"), ("não", "sim"), ("non", "oui")]
)
def test_a_decision_is_never_taken_for_default(name, no, yes):
    words = question([no] * 3 + [yes], name=name)
    assert "decision of the lender" in words
    assert f"insist with --bad {no} --good {yes}." in words or f'--bad "{no}"' in words


def test_values_of_decisions_are_never_taken_for_default():
    words = question(["Approved"] * 3 + ["Rejected"], name="default")
    assert "--bad Rejected --good Approved" in words
    assert "--bad Approved --good Rejected" in words


@pytest.mark.parametrize(
    "name",
    [
        "paid",
        "repaid",
        "fully_paid",
        "is_good",
        "good",
        "performing",
        "paid_back",
        "no_default",
        "nondefault",
        "zurückgezahlt",
        "remboursé",
        "pagado",
        "quitado",
        "rimborsato",
        "adimplente",
        "kein_ausfall",
        "default_free",
        "DelinqFree",
        "delinq-free",
        "ausfallfrei",
        "free_of_default",
        "zero_defaults",
        "default_avoided",
        "in_bonis",
        "PaidOrNot",
        "Creditability",
    ],
)
@pytest.mark.parametrize(("no", "yes"), [("0", "1"), ("no", "yes"), ("False", "True")])
def test_a_good_end_is_never_taken_for_default(name, no, yes):
    words = question([yes] * 3 + [no], name=name)
    assert f"--bad {no} --good {yes}" in words
    assert "sounds like a good end" in words


@pytest.mark.parametrize("name", ["y", "TARGET", "label", "class", "outcome", "Zielvariable", "target_flag"])
def test_names_that_say_nothing_are_read_by_convention_with_a_warning(name):
    column, found = infer(["0"] * 3 + ["1"], name=name)
    assert column.positive == "1"
    assert found[0][0] is Severity.WARNING
    assert "--bad 0 --good 1" in found[0][1]
    assert infer(["-1"] * 3 + ["1"], name=name)[0].positive == "1"


@pytest.mark.parametrize("name", ["y", "TARGET", "label"])
def test_most_rows_in_default_are_a_question_where_the_name_is_no_proof(name):
    words = question(["1"] * 7 + ["0"] * 3, name=name)
    assert "70.0% defaulted" in words
    assert "--bad 1 --good 0" in words
    assert "--bad 0 --good 1" in words


def test_most_rows_in_default_are_a_warning_where_the_name_says_default():
    column, found = infer(["1"] * 3 + ["0"])
    assert column.positive == "1"
    assert found == [(Severity.WARNING, "'1' means default and makes up 75.00% of rows: is it so?")]
    assert infer(["0", "1"])[1] == [(Severity.NOTE, "'1' means default (50.00% of rows)")]


# Named by a person -----------------------------------------------------------------------------------------


def test_more_than_two_values_are_asked_for_with_counts_and_options():
    words = question(MARKETPLACE, name="loan_status")
    assert "the target must have two values, however: 'loan_status' has 6 values" in words
    for value in ("'Fully Paid' 6", "'Charged Off' 3", "'Default' 1", "'Current' 2", "'In Grace Period' 1"):
        assert value in words
    assert '--bad "Charged Off,Default" --good "Fully Paid"' in words
    assert "--bad VALUE --good VALUE" in question(["a", "b", "c"])


@pytest.mark.parametrize(
    ("cells", "name", "expected"),
    [
        (["0", "1", "0/1", "0"], "default", "--bad 1 --good 0."),
        (["no", "yes", "unit"], "default", "--bad yes --good no."),
        (["0", "1", "total"], "repaid", "--bad 0 --good 1."),
        (["0", "1", "total"], "status", "--bad 1 --good 0 or --bad 0 --good 1."),
        (["0", "1", "default"], "default", "--bad 1 --good 0."),
    ],
)
def test_what_is_known_of_several_values_is_offered(cells, name, expected):
    words = question(cells, name=name)
    assert expected in words
    assert ("repeats the header" in words) is (name in cells)


def test_a_status_that_is_a_default_by_its_words_beside_a_decision_is_no_decision():
    words = question(["0"] * 3 + ["1"], name="approved_default")
    assert "decision" not in words
    assert "--bad 1 --good 0" in words


def test_named_values_make_lists_and_all_others_are_unknown():
    named = NamedOutcomes(bad=("charged off", "Default"), good=(" Fully Paid",))
    column, found = infer(MARKETPLACE, name="loan_status", named=named)
    assert column.spellings_of(column.positive) == ("Charged Off", "Default")
    assert column.spellings_of(column.negative) == ("Fully Paid",)
    assert set(column.unknown) == {"Current", "In Grace Period", "Late (31-120 days)"}
    assert column.open
    assert "4 of" not in found[0][1]
    assert "40.00% of the 10 rows" in found[0][1]
    assert "'Current' 2" in found[1][1]
    read = value_reader(column)
    assert [read(value) for value in ("Default", "FULLY PAID", "Current", "Sold", None)] == [
        (1.0, ""),
        (0.0, ""),
        (None, ""),
        (None, ""),
        (None, ""),
    ]


@pytest.mark.parametrize("named", [NamedOutcomes(bad=("2",)), NamedOutcomes(good=("1.0",))])
def test_one_side_is_enough_for_two_values(named):
    column, _ = infer(["1"] * 3 + ["2"], named=named)
    assert (column.positive, column.negative, column.open) == ("2", "1", False)


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        (pd.Series([1.0, 1.0, 2.0]), "2"),
        (pd.Series([1, 1, 2]), "2.0"),
        (pd.Series([False, False, True]), "yes"),
        (pd.Series([False, False, True]), "1"),
        (pd.Series(["no", "no", "Yes "], dtype="str"), "TRUE"),
    ],
)
def test_numbers_booleans_case_and_blanks_are_matched(cells, bad):
    column, _ = infer(cells, named=NamedOutcomes(bad=(bad,)))
    read = value_reader(column)
    assert [read(value)[0] for value in cells] == [0.0, 0.0, 1.0]


def test_a_value_that_is_not_there_is_refused_with_a_hint():
    words = question(MARKETPLACE, named=NamedOutcomes(bad=("Charged-Off",), good=("Fully Paid",)))
    assert "--bad must name values of the target, however: 'default' has no 'Charged-Off'" in words
    assert "Did you mean 'Charged Off'?" in words
    words = question(["Late, 30 days", "ok", "ok"], named=NamedOutcomes(bad=("Late", "30 days")))
    assert """--bad '"Late, 30 days"'""" in words


def test_one_value_means_one_thing():
    words = question(["a", "b"], named=NamedOutcomes(bad=("a",), good=("A",)))
    assert "'a' is named by --bad and --good" in words


def test_one_side_is_not_enough_for_more_values():
    words = question(MARKETPLACE, named=NamedOutcomes(bad=("Charged Off", "Default")))
    assert '--bad "Charged Off,Default" --good "Fully Paid"' in words
    assert "beside those of --bad" in question(["a", "b"], named=NamedOutcomes(bad=("a", "b")))


def test_mere_marks_are_not_known_yet():
    column, found = infer(["0", "0", "1", "?", "-"])
    assert set(column.unknown) == {"?", "-"}
    assert "not known yet (2 rows" in found[1][1]


def test_rows_without_a_label_are_named():
    assert infer(["0", "1"], missing=1)[1][-1][1] == "1 row without a label yet: not trained on"


@pytest.mark.parametrize("cells", [["a"], ["a", "A "], ["?", "-"]])
def test_a_target_has_two_values(cells):
    with pytest.raises(DataError, match=r"the target must have two values, however: 'default' has [01] "):
        infer(cells)


@pytest.mark.slow
@given(
    st.lists(st.text("abcAB, '\"01.", min_size=1), min_size=1, max_size=4),
    st.lists(st.text("xyzXY, 2.", min_size=1), min_size=1, max_size=4),
    st.data(),
)
def test_every_row_is_read_as_a_person_has_named_it_or_refused(bad, good, data):
    drawn = data.draw(st.lists(st.sampled_from([*bad, *good, "Q"]), max_size=20))
    cells = [*drawn, *bad, *good]
    named = NamedOutcomes(bad=tuple(bad), good=tuple(good))
    try:
        column, _ = infer(cells, named=named)
    except (ConfigurationError, DataError):
        return
    read = value_reader(column)
    folded_bad = {value.strip().casefold() for value in bad}
    for cell in cells:
        label, rule = read(cell)
        assert rule == ""
        if cell == "Q":
            assert label is None
        elif label == 1.0:
            assert cell.strip().casefold() in folded_bad or "." in cell
        else:
            assert label == 0.0


# Rejected applications --------------------------------------------------------------------------------------

DECIDED = ["Fully Paid"] * 6 + ["Charged Off"] * 3 + ["Declined", "declined", "Refused", "Current"]


def test_values_of_rejected_applications_are_no_outcomes_and_no_question():
    named = NamedOutcomes(bad=("Charged Off",), good=("Fully Paid",), rejected=("DECLINED", "Refused"))
    column, found = infer(DECIDED, named=named)
    assert column.rejected == ("Declined", "Refused")
    assert column.unknown == ("Current",)
    assert (
        Severity.NOTE,
        "rejected applications, no outcome: 'Declined' 2, 'Refused' 1",
    ) in found


def test_without_them_two_values_speak_for_themselves():
    column, _ = infer(DECIDED[:-1], named=NamedOutcomes(rejected=("Declined", "Refused")))
    assert (column.positive, column.negative, column.unknown) == ("charged off", "fully paid", ())
    assert column.rejected == ("Declined", "Refused")
    one_side = NamedOutcomes(bad=("Charged Off",), rejected=("Declined", "Refused"))
    assert infer(DECIDED[:-1], named=one_side)[0].negative == "Fully Paid"


def test_rejected_values_that_mean_something_else_or_are_not_there_are_refused():
    both = NamedOutcomes(bad=("Charged Off",), good=("Fully Paid",), rejected=("charged off",))
    assert "'Charged Off' is named by --rejected and by another option" in question(DECIDED, named=both)
    nowhere = NamedOutcomes(rejected=("Turned down",))
    assert "--rejected must name values of the target, however" in question(DECIDED, named=nowhere)
