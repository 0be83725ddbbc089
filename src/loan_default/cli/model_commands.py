"""The commands on models: train one, score with one, list them, infer a schema to train by."""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import typer
from rich.console import Console

from loan_default.addresses import looks_like_address
from loan_default.bundled import BUNDLED_DATA
from loan_default.cli import options
from loan_default.cli.console import (
    ExitCode,
    LogRows,
    PlainListener,
    TerminalListener,
    TerminalRows,
    make_console,
    print_result,
    say,
    user_name,
)
from loan_default.cli.registered_models import models_table, print_model
from loan_default.cli.scored_rows import print_scored
from loan_default.cli.scored_stream import follow_stream
from loan_default.errors import ConfigurationError
from loan_default.pipelines.training.training_options import FileData, StoreData, TrainingOptions
from loan_default.settings import Settings
from loan_default.wiring import open_database, review_policy_of, start

if TYPE_CHECKING:
    from loan_default.models.model import LoanModel
    from loan_default.pipelines.registry import ModelFile
    from loan_default.pipelines.scoring.file_scoring import Keep
    from loan_default.pipelines.training.local_run import TrainingResult

log = structlog.get_logger()

STORE_NAME = "store:"
"""The value of `--data` that names the training store."""

TRAIN_HELP = """Train a model: from a file of applications to calibrated PDs and a report.

[bold]Try[/]

    python train.py --pretrain --train --preset fast    # bundled data, quickly

    python train.py --pretrain --train                  # the default preset

    python train.py --pretrain --train --data loans.csv --target Default

    python train.py --train --encoder runs/credit_card/encoder.pth

    python train.py --pretrain --train --resume         # after an interruption
"""


def train(
    pretrain: options.Pretrain = False,
    train_: options.Train = False,
    data: options.TrainingData = None,
    target: options.Target = None,
    bad: options.Bad = None,
    good: options.Good = None,
    rejected: options.Rejected = None,
    schema: options.SchemaFile = None,
    header: options.Header = None,
    sheet: options.Sheet = None,
    delimiter: options.Delimiter = None,
    encoding: options.Encoding = None,
    known_after_decision: options.KnownAfterDecision = None,
    allow_leaks: options.AllowLeaks = False,
    out_of_time: options.OutOfTime = False,
    preset: options.PresetOption = "default",
    members: options.Members = None,
    with_trees: options.WithTrees = False,
    objective: options.ObjectiveName = None,
    pretraining_epochs: options.PretrainingEpochs = None,
    encoder: options.EncoderFile = None,
    epochs: options.Epochs = None,
    reject_inference: options.RejectInference = "none",
    reject_factor: options.RejectFactor = None,
    refit: options.Refit = True,
    seed: options.Seed = 0,
    device: options.DeviceOption = "auto",
    resume: options.Resume = False,
    out: options.RunFolder = None,
) -> None:
    """Train a model from a file or from the training store."""
    from loan_default.pipelines.training.local_run import run_training

    if train_ and not pretrain:
        _refuse_without("--pretrain", {"--objective": objective, "--pretraining-epochs": pretraining_epochs})
    if pretrain and not train_:
        flags = {"--with-trees": with_trees or None, "--reject-inference": reject_inference != "none" or None}
        _refuse_without("--train", {"--epochs": epochs, "--members": members, **flags})
    console, settings = make_console(), start()
    chosen = TrainingOptions(
        data=_training_data(data, settings),
        schema=schema,
        target=target,
        bad=bad,
        good=good,
        rejected=rejected,
        header=header,
        sheet=sheet,
        delimiter=delimiter,
        encoding=encoding,
        known_after_decision=known_after_decision,
        allow_leaks=allow_leaks,
        pretrain=pretrain,
        train=train_,
        encoder=encoder,
        preset=preset,
        epochs=epochs,
        reject_inference=reject_inference,
        reject_factor=reject_factor,
        refit=refit,
        pretraining_epochs=pretraining_epochs,
        members=members,
        with_trees=with_trees,
        objective=objective,
        out_of_time=out_of_time,
        seed=seed,
        device=device,
        resume=resume,
    )
    with open_database(settings) as database, _listener(console) as listener:
        result = run_training(
            chosen,
            out=out or settings.home / _folder_name(chosen.data),
            home=settings.home,
            database=database,
            listener=listener,
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            by=user_name(),
            policy=review_policy_of(settings),
        )
    print_result(console, result, next_command=_next_command(result))


