"""Texts that stand for "no value": in every column, and where only a number or a time can be a value."""

import re
import unicodedata

MISSING_TEXTS = frozenset(
    {
        "", "na", "n/a", "n.a.", "nan", "-nan", "null", "none", "<null>", "(null)", "[null]",
        # R writes NA, Python nan, SQL dumps \\N, pandas <NA> and NaT, C on Windows 1.#QNAN.
        "\\n", "<na>", "nat", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
        # Spreadsheets whose formula failed, in six languages.
        "#n/a", "#na", "#null!", "#div/0!", "#ref!", "#value!", "#name?", "#num!", "#spill!", "#calc!",
        "#nv", "#bezug!", "#wert!", "#zahl!", "#valeur!", "#nom?", "#nombre!", "#n/d", "#nome?", "#núm!",
        "#¡div/0!", "#¡ref!", "#¡valor!", "#¿nombre?", "#¡num!", "#¡nulo!", "#valor!", "#valore!", "#rif!",
    }
)  # fmt: skip
"""Text that stands for "no value" in every column, in lower case.

None of them is ever a value. Others may be a category, such as "?", "-" or "unknown": columns of categories
declare them; in a column of numbers or times they can mean nothing else.
"""

_SIGNS = re.compile(r"[?*.\-\u2010-\u2015_#/\\~\N{HORIZONTAL ELLIPSIS}]+")
LONGEST_MARKER = 40
"""Characters that a text for "no value" has at most, with brackets and blanks."""
_WITHOUT_DIGITS = re.compile(rf"[^0-9]{{1,{LONGEST_MARKER}}}")
_ZERO_DATE = re.compile(r"0{1,4}([-/.])0{1,2}\1(?:0{4}|0{1,2})(?:[ t]0{1,2}:00(?::00(?:\.0+)?)?)?")
_WORDS = (
    # English
    "n/a, n/av, n/d, n.a, n.d, unk, unkn, unknown, missing, unspecified, undefined, unavailable, "
    "undisclosed, not available, not applicable, not provided, not reported, not recorded, not "
    "specified, not stated, not known, not given, not disclosed, no data, no info, no information, "
    "missing value, missing data, data not available, #missing, #n/a n/a, "
    # German
    "k.a, unbekannt, keine angabe, keine angaben, keine daten, ohne angabe, nicht bekannt, nicht "
    "angegeben, nicht verfügbar, nicht erfasst, "
    # French
    "inconnu, inconnue, non renseigné, non renseignée, non communiqué, non communiquée, non "
    "disponible, non précisé, non indiqué, non connu, non déclaré, donnée manquante, valeur "
    "manquante, "
    # Spanish
    "s/d, s/i, desconocido, desconocida, sin dato, sin datos, sin información, no disponible, no "
    "consta, no informado, no declarado, no especificado, no conocido, "
    # Portuguese
    "desconhecido, desconhecida, sem dado, sem dados, sem informação, sem informações, não informado, "
    "não informada, não disponível, não declarado, não consta, "
    # Italian
    "sconosciuto, sconosciuta, non disponibile, non noto, non nota, non dichiarato, non indicato, non "
    "rilevato, senza dati, nessun dato, dato mancante, "
    # Polish
    "nieznany, nieznana, nieznane, brak danych, brak informacji, nie podano, nie ustalono, nie "
    "wiadomo, "
    # Czech
    "neznámý, neznámá, neznámé, neuvedeno, nezjištěno, nezadáno, není známo, není uvedeno, není k "
    "dispozici, bez údaje, bez údajů, nevyplněno, "
)
"""For "not known" or "not given", also among categories."""
_WORDS_OR_CATEGORIES = (
    # English
    "n/k, n/r, n.k, nd, blank, empty, void, withheld, not found, no answer, no response, no value, to "
    "be determined, tba, tbd, "
    # German
    "k/a, fehlt, fehlend, leer, entfällt, n.v, n.b, kein wert, o.a, nicht vorhanden, nicht "
    "zutreffend, "
    # French
    "n.c, n/c, n.r, n.s.p, s.o, s/o, vide, absent, absente, manquant, manquante, non applicable, sans "
    "objet, sans réponse, pas de donnée, pas de données, "
    # Spanish
    "s.d, s.i, ns/nc, ns/nr, vacío, faltante, sin informar, sin respuesta, no aplica, no informa, no "
    "se sabe, "
    # Portuguese
    "vazio, ausente, faltando, sem resposta, não se aplica, não aplicável, não sabe, não há dados, "
    # Italian
    "ignoto, ignota, assente, mancante, vuoto, n.p, non disp, non pervenuto, non applicabile, non "
    "fornito, "
    # Polish
    "brak, b/d, b.d, bd, b.o, niedostępny, niedostępne, brak odpowiedzi, nie dotyczy, "
    # Czech
    "chybí, "
)
"""Among numbers and times; beside categories they may be one: "absent", or ND for North Dakota."""


def stands_for_no_number(folded: str) -> bool:
    """Whether a folded text can only mean "no value" where values are numbers or times.

    Brackets around it, blanks, accents and dots at the ends of abbreviations make no difference.
    """
    if folded in MISSING_TEXTS:
        return True
    if _WITHOUT_DIGITS.fullmatch(folded) is None:
        return False  # most texts end here
    if _SIGNS.fullmatch(folded):
        return True
    bare = _bare(folded)
    return bare in _NO_NUMBERS or (bare != "" and bare in MISSING_TEXTS)


def stands_for_no_category(folded: str) -> bool:
    """Whether a folded text means "no value" among categories: it says so, or is such a word in brackets."""
    if folded in MISSING_TEXTS or _SIGNS.fullmatch(folded):
        return True
    if len(folded) > LONGEST_MARKER:
        return False
    bare = _bare(folded)
    in_brackets = folded[:1] + folded[-1:] in ("()", "[]", "<>", "{}")
    return bare in _NO_CATEGORIES or (in_brackets and (bare in _NO_NUMBERS or bare in MISSING_TEXTS))


def stands_for_no_time(folded: str) -> bool:
    """Whether a folded text can only mean "no value" where values are times: also a date of zeros."""
    return _ZERO_DATE.fullmatch(folded) is not None or stands_for_no_number(folded)


def _bare(text: str) -> str:
    """A text without what may differ in a marker: "(K. A.)" and "k.a" are both "k.a"."""
    text = text.casefold().strip(" ()[]<>{}\"'.:*-")
    characters = unicodedata.normalize("NFKD", text.replace("ł", "l"))
    plain = "".join(each for each in characters if not unicodedata.combining(each))
    return re.sub(r"(?<=[./]) +| +(?=[./])", "", " ".join(re.split(r"[\s_]+", plain)))


def _bare_words(words: str) -> frozenset[str]:
    return frozenset(_bare(word) for word in words.split(",")) - {""}


_NO_CATEGORIES = _bare_words(_WORDS)
_NO_NUMBERS = _NO_CATEGORIES | _bare_words(_WORDS_OR_CATEGORIES)
