"""What a person is asked where a column gives the outcome away, with the lines that settle it."""

import json
import re
import shlex
from dataclasses import replace

from loan_default.data.datasets.leakage import Leak, LeakCheck, check_leaks
from loan_default.data.datasets.splits import Split
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.inference.code_names import words_of
from loan_default.data.schema.language import Schema
from loan_default.errors import ConfigurationError
from loan_default.option_lists import option_text
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

_WEIGHT_WORDS = frozenset(
    {"weight", "weights", "weighting", "wt", "wgt", "gewicht", "gewichtung", "poids", "peso", "ponderation"}
    | {"ponderacion", "ponderacao", "ponderazione"}
)
_OTHER_WEIGHT_WORDS = frozenset(
    {"kg", "lb", "lbs", "body", "vehicle", "car", "truck", "gross", "net", "curb"}
)


def checked_leaks(options: TrainingOptions, dataset: Dataset, split: Split, *, inferred: bool) -> LeakCheck:
    """What each column says of the outcome by itself.

    Raises:
        ConfigurationError: a column gives the outcome away, or is called like a weight, and nobody has
            settled what it is.
    """
    leaks = check_leaks(dataset.frame.iloc[split.train], dataset.schema, dataset.labels[split.train])
    if inferred:
        known = {leak.column for leak in leaks.leaks if leak.stops}
        by_name = [leak for leak in weights_by_name(dataset.schema) if leak.column not in known]
        leaks = replace(leaks, leaks=(*leaks.leaks, *by_name))
    if leaks.stopping and not options.allow_leaks:
        raise leaks_found(leaks, options, dataset.schema)
    return leaks


def weights_by_name(schema: Schema) -> tuple[Leak, ...]:
    """Numbers whose names say that they are weights of rows; a person has not settled what they are."""
    return tuple(
        Leak(column=each.name, evidence="its name is that of a weight", stops=True, could_be_weight=True)
        for each in schema.features
        if each.kind is Kind.NUMERICAL and each.known_after_decision is None and names_weight(each)
    )


def names_weight(column: Column) -> bool:
    """Whether a column is called like a weight of rows."""
    words = set(words_of(column.name))
    return not words.isdisjoint(_WEIGHT_WORDS) and words.isdisjoint(_OTHER_WEIGHT_WORDS)


def leaks_found(check: LeakCheck, options: TrainingOptions, schema: Schema) -> ConfigurationError:
    """The question that stops a training: each column with its evidence, and how to go on."""
    stopping = check.stopping
    how_many = "a column nearly decides" if len(stopping) == 1 else f"{len(stopping)} columns nearly decide"
    lines = [f"the outcome must not stand in a feature, however: {how_many} it on the training rows:"]
    for leak in stopping:
        lines.append(f"  {leak.column}: {leak.evidence}")
        lines += [f"      {_table(leak.column)}", "      known_after_decision = true   # never a feature"]
        if leak.could_be_weight and schema.weight is None:
            lines.append('      kind = "weight"                # or this: how much a row counts')
    lines.append(_ways_out([leak.column for leak in stopping], options, schema))
    return ConfigurationError("\n".join(lines))


def _ways_out(columns: list[str], options: TrainingOptions, schema: Schema) -> str:
    target = schema.target.name if schema.target is not None else ""
    in_time = "known_after_decision = false says of a column that it is known in time and stays a feature."
    anyway = "--allow-leaks trains with all of them."
    if not isinstance(options.data, FileData):
        return (
            "Write the lines into the schema that the store is read by (LOAN_DEFAULT_SCHEMA or --schema) and "
            f"start a new run; {in_time} {anyway} A run of the DAG has the parameter allow_leaks."
        )
    if options.schema is not None:
        return f"Write the lines into {options.schema.name}; {in_time} {anyway}"
    drop = option_text("--known-after-decision", columns)
    words = ["loan-default schema", shlex.quote(options.data.name), option_text("--target", [target])]
    named = {side: options.values(side) for side in ("bad", "good")}
    words += [option_text(f"--{side}", values) for side, values in named.items() if values]
    return (
        f"To leave them out, add {drop}. Or write the lines into a schema (`{' '.join(words)} --out "
        f"schema.toml`) and train with --schema schema.toml; {in_time} {anyway}"
    )


def _table(name: str) -> str:
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
    return f"[columns.{key}]"
