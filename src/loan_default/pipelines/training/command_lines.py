"""Commands with the options of a training as a person types them into a shell, to go on with a file."""

import shlex

from loan_default.option_lists import option_text
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

_TEXTS_OF_READING = ("target", "header", "delimiter", "encoding", "sheet")
_LISTS_OF_READING = ("bad", "good", "rejected")
"""Options that `train`, `schema` and `doctor` have in common."""


def training_command(options: TrainingOptions, data: FileData) -> str:
    """The command that trains on a file with the same options."""
    words = ["python train.py --pretrain --train --data", shlex.quote(str(data.path))]
    if options.schema is not None:
        words += ["--schema", shlex.quote(str(options.schema))]
    words += _reading(options)
    if late := options.values("known_after_decision"):
        words.append(option_text("--known-after-decision", late))
    words += ["--allow-leaks"] if options.allow_leaks else []
    words += ["--out-of-time"] if options.out_of_time else []
    return " ".join(words)


def schema_command(options: TrainingOptions, data: FileData) -> str:
    """The command that writes the schema which a training infers from a file to `schema.toml`."""
    return " ".join(
        ["loan-default schema", shlex.quote(str(data.path)), *_reading(options), "--out schema.toml"]
    )


def _reading(options: TrainingOptions) -> list[str]:
    texts = [(name, getattr(options, name)) for name in _TEXTS_OF_READING]
    lists = [(name, options.values(name)) for name in _LISTS_OF_READING]
    return [
        *(f"--{name} {shlex.quote(value)}" for name, value in texts if value is not None),
        *(option_text(f"--{name}", values) for name, values in lists if values),
    ]
