"""How the numbers of a column use points, commas and blanks: counted once, for all that ask about marks."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from loan_default.data.schema.number_texts import CURRENCY_CODES, CURRENCY_SIGNS

MARKS = ((",", "."), (".", ","))
"""Each mark that may be a decimal one, with the other."""
FEW = 0.01
"""Share of the rows that may contradict the others: slips of the keyboard."""
_ENOUGH, _ENOUGH_SHARE = 2, 0.1
"""Rows, or in a small file the share of the numbers, from which on a mark is no slip."""
_FIRST_NUMBER = re.compile(r"[0-9](?:[0-9.,'\u2019 \u00a0\u202f]*[0-9])?|[.,][0-9]+")
_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2019": "'"})
_GROUPED = {
    mark: re.compile(rf"[1-9][0-9]{{0,2}}(?:{re.escape(mark)}[0-9]{{2,3}})*{re.escape(mark)}[0-9]{{3}}")
    for mark in (".", ",", " ", "'")
}
_LONGEST_SIGN, _LONGEST_UNIT = 6, 14  # characters before and after a number: a currency, a unit
_NEARLY_ALL = 0.9
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_CURRENCY = re.compile(
    f"[{CURRENCY_SIGNS}]|(?<![A-Za-z])(?:{'|'.join(sorted(set(CURRENCY_CODES.split()) - _THREE_DECIMALS))})"
    "(?![A-Za-z])|(?<![a-z])(?i:euros?|dollars?|reais|pesos?|kč|zł|kr)(?![a-z])"
)


@dataclass(slots=True)
class MarkUses:
    """How the numbers of a column use the marks: rows, or different texts where it says so."""

    n_rows: int = 0
    n_numbers: int = 0
    both: Counter[str] = field(default_factory=Counter)
    """The last mark of numbers with both, whose first mark stands before three digits."""
    repeated: Counter[str] = field(default_factory=Counter)
    """Marks that stand several times in a number, each before three digits."""
    fractions: Counter[str] = field(default_factory=Counter)
    """Marks that cannot stand between thousands: in 3,5 and 0.125."""
    zero_led: Counter[str] = field(default_factory=Counter)
    """Of these, marks after a single 0: no slip of the keyboard makes 0.125 of 125."""
    single: Counter[str] = field(default_factory=Counter)
    """Marks that stand once, before three digits: different texts."""
    single_rows: Counter[str] = field(default_factory=Counter)
    money: Counter[str] = field(default_factory=Counter)
    """Of the different texts with a single mark, those with a currency of two decimals at most."""
    spaced: Counter[str] = field(default_factory=Counter)
    """Blanks and apostrophes between thousands."""
    plain_long: int = 0
    """Different texts without a mark, of more than three digits."""
    plain_hundreds: int = 0
    """The same, of three digits."""
    leads: set[int] = field(default_factory=set)
    """How many digits stand before a single mark."""
    endings: Counter[str] = field(default_factory=Counter)
    """The three digits after a single mark: different texts."""

    def add(self, text: str, rows: int) -> None:
        """Count one text."""
        self.n_rows += rows
        match = _FIRST_NUMBER.search(text)
        if match is None or match.start() > _LONGEST_SIGN or len(text) - match.end() > _LONGEST_UNIT:
            return
        self.n_numbers += rows
        core = match[0].translate(_BLANKS)
        for mark in (" ", "'"):
            if mark in core:
                self.spaced[mark] += rows * bool(_GROUPED[mark].fullmatch(re.split("[.,]", core)[0]))
                core = core.replace(mark, "")
        marks = [mark for mark in ".," if mark in core]
        if not marks:
            self.plain_long += len(core) > 3
            self.plain_hundreds += len(core) == 3
        elif len(marks) == 2:
            last = max(marks, key=core.rindex)
            whole, _, _ = core.rpartition(last)
            self.both[last] += rows * bool(_GROUPED["." if last == "," else ","].fullmatch(whole))
        else:
            self._add_marked(text, core, marks[0], rows)

    def _add_marked(self, text: str, core: str, mark: str, rows: int) -> None:
        # Nobody means 16,250 %: there three digits are a fraction.
        if not _GROUPED[mark].fullmatch(core) or ("%" in text and core.count(mark) == 1):
            self.fractions[mark] += rows * (core.count(mark) == 1)
            self.zero_led[mark] += rows * core.startswith(f"0{mark}")
        elif core.count(mark) > 1:
            self.repeated[mark] += rows
        else:
            self.single[mark] += 1
            self.single_rows[mark] += rows
            self.leads.add(core.index(mark))
            self.endings[core[-3:]] += 1
            self.money[mark] += _CURRENCY.search(text) is not None

    def votes(self, decimal: str) -> int:
        """Rows that can be read with this decimal mark alone."""
        other = "." if decimal == "," else ","
        return self.both[decimal] + self.repeated[other] + self.fractions[decimal]

    def proves(self, decimal: str) -> bool:
        """Whether so many rows can be read with this decimal mark alone that they are no slips."""
        rows = self.votes(decimal)
        if rows < _ENOUGH and rows * 1.0 < _ENOUGH_SHARE * max(1, self.n_numbers):
            return False
        if not self.single[decimal]:
            return rows > 0
        # Beside 1.250, which may be grouped, 1.25 may be a slip.
        certain = rows - self.fractions[decimal] + self.zero_led[decimal]
        return certain >= _ENOUGH or rows > FEW * self.n_rows

    @property
    def spacing(self) -> str:
        """The blank or apostrophe between thousands, or none."""
        return next((mark for mark, rows in self.spaced.most_common(1) if rows), "")

    @property
    def is_round(self) -> bool:
        """Whether the three digits after a single mark are those of amounts: 500 and 300, or all 000.

        Rates in halves end in 500 and 000 only.
        """
        n_texts = self.endings.total()
        zeros = sum(count for ending, count in self.endings.items() if ending.endswith("00"))
        halves = self.endings["000"] + self.endings["500"]
        return zeros >= _NEARLY_ALL * n_texts > 0 and (
            halves < _NEARLY_ALL * n_texts or self.endings["000"] >= _NEARLY_ALL * n_texts
        )


def uses_of(texts: Iterable[tuple[str, int]]) -> MarkUses:
    """How texts, each with its number of rows, use the marks."""
    uses = MarkUses()
    for text, rows in texts:
        uses.add(text, rows)
    return uses
