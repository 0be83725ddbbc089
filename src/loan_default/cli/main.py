"""`loan-default …`: the pipeline by hand. This module gathers the commands and turns errors into exit codes.

Exit codes, for scripts:
    0  done
    1  a bug: please report it
    2  the data, the options or the configuration cannot be used; one line says why
    3  the broker or the document store does not answer, or the machine ended a process
    4  a model file was refused
    5  done, but some rows are in the quarantine (`score` only)
    6  done, but the gate refuses the model (`evaluate` and `promote` only)
    130  stopped from the keyboard
"""

import errno
import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from loan_default.cli import (
    audit_commands,
    card_commands,
    dead_letter_commands,
    drift_commands,
    experiment_commands,
    explain_commands,
    file_commands,
    key_commands,
    model_commands,
    prediction_commands,
    promotion_commands,
    serving_commands,
    stack_commands,
    stream_commands,
)
from loan_default.cli.console import ExitCode
from loan_default.errors import ArtifactError, DependencyError, LoanDefaultError

app = typer.Typer(
    help="From loan applications to calibrated probabilities of default.",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command(help=model_commands.TRAIN_HELP)(model_commands.train)
app.command()(model_commands.score)
app.command()(explain_commands.explain)
app.command()(model_commands.models)
app.command()(card_commands.card)
app.command()(promotion_commands.evaluate)
app.command()(promotion_commands.promote)
app.command()(promotion_commands.rollback)
app.command()(serving_commands.serve)
app.command()(file_commands.schema)
app.command()(file_commands.doctor)
app.command()(stack_commands.init)
app.command()(stream_commands.ingest)
app.command()(stream_commands.prepare)
app.command()(stream_commands.commands)
app.command()(experiment_commands.challenge)
app.command()(drift_commands.drift)
app.command()(stack_commands.replay)
app.command()(stack_commands.status)
app.command()(stack_commands.backup)
app.command()(stack_commands.restore)
app.add_typer(audit_commands.audit_app, name="audit")
app.add_typer(dead_letter_commands.dead_letters_app, name="dead-letters")
app.add_typer(key_commands.keys_app, name="keys")
app.add_typer(prediction_commands.predictions_app, name="predictions")

_STOPPED = "from the keyboard."
_STOPPED_TRAINING = f"{_STOPPED} Go on with --resume."


def run(command: typer.Typer, arguments: Sequence[str], *, stopped: str = _STOPPED) -> None:
    """Run a command line; errors of ours become one line and an exit code.

    Args:
        stopped: the line that is printed when the keyboard stops the command.
    """
    try:
        code = command(arguments, standalone_mode=False)
    except typer.TyperException as error:  # a wrong option
        _print_error("The command is not usable", f"{_sentence(error.format_message())} See --help.")
        code = ExitCode.INPUT
    except LoanDefaultError as error:
        _print_error(error.headline, str(error))
        code = _code(error)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        # Of two files the first one is temporary.
        named = error.filename2 or error.filename or "no file named"
        _print_error("The system refused", f"{error.strerror}: {named}")
        code = ExitCode.INPUT
    if code == ExitCode.STOPPED:
        _print_error("Stopped", stopped)
    sys.exit(code or ExitCode.DONE)


def main() -> None:
    """Entry point of `loan-default`."""
    arguments = sys.argv[1:] or ["--help"]
    run(app, arguments, stopped=_STOPPED_TRAINING if arguments[0] == "train" else _STOPPED)


def train_main() -> None:
    """Entry point of `train.py`: the command `train` by itself."""
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    alone.command(help=model_commands.TRAIN_HELP)(model_commands.train)
    run(alone, sys.argv[1:], stopped=_STOPPED_TRAINING)


_REFUSALS = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENAMETOOLONG),
        *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),  # a file where a folder should be, or the other way
    }
)
"""Errors of the operating system that are no bug of ours."""


def _print_error(headline: str, message: str) -> None:
    text = Text.assemble((f"{headline}: ", "bold red"), message)
    Console(stderr=True).print(text, soft_wrap=True, highlight=False)


def _sentence(message: str) -> str:
    text = message.replace("Value error, ", "")  # pydantic's words
    return text if text.endswith((".", "?")) else f"{text}."


def _code(error: LoanDefaultError) -> ExitCode:
    if isinstance(error, DependencyError):
        return ExitCode.DEPENDENCY
    return ExitCode.ARTIFACT if isinstance(error, ArtifactError) else ExitCode.INPUT
