"""Durations as people write them: "36 months", "10+ years", "< 1 year", "2 yrs 3 mon", "3 Jahre".

The words are English, German, French, Spanish, Portuguese, Italian, Polish and Czech. A bound is read as the
whole number that it leaves: "10+" and "> 10" as 10, "< 1" as 0. A number without a word counts the column's
own unit.
"""

import re
import unicodedata
from collections.abc import Callable

from loan_default.data.schema.column import Column

DURATION_FORMATS = ("months", "years")

_MONTHS_OF_WORD = {
    12.0: "y yr yrs year years j jahr jahre jahren jahres an ans annee annees ano anos anno anni "
    "rok roku lata lat latach roky roce roku let letech",
    1.0: "m mo mos mon mons mth mths mnth mnths month months monat monate monaten monats mois mes meses mese "
    "mesi miesiac miesiaca miesiace miesiecy mies msc mc mesic mesice mesicu",
    12 / 52.1785: "w wk wks week weeks woche wochen semaine semaines semana semanas settimana settimane "
    "tydzien tygodnia tygodnie tygodni tyden tydne tydny tydnu",
    12 / 365.25: "d day days tag tage tagen jour jours dia dias giorno giorni dzien dnia dni den dne dny dnu",
}
BELOW = (
    "<|(?:less|fewer) than|under|below|weniger als|unter|moins (?:de |d')|inferieur[es]* a|"
    "menos (?:de|que|do que)|menor (?:a|de|que)|inferior(?:es)? a|por debajo de|abaixo de|"
    "meno di|inferior[ei] a|sotto|ponizej|mniej niz|mene nez|pod|mensi nez"
)
FROM = (
    ">=?|<=|≥|≤|(?:more|greater) than|over|above|at least|up to|mehr als|uber|ueber|mindestens|ab|"
    "bis(?: zu)?|"
    "plus (?:de |d')|au moins|a partir de|superieur[es]* a|jusqu'a|mas (?:de|que)|mayor (?:a|de|que)|"
    "superior(?:es)? a|al menos|desde|hasta|mais (?:de|que|do que)|maior (?:de|que)|acima de|pelo menos|ate|"
    "piu di|superior[ei] a|oltre|almeno|fino a|ponad|powyzej|wiecej niz|co najmniej|vice nez|pres|nad|"
    "alespon"
)
AFTER = (
    r"\+|plus|or more|and more|and over|and above|oder mehr|und mehr|ou plus|et plus|o mas|y mas|ou mais|"
    "e mais|e oltre|o piu|e piu|lub wiecej|i wiecej|a vice|nebo vice"
)
_ONE = re.compile(
    "(?<![a-z])(?:one|einem|einer|eines|eine|ein|une|un|una|uno|um|uma|jeden|jednego|jedna)(?= +[a-z])"
)
_AND = "and|und|et|y|e|i|a|&|,"


def duration_reader(column: Column) -> Callable[[str], float | None]:
    """The reader of single trimmed texts of a column with the format `months` or `years`."""
    months_of = {word: months for months, words in _MONTHS_OF_WORD.items() for word in words.split()}
    own = 1.0 if column.format == "months" else 12.0
    number = rf"[0-9]+(?:{re.escape(column.decimal)}[0-9]+)?"
    part = re.compile(rf"({number}) *(\+?) *([a-z]*)\.? *(?:(?:{_AND}) *(?=[0-9]))?")
    whole = re.compile(
        rf"(?:(?P<below>{BELOW})|(?P<above>{FROM}))? *"
        rf"(?P<parts>-?{number}.*?) *(?P<after>{AFTER})?"
    )

    def read(text: str) -> float | None:
        match = whole.fullmatch(_ONE.sub("1", _folded(text)))
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
    """Lower case, plain blanks and apostrophes, no accents."""
    text = text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("ł", "l")
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(each for each in decomposed if not unicodedata.combining(each))
    return " ".join(plain.split())
