"""Columns as lenders write them: each is read for what it is, no row is lost, clean ones are not misread."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame, read_column, validate
from loan_default.data.schema.inference.columns import Decision, Values, infer_column
from loan_default.data.schema.inference.evidence import file_evidence, marks_of
from loan_default.data.schema.inference.findings import Severity, most_urgent_first
from loan_default.data.schema.inference.infer import Inference, infer_frame_schema
from loan_default.data.schema.language import schema_to_dict
from loan_default.data.schema.schema_files import dump_schema, schema_from_dict

N = 300
RNG = np.random.default_rng(3)
INCOMES = np.exp(RNG.normal(9.5, 0.9, N))
RATES = RNG.uniform(5, 30, N)
DAYS = [date(2015, 1, 1) + timedelta(days=int(day)) for day in RNG.integers(0, 1000, N)]
LOW_DAYS = [day.replace(day=min(day.day, 12)) for day in DAYS]


def inferred(column: str, values: object, form: FileFormat | None = None, **others: object) -> Inference:
    """The inference of a file with this column; every row must pass the schema."""
    frame = pd.DataFrame({column: values, **others}).astype("str")
    frame["bad"] = (RNG.random(len(frame)) < 0.3).astype(int).astype("str")
    frame["debt"] = pd.Series(RNG.normal(50, 9, len(frame))).map("{:.2f}".format).astype("str").to_numpy()
    inference = infer_frame_schema(RawFrame(frame=frame), name="f", source="f", target="bad", form=form)
    assert len(validate(RawFrame(frame=frame), inference.schema, labelled=True).accepted) == len(frame)
    assert schema_from_dict(schema_to_dict(inference.schema)) == inference.schema
    assert dump_schema(inference.schema, notes=inference.notes)
    seen = [(finding.column, finding.message) for finding in inference.findings]
    assert len(seen) == len(set(seen))
    return inference


def findings(inference: Inference, column: str) -> list[tuple[Severity, str]]:
    return [(each.severity, each.message) for each in inference.findings if each.column == column]


def comma(text: str) -> str:
    """A number with the marks of half of Europe: 1.250,50 for 1,250.50."""
    return text.translate(str.maketrans(",.", ".,"))


# Numbers -----------------------------------------------------------------------------------------------

MONEY: dict[str, Callable[[float], str]] = {
    "german": lambda x: comma(f"{x:,.2f}"),
    "english": lambda x: f"{x:,.2f}",
    "swiss": lambda x: f"{x:,.2f}".replace(",", "'"),
    "french": lambda x: comma(f"{x:,.2f}").replace(".", "\u202f") + " €",
    "dollars": lambda x: f"${x:,.2f}",
    "euros": lambda x: comma(f"{x:,.2f}") + " EUR",
    "reais": lambda x: "R$ " + comma(f"{x:,.2f}"),
    "no cents": lambda x: f"£{x:,.0f}",
    "blanks": lambda x: f"{x:,.0f}".replace(",", " "),
    "plain": lambda x: f"{x:.2f}",
    "decimal comma": lambda x: f"{x:.2f}".replace(".", ","),
    "exponent": lambda x: f"{x:.6e}",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", MONEY)
def test_amounts_in_many_spellings_are_the_same_numbers(how):
    inference = inferred("income", [MONEY[how](income) for income in INCOMES])
    column = inference.schema["income"]
    canonical, problems = read_column(
        pd.Series([MONEY[how](income) for income in INCOMES], dtype="str"), column
    )
    assert (column.kind, problems) == (Kind.NUMERICAL, [])
    np.testing.assert_allclose(
        canonical, INCOMES, rtol=1e-3 if how in ("no cents", "blanks") else 1e-5, atol=0.51
    )
    assert all(severity is not Severity.QUESTION for severity, _ in findings(inference, "income"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "format_"),
    [
        (lambda x: f"{x:.2f}%", "percent"),
        (lambda x: f"{x:.1f} %".replace(".", ","), "percent"),
        (lambda x: f"({x:,.2f})", "money"),
        (lambda x: f"{x:.2f}-" if x > 20 else f"{x:.2f}", "money"),
        (lambda x: f"{int(x)} months", "months"),
        (lambda x: f" {int(x)} Monate", "months"),
        (lambda x: f"{int(x)}yrs {int(x) % 12}mon", "months"),
        (lambda x: "10+ years" if x > 20 else ("< 1 year" if x < 9 else "3 years"), "years"),
        (lambda x: f"{int(x)} años", "years"),
    ],
)
def test_percent_money_and_durations_are_numbers(write, format_):
    column = inferred("x", [write(rate) for rate in RATES]).schema["x"]
    assert (column.kind, column.format) == (Kind.NUMERICAL, format_)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "texts"),
    [
        ("years", {"moins d'un an": 0, "1 an": 1, "4 ans": 4, "plus de 10 ans": 10}),
        ("years", {"moins de 1 an": 0, "1 an": 1, "4 ans": 4, "plus d\u2019un an": 1}),
        ("years", {"menos de 1 año": 0, "un año": 1, "4 años": 4, "más de 10 años": 10}),
        ("years", {"unter 1 Jahr": 0, "ein Jahr": 1, "4 Jahre": 4, "über 10 Jahre": 10}),
        ("years", {"weniger als ein Jahr": 0, "1 Jahr": 1, "2 Jahre": 2, "mehr als 10 Jahre": 10}),
        ("years", {"menos de um ano": 0, "1 ano": 1, "4 anos": 4, "mais de 10 anos": 10}),
        ("years", {"meno di un anno": 0, "1 anno": 1, "4 anni": 4, "più di 10 anni": 10}),
        ("years", {"less than 1 year": 0, "one year": 1, "4 years": 4, "over 10 years": 10}),
        ("years", {"poniżej 1 roku": 0, "1 rok": 1, "4 lata": 4, "ponad 10 lat": 10}),
        ("years", {"méně než 1 rok": 0, "1 rok": 1, "4 roky": 4, "5 let": 5, "více než 10 let": 10}),
        ("months", {"12 miesięcy": 12, "1 miesiąc": 1, "48 mies.": 48, "3 miesiące": 3}),
        ("months", {"12 měsíců": 12, "1 měsíc": 1, "3 měsíce": 3}),
    ],
)
def test_durations_in_words_of_eight_languages(unit, texts):
    values = [*texts] * 40
    column = inferred("tenure", values).schema["tenure"]
    assert (column.kind, column.format) == (Kind.NUMERICAL, unit)
    assert read_column(pd.Series(values), column)[0].tolist() == [*texts.values()] * 40


@pytest.mark.slow
@pytest.mark.parametrize("spelling", ["{}", "{}.0", " {}"])
@pytest.mark.parametrize(
    "words", [("no", "yes"), ("False", "true"), ("Nein", "JA"), ("non", "Oui"), ("F", "T")]
)
def test_a_column_of_0_and_1_reads_yes_and_no_later(spelling, words):
    texts = [spelling.format(flag) for flag in RNG.integers(0, 2, N)]
    column = inferred("insured", texts).schema["insured"]
    assert (column.kind, column.format) == (Kind.NUMERICAL, "boolean")
    assert read_column(pd.Series([*words, "1", "0"]), column)[0].tolist() == [0, 1, 1, 0]
    plain = Column(name="insured", kind=Kind.NUMERICAL, nullable=True)
    assert column.interpretation == plain.interpretation
    counted = inferred("late", [*texts, "2"]).schema["late"]
    assert (counted.kind, counted.format) == (Kind.NUMERICAL, "")


@pytest.mark.slow
def test_numbers_from_1000_on_with_a_comma_are_thousands():
    texts = [f"{income:,.0f}" for income in INCOMES / 20]
    assert any("," in text for text in texts)
    assert any("," not in text for text in texts)
    for mark in ",.":
        inference = inferred("income", [text.replace(",", mark) for text in texts])
        column = inference.schema["income"]
        assert (column.kind, column.thousands) == (Kind.NUMERICAL, mark)
        canonical, _ = read_column(pd.Series([f"1{mark}250", "159"]), column)
        assert canonical.tolist() == [1250, 159]


def test_a_comma_before_other_than_three_digits_is_a_decimal_mark():
    inference = inferred("margin", [str(x).replace(".", ",") for x in RNG.choice([10.75, 6.75, 3.5], N)])
    assert inference.schema["margin"].decimal == ","
    assert inference.schema["margin"].kind is Kind.NUMERICAL


def test_thousands_in_doubt_follow_the_other_columns():
    texts = [f"{x:,.0f}".replace(",", ".") for x in RNG.integers(10, 900, N) * 100]
    amounts = [comma(f"{x:,.2f}") for x in INCOMES]
    german = FileFormat(delimiter=";", decimal=",")
    rows = pd.DataFrame({"amount": texts, "income": amounts, "bad": ["0", "1"] * (N // 2)}).astype("str")
    raw = RawFrame(frame=rows)
    inference = infer_frame_schema(raw, name="f", source="f", target="bad", form=german)
    canonical, _ = read_column(rows["amount"], inference.schema["amount"])
    assert canonical.min() >= 1000
    assert inference.schema.format == FileFormat(delimiter=";", decimal=",", thousands=".")


def test_marks_that_no_value_proves_are_a_question_with_both_readings():
    marks = marks_of(pd.Series({"12,375": 3, "14,125": 2}))
    values = Values(
        name="x",
        raw=pd.Series(["12,375", "14,125"] * 9, dtype="str"),
        n_missing=0,
        numbers=np.full(18, np.nan),
    )
    found: list[tuple[Severity, str]] = []
    decision = infer_column(values, lambda _, severity, message: found.append((severity, message)))
    assert (marks.decimal, marks.thousands, marks.other) == (".", ",", (",", ""))
    assert decision.column is None
    assert found[0][0] is Severity.QUESTION
    assert 'decimal = "." and thousands = "," (12375) or decimal = "," (12.375)' in found[0][1]


MARKERS = ["?", "-", ".", "NULL", "missing", "#DIV/0!", "unknown", "nd", "N/A", "keine Angabe", "sin datos"]


@pytest.mark.slow
@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("share", [0.01, 0.6])
def test_markers_among_numbers_are_missing_and_no_row_is_lost(marker, share):
    texts = [marker if RNG.random() < share or row == 7 else f"{rate:.2f}" for row, rate in enumerate(RATES)]
    inference = inferred("dti", texts)
    column = inference.schema["dti"]
    assert column.kind is Kind.NUMERICAL
    canonical, _ = read_column(pd.Series(texts), column)
    assert canonical.isna().sum() == texts.count(marker)
    if column.missing:
        assert findings(inference, "dti")[0][0] is Severity.WARNING
        assert f"{texts.count(marker):,} row" in findings(inference, "dti")[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("marker", ["?", "-", "N/A", "missing"])
def test_markers_beside_categories_and_dates_are_missing(marker):
    homes = [marker if RNG.random() < 0.1 else RNG.choice(["own", "rent"]) for _ in range(N)]
    inference = inferred("home", homes)
    assert marker not in inference.schema["home"].categories
    days = [marker if RNG.random() < 0.1 else day.strftime("%d.%m.%Y") for day in DAYS]
    assert inferred("issue_date", days).schema["issue_date"].kind is Kind.TIMESTAMP


# Dates -------------------------------------------------------------------------------------------------

PATTERNS = [
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%y", "%m/%d/%y", "%Y/%m/%d", "%b-%Y", "%b-%y"),
    *("%d-%b-%Y", "%d %B %Y", "%d%b%Y", "%d%b%y", "%b %d, %Y", "%Y%m%d", "%y%m%d", "%Y%m", "%m/%Y", "%Y-%m"),
    *("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%d%m%Y"),
]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_dates_are_read_by_their_pattern(pattern):
    texts = [day.strftime(pattern) for day in DAYS]
    column = inferred("issue_date", texts).schema["issue_date"]
    assert column.kind is Kind.TIMESTAMP
    times, problems = read_column(pd.Series(texts), column)
    assert problems == []
    expected = [datetime.strptime(text, pattern).replace(tzinfo=UTC) for text in texts]
    assert times.tolist() == expected


@pytest.mark.slow
@pytest.mark.parametrize("separator", ["/", "-", "."])
def test_dates_without_a_day_above_12_are_a_question_with_both_lines(separator):
    texts = [day.strftime(f"%d{separator}%m{separator}%Y") for day in LOW_DAYS]
    inference = inferred("application_date", texts)
    assert "application_date" not in inference.schema
    ((severity, message),) = findings(inference, "application_date")
    assert severity is Severity.QUESTION
    assert f'format = "%d{separator}%m{separator}%Y"' in message
    assert f'format = "%m{separator}%d{separator}%Y"' in message
    assert most_urgent_first(inference.findings)[0].column == "application_date"


@pytest.mark.slow
def test_dates_in_doubt_follow_other_dates_of_the_file_or_the_first_of_each_month():
    texts = [day.strftime("%m/%d/%Y") for day in LOW_DAYS]
    inference = inferred("issue_date", texts, opened=[day.strftime("%m/%d/%Y") for day in DAYS])
    assert inference.schema["issue_date"].format == "%m/%d/%Y"
    assert findings(inference, "issue_date")[0][0] is Severity.WARNING
    firsts = [day.replace(day=1).strftime("%d/%m/%Y") for day in DAYS]
    assert inferred("issue_date", firsts).schema["issue_date"].format == "%d/%m/%Y"


@pytest.mark.slow
def test_numbers_are_times_by_name_and_range():
    seconds = [int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in DAYS]
    serials = [(day - date(1899, 12, 30)).days for day in DAYS]
    assert inferred("created_at", seconds).schema["created_at"].format == "epoch_seconds"
    assert inferred("issue_date", [s * 1000 for s in seconds]).schema["issue_date"].format == (
        "epoch_milliseconds"
    )
    assert inferred("issue_date", serials).schema["issue_date"].format == "spreadsheet"
    assert inferred("amount", serials).schema["amount"].kind is Kind.NUMERICAL
    inference = inferred("data_nascita", serials)
    assert inference.schema["data_nascita"].format == "spreadsheet"
    assert findings(inference, "data_nascita")[0][0] is Severity.NOTE


@pytest.mark.parametrize(
    "name",
    [
        *(
            "salary_per_month",
            "month_inc",
            "data_usage_mb",
            "on_us_turnover",
            "origination_fico_x",
            "last_sal",
        ),
        *("employees_at_start", "first_year_turnover", "km_since_service", "umsatz_am_ende", "renda_ao_dia"),
    ],
)
@pytest.mark.parametrize("bounds", [(21_000, 58_000), (400_000_000, 2_000_000_000)])
def test_amounts_in_the_range_of_days_or_seconds_stay_numbers(name, bounds):
    inference = inferred(name, RNG.choice(np.linspace(*bounds, 200, dtype=int), N))
    assert inference.schema[name].kind is Kind.NUMERICAL
    assert findings(inference, name) == []


@pytest.mark.slow
def test_numbers_of_an_event_stay_numbers_with_a_warning_unless_they_are_round():
    days = [(day - date(1899, 12, 30)).days for day in DAYS]
    inference = inferred("account_opened", days)
    assert inference.schema["account_opened"].kind is Kind.NUMERICAL
    ((severity, message),) = findings(inference, "account_opened")
    assert (severity, 'format = "spreadsheet"' in message) == (Severity.WARNING, True)
    assert inferred("issue_date", RNG.integers(210, 580, N) * 100).schema["issue_date"].format == ""


@pytest.mark.slow
def test_an_earlier_date_becomes_years_before_the_application():
    opened = [
        day - timedelta(days=int(days)) for day, days in zip(DAYS, RNG.integers(9, 9999, N), strict=True)
    ]
    inference = inferred(
        "opened",
        [day.strftime("%b-%y") for day in opened],
        issue_d=[day.strftime("%d/%m/%Y") for day in DAYS],
    )
    assert inference.schema["opened"].derive == "years_before_application"
    assert inference.schema["opened"].is_feature


@pytest.mark.slow
def test_times_as_sas_writes_them_and_dates_with_de_are_read():
    for pattern in ("%d%b%Y:%H:%M:%S", "%d%b%y:%H:%M", "%d/%m/%Y:%H:%M:%S"):
        texts = [day.strftime(pattern).upper() for day in DAYS]
        column = inferred("issue_date", texts).schema["issue_date"]
        assert (column.kind, column.format) == (Kind.TIMESTAMP, pattern)
    for pattern in ("%A, %d %B %Y", "%a %d.%m.%Y", "%A, %B %d, %Y"):
        column = inferred("seen", [day.strftime(pattern) for day in DAYS]).schema["seen"]
        assert column.kind is Kind.TIMESTAMP
        assert [each.date() for each in read_column(pd.Series([DAYS[7].strftime(pattern)]), column)[0]] == [
            DAYS[7]
        ]
    agosto = ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre"]
    texts = [f"{day.day} de {agosto[day.month % 9]} de {day.year}" for day in LOW_DAYS]
    assert inferred("fecha", texts).schema["fecha"].format == "%d de %B de %Y"


@pytest.mark.slow
@pytest.mark.parametrize(
    "patterns",
    [
        ("%m/%d/%Y", "%d.%m.%Y"),
        ("%Y-%m-%d", "%d.%m.%Y"),
        ("%d/%m/%Y", "%m/%d/%Y"),
        ("%b-%Y", "%Y-%m-%d"),
        ("%d/%m/%Y", "%d/%m/%y"),
    ],
)
@pytest.mark.parametrize("share", [0.1, 0.5])
def test_dates_in_two_formats_are_left_out_with_a_warning_that_says_which(patterns, share):
    texts = [day.strftime(patterns[RNG.random() < share]) for day in DAYS]
    inference = inferred("seen", texts)
    assert "seen" not in inference.schema
    ((severity, message),) = findings(inference, "seen")
    assert severity is Severity.WARNING
    assert "looks like dates" in message
    assert "[columns.seen]" in message
    assert all((pattern if pattern != "%Y-%m-%d" else "ISO 8601") in message for pattern in patterns)


@pytest.mark.slow
def test_dates_beside_other_texts_and_dates_that_lost_a_zero_are_left_out_with_a_warning():
    texts = [day.strftime("%d/%m/%Y") if RNG.random() < 0.9 else f"order {day.day}" for day in DAYS]
    assert "others such as 'order" in findings(inferred("seen", texts), "seen")[0][1]
    compact = [str(int(day.strftime("%d%m%y"))) for day in DAYS]
    ((severity, message),) = findings(inferred("opened", compact), "opened")
    assert (severity, "first zero was lost" in message) == (Severity.WARNING, True)


@pytest.mark.slow
def test_codes_with_dashes_and_amounts_of_five_digits_are_no_dates():
    for name, values in {
        "branch": [f"{a:02}-{b:02}-{c:02}" for a, b, c in RNG.integers(50, 99, (N, 3))],
        "product": [f"A-{a}/{b}" for a, b in RNG.integers(1, 9, (N, 2))],
        "amount": RNG.integers(10_000, 999_999, N),
        "band": [f"{a}-{a + 9}" for a in RNG.integers(1, 9, N) * 10],
    }.items():
        inference = inferred(name, values)
        assert all("dates" not in message for _, message in findings(inference, name)), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["birth_date", "Geburtsdatum", "data_nascita", "fecha_nacimiento", "dob"])
def test_years_of_birth_of_two_digits_are_never_in_the_future(name):
    births = [date(1931, 5, 23) + timedelta(days=int(days)) for days in RNG.integers(0, 23_000, N)]
    texts = [day.strftime("%d/%m/%y") for day in births]
    applied = [day.strftime("%Y-%m-%d") for day in DAYS]
    column = inferred(name, texts, issue_date=applied).schema[name]
    assert (column.derive, column.first_year) == ("years_before_application", 2017 - 15 - 99)
    assert [time.date() for time in read_column(pd.Series(texts), column)[0]] == births
    alone = inferred(name, texts)
    assert [time.date() for time in read_column(pd.Series(texts), alone.schema[name])[0]] == births
    assert findings(alone, name)[0][0] is Severity.WARNING
    young = [day.replace(year=day.year - 40, day=min(day.day, 28)).strftime("%d/%m/%y") for day in DAYS]
    assert inferred(name, young, issue_date=applied, opened_at=applied).schema[name].first_year == 0


@pytest.mark.slow
def test_two_digits_mean_a_maturity_to_come_and_an_account_opened_long_ago():
    applied = [day.strftime("%Y-%m-%d") for day in DAYS]
    ends = [day + timedelta(days=365 * 29) for day in DAYS]
    texts = [day.strftime("%d/%m/%y") for day in ends]
    column = inferred("maturity_date", texts, issue_date=applied).schema["maturity_date"]
    assert [time.date() for time in read_column(pd.Series(texts), column)[0]] == ends
    opened = [day - timedelta(days=365 * 30 + 80 * row) for row, day in enumerate(DAYS[:290])]
    texts = [day.strftime("%b-%y") for day in opened]
    column = inferred("earliest_cr_line", texts, issue_date=applied[:290]).schema["earliest_cr_line"]
    read = read_column(pd.Series(texts), column)[0]
    assert [(time.year, time.month) for time in read] == [(day.year, day.month) for day in opened]


# Categories and identifiers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pair",
    [("no", "yes"), ("Nein", "Ja"), ("non", "oui"), ("No", "Sí"), ("Não", "Sim"), ("F", "T"), ("N", "Y")],
)
def test_yes_and_no_in_six_languages_are_booleans(pair):
    column = inferred("owns", RNG.choice(pair, N)).schema["owns"]
    assert (column.format, column.categories, column.nullable) == ("boolean", pair, True)
    assert read_column(pd.Series(["1", "0", "true"]), column)[0].tolist() == [pair[1], pair[0], pair[1]]


@pytest.mark.parametrize("name", ["zip", "plz", "region_code", "x"])
def test_codes_with_leading_zeros_stay_codes(name):
    codes = [f"{code:05}" for code in RNG.integers(100, 400, N) * 25]
    column = inferred(name, codes).schema[name]
    assert (column.kind, column.open) == (Kind.CATEGORICAL, True)
    assert column.buckets > 0


@pytest.mark.slow
def test_many_levels_stay_a_feature():
    for values in (
        [f"{code:03}xx" for code in RNG.integers(0, 999, N)],
        [
            *["".join(RNG.choice(list("ABCDE"), 5)) + str(RNG.integers(0, 99)) for _ in range(N)][: N - 1],
            "AAAA1",
        ],
        [f"Firm {number} & Sons" for number in RNG.integers(0, 200, N)],
    ):
        values[3] = values[4]
        column = inferred("employer", values).schema["employer"]
        assert (column.kind, column.is_feature, column.buckets > 0) == (Kind.CATEGORICAL, True, True)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("LoanNr", RNG.permutation(100_000)[:N] + 1_004_200_000),
        ("contract", [f"{number}-{number % 7}" for number in RNG.permutation(90_000)[:N] + 10_000]),
        ("ref", 10**17 + RNG.permutation(10**6)[:N]),
        ("key", [f"{number:032x}" for number in RNG.permutation(10**6)[:N]]),
        ("row", range(N)),
    ],
)
def test_identifiers_are_known_by_what_they_do(name, values):
    inference = inferred(name, values)
    assert inference.schema.identifier == inference.schema[name]
    assert len(findings(inference, name)) == 1


@pytest.mark.slow
def test_each_column_says_what_it_is_and_shows_values_before_and_after():
    inference = inferred("rate", [f"{rate:.2f}%" for rate in RATES], empty=[""] * N)
    readings = {reading.name: reading for reading in inference.columns}
    assert list(readings) == ["rate", "empty", "bad", "debt"]
    assert readings["rate"].column == inference.schema["rate"]
    assert "percent" in readings["rate"].why
    assert [f"{float(after):.2f}%" for _, after in readings["rate"].samples] == [
        before for before, _ in readings["rate"].samples
    ]
    assert len(readings["rate"].samples) == 3
    assert (readings["empty"].column, readings["empty"].why) == (None, "left out: it has no values")


# Clean columns are not misread --------------------------------------------------------------------------


def decided(name: str, texts: list[str]) -> tuple[Decision, list[tuple[Severity, str]]]:
    raw = pd.Series(texts, dtype="str")
    found: list[tuple[Severity, str]] = []
    others = [marks_of(pd.Series({"0.57": 30, "12.5": 20}))]  # as most files have such a column
    evidence = file_evidence([marks_of(raw.value_counts()), *others], [], form=None, n_rows=len(raw))
    values = Values(name=name, raw=raw, n_missing=0, numbers=np.full(len(raw), np.nan))
    return infer_column(
        values, lambda _, severity, message: found.append((severity, message)), evidence
    ), found


def numbers_of(kind: str, rng: np.random.Generator, rows: int) -> list[str]:
    draws = {
        "amounts": lambda: [
            f"{x:.2f}" for x in np.exp(rng.normal(rng.uniform(0, 12), rng.uniform(0.2, 1.5), rows))
        ],
        "whole amounts": lambda: np.exp(rng.normal(rng.uniform(2, 12), rng.uniform(0.3, 1.3), rows)).astype(
            int
        ),
        "shares": lambda: [
            round(x, int(rng.integers(1, 5))) for x in rng.uniform(0, 10 ** rng.integers(0, 5), rows)
        ],
        "three decimals": lambda: [f"{x:.3f}" for x in rng.uniform(0, 10 ** rng.integers(0, 4), rows)],
        "signed": lambda: [f"{x:.4g}" for x in rng.normal(0, 10 ** rng.integers(0, 6), rows)],
        "counts": lambda: rng.poisson(rng.uniform(0.1, 20), rows),
        "scores": lambda: rng.integers(300, 850, rows),
        "rounded": lambda: rng.integers(1, 500, rows) * 100,
        "flags": lambda: rng.integers(0, 2, rows),
        "years": lambda: rng.integers(1950, 2020, rows),
    }
    return [str(value) for value in draws[kind]()]


NUMBERS = ["amounts", "whole amounts", "shares", "three decimals", "signed"]
NUMBERS += ["counts", "scores", "rounded", "flags", "years"]
CATEGORIES = {
    "words": ["own", "rent", "Home loan", "x-y"],
    "codes": [f"A{number}" for number in range(90)],
    "states": ["ND", "NE", "CA", "OR"],
    "ranges": ["0-10", "11-20", "21-30", ">30"],
    "months": ["Jan", "Feb", "Mar"],
    "quarters": ["2013Q1", "2013Q2"],
    "ratios": ["1/2", "1/3", "2/3"],
    "grades": ["A1", "A2", "B1"],
    "open ranges": ["0", "1", "2", "3+"],
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_thousand_clean_columns_of_numbers_are_numbers(kind):
    misread, form = [], "boolean" if kind == "flags" else ""
    for seed in range(100):  # ten kinds
        rng = np.random.default_rng(seed)
        texts = numbers_of(kind, rng, int(rng.integers(50, 1000)))
        if len(set(texts)) > 1:
            decision, _ = decided("v", texts)
            column = decision.column or Column(name="v", kind=Kind.IDENTIFIER)
            read = (column.kind, column.format, column.thousands, column.missing)
            if read != (Kind.NUMERICAL, form, "", ()):
                misread.append((seed, column))
    assert misread == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", CATEGORIES)
def test_clean_columns_of_categories_are_categories(kind):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        texts = [str(text) for text in rng.choice(CATEGORIES[kind], int(rng.integers(200, 900)))]
        decision, found = decided("v", texts)
        assert decision.column is not None
        assert (decision.column.kind, decision.column.format, decision.column.missing) == (
            Kind.CATEGORICAL,
            "",
            (),
        )
        assert [message for severity, message in found if severity is not Severity.NOTE] == []


# Fractions of three digits -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("sign", ["%", " %"])
def test_a_percentage_of_three_decimals_is_never_thousands(decimal: str, sign: str) -> None:
    texts = ["0" + sign if i % 9 == 0 else f"{rate:.3f}{sign}" for i, rate in enumerate(RATES)]
    found = inferred("apr", [text.replace(".", decimal) for text in texts])
    column = found.schema["apr"]
    numbers, _ = read_column(pd.Series([text.replace(".", decimal) for text in texts], dtype="str"), column)
    assert (column.format, column.decimal) == ("percent", decimal)
    assert float(numbers.max()) < 31


@pytest.mark.parametrize("name", ["dist", "apr"])
def test_fractions_beside_small_whole_numbers_follow_the_columns_that_prove(name: str) -> None:
    texts = [str(i % 7) if i % 9 == 0 else f"{rate:.3f}" for i, rate in enumerate(RATES)]
    column = inferred(name, texts).schema[name]
    assert (column.decimal, column.thousands) == (".", "")


def test_fractions_that_nothing_proves_are_in_doubt() -> None:
    texts = pd.Series(["0" if i % 9 == 0 else f"{rate:.3f}" for i, rate in enumerate(RATES)], dtype="str")
    marks = marks_of(texts.value_counts())
    assert (marks.certainty.value, marks.decimal) == ("doubt", ".")
