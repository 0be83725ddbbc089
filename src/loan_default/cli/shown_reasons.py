"""What a person sees of the reasons for a PD: those of `explain`, and those that are kept with a prediction.

Points are what a reason changed the score by, as everywhere: below 0, as a reason raised the PD.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loan_default.cli.console import say

if TYPE_CHECKING:
    from loan_default.database.serving_documents import KeptExplanation, KeptReason


def print_explanation(console: Console, explanation: "KeptExplanation") -> None:
    """Print against whom a PD is explained, its reasons, and what they leave out."""
    say(console, "against", f"{explanation.reference}; PD {explanation.reference_pd:.2%}")
    if explanation.reasons:
        console.print(_table(explanation.reasons))
    else:
        say(console, "reasons", "none: no column raised the PD")
    if explanation.withheld:
        say(console, "not named", f"columns that nobody can act on: {explanation.withheld:+.3f} log-odds")
    say(console, "gap", f"{explanation.gap:+.4f} log-odds that no column explains")


def _table(reasons: "Sequence[KeptReason]") -> Table:
    table = Table(title="Reasons, the strongest first", title_justify="left")
    for name in ("column", "reason"):
        table.add_column(name)
    for name in ("log-odds", "points"):
        table.add_column(name, justify="right")
    for each in reasons:
        cells = f"{each.contribution:+.3f}", f"{each.points:+.1f}"
        table.add_row(Text(each.column), Text(each.words), *cells)
    return table
