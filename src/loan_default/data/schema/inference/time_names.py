"""What a column's name says of times: whether it names one at all, and which.

Numbers are times only where the name says so: of "salary_per_month", "employees_at_start" or "data_usage" no
number is a date. The word for a date stands where a language puts it: last in English and German
("payment_date", "Zahlungsdatum"), first in the others ("fecha_pago", "data di nascita").
"""

import re

from loan_default.data.schema.inference.code_names import words_of
from loan_default.data.schema.inference.plausibility import names_amount

_OTHER_TIME_WORDS = frozenset(
    {"birth", "born", "dob", "birthday", "maturity", "closed", "closing", "end", "expiry", "last", "next"}
    | {"opened", "open", "oldest", "earliest", "first", "since", "start", "chargeoff", "paid", "payment"}
    | {"due", "default", "chg", "off", "hire", "hired", "employed", "registered", "registration", "updated"}
    | {"pull", "geburt", "geburtsdatum", "geburtstag", "eröffnung", "eröffnet", "naissance", "ouverture"}
    | {"nacimiento", "apertura", "nascimento", "abertura", "nascita", "vencimento", "vencimiento", "scadenza"}
    | {"échéance", "fälligkeit", "ende", "fin", "fim", "fine"}
)
_EARLIER_TIME_WORDS = frozenset(
    {"opened", "open", "oldest", "earliest", "first", "since", "hire", "hired", "employed", "registered"}
    | {
        "registration",
        "eröffnung",
        "eröffnet",
        "seit",
        "ouverture",
        "depuis",
        "apertura",
        "desde",
        "abertura",
    }
)
_APPLICATION_TIME_WORDS = frozenset(
    {"application", "applied", "apply", "issue", "issued", "origination", "originated", "decision", "app"}
    | {"created", "submitted", "funded", "disbursed", "disbursement", "approval", "approved", "booked"}
    | {"antrag", "antragsdatum", "antragstag", "auszahlung", "demande", "octroi", "solicitud", "solicitação"}
    | {"solicitacao", "pedido", "concesión", "concessão", "desembolso", "richiesta", "domanda", "erogazione"}
)
_BIRTH = re.compile(
    "birth|born|dob$|geburt|geboren|naissan|nacimi|nascim|nascit|urodzen|narozen|^nato$|^nata$"
)
_MATURITY = re.compile("^matur|^expir|^venci|^scad|échéan|^echean|fällig|faellig|^laufzeitende")
_DATE_WORDS = frozenset(
    {
        "date",
        "dates",
        "datetime",
        "timestamp",
        "datum",
        "zeitpunkt",
        "zeitstempel",
        "fecha",
        "dob",
        "birthday",
    }
    | {"geburtstag", "antragstag", "epoch", "horodatage"}
)
_SHORT_DATE_WORDS = frozenset({"dt", "ts", "unix"})
_PARTICIPLE = re.compile(
    "^(?:cread|criad|creat|créé|cree$|abiert|abert|apert|ouvert|geöffnet|angelegt|erstellt|emitid|emess|aprobad|"
    "aprovad|approuv|approvat|solicitad|demandé|richiest|cerrad|fechad|chius|clos|fermé|geschlossen|gestellt|"
    "beantragt|bewilligt|ausgezahlt|registr)"
)
_AFTER_EVENTS = frozenset({"at", "on", "time", "am", "el", "le", "em", "il"})
"""Words that make a time of an event just before them: created_at, opened_on; "d" may stand farther away."""
_DATA = frozenset({"data", "dataora"})
"""A date in Portuguese, Italian and Polish, and anything in English."""
_OF = frozenset(
    {"de", "di", "do", "da", "del", "della", "dell", "d", "e", "o", "ora", "hora", "la", "il", "a"}
)
_ROMANCE_EVENT = re.compile(
    "nasc|apert|abert|venc|scad|richiest|domand|pedid|contrat|eroga|libera|emiss|inic|inizi|^fim$|^fin[ei]?$|"
    "concess|solicit|stipul|desembol|pagam|cadast|decis|oper|urodz|wnios|umow|otwar|attivaz|registr|chius"
)
_JOINED = re.compile(
    r"(?:datum|zeitpunkt|timestamp)$|^fecha|^(?:data|dt)(?=nasc|apert|abert|venc|scad|contr)"
)
_NO_DATE = re.compile(r"(?:^up|candi|^man|vali|conso\w*|liqui|accommo|to)date$")
_BEFORE_A_DATE = frozenset(
    {"at", "to", "per", "until", "till", "as", "on", "by", "before", "after", "from", "for", "bis"}
    | {"zum", "am", "pro", "je", "avant", "après", "hasta", "até", "antes", "dal"}
    | {"al", "fino", "prima", "dopo", "days", "months", "years", "tage", "monate", "jahre"}
)
_SINCE = frozenset({"since", "seit", "depuis", "desde"})
_MEASURES = frozenset(
    {
        "amount",
        "amt",
        "amnt",
        "count",
        "num",
        "number",
        "n",
        "nb",
        "no",
        "nr",
        "days",
        "months",
        "years",
        "age",
    }
    | {
        "hours",
        "minutes",
        "weeks",
        "tage",
        "monate",
        "jahre",
        "jours",
        "mois",
        "dias",
        "días",
        "meses",
        "anos",
    }
    | {"giorni", "mesi", "anni", "usage", "mb", "gb", "score", "total", "sum", "ratio", "rate", "diff", "gap"}
    | {
        "difference",
        "lag",
        "per",
        "size",
        "volume",
        "anzahl",
        "betrag",
        "montant",
        "importe",
        "valor",
        "importo",
    }
)
_PERIOD_WORDS = frozenset(
    {"month", "period", "vintage", "cohort", "quarter", "yyyymm", "ym", "monat", "mois", "mes", "mês", "mese"}
    | {"day", "tag", "jour", "dia", "día", "giorno"}
)
_NEUTRAL_WORDS = frozenset(
    {
        "account",
        "acct",
        "acc",
        "loan",
        "credit",
        "cr",
        "line",
        "card",
        "policy",
        "contract",
        "customer",
        "client",
    }
    | {
        "konto",
        "kredit",
        "vertrag",
        "compte",
        "contrat",
        "cuenta",
        "conta",
        "conto",
        "de",
        "di",
        "do",
        "da",
        "del",
    }
)
_PAYMENTS = frozenset({"payment", "paid", "disbursed", "disbursement", "desembolso", "auszahlung", "funded"})


