"""The commands on a file that is not known yet: how it is read, and whether it can be trained on."""

import json
from typing import TYPE_CHECKING, Any

import typer

from loan_default.cli import options
from loan_default.cli.console import (
    ExitCode,
    columns_table,
    counted,
    findings_table,
    make_console,
    print_question,
    say,
)
from loan_default.errors import ConfigurationError
from loan_default.option_lists import parse_list
from loan_default.pipelines.training.command_lines import training_command
from loan_default.pipelines.training.training_options import (
    HEADERS,
    FileData,
    TrainingOptions,
    read_delimiter,
    read_encoding,
)

if TYPE_CHECKING:
    from loan_default.data.schema.file_format import FileFormat
    from loan_default.data.schema.inference.infer import Inference
    from loan_default.data.schema.inference.target_values import NamedOutcomes


def schema(
    data: options.DataToLookAt,
    target: options.TargetToLookFor = None,
    bad: options.Bad = None,
    good: options.Good = None,
    rejected: options.Rejected = None,
    header: options.HeaderToExpect = None,
    sheet: options.SheetToLookAt = None,
    delimiter: options.DelimiterToExpect = None,
    encoding: options.EncodingToExpect = None,
    out: options.NewSchemaFile = None,
    html: options.SchemaPage = None,
    as_json: options.AsJson = False,
) -> None:
    """Infer a schema from a file: what each column is, why, and what is in doubt.

    The schema goes to standard output, or to --out: edit it, then train with --schema. The tables go to
    standard error.
    """
    from loan_default.data.schema.schema_files import dump_schema
    from loan_default.data.sources.format_words import describe_format
    from loan_default.data.sources.sniffing import detect_format
    from loan_default.data.sources.table_files import infer_schema
    from loan_default.files import write_atomically

    if out is not None and out.exists():
        raise ConfigurationError(
            f"--out must not exist yet, however: {out} does, and may have been edited. Choose another name."
        )
    for option, path in (("--out", out), ("--html", html)):
        taken = next((each for each in path.parents if each.is_file()), None) if path is not None else None
        if taken is not None:
            raise ConfigurationError(
                f"{option} must lie in a folder, however: {taken} is a file. Choose another name."
            )
    named = _named_outcomes(target, bad=bad, good=good, rejected=rejected)
    console = make_console(stderr=True)  # what goes to standard output is a schema file
    form = detect_format(
        data,
        header=HEADERS[header],
        sheet=sheet or "",
        delimiter=read_delimiter(delimiter),
        encoding=read_encoding(encoding),
    )
    written = describe_format(form)
    say(console, "read", f"{data.name}: {written}")
    inference = infer_schema(data, target=target, named=named, form=form)
    text = dump_schema(inference.schema, notes=inference.notes)
    if as_json:
        typer.echo(json.dumps(_as_json(inference, form, written=written), ensure_ascii=False, indent=2))
    elif out is None:
        typer.echo(text)
    if out is not None:
        write_atomically(out, text.encode())
    console.print(columns_table(inference.columns))
    console.print(findings_table(inference.findings))
    if out is not None:
        say(console, "schema", f"{out}: {counted(len(inference.schema.columns), 'column')}")
    if html is not None:
        from loan_default.evaluation.pages import render_schema_page

        write_atomically(html, render_schema_page(inference, source=data.name, written=written).encode())
        say(console, "page", f"{html}: it holds values of the file")


def doctor(
    data: options.DataToLookAt,
    target: options.TargetToLookFor = None,
    bad: options.Bad = None,
    good: options.Good = None,
    rejected: options.Rejected = None,
    schema: options.SchemaFile = None,
    header: options.HeaderToExpect = None,
    sheet: options.SheetToLookAt = None,
    delimiter: options.DelimiterToExpect = None,
    encoding: options.EncodingToExpect = None,
    known_after_decision: options.KnownAfterDecision = None,
    allow_leaks: options.AllowLeaks = False,
    out_of_time: options.OutOfTime = False,
) -> None:
    """Say whether a file can be trained on: ready, ready with warnings, or which answer it needs.

    It reads, checks and splits the file as `train` does, and stops before the work. The exit code is 2 where
    an answer is needed.
    """
    from loan_default.pipelines.training.checkup import Verdict, check_up
    from loan_default.pipelines.training.stopwatch import Stopwatch

    chosen = TrainingOptions(
        data=FileData(path=data),
        target=target,
        bad=bad,
        good=good,
        rejected=rejected,
        schema=schema,
        header=header,
        sheet=sheet,
        delimiter=delimiter,
        encoding=encoding,
        known_after_decision=known_after_decision,
        allow_leaks=allow_leaks,
        out_of_time=out_of_time,
        preset="fast",
    )
    console = make_console()
    watch = Stopwatch(lambda name, detail: say(console, name, detail))
    checkup = check_up(chosen, watch=watch)
    watch.stop()
    if checkup.plan is not None:
        dataset = checkup.plan.dataset
        say(
            console,
            "rows",
            f"{dataset.rows_read:,} read, {len(dataset.frame):,} accepted, {len(dataset.quarantined):,} "
            f"quarantined, {dataset.duplicates:,} duplicates; "
            f"{int((dataset.labels == 1).sum()):,} bad, {int((dataset.labels == 0).sum()):,} good"
            + f", {len(dataset.declined):,} rejected by the lender" * bool(len(dataset.declined))
            + f"; {counted(dataset.footer_lines, 'footer line')} passed over" * bool(dataset.footer_lines),
        )
    if checkup.warnings:
        console.print(findings_table(checkup.warnings))
    style = {Verdict.READY: "green", Verdict.READY_WITH_WARNINGS: "yellow"}.get(checkup.verdict, "red")
    say(console, "verdict", str(checkup.verdict), style=style)
    if checkup.question:
        print_question(console, checkup.question)
        raise typer.Exit(ExitCode.INPUT)
    say(console, "next", training_command(chosen, FileData(path=data)))


def _as_json(inference: "Inference", form: "FileFormat", *, written: str) -> dict[str, Any]:
    from loan_default.data.schema.column import column_to_dict
    from loan_default.data.schema.file_format import format_to_dict

    return {
        "format": format_to_dict(form) | {"in_words": written},
        "columns": [
            {
                "name": reading.name,
                "read_as": reading.read_as,
                "is_feature": reading.column is not None and reading.column.is_feature,
                "why": reading.why,
                "samples": [{"before": before, "after": after} for before, after in reading.samples],
                "schema": None if reading.column is None else column_to_dict(reading.column, form),
            }
            for reading in inference.columns
        ],
        "findings": [
            {"column": each.column, "severity": str(each.severity), "message": each.message}
            for each in inference.findings
        ],
    }


def _named_outcomes(
    target: str | None, *, bad: str | None, good: str | None, rejected: str | None
) -> "NamedOutcomes | None":
    """What `--bad`, `--good` and `--rejected` say of the target; None = nothing."""
    from loan_default.data.schema.inference.target_values import NamedOutcomes

    given = {"bad": bad, "good": good, "rejected": rejected}
    values = {name: parse_list(text, option=f"--{name}") for name, text in given.items() if text is not None}
    if not values:
        return None
    if target is None:
        raise ConfigurationError(
            "--bad, --good and --rejected must come with --target, however: it is not given. Add --target "
            "COLUMN."
        )
    return NamedOutcomes(**values)
