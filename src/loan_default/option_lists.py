"""Options that name several values: text with commas between them, as one line of CSV has it.

Charged Off,Default             two values
"Late, 30 days",Default         a value with a comma stands in double quotes; a double quote in it is doubled
"""

import csv
import shlex
from collections.abc import Iterable
from io import StringIO

from loan_default.errors import ConfigurationError

_PLAIN_IN_QUOTES = frozenset(" ,;.:'()[]{}<>|&*?#~=+%/-_")


def parse_list(text: str, *, option: str) -> tuple[str, ...]:
    """The values that an option names, in their order, without outer spaces.

    Raises:
        ConfigurationError: no value, an empty one, one that is named twice, or a quote that is not closed.
    """
    try:
        rows = list(csv.reader(StringIO(text), strict=True, skipinitialspace=True))
    except csv.Error:
        raise ConfigurationError(
            f"{option} must close its quotes, however: {text!r}. A value with a comma stands in double "
            f"""quotes: {option} '"Late, 30 days",Default'"""
        ) from None
    values = tuple(value.strip() for row in rows for value in row)
    if not values or not all(values):
        raise ConfigurationError(
            f"{option} must name values with commas between them, however: {text!r} has an empty one."
        )
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ConfigurationError(f"{option} must name each value once, however: {twice[0]!r} stands twice.")
    return values


def option_text(option: str, values: Iterable[str]) -> str:
    """The option with the values as a person types it into a shell: `--bad "Charged Off,Default"`."""
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(list(values))
    text = line.getvalue()
    if text.isalnum() or text.replace(",", "").replace("_", "").isalnum():
        return f"{option} {text}"
    if all(each.isalnum() or each in _PLAIN_IN_QUOTES for each in text):
        return f'{option} "{text}"'
    return f"{option} {shlex.quote(text)}"
