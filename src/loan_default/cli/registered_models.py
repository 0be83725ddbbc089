"""What a person sees of registered models: metrics, decisions with their reasons, approvals."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loan_default.cli.console import counted, metrics_table, say, table_of

if TYPE_CHECKING:  # they bring pandas, which not every command should wait for
    from loan_default.database.gate_documents import Approval
    from loan_default.pipelines.registry import Registered


def models_table(models: Sequence["Registered"]) -> Table:
    """A table with a row for each model.

    Its metrics are the newest on rows that it had not seen: those of its training, of networks before the
    last fit, or those of the gate, of the networks that score.
    """
    table = table_of(
        "Models, the newest first",
        *("version", "status", "schema", "preset", "rows"),
        *("measured on", "AUC", "KS", "Brier", "created (UTC)"),
    )
    for each in models:
        model = each.model
        table.add_row(
            model.version,
            f"{model.status}{' *' if each.is_champion else ''}",
            Text(model.schema_name),
            model.preset,
            f"{model.rows.get('train', 0):,}",
            "-" if each.test is None else str(each.test.dataset).replace("_", " "),
            *(_with_range(each, name) for name in ("auc", "ks", "brier")),
            f"{model.created_at:%Y-%m-%d %H:%M}",
        )
    if any(each.is_champion for each in models):
        table.caption, table.caption_justify = "* the champion, which scores", "left"
    return table


def print_model(console: Console, registered: "Registered") -> None:
    """Print everything that is registered about one model."""
    from loan_default.evaluation.formats import verbatim

    for name, value in registered.model.model_dump(mode="json").items():
        shown = (
            ", ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        )
        console.print(
            Text.assemble((f"{name:<18}", "bold"), verbatim(shown)), soft_wrap=True, highlight=False
        )
    console.print(Text.assemble((f"{'champion':<18}", "bold"), "yes" if registered.is_champion else "no"))
    for decision in registered.decisions:
        say(console, "", f"{decision.action} on {decision.decided_at:%Y-%m-%d %H:%M} UTC", style="bold")
        for reason in decision.reasons:
            say(console, "", f"  {reason}", style="yellow" if reason in decision.broken else "")
    for approval in registered.approvals:
        say(console, "", _approval_line(approval), style="bold")
    for metrics in registered.metrics:
        ranges = {
            name: (value, *metrics.intervals.get(name, (None, None)))
            for name, value in metrics.figures.items()
        }
        title = f"{metrics.dataset}: {counted(metrics.rows, 'row')} of {metrics.snapshot}"
        console.print(metrics_table(title, ranges))


def _approval_line(approval: "Approval") -> str:
    over = " (over)" if approval.expires_at <= datetime.now(UTC) else ""
    rules = f", overrides {', '.join(approval.overrides)}" if approval.overrides else ""
    return (
        f"approved by {approval.approver} on {approval.granted_at:%Y-%m-%d} until "
        f"{approval.expires_at:%Y-%m-%d}{over}{rules}: {approval.reason}"
    )


def _with_range(registered: "Registered", metric: str) -> str:
    metrics = registered.test
    value = metrics.figures.get(metric) if metrics else None
    if metrics is None or value is None:
        return "-"
    low_high = metrics.intervals.get(metric)
    return f"{value:.4f}" + (f" [{low_high[0]:.3f}, {low_high[1]:.3f}]" if low_high else "")