def score(
    data: options.ScoringData = None,
    follow: options.FollowStream = False,
    out: options.ScoresFile = None,
    model: options.ModelName = None,
    sha256: options.Sha256 = None,
    quarantine: options.QuarantineFile = None,
    alive: options.AliveFile = None,
) -> None:
    """Score a file of applications: PD, points and model version for each row, in the order of the file.

    Rows that break the model's schema go to the quarantine with their reasons; the exit code is then 5.
    Predictions of a registered model are kept: `loan-default predictions show` finds them. With
    --follow the applications are those that pass the ingestion, and records that no model can score become
    dead-letter records.
    """
    if follow:
        _refuse_with_follow(
            {"--data": data, "--out": out, "--quarantine": quarantine, "--model": model, "--sha256": sha256}
        )
        follow_stream(make_console(), start(), alive=alive)
        return
    if data is None or out is None:
        raise typer.TyperException(f"Missing option '{'--data' if data is None else '--out'}'.")
    if alive is not None:
        raise ConfigurationError("--alive must come with --follow, however: it does not. Leave it out.")
    from loan_default.data.sources.format_words import describe_format
    from loan_default.data.sources.sniffing import format_for
    from loan_default.models.model import load_model
    from loan_default.pipelines.scoring.file_scoring import (
        check_paths,
        quarantine_beside,
        score_file,
        scoring_threads,
    )

    console, settings = make_console(), start()
    rejected = quarantine or quarantine_beside(out)
    check_paths(data, out=out, quarantine=rejected)
    chosen = _model_file(model, settings, sha256=_checked_digest(sha256))
    loaded = load_model(chosen.path, sha256=chosen.sha256)
    say(console, "model", f"{loaded.version}: {chosen.why}")
    form = format_for(data, loaded.schema)
    say(console, "data", f"{data.name}: {describe_format(form)}")
    with (
        scoring_threads(),
        _keeper(settings, chosen, loaded, data) as keep,
        _rows_listener(console) as report,
    ):
        scored = score_file(loaded, data, form=form, out=out, quarantine=rejected, report=report, keep=keep)
    print_scored(console, scored)
    if not console.is_terminal:
        log.info(
            "scored",
            model_version=loaded.version,
            read=scored.rows_read,
            scored=scored.rows_scored,
            quarantined=scored.rows_quarantined,
            unseen=dict(scored.unseen),
            rows_per_second=round(scored.rows_per_second),
        )
    if scored.rows_quarantined:
        raise typer.Exit(ExitCode.QUARANTINED)


