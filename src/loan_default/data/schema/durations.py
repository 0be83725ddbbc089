"""Durations as people write them: "36 months", "10+ years", "< 1 year", "2 yrs 3 mon", "3 Jahre".

The words are English, German, French, Spanish, Portuguese and Italian. A bound is read as the whole number
that it leaves: "10+" and "> 10" as 10, "< 1" as 0. A number without a word counts the column's own unit.
"""

import re
import unicodedata
from collections.abc import Callable

from loan_default.data.schema.column import Column

DURATION_FORMATS = ("months", "years")

_MONTHS_OF_WORD = {
    12.0: "y yr yrs year years j jahr jahre jahren an ans annee annees ano anos anno anni",
    1.0: "m mo mos mon mons mth mths mnth mnths month months monat monate monaten mois mes meses mese mesi",
    12 / 52.1785: "w wk wks week weeks woche wochen semaine semaines semana semanas settimana settimane",
    12 / 365.25: "d day days tag tage tagen jour jours dia dias giorno giorni",
}
_BELOW = "<|less than|under|below|weniger als|unter|moins de|menos de|menos que|menor que|meno di|inferior a"
_FROM = (
    ">=?|≥|more than|over|at least|mehr als|uber|mindestens|ab|plus de|au moins|mas de|mais de|al menos|"
    "piu di|almeno"
)
_AFTER = r"\+|plus|or more|and more|and over|oder mehr|und mehr|ou plus|et plus|o mas|ou mais|e oltre|o piu"
_AND = "and|und|et|y|e|&|,"


def duration_reader(column: Column) -> Callable[[str], float | None]:
    """The reader of single trimmed texts of a column with the format `months` or `years`."""
    months_of = {word: months for months, words in _MONTHS_OF_WORD.items() for word in words.split()}
    own = 1.0 if column.format == "months" else 12.0
    number = rf"[0-9]+(?:{re.escape(column.decimal)}[0-9]+)?"
    part = re.compile(rf"({number}) *(\+?) *([a-z]*)\.? *(?:(?:{_AND}) *(?=[0-9]))?")
    whole = re.compile(
        rf"(?:(?P<below>{_BELOW})|(?P<above>{_FROM}))? *"
        rf"(?P<parts>-?{number}.*?) *(?P<after>{_AFTER})?"
    )

    def read(text: str) -> float | None:
        match = whole.fullmatch(_folded(text))
        if match is None:
            return None
        parts = match["parts"]
        is_negative, parts = parts.startswith("-"), parts.removeprefix("-")
        months, position, smallest = 0.0, 0, float("inf")
        while position < len(parts):
            found = part.match(parts, position)
            if found is None:
                return None
            amount, _, word = found.groups()
            unit = months_of.get(word) if word else own
            if unit is None or unit >= smallest or (not word and found.end() < len(parts)):
                return None  # an unknown word, or units that do not go from long to short
            months += float(amount.replace(column.decimal, ".")) * unit
            smallest, position = unit, found.end()
        if match["below"]:
            months = max(0.0, months - smallest)
        value = months / own
        return -value + 0.0 if is_negative else value

    return read


def _folded(text: str) -> str:
    """Lower case, plain blanks, no accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(each for each in decomposed if not unicodedata.combining(each))
    return " ".join(plain.split())
