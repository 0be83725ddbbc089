"""Columns of dates and times: the pattern that reads nearly all of their values.

A pattern is proposed by the form of the texts and then tried by the reader of files. Where the values read in
two ways, nothing is guessed: a day above 12, other dates of the file or the spread of the days must tell.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import read_column
from loan_default.data.schema.inference.evidence import FileEvidence
from loan_default.data.schema.inference.markers import (
    AMONG_NUMBERS,
    NO_DATES,
    known_markers,
    markers_among,
)
from loan_default.data.schema.inference.time_names import names_event, names_period, names_time
from loan_default.data.schema.time_texts import time_of_number

_SAMPLE = 300
"""Different texts on which a pattern is tried before it is tried on all."""
_FEWEST_READABLE, _FEWEST_IN_SAMPLE = 0.99, 0.9
_SHORTEST, _SHORTEST_ISO = 5, 20
"""Characters of the shortest date, "Mai13", and of one in ISO 8601 with its zone, which any pattern reads."""
_COMPACT = {"%Y%m": 6, "%y%m%d": 6, "%d%m%y": 6, "%m%d%y": 6, "%Y%m%d": 8, "%d%m%Y": 8, "%m%d%Y": 8}
"""Pattern of digits only -> how many there must be."""
_FIRST_YEAR, _LAST_YEAR = 1900, 2100
_FEWEST_COMPACT = 10
"""Different digits-only dates without a name that says so: fewer could be numbers by chance."""
_SERIALS = (20_000.0, 60_000.0)
"""Days of spreadsheets from 1954 to 2064."""
_EPOCH = (315_532_800.0, 2_208_988_800.0)
"""Seconds since 1970 from 1980 to 2040."""
_MOST_ROUND = 0.1
"""Share of full hundreds up to which numbers may be days."""
_SPREAD = 1.5
"""So many times more different days of the month make one reading of compact dates the likelier."""

_TIMES = {"": "", " 99:99": " %H:%M", " 99:99:99": " %H:%M:%S", " 99:99:99.9": " %H:%M:%S.%f"}
_TIMES |= {"T" + key[1:]: "T" + value[1:] for key, value in list(_TIMES.items())[1:]}
_TIMES |= {":" + key[1:]: ":" + value[1:] for key, value in list(_TIMES.items())[1:4]}  # as SAS writes them
_TIMES |= {" 99:99 a": " %I:%M %p", " 99:99:99 a": " %I:%M:%S %p", " 99:99a": " %I:%M%p"}
_DAY_FIRST, _MONTH_FIRST = "%d{0}%m{0}{1}", "%m{0}%d{0}{1}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DateReading:
    """How text becomes dates, or in which ways it could."""

    patterns: tuple[str, ...]
    """One pattern, or several that read the same texts and give other dates."""
    missing: tuple[str, ...] = ()
    unreadable: int = 0
    """Rows that are no dates and no markers."""
    proof: str = ""
    """Why the one pattern was chosen among several, where that needs a look."""

    def column(self, name: str) -> Column:
        """The column by the first pattern."""
        return Column(name=name, kind=Kind.DATE, nullable=True, format=self.patterns[0], missing=self.missing)


def read_dates(name: str, counts: pd.Series, evidence: FileEvidence) -> DateReading | None:
    """The pattern by which a column of text holds dates; None where it holds none.

    Args:
        counts: different texts, trimmed and present, each with its number of rows.
    """
    head = counts.index[:10_000]
    is_none = np.zeros(len(counts), bool)
    is_none[: len(head)] = known_markers(head) | head.isin(NO_DATES)
    possible = counts[~is_none]
    if possible.empty or len(possible.index[0]) > 40:
        return None
    sample = possible.iloc[:: max(1, len(possible) // _SAMPLE)]
    fewest = _FEWEST_IN_SAMPLE * sample.sum()
    lengths = sample.index.str.len()
    if sample[lengths >= _SHORTEST].sum() < fewest:
        return None  # most columns of numbers end here
    shapes = sample.groupby(sample.index.map(_shape)).sum().sort_values(ascending=False, kind="stable")
    if "9" not in shapes.index[0]:
        return None
    proposed = dict.fromkeys(pattern for shape in shapes.index[:4] for pattern in _patterns(str(shape)))
    accepted = []
    for pattern in proposed:
        digits = _COMPACT.get(pattern)
        if digits is not None and sample[(lengths == digits) | (lengths >= _SHORTEST_ISO)].sum() < fewest:
            continue
        column = Column(name=name, kind=Kind.DATE, nullable=True, format=pattern)
        times = _read(sample.index, column)
        if sample[times.notna().to_numpy()].sum() < fewest or not _is_plausible(times):
            continue
        reading = _whole_reading(counts, column)
        if reading is not None:
            accepted.append(reading)
            if pattern == "":
                break
    accepted = _different(accepted, possible)
    if not accepted:
        return None
    is_bare = re.fullmatch("9{6,8}", str(shapes.index[0])) is not None
    is_named = names_time(name) or names_event(name) or names_period(name)
    if is_bare and len(possible) < _FEWEST_COMPACT and not is_named:
        return None
    return _decided(accepted, possible, evidence)


def date_patterns(counts: pd.Series) -> list[str]:
    """Patterns that the most frequent forms of texts may have; "" = ISO 8601."""
    shapes = counts.groupby(counts.index.map(_shape)).sum().sort_values(ascending=False, kind="stable")
    return list(dict.fromkeys(pattern for shape in shapes.index[:4] for pattern in _patterns(str(shape))))


def rows_read(counts: pd.Series, pattern: str) -> np.ndarray:
    """The mask of the different texts that a pattern reads as plausible dates."""
    times = _read(counts.index, Column(name="any", kind=Kind.DATE, nullable=True, format=pattern))
    return np.asarray(times.dt.year.between(_FIRST_YEAR, _LAST_YEAR), dtype=bool)


def proven_order(counts: pd.Series) -> bool | None:
    """Whether dates between separators begin with the day (True) or the month; None where nothing tells."""
    head = counts.index[:: max(1, len(counts) // _SAMPLE)]
    if head.str.contains(r"^[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2,4}\b").mean() < 0.5:
        return None  # most columns end here
    fields = counts.index.str.extract(r"^([0-9]{1,2})[/.-]([0-9]{1,2})[/.-](?:[0-9]{4}|[0-9]{2})\b")
    numbers = pd.DataFrame(fields).apply(pd.to_numeric).set_axis(counts.index)
    known = numbers[0].notna()
    if counts[known].sum() < 0.9 * counts.sum():
        return None
    first, second = counts[numbers[0] > 12].sum(), counts[numbers[1] > 12].sum()
    if first and second <= 0.01 * first:
        return True
    return False if second and first <= 0.01 * second else None


def time_of_numbers(numbers: np.ndarray) -> str:
    """Which of the `TIME_FORMATS` finite numbers may be, by their range; "" = none. Only a name can tell."""
    if len(numbers) == 0:
        return ""
    low, high = float(numbers.min()), float(numbers.max())
    if low >= _EPOCH[0] * 1000 and high <= _EPOCH[1] * 1000:
        return "epoch_milliseconds"
    if low >= _EPOCH[0] and high <= _EPOCH[1]:
        return "epoch_seconds"
    is_round = (np.mod(numbers, 100) == 0).mean() > _MOST_ROUND  # amounts are, days are not
    return "spreadsheet" if low >= _SERIALS[0] and high <= _SERIALS[1] and not is_round else ""


def span_of(numbers: np.ndarray, form: str) -> str:
    """The first and the last day of numbers that are times, in words."""
    first, last = (time_of_number(float(number), form) for number in (numbers.min(), numbers.max()))
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def day_of(text: str, pattern: str) -> str:
    """The day of a text by a pattern, in words."""
    time = _read(pd.Index([text]), Column(name="any", kind=Kind.DATE, nullable=True, format=pattern)).iloc[0]
    return "no date" if pd.isna(time) else f"{time:%Y-%m-%d}"


def _shape(text: str) -> str:
    """Digits as 9, words but " de " as a; one digit beside a separator as two."""
    shape = re.sub(r"(?<![^\W\d_])(?!de )[^\W\d_]+\.?", "a", re.sub("[0-9]", "9", text))
    return re.sub(r"9{1,2}(?=[:/.-])|(?<=[:/.-])9{1,2}(?!9)", "99", shape)


def _patterns(shape: str) -> list[str]:
    """Patterns that texts of this shape may have; "" = ISO 8601."""
    match = re.fullmatch(r"(.*?)([T :]99:99(?::99)?(?:\.9+)? ?a?)?", shape.replace("aa", "a"))
    assert match is not None
    day, time = match[1], re.sub(r"\.9+$", ".9", match[2] or "")
    suffix = _TIMES.get(time)
    if re.match(r"9999-99-99", shape):
        return ["", "%Y-%m-%d" + (suffix or "")]
    if day.endswith("a") and suffix is None:
        return []
    if (weekday := re.match("a(,? )(?=9{1,2}[./ -]|a 9)(?=.*9999)", day)) is not None:
        return [f"%A{weekday[1]}{pattern}" for pattern in _patterns(shape[weekday.end() :])]
    found: list[str] = []
    for separator in "/.-":
        full = f"99{separator}99{separator}9999"
        if day == full:
            found += [form.format(separator, "%Y") for form in (_DAY_FIRST, _MONTH_FIRST)]
        if day == full[:-2]:
            found += [form.format(separator, "%y") for form in (_DAY_FIRST, _MONTH_FIRST)]
            found.append(f"%y{separator}%m{separator}%d")
        if day == f"9999{separator}99{separator}99":
            found.append(f"%Y{separator}%m{separator}%d")
        if day == f"99{separator}9999":
            found.append(f"%m{separator}%Y")
        if day == f"9999{separator}99":
            found.append(f"%Y{separator}%m")
    found += {
        "999999": ["%Y%m", "%y%m%d", "%d%m%y", "%m%d%y"],
        "99999999": ["%Y%m%d", "%d%m%Y", "%m%d%Y"],
    }.get(day, [])
    found += _with_names(day)
    return [pattern + (suffix or "") for pattern in found]


def _with_names(day: str) -> list[str]:
    """Patterns of dates with the name of the month: Sep-2013, 01-Sep-13, 1 September 2013, Sep 1, 2013."""
    if re.fullmatch("(9{1,2} de )?a de 9999", day):  # 31 de agosto de 2014
        return ["%d de %B de %Y" if day[0] == "9" else "%B de %Y"]
    match = re.fullmatch(r"(9{1,2}\.?)?([ /-]*)a([ /-]*)(9{1,2},)?( *)(9{2}|9{4})", day)
    if match is not None:
        first, before, after, second, blank, year = match.groups()
        pattern = "%d" + ("." if first and first.endswith(".") else "") + before if first else ""
        pattern += "%b" + after
        pattern += "%d," + blank if second else blank
        if first and second:
            return []
        return [pattern + ("%Y" if len(year) == 4 else "%y")]
    match = re.fullmatch(r"(9{4}|9{2})([ /-]*)a(?:([ /-]*)(9{1,2}))?", day)
    if match is None:
        return []
    year, before, after, last = match.groups()
    if len(year) == 4:
        return [f"%Y{before}%b" + (f"{after}%d" if last else "")]
    return [] if last else [f"%y{before}%b"]


def _read(texts: pd.Index, column: Column) -> pd.Series:
    return read_column(pd.Series(texts, dtype="str"), column)[0]


def _is_plausible(times: pd.Series) -> bool:
    years = times.dropna().dt.year
    return bool(((years >= _FIRST_YEAR) & (years <= _LAST_YEAR)).mean() >= _FEWEST_READABLE)


def _whole_reading(counts: pd.Series, column: Column) -> DateReading | None:
    times = _read(counts.index, column)
    failed = counts[times.isna().to_numpy()]
    markers = markers_among(failed, known=AMONG_NUMBERS | NO_DATES)
    rest = int(failed.drop(list(markers)).sum())
    n_present = int(counts.sum()) - int(failed[list(markers)].sum())
    if rest > (1 - _FEWEST_READABLE) * n_present or not _is_plausible(times):
        return None
    return DateReading(patterns=(column.format,), missing=markers, unreadable=rest)


def _different(readings: list[DateReading], counts: pd.Series) -> list[DateReading]:
    """Without readings that give the dates of an earlier one."""
    if len(readings) < 2:
        return readings
    kept: list[tuple[DateReading, pd.Series]] = []
    for reading in readings:
        times = _read(counts.index, reading.column("any"))
        if not any(times.equals(other) for _, other in kept):
            kept.append((reading, times))
    fewest = min((reading.unreadable for reading, _ in kept), default=0)
    return [reading for reading, _ in kept if reading.unreadable == fewest]


def _decided(readings: list[DateReading], counts: pd.Series, evidence: FileEvidence) -> DateReading:
    # Dates that begin with a year of two digits are rare: only where nothing else reads.
    readings = [each for each in readings if not re.match("%y[^%]", each.patterns[0])] or readings
    first = readings[0]
    patterns = tuple(reading.patterns[0] for reading in readings)
    if len(readings) == 1 or patterns[0] == "%Y%m":  # 201309 as a day would be of 2020 in every row
        return first
    between = patterns[0][2:3]
    chosen = _by_order(readings, counts, evidence) if between != "%" else _by_spread(readings, counts)
    return chosen or replace(first, patterns=patterns)


def _by_order(readings: list[DateReading], counts: pd.Series, evidence: FileEvidence) -> DateReading | None:
    """The reading that other dates of the file prove, or that makes every date the first of a month."""
    if evidence.day_first is not None:
        wanted, order = ("%d", "day") if evidence.day_first else ("%m", "month")
        for reading in readings:
            if reading.patterns[0].startswith(wanted):
                return replace(
                    reading, proof=f"the {order} is taken to come first, as in other dates of the file"
                )
    for reading, order in zip(readings[:2], ("day", "month"), strict=True):
        # 01/02/2011, 01/03/2011 … 01/12/2011: every date is the first of a month.
        days = _read(counts.index, reading.column("any")).dropna().dt
        if len(counts) >= 12 and days.day.nunique() == 1 and days.month.nunique() == 12:
            return replace(
                reading, proof=f"the {order} is taken to come first: each is of one day of a month"
            )
    return None


def _by_spread(readings: list[DateReading], counts: pd.Series) -> DateReading | None:
    """Of digits only: in the right reading days spread over the month, and years do not."""
    spreads = [_read(counts.index, reading.column("any")).dropna().dt.day.nunique() for reading in readings]
    widest = sorted(range(len(readings)), key=lambda position: -spreads[position])
    return readings[widest[0]] if spreads[widest[0]] >= _SPREAD * spreads[widest[1]] else None
