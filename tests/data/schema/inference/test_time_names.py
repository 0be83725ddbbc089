"""What names say of times: whether numbers below them can be dates."""

import pytest

from loan_default.data.schema.inference.time_names import (
    names_another_time,
    names_application_time,
    names_birth,
    names_event,
    names_period,
    names_time,
)

AMOUNTS = (
    *("salary_per_month", "month_inc", "data_usage_mb", "on_us_turnover", "company_assets_at_close"),
    *("origination_fico_x", "employees_at_start", "first_year_turnover", "km_since_service", "last_sal"),
    *("balance_at_date", "paid_to_date", "salary_on_date", "days_to_due_date", "date_count", "update"),
    *("data_volume", "data_plan", "data_cost", "start_salary", "income_at_application", "employed_d_x"),
    *(
        "app_score",
        "tag",
        "day_sales",
        "candidate",
        "balance_on",
        "mandate",
        "opened_accounts",
        "issue_amount",
    ),
    *("einkommen_am_ende", "umsatz_seit_antrag", "saldo_fin", "renda_ao_dia", "salario_dia", "reddito_mese"),
    *(
        "mileage_since_date",
        "umsatz_am",
        "dt_count",
        "fico_at_origination",
        "d",
        "on",
        "at",
        "month",
        "time_at_address",
        "total_due_on",
    ),
)
TIMES = (
    *("date", "issue_d", "last_pymnt_d", "created_at", "opened_on", "issue_dt", "dt_open", "timestamp", "ts"),
    *(
        "payment_date",
        "loan_date",
        "date_of_birth",
        "birth_date",
        "BirthDate",
        "startdate",
        "ApplicationDate",
    ),
    *("datum", "Geburtsdatum", "Zahlungsdatum", "antragsdatum", "fecha", "fecha_pago", "fecha de solicitud"),
    *("data_nascita", "data_nascimento", "data de abertura", "data_richiesta", "dt_nascimento", "data"),
    *(
        "date_naissance",
        "date d'octroi",
        "date_demande",
        "employed_since_date",
        "antrag_am",
        "creado_el",
        "aberto_em",
        "decision_time",
        "dob",
        "data_wniosku",
        "epoch",
    ),
)


@pytest.mark.parametrize("name", AMOUNTS)
def test_names_of_amounts_counts_and_durations_are_no_times(name):
    assert not names_time(name)


@pytest.mark.parametrize("name", TIMES)
def test_names_of_dates_in_six_languages(name):
    assert names_time(name)


def test_an_event_alone_may_be_a_time():
    for name in ("opened", "account_opened", "maturity", "Geburt", "konto_seit", "loan_issued", "apertura"):
        assert names_event(name), name
        assert not names_time(name), name
    for name in (
        "last_sal",
        "first_year_turnover",
        "first_payment",
        "income",
        "credit",
        "employees_at_start",
    ):
        assert not names_event(name), name


def test_months_and_vintages_are_periods():
    assert names_period("issue_month")
    assert names_period("vintage")
    assert not names_period("salary_per_month")
    assert not names_period("month_inc")


def test_which_time_a_name_means():
    assert names_another_time("date_of_birth")
    assert names_another_time("Geburtstag")
    assert names_application_time("issue_date")
    assert not names_application_time("date")
    assert not names_application_time("issue_end_date")
    assert not names_application_time("application_end_date"), "an end is another time"


def test_births_in_six_languages():
    for name in ("dob", "birth_date", "geb_geburt", "date_naissance", "fecha_nacimiento", "data_nascita"):
        assert names_birth(name), name
    assert names_birth("data_nascimento")
    assert not names_birth("maturity_date")
