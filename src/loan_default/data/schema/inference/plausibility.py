"""What a column's name and numbers suggest: ages, missing-value codes, impossible and distant values.

These are rules of thumb, each with its thresholds in its docstring; their decisions are written to the
inferred schema with a finding, and can be edited there. `values` are always the finite numbers of a column.
"""

from itertools import pairwise

import numpy as np

from loan_default.data.schema.inference.code_names import names_identifier, words_of

AGE_MINIMUM, AGE_MAXIMUM = 18.0, 110.0

_HIGH_CODES = frozenset(
    float(10**digits - last) for digits in range(2, 10) for last in (1, 2, 3, 4)
)  # 96 … 99, 996 … 999, 9996 …
_LOW_CODES = frozenset({-7.0, -8.0, -9.0} | {1.0 - 10**digits for digits in range(2, 10)})  # -9, -99, -999 …

_LENDER_WORDS = frozenset({"grade", "subgrade", "apr"})
_AFTERMATH_WORDS = frozenset({"recoveries", "recovered", "recovery", "settlement", "chargeoff"})
_PROTECTED_WORDS = frozenset(
    {"sex", "gender", "race", "ethnicity", "ethnic", "religion", "nationality", "citizenship", "disability"}
    | {"marital", "marriage", "married", "pregnant", "pregnancy"}
    | {"geschlecht", "familienstand", "nationalität", "nationalitaet", "staatsangehörigkeit", "konfession"}
    | {"sexe", "nationalité", "nationalite", "matrimonial", "matrimoniale", "civil", "genre"}
    | {"sexo", "género", "genero", "gênero", "raza", "raça", "raca", "etnia", "nacionalidad", "nacionalidade"}
    | {"religión", "religião", "sesso", "nazionalità", "nazionalita", "religione"}
)
_AGE_WORDS = frozenset({"age", "alter", "âge", "edad", "idade", "età", "eta", "ages"})
_PEOPLE_WORDS = frozenset(
    {"applicant", "borrower", "customer", "client", "person", "holder", "head", "spouse", "co", "member"}
    | {"partner", "individual", "debtor", "user", "people", "in", "at", "of", "the", "years", "year", "yrs"}
    | {
        "application",
        "origination",
        "cust",
        "app",
        "primary",
        "main",
        "current",
        "jahre",
        "años",
        "anos",
        "ans",
    }
    | {"kunde", "kunden", "cliente", "antragsteller", "emprunteur", "solicitante", "richiedente", "en", "em"}
    | {"do", "da", "de", "del", "des", "du", "la", "y", "group"}
)
"""Words that may stand beside "age" where it is that of a person, not of an account or a car."""
_WEIGHT_WORDS = frozenset(
    {"weight", "weights", "weighting", "wgt", "wt", "gewicht", "gewichtung", "poids", "peso", "ponderation"}
    | {"ponderación", "ponderacion", "pondération", "ponderação", "ponderacao", "ponderazione"}
)
_OTHER_WEIGHT_WORDS = frozenset(
    {"body", "vehicle", "car", "truck", "cargo", "kg", "lb", "lbs", "gross", "net", "curb", "risk", "rwa"}
    | {"riesgo", "risco", "rischio", "risque", "risiko", "birth", "height"}
)
_AMOUNT_WORDS = frozenset(
    {"income", "amount", "amt", "amnt", "salary", "wage", "balance", "bal", "price", "value", "debt", "limit"}
    | {"revenue", "payment", "loan", "cost", "assets", "outgoings", "expenses", "savings", "deposit", "sales"}
    | {"score", "days", "months", "years", "term", "count", "total", "sum", "turnover", "profit", "equity"}
    | {"einkommen", "betrag", "gehalt", "saldo", "summe", "revenu", "montant", "salaire", "renda", "valor"}
    | {"salário", "salario", "ingreso", "ingresos", "importe", "monto", "reddito", "importo", "stipendio"}
    | {"rate", "ratio", "mileage", "km", "area", "size", "bill", "pay", "credit", "exposure", "principal"}
)
_COUNT_WORDS = frozenset(
    {"num", "number", "count", "n", "nb", "anzahl", "nombre", "número", "numero", "cantidad", "qtd"}
    | {"quantidade", "times", "inquiries", "accounts", "dependents", "children", "late", "delinquencies"}
)
_STOCK_WORDS = frozenset(
    {
        "income",
        "salary",
        "wage",
        "price",
        "limit",
        "amount",
        "amt",
        "amnt",
        "loan",
        "term",
        "age",
        "einkommen",
    }
    | {
        "gehalt",
        "betrag",
        "salaire",
        "montant",
        "renda",
        "salário",
        "salario",
        "importe",
        "monto",
        "stipendio",
    }
    | {"reddito", "importo", "tenure", "revenue", "turnover", "ingresos"}
)
_SIGNED_WORDS = frozenset(
    {
        "net",
        "balance",
        "bal",
        "bill",
        "change",
        "diff",
        "difference",
        "delta",
        "profit",
        "gain",
        "loss",
        "flow",
    }
    | {
        "growth",
        "equity",
        "surplus",
        "saldo",
        "result",
        "variation",
        "trend",
        "return",
        "log",
        "score",
        "rate",
    }
)


