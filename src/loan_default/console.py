"""What a person sees while something runs: bars and tables on a terminal, plain log lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from loan_default.models.fitting import Progress as Sign
from loan_default.pipelines.local import Outcome

log = structlog.get_logger()


class TerminalListener:
    """Bars with rows a second and the time left."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("  {task.description:<12}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._rates: dict[str, tuple[float, int]] = {}

    @contextmanager
    def running(self) -> Iterator["TerminalListener"]:
        """Shows the bars inside the block."""
        with self._bars:
            yield self

    def stage(self, name: str, detail: str) -> None:
        """A line for the stage; bars of the last one go."""
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()
        self._console.print(f"[bold]{name:<10}[/] {detail}", highlight=False)

    def progress(self, progress: Sign) -> None:
        """Moves the bar of a stage; the end of an epoch becomes a line."""
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=None, note="")
            self._rates[progress.stage] = (time.monotonic(), progress.done_rows)
        since, first = self._rates[progress.stage]
        rate = (progress.done_rows - first) / max(1e-9, time.monotonic() - since)
        self._bars.update(
            self._tasks[progress.stage],
            total=progress.total_rows,
            completed=progress.done_rows,
            note=f"epoch {progress.epoch}/{progress.epochs}  {rate:,.0f} rows/s",
        )
        if progress.last is not None:
            self._console.print(f"           {epoch_line(progress)}", style="dim", highlight=False)


class LogListener:
    """One structured line a stage and an epoch."""

    def stage(self, name: str, detail: str) -> None:
        """Logs the stage."""
        log.info("stage_started", stage=name, detail=detail)

    def progress(self, progress: Sign) -> None:
        """Logs an epoch that has ended; signs of life in between are for terminals."""
        if progress.last is not None:
            log.info(
                "epoch_finished",
                stage=progress.stage,
                epoch=progress.last.epoch,
                epochs=progress.epochs,
                score=round(progress.last.score, 5),
                rows_per_second=round(progress.last.rows_per_second),
                **{name: round(loss, 5) for name, loss in progress.last.losses.items()},
            )


def epoch_line(progress: Sign) -> str:
    """An epoch in words."""
    last = progress.last
    assert last is not None
    losses = "  ".join(f"{name} {loss:.4f}" for name, loss in last.losses.items())
    score = "held-out loss" if progress.stage == "pretraining" else "validation AUC"
    value = -last.score if progress.stage == "pretraining" else last.score
    return (
        f"{progress.stage}  epoch {last.epoch}/{progress.epochs}  {losses}  {score} {value:.4f}  "
        f"{last.rows_per_second:,.0f} rows/s"
    )


def outcome_table(outcome: Outcome) -> Table:
    """The figures on the test rows with their 95 % ranges."""
    table = Table(title="Test rows: figures with 95 % ranges", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("low", justify="right")
    table.add_column("high", justify="right")
    for name, each in outcome.intervals.items():
        table.add_row(
            name.replace("_", " "), *(f"{number:.4f}" for number in (each.value, each.low, each.high))
        )
    return table
