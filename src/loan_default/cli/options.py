"""The options of the commands: type, help and group of each, in the order in which help lists them."""

from pathlib import Path
from typing import Annotated

import typer

from loan_default.addresses import check_local_path
from loan_default.choices import DeviceName, Objective, PresetName, RejectMethod
from loan_default.pipelines.training.training_options import PARAMETERS, HeaderName


def _option(panel: str, text: str, *names: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(*names, help=text, rich_help_panel=panel)
    return option


def path_option(text: str, *names: str, panel: str | None = None) -> typer.models.OptionInfo:
    """An option that is a path of this machine."""
    option: typer.models.OptionInfo = typer.Option(
        *names, help=text, rich_help_panel=panel, parser=local_path
    )
    return option


def path_argument(text: str) -> typer.models.ArgumentInfo:
    """An argument that is a path of this machine."""
    argument: typer.models.ArgumentInfo = typer.Argument(help=text, parser=local_path)
    return argument


def local_path(text: str) -> Path:
    """The path that a person typed; a ValueError where it is an address."""
    check_local_path(text)
    return Path(text)


_DATA_FILE = (
    "File of applications: CSV or other text (any delimiter and encoding), Excel, Parquet, Feather, "
    "JSON lines or ARFF, also gzipped or zipped."
)


def _training_option(name: str) -> typer.models.OptionInfo:
    """The option of the command `train` for one of the options of a training."""
    parameter = PARAMETERS[name]
    text = parameter.text + (f" Default: {parameter.unset}." if parameter.unset else "")
    flag = f"--{name.replace('_', '-')}"
    if parameter.kind == "boolean" and parameter.default is True and name not in ("pretrain", "train"):
        flag = f"{flag}/--no-{flag.removeprefix('--')}"  # a person says which of those two to do
    if parameter.kind == "file":
        return path_option(text, flag, panel=parameter.panel)
    return _option(parameter.panel, text, flag)


# train
Pretrain = Annotated[bool, _training_option("pretrain")]
Train = Annotated[bool, _training_option("train")]
TrainingData = Annotated[
    Path | None,
    path_option(
        f"{_DATA_FILE} store: = what was ingested. Default: the bundled accounts.", "--data", panel="Data"
    ),
]
Target = Annotated[str | None, _training_option("target")]
Bad = Annotated[str | None, _training_option("bad")]
Good = Annotated[str | None, _training_option("good")]
Rejected = Annotated[str | None, _training_option("rejected")]
SchemaFile = Annotated[Path | None, _training_option("schema")]
Header = Annotated[HeaderName | None, _training_option("header")]
Sheet = Annotated[str | None, _training_option("sheet")]
Delimiter = Annotated[str | None, _training_option("delimiter")]
Encoding = Annotated[str | None, _training_option("encoding")]
KnownAfterDecision = Annotated[str | None, _training_option("known_after_decision")]
AllowLeaks = Annotated[bool, _training_option("allow_leaks")]
OutOfTime = Annotated[bool, _training_option("out_of_time")]
PresetOption = Annotated[PresetName, _training_option("preset")]
Members = Annotated[int | None, _training_option("members")]
WithTrees = Annotated[bool, _training_option("with_trees")]
ObjectiveName = Annotated[Objective | None, _training_option("objective")]
PretrainingEpochs = Annotated[int | None, _training_option("pretraining_epochs")]
EncoderFile = Annotated[Path | None, _training_option("encoder")]
Epochs = Annotated[int | None, _training_option("epochs")]
RejectInference = Annotated[RejectMethod, _training_option("reject_inference")]
RejectFactor = Annotated[float | None, _training_option("reject_factor")]
Refit = Annotated[bool, _training_option("refit")]
Seed = Annotated[int, _training_option("seed")]
DeviceOption = Annotated[DeviceName, _training_option("device")]
Resume = Annotated[bool, _training_option("resume")]
RunFolder = Annotated[
    Path | None, path_option("Folder of the run. Default: runs/<name of the data>.", "--out", panel="Output")
]

# score
ScoringData = Annotated[
    Path | None, path_option(f"{_DATA_FILE} No target is needed.", "--data", panel="Data")
]
FollowStream = Annotated[
    bool,
    _option(
        "Data",
        "In the place of --data and --out: score processed_data, publish on scores, until Ctrl-C or SIGTERM.",
        "--follow",
    ),
]
AliveFile = Annotated[
    Path | None,
    path_option(
        "With --follow: file whose time is set while it polls, for a health check. Default: none.",
        "--alive",
        panel="Output",
    ),
]
ModelName = Annotated[
    str | None,
    _option(
        "Model",
        "A .pth file, or a version in the registry (its beginning will do). Default: the champion, else the "
        "newest.",
    ),
]
Sha256 = Annotated[
    str | None,
    _option("Model", "Digest that the file must have. Default: that of the registry or beside the file."),
]
ScoresFile = Annotated[
    Path | None, path_option("Scores: .csv, .csv.gz or .parquet.", "--out", panel="Output")
]
QuarantineFile = Annotated[
    Path | None,
    path_option(
        "Rows that break the schema, as .csv. Default: <out>.quarantine.csv beside the scores.",
        panel="Output",
    ),
]

# models
Version = Annotated[
    str | None, typer.Argument(help="Show this one in full; the beginning of a version will do.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs. Default: a table.")]

# schema
DataToLookAt = Annotated[Path, path_argument(_DATA_FILE)]
TargetToLookFor = Annotated[
    str | None,
    typer.Option("--target", help="Column that says who defaulted. Default: none, a schema for scoring."),
]
HeaderToExpect = Annotated[HeaderName | None, typer.Option("--header", help=_training_option("header").help)]
SheetToLookAt = Annotated[str | None, typer.Option("--sheet", help=_training_option("sheet").help)]
DelimiterToExpect = Annotated[
    str | None, typer.Option("--delimiter", help=_training_option("delimiter").help)
]
EncodingToExpect = Annotated[str | None, typer.Option("--encoding", help=_training_option("encoding").help)]
SchemaPage = Annotated[
    Path | None, path_option("Page for people to save. It holds values of the file.", "--html")
]
NewSchemaFile = Annotated[Path | None, path_option("File to save it to. Default: it is printed.", "--out")]

# ingest, prepare, dead-letters
IngestionSchemaFile = Annotated[
    Path | None,
    path_option("Schema file. Default: LOAN_DEFAULT_SCHEMA, else that of the bundled accounts.", "--schema"),
]
