"""`loan-default …`: the pipeline by hand.

Exit codes, for scripts:
    0  done
    1  a bug: please report it
    2  the data, the options or the configuration cannot be used; one line says why
    3  a broker or store does not answer
    4  a model file was refused
    5  done, but some rows are in the quarantine (`score` only)
"""

import shlex
import sys
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated

import click
import structlog
import typer
from rich.console import Console
from rich.markup import escape

from loan_default.errors import ArtifactError, DependencyError, LoanDefaultError
from loan_default.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
)


class ExitCode(IntEnum):
    """What a script learns from a command."""

    DONE = 0
    INPUT = 2
    DEPENDENCY = 3
    ARTIFACT = 4
    QUARANTINED = 5


class Preset(StrEnum):
    """How much time a better model is worth."""

    FAST = "fast"
    DEFAULT = "default"
    BEST = "best"


class Objective(StrEnum):
    """What pretraining optimises."""

    DETECTION = "detection"
    NT_XENT = "nt-xent"
    BOTH = "both"


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


TRAIN_HELP = """Train a model: from a file of applications to calibrated PDs and a report.

[bold]Try[/]

    python train.py --pretrain --train --preset fast                  # a minute, the bundled data

    python train.py --pretrain --train                                # the default preset

    python train.py --pretrain --train --data loans.csv --target Default

    python train.py --train --encoder runs/credit_card/encoder.pth    # pretrain once, train often

    python train.py --pretrain --train --resume                       # after an interruption
"""


@app.command(help=TRAIN_HELP)
def train(
    pretrain: Annotated[
        bool,
        typer.Option("--pretrain", help="Pretrain an encoder without labels.", rich_help_panel="What to do"),
    ] = False,
    train_: Annotated[
        bool, typer.Option("--train", help="Train and calibrate a classifier.", rich_help_panel="What to do")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="CSV (.csv, .csv.gz) or Parquet file. Default: the bundled accounts.", rich_help_panel="Data"
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Column that says who defaulted. Needed without a schema.", rich_help_panel="Data"),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(help="Schema file. Default: inferred, printed and saved.", rich_help_panel="Data"),
    ] = None,
    out_of_time: Annotated[
        bool,
        typer.Option(
            "--out-of-time",
            help="Test on the latest applications. Default: on random ones.",
            rich_help_panel="Data",
        ),
    ] = False,
    preset: Annotated[
        Preset,
        typer.Option(
            help="fast: about 1 minute; default: about 4; best: about 30, on the bundled data and two cores.",
            rich_help_panel="Model",
        ),
    ] = Preset.DEFAULT,
    members: Annotated[
        int | None, typer.Option(help="Networks to average. Default: the preset's.", rich_help_panel="Model")
    ] = None,
    objective: Annotated[
        Objective | None,
        typer.Option(help="What pretraining optimises. Default: detection.", rich_help_panel="Pretraining"),
    ] = None,
    pretraining_epochs: Annotated[
        int | None,
        typer.Option(help="Passes of pretraining. Default: the preset's.", rich_help_panel="Pretraining"),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="Start from this pretrained encoder instead.", rich_help_panel="Pretraining"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes of training at most. Default: by preset and rows.", rich_help_panel="Training"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same model.", rich_help_panel="Training")] = 0,
    device: Annotated[
        Device, typer.Option(help="auto takes a GPU where there is one.", rich_help_panel="Training")
    ] = Device.AUTO,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where an interrupted run stopped.", rich_help_panel="Training"),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run. Default: runs/<name of the data>.", rich_help_panel="Output"),
    ] = None,
) -> None:
    """Runs the training pipeline."""
    from loan_default.console import LogListener, TerminalListener, outcome_table  # torch is slow to import
    from loan_default.database.connect import connect
    from loan_default.pipelines.dataset import BUNDLED_DATA
    from loan_default.pipelines.local import run_training
    from loan_default.pipelines.training import TrainingOptions

    console, settings = Console(), load_settings()
    set_up_logging(settings)
    options = TrainingOptions(
        data=data or BUNDLED_DATA,
        schema=schema,
        target=target,
        pretrain=pretrain,
        train=train_,
        encoder=encoder,
        preset=preset.value,
        epochs=epochs,
        pretraining_epochs=pretraining_epochs,
        members=members,
        objective=objective.value if objective else None,
        out_of_time=out_of_time,
        seed=seed,
        device=device.value,
        resume=resume,
    )
    folder = out or settings.home / options.data.name.split(".")[0]
    run = {"out": folder, "home": settings.home, "database": connect(settings), "command": _command()}
    if console.is_terminal:
        with TerminalListener(console).running() as listener:
            outcome = run_training(options, listener=listener, **run)
    else:
        outcome = run_training(options, listener=LogListener(), **run)
    if outcome.trained is None:
        console.print(f"Encoder  {outcome.encoder}\nNext     train.py --train --encoder {outcome.encoder}")
        return
    console.print(outcome_table(outcome))
    console.print(f"Model    {outcome.trained.path}  (version {outcome.trained.model.version})")
    console.print(f"Report   {outcome.out / 'report.html'}")


def set_up_logging(settings: Settings) -> None:
    """Structured log lines on standard error: for people on a terminal, JSON elsewhere."""
    form = settings.log_format
    for_people = form == "console" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def run(command: typer.Typer) -> None:
    """Run a command line; errors of ours become one line and an exit code."""
    try:
        command(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.INPUT)
    except (click.Abort, KeyboardInterrupt):
        Console(stderr=True).print("Stopped. Go on with --resume.")
        sys.exit(130)
    except LoanDefaultError as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[bold red]{error.headline}:[/] {escape(str(error))}", highlight=False
        )
        sys.exit(_code(error))


def main() -> None:
    """Entry point of `loan-default`."""
    run(app)


def train_main() -> None:
    """Entry point of `train.py`: the command `train` by itself."""
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    alone.command(help=TRAIN_HELP)(train)
    run(alone)


def _code(error: LoanDefaultError) -> ExitCode:
    if isinstance(error, DependencyError):
        return ExitCode.DEPENDENCY
    return ExitCode.ARTIFACT if isinstance(error, ArtifactError) else ExitCode.INPUT


def _command() -> str:
    program = Path(sys.argv[0]).name
    return shlex.join([program, *sys.argv[1:]])