def _refuse_with_follow(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if value is not None:
            raise ConfigurationError(
                f"--follow must come without {name}, however: both are given. The stream is scored by the "
                "champion and its challenger."
            )


def models(version: options.Version = None, as_json: options.AsJson = False) -> None:
    """List the registered models, the newest first, or show one in full."""
    from loan_default.pipelines.registry import find_model, list_models

    console, settings = make_console(), start()
    with open_database(settings) as database:
        listed = list_models(database) if version is None else [find_model(database, version)]
    if as_json:
        content = [each.to_dict() for each in listed]
        typer.echo(json.dumps(content if version is None else content[0], indent=2))
    elif version is not None:
        print_model(console, listed[0])
    elif listed:
        console.print(models_table(listed))
    else:
        say(console, "models", "none yet; train one with train.py --pretrain --train")


def _refuse_without(stage: str, given: Mapping[str, object]) -> None:
    """Refuse options (name -> value, None = not given) of a stage that will not run."""
    for name, value in given.items():
        if value is not None:
            raise ConfigurationError(
                f"{name} must come with {stage}, however: {stage} is not given. Add it, or leave {name} out."
            )


def _training_data(data: Path | None, settings: Settings) -> FileData | StoreData:
    """The data that `--data` means: a file, the training store, or by default the bundled accounts."""
    from loan_default.pipelines.layout import TRAINING_STORE

    if data is None:
        return FileData(path=BUNDLED_DATA)
    if str(data) == STORE_NAME:
        return StoreData(folder=settings.home / TRAINING_STORE, maturity_days=settings.maturity_days)
    return FileData(path=data)


def _folder_name(data: FileData | StoreData) -> str:
    """Name of the folder of a run where `--out` names none."""
    from loan_default.data.sources.table_files import stem_of
    from loan_default.pipelines.layout import FROM_STORE

    return FROM_STORE if isinstance(data, StoreData) else stem_of(data.path)


@contextmanager
def _listener(console: Console) -> Iterator[TerminalListener | PlainListener]:
    from loan_default.pipelines.training.listeners import LogListener

    if not console.is_terminal:
        yield PlainListener(console, LogListener())
        return
    with TerminalListener(console).running() as listener:
        yield listener


@contextmanager
def _rows_listener(console: Console) -> Iterator[TerminalRows | LogRows]:
    if not console.is_terminal:
        yield LogRows()
        return
    with TerminalRows(console).running() as listener:
        yield listener


@contextmanager
def _keeper(
    settings: Settings, chosen: "ModelFile", model: "LoanModel", data: Path
) -> "Iterator[Keep | None]":
    """What keeps the predictions of a registered model; None for a file that was named by its path."""
    from loan_default.database.prediction_repository import PredictionRepository
    from loan_default.files import sha256_of
    from loan_default.serving.batch_predictions import batch_keeper

    if chosen.version is None or chosen.sha256 is None:
        yield None
        return
    with open_database(settings) as database:
        yield batch_keeper(
            PredictionRepository(database),
            file_digest=sha256_of(data),
            version=chosen.version,
            digest=chosen.sha256,
            schema=model.schema,
        )


def _model_file(model: str | None, settings: Settings, *, sha256: str | None) -> "ModelFile":
    """The model that `--model` means: a file, or a version in the registry."""
    from loan_default.pipelines.registry import ModelFile, file_to_score_with

    is_address = model is not None and looks_like_address(model)  # the registry refuses it
    if model is not None and not is_address and (model.endswith(".pth") or Path(model).is_file()):
        return ModelFile(path=Path(model), sha256=sha256, why=f"from {model}")
    with open_database(settings) as database:
        return file_to_score_with(database, model, home=settings.home, sha256=sha256)


def _checked_digest(sha256: str | None) -> str | None:
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ConfigurationError(f"--sha256 must be 64 hexadecimal digits, however: {sha256!r}")
    return sha256.lower() if sha256 else None


def _next_command(result: "TrainingResult") -> str:
    """The command that a person may want to type after a run."""
    if result.trained is not None:
        version = result.trained.model.version
        return f"loan-default score --model {version} --data new.csv --out scores.csv"
    chosen = result.plan.options
    parts = ["python", "train.py", "--train", "--encoder", str(result.encoder)]
    is_bundled = chosen.data == FileData(path=BUNDLED_DATA)
    if not is_bundled:
        parts += ["--data", STORE_NAME if isinstance(chosen.data, StoreData) else str(chosen.data.path)]
    if not is_bundled or chosen.schema is not None:
        parts += ["--schema", str(result.out / "schema.toml")]
    parts += ["--seed", str(chosen.seed)] if chosen.seed else []
    parts += ["--out-of-time"] if chosen.out_of_time else []
    return shlex.join([*parts, "--out", str(result.out)])
