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
    "n/a, n/av, n/d, n/k, n/r, n.a, n.d, n.k, nd, unk, unkn, unknown, missing, blank, empty, void, "
    "unspecified, undefined, unavailable, undisclosed, withheld, not available, not applicable, "
    "not provided, not reported, not recorded, not specified, not stated, not known, not given, "
    "not disclosed, not found, no data, no info, no information, no answer, no response, no value, "
    "missing value, missing data, to be determined, tba, tbd, data not available, "
    # German
    "k.a, k/a, unbekannt, fehlt, fehlend, leer, entfällt, n.v, n.b, keine angabe, keine angaben, "
    "keine daten, kein wert, ohne angabe, o.a, nicht bekannt, nicht angegeben, nicht vorhanden, "
    "nicht verfügbar, nicht erfasst, nicht zutreffend, "
    # French
    "inconnu, inconnue, n.c, n/c, n.r, n.s.p, s.o, s/o, vide, absent, absente, manquant, manquante, "
    "non renseigné, non renseignée, non communiqué, non communiquée, non disponible, non précisé, "
    "non indiqué, non connu, non déclaré, non applicable, sans objet, sans réponse, pas de donnée, "
    "pas de données, donnée manquante, valeur manquante, "
    # Spanish
    "s/d, s.d, s/i, s.i, ns/nc, ns/nr, desconocido, desconocida, vacío, faltante, sin dato, "
    "sin datos, sin información, sin informar, sin respuesta, no disponible, no aplica, no consta, "
    "no informado, no informa, no declarado, no especificado, no conocido, no se sabe, "
    # Portuguese
    "desconhecido, desconhecida, vazio, ausente, faltando, sem dado, sem dados, sem informação, "
    "sem informações, sem resposta, não informado, não informada, não disponível, não declarado, "
    "não consta, não se aplica, não aplicável, não sabe, não há dados, "
    # Italian
    "sconosciuto, sconosciuta, ignoto, ignota, assente, mancante, vuoto, n.p, non disponibile, "
    "non disp, non noto, non nota, non dichiarato, non indicato, non pervenuto, non rilevato, "
    "non applicabile, non fornito, senza dati, nessun dato, dato mancante, "
    # Polish
    "brak, b/d, b.d, bd, b.o, nieznany, nieznana, nieznane, niedostępny, niedostępne, brak danych, "
    "brak informacji, brak odpowiedzi, nie podano, nie dotyczy, nie ustalono, nie wiadomo, "
    # Czech
    "neznámý, neznámá, neznámé, neuvedeno, nezjištěno, nezadáno, chybí, není známo, není uvedeno, "
    "není k dispozici, bez údaje, bez údajů, nevyplněno, "
)


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


def stands_for_no_time(folded: str) -> bool:
    """Whether a folded text can only mean "no value" where values are times: also a date of zeros."""
    return _ZERO_DATE.fullmatch(folded) is not None or stands_for_no_number(folded)


def _bare(text: str) -> str:
    """A text without what may differ in a marker: "(K. A.)" and "k.a" are both "k.a"."""
    text = text.casefold().strip(" ()[]<>{}\"'.:*-")
    characters = unicodedata.normalize("NFKD", text.replace("ł", "l"))
    plain = "".join(each for each in characters if not unicodedata.combining(each))
    return re.sub(r"(?<=[./]) +| +(?=[./])", "", " ".join(re.split(r"[\s_]+", plain)))


def _no_numbers() -> frozenset[str]:
    return frozenset(_bare(word) for word in _WORDS.split(",")) - {""}


_NO_NUMBERS = _no_numbers()