def names_lender_decision(name: str) -> bool:
    """Whether a name sounds like what the lender sets, or learns later: a grade, the rate, recoveries."""
    words = words_of(name)
    rate = any(first in {"int", "interest"} and second == "rate" for first, second in pairwise(words))
    return rate or not (_LENDER_WORDS | _AFTERMATH_WORDS).isdisjoint(words)


def names_protected(name: str) -> bool:
    """Whether a name sounds like a trait of a person that laws on lending protect."""
    words = words_of(name)
    if "civil" in words and {"estado", "état", "etat", "stato"}.isdisjoint(words):
        return False
    return names_age(name) or not _PROTECTED_WORDS.isdisjoint(words)


def names_age(name: str) -> bool:
    """Whether a name is that of a person's age, and not of an account's or a car's."""
    words = words_of(name)
    if _AGE_WORDS.isdisjoint(words):
        return False
    return set(words) <= _AGE_WORDS | _PEOPLE_WORDS


def names_weight(name: str) -> bool:
    """Whether a name may mean how much a row counts: sample_weight, wgt."""
    words = words_of(name)
    return not _WEIGHT_WORDS.isdisjoint(words) and _OTHER_WEIGHT_WORDS.isdisjoint(words)


def names_amount(name: str) -> bool:
    """Whether a name is that of a measurement, such as an income, and not of an identifier."""
    return not _AMOUNT_WORDS.isdisjoint(words_of(name)) and not names_identifier(name)


def names_count(name: str) -> bool:
    """Whether a name is that of a count, which cannot be negative."""
    return not _COUNT_WORDS.isdisjoint(words_of(name)) and _SIGNED_WORDS.isdisjoint(words_of(name))


def names_stock(name: str) -> bool:
    """Whether a name is that of an amount that cannot be negative, as an income or the loan itself."""
    words = set(words_of(name))
    return bool(words & {"limit", "income", "salary"}) or bool(
        words & _STOCK_WORDS and not words & _SIGNED_WORDS
    )


def age_bounds(values: np.ndarray) -> tuple[float, float] | None:
    """Bounds of an applicant's age in years, 18 to 110.

    None if more than 1 % of the values lie outside: then the column is some other age.
    """
    outside = (values < AGE_MINIMUM) | (values > AGE_MAXIMUM)
    return None if outside.mean() > 0.01 else (AGE_MINIMUM, AGE_MAXIMUM)


def special_codes(values: np.ndarray) -> tuple[float, ...]:
    """Values that are codes for "unknown" rather than measurements, in ascending order.

    High: 96-99, 996-999, 9996-9999 …, in at least 2 rows, when nothing else lies as high and the gap
    below them is at least the range of all other values. Low: -7, -8, -9, -99, -999 …, in at least
    2 rows, when every other value is 0 or more.
    """
    distinct, counts = np.unique(values, return_counts=True)
    is_low = distinct < 0
    low: tuple[float, ...] = ()
    if (
        is_low.any()
        and (~is_low).sum() > 1
        and set(distinct[is_low]) <= _LOW_CODES
        and counts[is_low].sum() > 1
    ):
        low = tuple(float(value) for value in distinct[is_low])
        distinct, counts = distinct[~is_low], counts[~is_low]
    first = len(distinct)
    while first > 0 and float(distinct[first - 1]) in _HIGH_CODES:
        first -= 1
    # 97 in a column that runs to 95 is a number: every split below a code is tried.
    for start in range(first, len(distinct)):
        body = distinct[:start]
        is_far = len(body) > 1 and distinct[start] - body[-1] >= body[-1] - body[0]
        if is_far and counts[start:].sum() > 1:
            return (*low, *(float(value) for value in distinct[start:]))
    return low


def isolated_bounds(values: np.ndarray) -> tuple[float | None, float | None]:
    """Bounds that leave out values too far from all others to be possible; None where there are none.

    A value is too far if at most 0.1 % of the rows (at least 3 are allowed) lie beyond a gap of 1.5 times
    the range of the rest. Only columns of 100 values and 20 distinct ones whose tail is light get such
    bounds: of an income, the largest may be anything. The bound lies one such range beyond the rest.
    """
    upper = _isolated_upper(values)
    lower = _isolated_upper(-values)
    return (None if lower is None else -lower), upper


def heavy_tail(values: np.ndarray) -> float | None:
    """The 99th percentile, where the largest value is more than 20 times that; otherwise None."""
    percentile = float(np.quantile(values, 0.99))
    return percentile if percentile > 0 and values.max() > 20 * percentile else None


def _isolated_upper(values: np.ndarray) -> float | None:
    if len(values) < 100:
        return None
    distinct, counts = np.unique(values, return_counts=True)
    beyond = counts[::-1].cumsum()[::-1]  # rows from each distinct value on
    gaps, ranges = np.diff(distinct), distinct[:-1] - distinct[0]
    few = beyond[1:] <= max(3, len(values) // 1000)
    candidates = np.flatnonzero(few & (gaps >= 1.5 * ranges) & (np.arange(1, len(distinct)) >= 20))
    if len(candidates) == 0:
        return None
    rest, spread = float(distinct[candidates[0]]), float(ranges[candidates[0]])
    median, high = np.quantile(values, [0.5, 0.99])
    is_light = rest - median <= 4 * (high - median)
    return rest + spread if is_light else None
