"""What a person sees of a command: bars and tables on a terminal, plain and structured lines elsewhere.

A script sees the exit code.
"""

import getpass
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:  # they bring torch and pandas, which not every command should wait for
    from loan_default.data.schema.inference.findings import ColumnReading, Finding
    from loan_default.models.fitting import Progress as TrainingProgress
    from loan_default.pipelines.training.listeners import Listener
    from loan_default.pipelines.training.local_run import TrainingResult
    from loan_default.pipelines.training.plan import TrainingPlan

_PLAIN_WIDTH = 200  # columns where there is no terminal to ask
_LOG_SECONDS = 60.0
"""How often a long stage says in the log that it is alive."""

log = structlog.get_logger()


class ExitCode(IntEnum):
    """What a script learns from a command."""

    DONE = 0
    INPUT = 2
    DEPENDENCY = 3
    ARTIFACT = 4
    QUARANTINED = 5
    REJECTED = 6
    STOPPED = 130


def make_console(*, stderr: bool = False) -> Console:
    """A console that does not break lines where a program reads them or a file receives them."""
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        return Console(stderr=stderr, width=_PLAIN_WIDTH)
    return console


def say(console: Console, label: str, text: str, *, style: str = "") -> None:
    """Print one line with a label; paths in it stay whole, and nothing in it is read as markup."""
    console.print(Text.assemble((f"{label:<11} ", "bold"), (text, style)), soft_wrap=True, highlight=False)


def user_name() -> str | None:
    """Name of the user; None = the machine has none for this number, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 event`, `2,000 events`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class TerminalListener:
    """Shows bars with rows a second and the time left."""

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
        """Show the bars inside the block."""
        with self._bars:
            yield self

    def stage(self, name: str, detail: str) -> None:
        """Print a line for the stage; the bars of the last one go."""
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()
        say(self._console, name, detail)

    def planned(self, plan: "TrainingPlan", out: Path, *, kept_schema: Path | None) -> None:
        """Print what was found and decided."""
        print_plan(self._console, plan, out, kept_schema=kept_schema)

    def progress(self, progress: "TrainingProgress") -> None:
        """Move the bar of a stage; the end of an epoch becomes a line."""
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
            say(self._console, "", epoch_line(progress), style="dim")


class PlainListener:
    """Prints plain lines for what was decided, and logs stages and epochs."""

    def __init__(self, console: Console, log_listener: "Listener") -> None:
        self._console = console
        self.stage = log_listener.stage
        self.progress = log_listener.progress

    def planned(self, plan: "TrainingPlan", out: Path, *, kept_schema: Path | None) -> None:
        """Print what was found and decided: it holds values, which do not belong in a log."""
        print_plan(self._console, plan, out, kept_schema=kept_schema)


class TerminalRows:
    """Shows a line that counts the rows of a stream and their speed."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("  scoring"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, note="")  # a stream does not know its length
        self._started = time.monotonic()

    @contextmanager
    def running(self) -> Iterator["TerminalRows"]:
        """Show the line inside the block."""
        with self._bar:
            yield self

    def __call__(self, rows: int) -> None:
        """Show that so many rows have been read."""
        rate = rows / max(1e-9, time.monotonic() - self._started)
        self._bar.update(self._task, note=f"{rows:,} rows  {rate:,.0f} rows/s")


class LogRows:
    """Logs once a minute how many rows have been read."""

    def __init__(self, *, every_seconds: float = _LOG_SECONDS) -> None:
        self._every = every_seconds
        self._last = time.monotonic()

    def __call__(self, rows: int) -> None:
        """Log it, if the last line is old enough."""
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            log.info("scoring", rows=rows)


def epoch_line(progress: "TrainingProgress") -> str:
    """The line for an epoch: its losses, its score and its speed."""
    last = progress.last
    assert last is not None
    losses = "  ".join(f"{name} {loss:.4f}" for name, loss in last.losses.items())
    if last.score is None:
        score = ""
    elif last.score < 0:
        score = f"validation loss {-last.score:.4f}  "
    else:
        score = f"validation AUC {last.score:.4f}  "
    done = f"epoch {last.epoch}/{progress.epochs}"
    return f"{progress.stage}  {done}  {losses}  {score}{last.rows_per_second:,.0f} rows/s"


