"""Names of columns that number things."""

import pytest

from loan_default.data.schema.inference.code_names import (
    names_code,
    names_identifier,
    names_region,
    names_thing,
)


@pytest.mark.parametrize("name", ["agency_no", "DealerNo", "branch_id", "Filiale Nr", "agence_numéro", "zip"])
def test_numbers_of_organisations_and_regions_are_codes(name):
    assert names_code(name)


@pytest.mark.parametrize("name", ["number_of_accounts", "installment_no", "num_late", "age", "dealer"])
def test_counts_and_measurements_are_no_codes(name):
    assert not names_code(name)


@pytest.mark.parametrize("name", ["pratica", "n° dossier", "solicitud", "nr wniosku", "konto", "serial"])
def test_names_of_cases_hint_at_their_numbers(name):
    assert names_thing(name)
    assert not names_region(name)


def test_a_name_says_that_it_identifies():
    assert all(map(names_identifier, ("Antragsnummer", "loan_id", "LoanNr", "account number")))
    assert not any(map(names_identifier, ("number_of_accounts", "income", "request_size")))
