"""Numbers with a bound instead of an exact value: "90+", "> 90", "≥ 10", "< 1", "more than 5".

They are read as durations are: a bound from below or inclusive is the number itself, "< 1" the whole number
below it, 0. The words are those of `durations`, whose reader knows bounds without a declaration.
"""

import re
import unicodedata
from collections.abc import Callable

from loan_default.data.schema.durations import AFTER, BELOW, FROM

NumberReader = Callable[[str], float | None]
"""From a trimmed text to its number, None where it is none; infinity where it is one."""

_BEFORE = re.compile(f"(?:(?P<below>{BELOW})|{FROM})(?![<>=])(?:(?<![a-z])|(?= )) *")  # AB90 is a code
_BEHIND = re.compile(f" *(?:{AFTER})$")


def capped_reader(read: NumberReader, missing: tuple[str, ...]) -> NumberReader:
    """The reader of trimmed texts that may have a bound around what `read` takes for a number.

    Args:
        missing: texts that mean "no value"; they are no bounds.
    """
    markers = frozenset(text.strip().casefold() for text in missing)

    def read_any(text: str) -> float | None:
        number = read(text)
        if number is not None or text.casefold() in markers:
            return number
        text = unicodedata.normalize("NFC", text)
        folded = _folded(text)
        before, behind = _BEFORE.match(folded), _BEHIND.search(folded)
        if (before is None) == (behind is None):
            return None  # no bound, or two
        if behind is not None:
            return read(text[: behind.start()].strip())
        assert before is not None
        number = read(text[before.end() :].strip())
        is_below = before["below"] is not None
        return number - 1 if is_below and number and number > 0 and number.is_integer() else number

    return read_any


def _folded(text: str) -> str:
    """Lower case without accents, character by character, so that positions are those of the text."""
    return "".join(_plain(character) for character in text)


def _plain(character: str) -> str:
    lower = character.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").replace("ł", "l")
    plain = "".join(each for each in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(each))
    return plain if len(plain) == 1 else character