def print_plan(console: Console, plan: "TrainingPlan", out: Path, *, kept_schema: Path | None = None) -> None:
    """Print what was found in the data and decided for the run, before the long work."""
    dataset, saved = plan.dataset, out / "schema.toml"
    say(
        console,
        "rows",
        f"{dataset.rows_read:,} read: {len(dataset.frame):,} accepted, {len(dataset.quarantined):,} "
        f"quarantined, {dataset.duplicates:,} duplicates"
        + f", {counted(dataset.footer_lines, 'footer line')} passed over"
        * bool(dataset.footer_lines),
    )
    print_reasons(console, dataset.reasons)
    if dataset.not_known_yet:
        counts = ", ".join(f"{value or 'blank'} {rows:,}" for value, rows in dataset.not_known_yet.items())
        say(console, "outcome", f"not known yet, kept for pretraining: {counts}")
    if dataset.ignored_columns:
        say(console, "ignored", ", ".join(dataset.ignored_columns))
    say(console, "schema", f"{plan.schema_choice.origin}, saved to {saved}")
    if kept_schema is not None:
        say(console, "", f"Another schema lay there and is now {kept_schema}", style="yellow")
    if plan.schema_choice.findings:
        print_findings(console, plan.schema_choice.findings)
        say(console, "", f"To change it, edit the file and add --schema {saved}")
    for leak in plan.leaks.leaks:
        text = f"{leak.column}: {leak.evidence}{'; allowed' if leak.stops else ''}. Known in time?"
        say(console, "  warning", text, style="yellow")
    say(console, "split", plan.split.reason)
    for choice in plan.choices:
        say(console, choice.what, f"{choice.value}: {choice.reason}")


def print_findings(console: Console, findings: Iterable["Finding"]) -> None:
    """Print a line for each finding, the most urgent first."""
    from loan_default.data.schema.inference.findings import most_urgent_first

    for finding in most_urgent_first(findings):
        text = ": ".join(filter(None, (finding.column, finding.message)))
        say(console, f"  {finding.severity}", text, style={"note": ""}.get(finding.severity, "yellow"))


def print_reasons(console: Console, reasons: Mapping[str, int]) -> None:
    """Print a line for each broken rule with the number of its rows."""
    for rule, rows in reasons.items():
        say(console, f"  {rows:>8,}", rule)


def print_result(console: Console, result: "TrainingResult", *, next_command: str) -> None:
    """Print what a run has made, and where its files lie."""
    if result.trained is not None:
        console.print(metrics_of_result_table(result))
    dataset = result.plan.dataset
    if len(dataset.quarantined):
        say(
            console,
            "quarantine",
            f"{counted(len(dataset.quarantined), 'row')} in {result.out / 'quarantine.csv'}",
        )
        print_reasons(console, dataset.reasons)
    if result.encoder is not None:
        say(console, "encoder", str(result.encoder))
    if result.trained is not None:
        say(console, "model", f"{result.trained.path}  (version {result.trained.model.version})")
        if result.plan.options.refit:
            rows = counted(len(result.plan.refit_rows), "label")
            say(console, "", f"learned from all {rows}; the metrics are of its twin, which saw no test row")
        say(console, "report", str(result.out / "report.html"))
    say(console, "next", next_command)


def metrics_of_result_table(result: "TrainingResult") -> Table:
    """The metrics on the test rows with their 95 % ranges."""
    ranges = {name: (each.value, each.low, each.high) for name, each in result.intervals.items()}
    return metrics_table("Test rows: metrics with 95 % ranges", ranges)


def findings_table(findings: Iterable["Finding"]) -> Table:
    """A table of what was noticed in a file, the most urgent first."""
    from loan_default.data.schema.inference.findings import most_urgent_first

    table = table_of("What was noticed", "column", "severity", "message")
    for finding in most_urgent_first(findings):
        table.add_row(Text(finding.column or "(the file)"), finding.severity, Text(finding.message))
    return table


def columns_table(readings: Iterable["ColumnReading"]) -> Table:
    """A table of how each column of a file is read."""
    table = table_of("How the columns are read", "column", "read as", "why", "values before → after")
    for reading in readings:
        samples = "\n".join(f"{before} → {after}" for before, after in reading.samples)
        table.add_row(Text(reading.name), reading.read_as, Text(reading.why), Text(samples))
    return table


def print_question(console: Console, question: str) -> None:
    """Print what a person must answer, with its lines and indents as they are."""
    console.print(Text(question), soft_wrap=True, highlight=False)


def metrics_table(title: str, ranges: Mapping[str, tuple[float | None, ...]]) -> Table:
    """A table of metrics: name -> value, low, high."""
    from loan_default.evaluation.formats import metric

    table = table_of(title, "metric", "value", "low", "high")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, numbers in ranges.items():
        shown = ("-" if number is None else metric(number, name, 4) for number in numbers)
        table.add_row(name.replace("_", " "), *shown)
    return table


def table_of(title: str, *columns: str) -> Table:
    """An empty table whose versions can be copied."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=column == "version")  # to be copied
    return table
