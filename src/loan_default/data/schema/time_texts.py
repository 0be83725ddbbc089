"""Times as people write them: patterns of `strptime`, numbers that are times, dates of spreadsheets.

    read = time_reader("%d-%b-%y")
    read("13-Dez-99")                 # 1999-12-13 00:00 UTC

Stricter than `strptime`: where nothing stands between two numbers, each has all of its digits, so that
"50705" is no `%y%m%d`. Wider in three points: names of months may be English, German, French, Spanish,
Portuguese or Italian, with or without accents; a pattern without a day means the first of the month; and a
year of two digits is one of 1940 to 2039, in which applications and the dates before them lie, unless the
column says in which year such years begin.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from loan_default.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TimeReader = Callable[[str], datetime | None]
"""From a trimmed text to its time in UTC, None where it is none."""

DIRECTIVES = "YymdbBhHIMSfpaAzjT"
"""What may follow a % in a pattern, beside %%."""

FIRST_SHORT_YEAR = 1940
"""The first of the hundred years that are meant by two digits."""
_NAME = r"([^\W\d_]+)\.?"
_NUMBERS = {"Y": 4, "y": 2, "m": 2, "d": 2, "H": 2, "I": 2, "M": 2, "S": 2, "j": 3}
_MONTHS = (
    "jan january januar janner jaenner janv janvier ene enero janeiro gen gennaio",
    "feb february februar fev fevr fevrier febrero fevereiro febbraio",
    "mar march mrz marz maerz mars marzo marco",
    "apr april avr avril abr abril aprile",
    "may mai mayo maio mag maggio",
    "jun june juni juin junio junho giu giugno",
    "jul july juli juil juillet julio julho lug luglio",
    "aug august aou aout ago agosto",
    "sep sept september septembre septiembre setiembre set setembro settembre",
    "oct october okt oktober octobre octubre out outubro ott ottobre",
    "nov november novembre noviembre novembro",
    "dec december dez dezember decembre dic diciembre dezembro dicembre",
)
_PLAIN_PATTERN = re.compile("%[dmYHMS](?:[/.:T -]%[dmYHMS])*")
_ISO_WITH_ZONE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_NUMBERS_THAT_ARE_TIMES = {
    "epoch_seconds": "a number of seconds since 1970",
    "epoch_milliseconds": "a number of milliseconds since 1970",
    "spreadsheet": "a date as spreadsheets count days, such as 45322",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPREADSHEET_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_LAST_SERIAL = 2_958_466
"""The day after the last one of spreadsheets, 9999-12-31."""
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")


def check_pattern(pattern: str, where: str) -> None:
    """Check that a pattern can be read, and that it makes a date.

    Raises:
        DataError: an unknown directive, one that is there twice, or no year.
    """
    directives = re.findall("%(.?)", pattern.replace("%%", ""), re.DOTALL)
    for directive in directives:
        if not directive or directive not in DIRECTIVES:
            known = " ".join(f"%{each}" for each in DIRECTIVES)
            raise DataError(
                f"{where}: format must have directives of {known}, however: %{directive} in {pattern!r}"
            )
    meanings = ["month" if each in "mbBh" else "year" if each in "yY" else each for each in directives]
    twice = sorted({each for each in meanings if meanings.count(each) > 1})
    if twice:
        raise DataError(f"{where}: format must say each thing once, however: {pattern!r} has two of {twice}")
    if "year" not in meanings:
        raise DataError(f"{where}: format must have a year, %Y or %y, however: {pattern!r}")


def rule_of_format(form: str) -> str:
    """The rule that a format makes, in words."""
    return f"must be a time as {form}" if "%" in form else f"must be {_NUMBERS_THAT_ARE_TIMES[form]}"


def time_of_number(number: float, form: str) -> datetime | None:
    """The time that a number is in one of the `TIME_FORMATS`; None where it is none."""
    if not math.isfinite(number):
        return None
    try:
        if form == "epoch_seconds":
            return _EPOCH + timedelta(seconds=number)
        if form == "epoch_milliseconds":
            return _EPOCH + timedelta(milliseconds=number)
        return _time_of_serial(number)
    except OverflowError:
        return None


def time_reader(form: str, first_year: int = 0) -> TimeReader:
    """The reader of single texts by a format: one of `TIME_FORMATS` or a pattern.

    A full time with its zone in ISO 8601, such as 2024-01-31T12:00:00Z, is always read: it is how a typed
    time looks in JSON.

    Args:
        first_year: the first of the hundred years that `%y` means; 0 = 1940.
    """
    read_format = (
        _pattern_reader(form, first_year or FIRST_SHORT_YEAR) if "%" in form else _number_reader(form)
    )

    def read(text: str) -> datetime | None:
        time = read_format(text)
        if time is None and _ISO_WITH_ZONE.fullmatch(text):
            try:
                return datetime.fromisoformat(text).astimezone(UTC)
            except (ValueError, OverflowError):
                return None
        return time

    return read


def plain_times(texts: Any, form: str) -> "pd.Series | None":
    """The times in UTC of many texts that are written in full, with all zeros; missing where one is not.

    It is for speed: what it leaves out is read by `time_reader`. None where the pattern has no such reading.
    """
    import pandas as pd  # noqa: PLC0415 (a process that reads single records does without)

    if not _PLAIN_PATTERN.fullmatch(form) or not {"%d", "%m", "%Y"} <= set(re.findall("%.", form)):
        return None
    if not isinstance(getattr(texts, "dtype", None), pd.StringDtype):
        return None
    listed = pd.Series(texts)
    widths = re.sub("%[dmHMS]", "[0-9]{2}", re.sub("%Y", "[0-9]{4}", form.replace(".", "[.]")))
    is_full = listed.str.fullmatch(widths).fillna(value=False)
    times = pd.to_datetime(listed.where(is_full), format=form, errors="coerce", utc=True)
    return times.astype("datetime64[us, UTC]")


def _time_of_serial(days: float) -> datetime | None:
    # Spreadsheets took over that 1900 was a leap year: day 60 is a 29 February that never was.
    if not 1 <= days < _LAST_SERIAL or 60 <= days < 61:
        return None
    # A serial has about ten digits after the point: what is finer than a millisecond is rounding.
    time = _SPREADSHEET_EPOCH + timedelta(days=days < 60, milliseconds=round(days * 86_400_000))
    return time if time.year <= 9999 else None


def _number_reader(form: str) -> TimeReader:
    def read(text: str) -> datetime | None:
        return time_of_number(float(text), form) if _PLAIN_NUMBER.fullmatch(text) else None

    return read


def _pattern_reader(pattern: str, first_year: int) -> TimeReader:
    expression, directives = _expression(pattern)
    compiled = re.compile(expression)
    months = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}

    def read(text: str) -> datetime | None:
        match = compiled.fullmatch(text)
        if match is None:
            return None
        try:
            return _time(dict(zip(directives, match.groups(), strict=True)), months, first_year)
        except (ValueError, OverflowError):
            return None

    return read


def _expression(pattern: str) -> tuple[str, list[str]]:
    """The regular expression of a pattern, and the directive of each of its groups."""
    parts = re.findall(r"%.|\s+|.", pattern.replace("%T", "%H:%M:%S"), re.DOTALL)
    is_number = [each[0] == "%" and each[1:] in _NUMBERS for each in parts]
    expression, directives = "", []
    for index, each in enumerate(parts):
        directive = each[1:] if each[0] == "%" and each != "%%" else ""
        if each == "%%" or not directive:
            expression += r"\s+" if each.isspace() else re.escape("%" if each == "%%" else each)
            continue
        directives.append(directive)
        if is_number[index]:
            most = _NUMBERS[directive]
            touches = is_number[index - 1 : index] == [True] or is_number[index + 1 : index + 2] == [True]
            fewest = most if touches or directive in "Yy" else 1
            expression += f"([0-9]{{{fewest},{most}}})"
        else:
            expression += {
                "f": "([0-9]{1,9})",
                "p": r"([AaPp]\.?[Mm]\.?)",
                "z": r"(Z|[+-][0-9]{2}:?[0-9]{2})",
            }.get(directive, _NAME)
    return expression, directives


def _time(found: dict[str, str], months: dict[str, int], first_year: int) -> datetime | None:
    year = int(found["Y"]) if "Y" in found else first_year + (int(found["y"]) - first_year) % 100
    month, day = 1, int(found.get("d", 1))
    for directive in "bBh":
        if directive in found:
            month = months.get(_folded(found[directive]), 0)
    if "m" in found:
        month = int(found["m"])
    hour = int(found.get("H", 0))
    if "I" in found:
        hour = int(found["I"])
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found.get("p", "a")[0] in "pP" else 0)
    micros = int(found.get("f", "0")[:6].ljust(6, "0"))
    zone = _zone(found.get("z", "Z"))
    time = datetime(
        year, month, day, hour, int(found.get("M", 0)), int(found.get("S", 0)), micros, tzinfo=zone
    )
    if "j" in found:
        time = datetime(year, 1, 1, tzinfo=zone) + (time - datetime(year, month, day, tzinfo=zone))
        time += timedelta(days=int(found["j"]) - 1)
        if time.year != year:
            return None
    return time.astimezone(UTC)


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def _folded(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(each for each in decomposed if not unicodedata.combining(each))
