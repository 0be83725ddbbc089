"""Words of outcomes in names and values: of defaults, of good ends, of decisions, in six languages.

Words are compared without case and accents. A stem of five characters and more is found anywhere in a name
written as one ("loandefault"); a shorter word must stand by itself.
"""

import unicodedata
from enum import StrEnum

from loan_default.data.schema.inference.code_names import words_of
from loan_default.data.schema.values import fold


class Meaning(StrEnum):
    """What a word says of a loan."""

    BAD = "bad"
    """It defaulted."""
    GOOD = "good"
    """It came to a good end."""
    DECISION = "decision"
    """The lender decided on an application: that is not yet an outcome."""
    RUNNING = "running"
    """It still runs; beside a bad end it counts as good."""


_BAD_STEMS = (
    *("default", "chargeoff", "chargedoff", "chgoff", "writeoff", "writtenoff", "writeoff"),
    *("delinq", "bankrupt", "insolv", "arrear", "overdue", "pastdue", "foreclos", "repossess", "impaired"),
    *("unpaid", "unrepaid", "dlqin", "dlq", "nonperform", "misspay", "missedpay"),
    *("ausfall", "ausgefallen", "zahlungsverzug", "saumig", "notleidend", "uneinbring", "gekundigt"),
    *("defaut", "defaill", "impaye", "contentieux", "surendett"),
    *("inadimpl", "caloteir", "vencid", "prejuizo", "atrasad"),
    *("incumpl", "impago", "impagad", "moroso", "morosid", "fallido", "castigad"),
    *("insoluto", "insolut", "sofferenz", "inadempi", "incagli", "deteriorat", "moros"),
)
_BAD_WORDS = frozenset(
    {"bad", "risk", "late", "npl", "dpd", "loss", "fraud", "bads", "mora", "calote"}
    | {"atraso", "verzug", "schlecht", "mauvais", "mauvaise", "malo", "mala", "mau", "cattivo", "cattiva"}
    | {"retard", "ritardo", "mangelhaft"}
)
_GOOD_STEMS = (
    *(
        "repaid",
        "fullypaid",
        "paidback",
        "paidoff",
        "paidinfull",
        "paidup",
        "payback",
        "creditworth",
        "creditab",
    ),
    *(
        "performing",
        "performer",
        "nodefault",
        "nondefault",
        "nodefaut",
        "notdefault",
        "settledinfull",
        "matured",
    ),
    *("bezahlt", "zuruckgezahlt", "beglichen", "getilgt", "kreditwurdig"),
    *("rembours", "solvable", "sain"),
    *("adimplent", "quitad", "liquidad", "pagad", "pagament"),
    *("cancelad", "reembols", "rimbors", "saldat", "estint", "pagat", "inbonis"),
)
_GOOD_WORDS = frozenset(
    {"good", "goods", "paid", "pif", "ok", "gut", "bon", "bonne", "bueno", "buena", "bom", "boa", "buono"}
    | {"buona", "bonis", "pago", "paye", "payee", "regolare", "regular", "completed", "finished", "closed"}
    | {"honored", "honoured", "solde", "soldee", "sain", "saine", "em dia", "al dia"}
)
_DECISION_STEMS = (
    *("approv", "grant", "accept", "decis", "reject", "refus", "declin", "denied", "denial", "eligib"),
    *("sanctioned", "underwrit", "qualified", "disburs"),
    *(
        "bewillig",
        "genehmig",
        "zusage",
        "zugesagt",
        "angenommen",
        "abgelehnt",
        "ablehn",
        "entscheid",
        "vergeben",
    ),
    *("accorde", "approuv", "octroi", "octroy"),
    *("aprob", "concedid", "aceptad", "otorgad", "rechaz", "denegad", "resolucion"),
    *("aprov", "aceit", "outorg", "deferid", "recusad", "negado", "negada", "rejeit"),
    *("concess", "accett", "accordat", "rifiut", "respint", "erogat", "deliber"),
)
_DECISION_WORDS = frozenset({"card", "granted", "funded", "offer", "offered", "carta", "karte"})
_CARD_COMPANY = frozenset({"credit", "card", "loan", "has", "got", "is", "flag"})
"""Words that a name of a decision may have beside "card": a credit card's default is a default."""
_RUNNING_WORDS = frozenset(
    {"current", "active", "open", "running", "ongoing", "laufend", "aktiv", "en cours", "vigente", "corrente"}
    | {"in corso", "ativo", "em aberto", "in grace period", "issued"}
)
_NEGATIONS = frozenset(
    {"no", "non", "not", "never", "without", "nicht", "kein", "keine", "ohne", "ne", "pas", "sans", "sin"}
    | {"nao", "sem", "senza", "mai", "free", "zero", "avoided", "keinerlei"}
)
_FREE_WORDS = frozenset({"free", "frei", "freie", "less", "libre", "livre", "avoided"})
"""Negations that follow their word: default_free, ausfallfrei."""
_NEGATING_PREFIXES = ("non", "not", "nicht", "nao", "un")
_BETWEEN = frozenset(
    {"fully", "been", "yet", "in", "was", "of", "de", "d", "ganz", "completely", "totalmente", "has"}
)
_SILENT_WORDS = frozenset(
    {"y", "target", "targets", "label", "labels", "class", "klass", "klasse", "classe", "clase", "outcome"}
    | {"response", "event", "flag", "result", "depvar", "dv", "dependent", "ziel", "zielvariable", "cible"}
    | {"objetivo", "obiettivo", "alvo", "etiqueta", "etichetta", "etiquette", "esito", "ergebnis", "resultat"}
    | {"resultado", "risultato", "variable", "train", "binary", "ground", "truth", "is", "the", "loan"}
    | {"credit", "final", "customer", "account", "application", "var"}
)
_TARGET_WORDS = _SILENT_WORDS - {"loan", "credit", "is", "the", "customer", "account", "application", "final"}
_STATUS_WORDS = frozenset(
    {"status", "statut", "stato", "estado", "situacao", "situacion", "state", "zustand"}
)


