"""What a person sees of a file that was scored: where its rows went, and what training never saw in them.

What is quarantined and what is only unusual stand apart: the former has no PD.
"""

from typing import TYPE_CHECKING

from rich.console import Console

from loan_default.cli.console import counted, print_reasons, say

if TYPE_CHECKING:  # it brings torch, which not every command should wait for
    from loan_default.pipelines.scoring.file_scoring import Scored


def print_scored(console: Console, scored: "Scored") -> None:
    """Print how many rows of a file were scored, and what became of the others."""
    footer = f" ({counted(scored.footer_lines, 'footer line')} passed over)" if scored.footer_lines else ""
    say(
        console, "read", f"{counted(scored.rows_read, 'row')}{footer}, {scored.rows_per_second:,.0f} a second"
    )
    mean = "" if scored.mean_pd is None else f", mean PD {scored.mean_pd:.2%}"
    say(console, "scored", f"{counted(scored.rows_scored, 'row')}{mean}: {scored.out}")
    if scored.quarantine is not None:
        say(
            console,
            "quarantined",
            f"{counted(scored.rows_quarantined, 'row')}: {scored.quarantine}",
            style="yellow",
        )
        print_reasons(console, scored.reasons)
    if scored.unseen:
        say(
            console,
            "unseen",
            "scored, though the rows that the features were fitted on had none of it:",
            style="yellow",
        )
        print_reasons(console, scored.unseen)
    if scored.absent:
        say(console, "absent", f"{', '.join(scored.absent)}: not known in any row", style="yellow")
    if scored.ignored:
        say(console, "ignored", f"{', '.join(scored.ignored)}: not in the schema")
