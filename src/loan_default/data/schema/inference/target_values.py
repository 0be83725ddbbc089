"""The values of a target in a file without a schema: how often each stands there, and what it is called."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loan_default.data.schema.inference.raw_values import Values
from loan_default.data.schema.values import as_text, fold
from loan_default.option_lists import option_text

_MOST_SHOWN = 12
"""Values that a question lists with their counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedOutcomes:
    """What a person says of the values of the target."""

    bad: tuple[str, ...] = ()
    """Values that mean default; empty = not named."""
    good: tuple[str, ...] = ()
    """Values that mean none; empty = not named."""
    rejected: tuple[str, ...] = ()
    """Values of applications that were declined; empty = not named."""

    def __bool__(self) -> bool:
        return bool(self.bad or self.good or self.rejected)


class TargetValues:
    """The values of a target that say something, and those that are mere marks such as "?"."""

    def __init__(self, values: Values, named: NamedOutcomes | None) -> None:
        meant = {fold(value) for value in (*named.bad, *named.good, *named.rejected)} if named else set()
        self.name = values.name
        counted: Counter[str] = Counter()
        spellings: dict[str, Counter[str]] = {}
        for raw, rows in values.raw.map(as_text).value_counts(dropna=False).items():
            text = raw.strip() if isinstance(raw, str) else "?"
            counted[fold(text)] += int(rows)
            spellings.setdefault(fold(text), Counter())[text] += int(rows)
        self.spelling: Mapping[str, str] = {key: each.most_common(1)[0][0] for key, each in spellings.items()}
        """Folded value -> its most frequent spelling."""
        ordered = dict(counted.most_common())
        self.rows = {key: rows for key, rows in ordered.items() if key in meant or any(map(str.isalnum, key))}
        """Folded value -> rows, the most frequent first."""
        self.marks = {key: rows for key, rows in ordered.items() if key not in self.rows}
        """Values without a digit or alphabetic character that nobody has named -> rows."""

    def leave_out(self, keys: list[str]) -> tuple[str, ...]:
        """Let values take no part in what the others mean; returns them as they are spelled most often."""
        self.rows = {key: rows for key, rows in self.rows.items() if key not in keys}
        return tuple(self.spelled(keys))

    def spelled(self, keys: Iterable[str]) -> list[str]:
        """Values as they are spelled most often."""
        return [self.spelling[key] for key in keys]

    def counts(self, keys: Iterable[str] | None = None) -> str:
        """Values with their rows in words: "'Fully Paid' 180, 'Current' 31"."""
        chosen = list(self.rows) if keys is None else list(keys)
        shown = ", ".join(
            f"{self.spelling[key]!r} {self.rows.get(key, 0) or self.marks.get(key, 0):,}"
            for key in chosen[:_MOST_SHOWN]
        )
        return shown + (f", … ({len(chosen)} values in all)" if len(chosen) > _MOST_SHOWN else "")

    def options(self, *, bad: Iterable[str], good: Iterable[str]) -> str:
        """The two options to type; a side on which nothing is known has a word to replace."""
        bad_text, good_text = self.spelled(bad) or ["VALUE"], self.spelled(good) or ["VALUE"]
        return f"{option_text('--bad', bad_text)} {option_text('--good', good_text)}"