def plain(text: str) -> str:
    """A text without case and accents: "Inadimplência" is inadimplencia, "säumig" is saumig."""
    return _without_accents(text).casefold()


def meaning_of_name(name: str) -> set[Meaning]:
    """What the words of a column's name say where its value is yes; empty = nothing.

    A negation turns a bad end into a good one, and round: `not.fully.paid` is bad, `no_default` good.
    """
    words = list(words_of(_without_accents(name)))  # a capital begins a word: case is kept
    found = _meanings_of(words)
    if Meaning.DECISION in found and Meaning.BAD not in found and not set(words) <= _CARD_COMPANY:
        by_card_alone = all(_word_meaning(word) is not Meaning.DECISION for word in words if word != "card")
        if by_card_alone:
            found.discard(Meaning.DECISION)
    if Meaning.BAD in found and "card" in words:
        found.discard(Meaning.DECISION)
    return found


def is_conventional_name(name: str) -> bool:
    """Whether a name says only that this is the outcome, such as y, target or label: 1 is the event."""
    words = {plain(word) for word in words_of(plain(name)) if not word.isdigit()}
    return bool(words & _TARGET_WORDS) and words <= _SILENT_WORDS


def is_status_name(name: str) -> bool:
    """Whether a name says that this is a status, and not of what."""
    words = {word for word in words_of(plain(name)) if not word.isdigit()}
    joined = plain(name).replace(" ", "")
    return bool(words & _STATUS_WORDS) or joined.endswith(tuple(_STATUS_WORDS))


def meaning_of_value(value: str) -> Meaning | None:
    """What a value says of a loan; None where it says nothing, or is yes, no or a number."""
    text = plain(fold(value))
    if text in _RUNNING_WORDS:
        return Meaning.RUNNING
    words = [word for word in words_of(text) if not word.isdigit()]
    if not words:
        return None
    if "".join(words) in ("pif", "paidinfull"):
        return Meaning.GOOD
    found = _meanings_of(words)
    return found.pop() if len(found) == 1 else None


def is_final(value: str) -> bool:
    """Whether a bad value is an end: a loan that is late may still be paid."""
    text = plain(fold(value))
    return not any(
        word in ("late", "atraso", "retard", "ritardo", "verzug", "grace") for word in words_of(text)
    )


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(each for each in decomposed if not unicodedata.combining(each))


def _meanings_of(words: list[str]) -> set[Meaning]:
    """What words say one after the other, each turned round where it is negated."""
    found: set[Meaning] = set()
    start = 0
    while start < len(words):
        length, meaning = _longest(words, start)
        if meaning is not None:
            found.add(_turned(meaning) if _is_negated(words, start, length) else meaning)
        start += length
    return found


def _longest(words: list[str], start: int) -> tuple[int, Meaning | None]:
    """How many words from one on say something together ("paid", "back"), and what."""
    for length in (3, 2):
        if start + length <= len(words):
            joined = "".join(words[start : start + length])
            for meaning, stems in _STEMS:
                if any(joined.startswith(stem) and len(stem) > len(words[start]) for stem in stems):
                    return length, meaning
    return 1, _word_meaning(words[start])


def _word_meaning(word: str) -> Meaning | None:
    for candidate in (word, _without_affixes(word)):
        for meaning, exact in _EXACT:
            if candidate in exact:
                return meaning
    found = [
        (word.index(stem), -len(stem), meaning)
        for meaning, stems in _STEMS
        for stem in stems
        if (word.startswith(stem) if len(stem) < _LONG_STEM else stem in word)
    ]
    if not found:
        return None
    at, _, meaning = min(found)
    is_turned = word[:at].endswith(_NEGATING_PREFIXES) or word.endswith(tuple(_FREE_WORDS))
    return _turned(meaning) if is_turned else meaning


def _without_affixes(word: str) -> str:
    """A short word without what is written together with it: "isgood" is good, "badflag" bad."""
    for prefix in ("is", "was", "loan", "flag"):
        word = word.removeprefix(prefix)
    for suffix in ("flag", "loan", "ind", "indicator", "yn", "payer", "customer", "client"):
        word = word.removesuffix(suffix)
    return word


def _is_negated(words: list[str], at: int, length: int) -> bool:
    if words[at + length : at + length + 1] and words[at + length] in _FREE_WORDS:
        return True
    before = at - 1
    while before > 0 and words[before] in _BETWEEN:
        before -= 1
    return before >= 0 and words[before] in _NEGATIONS


def _turned(meaning: Meaning) -> Meaning:
    return {Meaning.BAD: Meaning.GOOD, Meaning.GOOD: Meaning.BAD}.get(meaning, meaning)


_LONG_STEM = 5
_EXACT = (
    (Meaning.BAD, _BAD_WORDS),
    (Meaning.GOOD, _GOOD_WORDS),
    (Meaning.DECISION, _DECISION_WORDS),
)
_STEMS = (
    (Meaning.BAD, _BAD_STEMS),
    (Meaning.GOOD, _GOOD_STEMS),
    (Meaning.DECISION, _DECISION_STEMS),
)
