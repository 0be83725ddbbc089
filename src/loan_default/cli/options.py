"""The options of the commands: type, help and group of each, in the order in which help lists them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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


def _option(panel: str, text: str, *names: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(*names, help=text, rich_help_panel=panel)
    return option


_DATA_FILE = "CSV (.csv, .csv.gz) or Parquet file."

# train
Pretrain = Annotated[bool, _option("What to do", "Pretrain an encoder without labels.", "--pretrain")]
Train = Annotated[bool, _option("What to do", "Train and calibrate a classifier.", "--train")]
TrainingData = Annotated[
    Path | None,
    _option("Data", f"{_DATA_FILE} store: = what was ingested. Default: the bundled accounts."),
]
Target = Annotated[str | None, _option("Data", "Column that says who defaulted. Needed without a schema.")]
SchemaFile = Annotated[Path | None, _option("Data", "Schema file. Default: inferred, printed and saved.")]
OutOfTime = Annotated[
    bool, _option("Data", "Test on the latest applications. Default: on random ones.", "--out-of-time")
]
PresetName = Annotated[
    Preset,
    _option(
        "Model",
        "On the bundled data, minutes on two cores: fast 1, default 4, best some 15 (not measured).",
    ),
]
Members = Annotated[int | None, _option("Model", "Networks to average. Default: the preset's.")]
ObjectiveName = Annotated[
    Objective | None, _option("Pretraining", "What pretraining optimises. Default: detection.")
]
PretrainingEpochs = Annotated[
    int | None, _option("Pretraining", "Passes of pretraining. Default: the preset's.")
]
EncoderFile = Annotated[Path | None, _option("Pretraining", "Start from this pretrained encoder instead.")]
Epochs = Annotated[
    int | None, _option("Training", "Passes of training at most. Default: by preset and rows.")
]
Seed = Annotated[int, _option("Training", "Same seed, same model.")]
DeviceName = Annotated[Device, _option("Training", "auto takes a GPU where there is one.")]
Resume = Annotated[bool, _option("Training", "Go on where an interrupted run stopped.", "--resume")]
RunFolder = Annotated[Path | None, _option("Output", "Folder of the run. Default: runs/<name of the data>.")]

# score
ScoringData = Annotated[Path, _option("Data", f"{_DATA_FILE} No target is needed.", "--data")]
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
ScoresFile = Annotated[Path, _option("Output", "Scores: .csv, .csv.gz or .parquet.", "--out")]
QuarantineFile = Annotated[
    Path | None,
    _option(
        "Output", "Rows that break the schema, as .csv. Default: <out>.quarantine.csv beside the scores."
    ),
]

# models
Version = Annotated[
    str | None, typer.Argument(help="Show this one in full; the beginning of a version will do.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for programs. Default: a table.")]

# schema
DataToLookAt = Annotated[Path, typer.Argument(help=_DATA_FILE)]
TargetToLookFor = Annotated[
    str | None,
    typer.Option("--target", help="Column that says who defaulted. Default: none, a schema for scoring."),
]
NewSchemaFile = Annotated[
    Path | None, typer.Option("--out", help="File to save it to. Default: it is printed.")
]
