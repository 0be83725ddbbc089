"""What a person sees: whole paths, warnings first, and never markup out of the data."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from loan_default.cli.console import (
    LogRows,
    PlainListener,
    TerminalListener,
    TerminalRows,
    counted,
    epoch_line,
    findings_table,
    make_console,
    print_plan,
    print_result,
    say,
)
from loan_default.cli.registered_models import models_table, print_model
from loan_default.cli.scored_rows import print_scored
from loan_default.data.schema.inference.infer import Finding, Severity
from loan_default.models.fitting import Epoch, Progress
from loan_default.pipelines.registry import find_model, list_models
from loan_default.pipelines.scoring.file_scoring import Scored
from loan_default.pipelines.training.listeners import LogListener

FINDINGS = (
    Finding("age", Severity.NOTE, "heavy tail"),
    Finding("", Severity.WARNING, "2 rows that cannot be read as 3 fields: quarantined"),
    Finding("[bold]x[/]", Severity.WARNING, "left out: every value is '[red]'"),
)
SCORED = Scored(
    out=Path("scores.csv"),
    quarantine=Path("scores.quarantine.csv"),
    rows_read=1_200,
    rows_scored=1_190,
    rows_quarantined=10,
    reasons={"age: must be at least 18": 10},
    mean_pd=0.2213,
    seconds=0.5,
    absent=("ratio",),
    ignored=("note",),
    unseen={"home: a category unknown to the model": 7},
)


@pytest.fixture
def screen():
    """A console of 80 columns that writes into a text."""
    return Console(file=io.StringIO(), width=80)


@pytest.fixture
def terminal():
    return Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)


@pytest.fixture
def logged():
    with structlog.testing.capture_logs() as lines:
        yield lines


def test_a_line_is_one_line_however_long_and_shows_markup_as_it_is(screen):
    say(screen, "model", "[red]" + "x" * 200)
    assert _text(screen) == "model       [red]" + "x" * 200 + "\n"


def test_where_there_is_no_terminal_lines_are_wide(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert make_console().width == 200
    monkeypatch.setenv("COLUMNS", "70")
    assert make_console().width == 70


def test_findings_come_with_warnings_first(screen):
    screen.print(findings_table(FINDINGS))
    lines = [line for line in _text(screen).splitlines() if "│" in line]
    assert "(the file)" in lines[0]
    assert "[bold]x[/]" in lines[1]
    assert "'[red]'" in lines[1]
    assert "heavy tail" in lines[2]


def test_what_was_prepared_is_shown_with_the_reasons_for_each_choice(screen, lab):
    plan = lab.outcome.plan
    print_plan(
        screen,
        replace(plan, schema_choice=replace(plan.schema_choice, findings=FINDINGS)),
        lab.outcome.out,
    )
    text = _text(screen)
    assert "501 read: 497 accepted, 3 quarantined, 1 duplicates" in text
    assert "         1  purpose: must be one of car, house, study" in text
    assert f"read from loans.toml, saved to {lab.outcome.out / 'schema.toml'}" in text
    order = [text.index(part) for part in ("2 rows that cannot", "[bold]x[/]: left out", "age: heavy tail")]
    assert order == sorted(order)
    assert plan.split.reason in text
    assert f"fast: costs {plan.preset.cost}" in text
    for choice in plan.compute.choices:
        assert f"{choice.value}: {choice.reason}" in text


def test_the_outcome_names_every_file_and_what_to_type_next(screen, lab):
    print_result(screen, lab.outcome, next_command="loan-default score …")
    text = _text(screen)
    for name in ("encoder.pth", "model.pth", "report.html", "quarantine.csv"):
        assert str(lab.outcome.out / name) in text
    assert lab.version in text
    auc = lab.outcome.intervals["auc"]
    assert f"{auc.value:.4f}" in text
    assert f"{auc.low:.4f}" in text
    assert text.endswith("next        loan-default score …\n")


def test_a_run_without_quarantine_and_training_says_less(screen, lab):
    dataset = lab.outcome.plan.dataset
    plan = replace(
        lab.outcome.plan, dataset=replace(dataset, quarantined=dataset.quarantined[:0], reasons={})
    )
    print_result(screen, replace(lab.outcome, plan=plan, trained=None), next_command="n")
    assert _text(screen) == f"encoder     {lab.outcome.out / 'encoder.pth'}\nnext        n\n"


def test_scored_rows_add_up_on_the_screen(screen):
    print_scored(screen, SCORED)
    assert _text(screen).splitlines() == [
        "read        1,200 rows, 2,400 a second",
        "scored      1,190 rows, mean PD 22.13%: scores.csv",
        "quarantined 10 rows: scores.quarantine.csv",
        "        10  age: must be at least 18",
        "unseen      scored, though the rows that the features were fitted on had none of it:",
        "         7  home: a category unknown to the model",
        "absent      ratio: not known in any row",
        "ignored     note: not in the schema",
    ]


def test_nothing_to_complain_about_is_not_mentioned(screen):
    print_scored(screen, replace(SCORED, quarantine=None, mean_pd=None, absent=(), ignored=(), unseen={}))
    assert _text(screen).count("\n") == 2


def test_models_stand_in_a_table_with_whole_versions(screen, lab):
    listed = list_models(lab.database)
    screen.print(models_table(listed))
    assert lab.version in _text(screen)
    wide = Console(file=io.StringIO(), width=200)
    champion = [replace(listed[0], is_champion=True), *listed[1:]]
    wide.print(models_table(champion))
    text = _text(wide)
    metrics = find_model(lab.database, lab.version).test
    low, high = metrics.intervals["auc"]
    assert f"{metrics.figures['auc']:.4f} [{low:.3f}, {high:.3f}]" in text
    assert "trained *" in text
    assert "│ test        │" in text
    assert "* the champion" in text


def test_one_model_is_shown_in_full(screen, lab):
    registered = find_model(lab.database, lab.version)
    print_model(screen, registered)
    text = _text(screen)
    assert registered.model.sha256 in text
    assert f"test {registered.model.rows['test']}" in text
    assert "calibration slope" in text
    assert "champion          no" in text
    assert "run               none" in text


def test_a_model_without_figures_has_dashes(screen, lab):
    bare = replace(find_model(lab.database, lab.version), metrics=())
    wide = Console(file=io.StringIO(), width=200)
    wide.print(models_table([bare]))
    assert "│ -           │ -   │ -  │ -     │" in _text(wide)


@pytest.mark.parametrize(
    ("stage", "score", "words"),
    [
        ("member 2", 0.7812, "validation AUC 0.7812"),
        ("member 2", -0.4, "validation loss 0.4000"),
        ("pretraining", -0.9, "validation loss 0.9000"),
    ],
)
def test_an_epoch_in_words(stage, score, words):
    line = epoch_line(_sign(stage, score))
    assert line == f"{stage}  epoch 1/3  loss 0.5000  {words}  1,234 rows/s"


def test_a_terminal_shows_stages_epochs_and_bars(terminal):
    with TerminalListener(terminal).running() as listener:
        listener.stage("train", "2 x 3 epochs")
        listener.progress(_sign("member 1", None))
        listener.progress(_sign("member 1", 0.7))
        listener.stage("calibrate", "on 12 rows")
    text = _text(terminal)
    assert "train       2 x 3 epochs" in text
    assert "epoch 1/3" in text
    assert "validation AUC 0.7000" in text
    assert "calibrate   on 12 rows" in text


def test_a_terminal_counts_the_rows_of_a_stream(terminal):
    with TerminalRows(terminal).running() as report:
        report(1_000)
        report(2_000)
    assert "2,000 rows" in _text(terminal)


def test_elsewhere_a_stage_and_an_epoch_are_a_line_of_the_log(screen, logged, lab):
    listener = PlainListener(screen, LogListener())
    listener.stage("train", "2 x 3 epochs")
    listener.progress(_sign("member 1", None))
    listener.progress(_sign("member 1", 0.7))
    listener.planned(lab.outcome.plan, lab.outcome.out, kept_schema=None)
    assert [line["event"] for line in logged] == ["stage_started", "epoch_finished"]
    assert logged[1]["score"] == 0.7
    assert json.dumps(logged)
    assert "501 read" in _text(screen)


def test_a_long_stream_says_that_it_is_alive(logged):
    patient, hasty = LogRows(every_seconds=3600), LogRows(every_seconds=0)
    for rows in (1, 2):
        patient(rows)
        hasty(rows)
    assert logged == [{"event": "scoring", "rows": rows, "log_level": "info"} for rows in (1, 2)]


def _sign(stage: str, score: float | None) -> Progress:
    last = None
    if score is not None:
        last = Epoch(epoch=1, losses={"loss": 0.5}, score=score, rows_per_second=1234.0)
    return Progress(stage=stage, epoch=1, epochs=3, done_rows=100, total_rows=300, last=last)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 events"), (1, "1 event"), (2, "2 events"), (1_000, "1,000 events")]
)
def test_one_is_no_plural(number, text):
    assert counted(number, "event") == text