def names_another_time(name: str) -> bool:
    """Whether a name is that of another time than the application's, such as a birth or an end."""
    return names_birth(name) or not _OTHER_TIME_WORDS.isdisjoint(words_of(name))


def names_application_time(name: str) -> bool:
    """Whether a name is that of the application's time, or of the loan that it became."""
    return not _APPLICATION_TIME_WORDS.isdisjoint(words_of(name)) and not names_another_time(name)


def names_birth(name: str) -> bool:
    """Whether a name is that of a birth, which lies in the past."""
    return any(_BIRTH.search(word) for word in words_of(name))


def names_earlier_time(name: str) -> bool:
    """Whether a name is that of an event before the application, such as an account opened."""
    return names_birth(name) or not _EARLIER_TIME_WORDS.isdisjoint(words_of(name))


def names_maturity(name: str) -> bool:
    """Whether a name is that of an end to come, such as a maturity."""
    return any(_MATURITY.search(word) for word in words_of(name))


def names_time(name: str) -> bool:
    """Whether a name says that the column holds times: issue_d, created_at, birth_date, fecha_pago."""
    words = words_of(name)
    return bool(words) and (_ends_with_a_date(words) or _begins_with_a_date(words))


def _ends_with_a_date(words: tuple[str, ...]) -> bool:
    *before, last = words
    if not before:
        return last in _SHORT_DATE_WORDS | _DATA or _is_date(last)
    if (last in _AFTER_EVENTS and _is_event(before[-1])) or (last == "d" and any(map(_is_event, before))):
        return _MEASURES.isdisjoint(before)
    if not (last in _SHORT_DATE_WORDS or _is_date(last)) or not _BEFORE_A_DATE.isdisjoint(before):
        return False
    # Of "employed_since_date" the date is meant, of "mileage_since_date" the mileage.
    return _SINCE.isdisjoint(before) or not names_amount(" ".join(before))


def _begins_with_a_date(words: tuple[str, ...]) -> bool:
    first, *rest = words
    if not rest or not _MEASURES.isdisjoint(rest):
        return False
    if first in _DATA:
        return all(word in _OF or _ROMANCE_EVENT.search(word) for word in rest)
    return first in _DATE_WORDS | _SHORT_DATE_WORDS or bool(_JOINED.search(first))


def names_period(name: str) -> bool:
    """Whether a name is that of a month or another period: loan_month, vintage."""
    words = words_of(name)
    return bool(words) and words[-1] in _PERIOD_WORDS and _BEFORE_A_DATE.isdisjoint(words[:-1])


def names_event(name: str) -> bool:
    """Whether a name holds nothing but an event: account_opened; its numbers may be times."""
    words = words_of(name)
    if not _PAYMENTS.isdisjoint(words):
        return False
    return any(map(_is_event, words)) and all(_is_event(word) or word in _NEUTRAL_WORDS for word in words)


def _is_date(word: str) -> bool:
    if word in _DATE_WORDS or _JOINED.search(word):
        return True
    return word.endswith("date") and _NO_DATE.search(word) is None


def _is_event(word: str) -> bool:
    is_known = word in _OTHER_TIME_WORDS | _APPLICATION_TIME_WORDS | _SINCE
    return is_known or bool(_BIRTH.search(word) or _PARTICIPLE.search(word))
