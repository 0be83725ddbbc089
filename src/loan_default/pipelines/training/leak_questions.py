"""What a person is asked where a column gives the outcome away, or is called like a weight of rows."""

from loan_default.data.datasets.leakage import LeakCheck, check_leaks
from loan_default.data.datasets.splits import Split
from loan_default.data.schema.column import Kind
from loan_default.data.schema.inference.plausibility import names_weight
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import table_heading
from loan_default.errors import ConfigurationError
from loan_default.option_lists import option_text
from loan_default.pipelines.training.command_lines import schema_command
from loan_default.pipelines.training.dataset import Dataset
from loan_default.pipelines.training.training_options import FileData, TrainingOptions


def checked_leaks(options: TrainingOptions, dataset: Dataset, split: Split, *, inferred: bool) -> LeakCheck:
    """What each column says of the outcome by itself.

    Raises:
        ConfigurationError: a column gives the outcome away, or a number of an inferred schema is called like
            a weight, and nobody has settled what it is.
    """
    leaks = check_leaks(dataset.frame.iloc[split.train], dataset.schema, dataset.labels[split.train])
    if options.allow_leaks:
        return leaks
    stopping = {leak.column for leak in leaks.stopping}
    weights = [name for name in weights_by_name(dataset.schema) if name not in stopping] if inferred else []
    if stopping or weights:
        raise columns_in_question(leaks, weights, options, dataset.schema)
    return leaks


def weights_by_name(schema: Schema) -> list[str]:
    """Numbers whose names say that they are weights of rows; a person has not settled what they are."""
    return [
        each.name
        for each in schema.features
        if each.kind is Kind.NUMERICAL and each.known_after_decision is None and names_weight(each.name)
    ]


def columns_in_question(
    check: LeakCheck, weights: list[str], options: TrainingOptions, schema: Schema
) -> ConfigurationError:
    """The questions that stop a training: each column with its evidence, and how to go on.

    Args:
        weights: numbers that are called like weights of rows.
    """
    lines = [*_on_leaks(check, schema), *_on_weights(weights, schema)]
    columns = [*(leak.column for leak in check.stopping), *weights]
    lines.append(_ways_out(columns, options))
    return ConfigurationError("\n".join(lines))


def _on_leaks(check: LeakCheck, schema: Schema) -> list[str]:
    stopping = check.stopping
    if not stopping:
        return []
    how_many = "a column nearly decides" if len(stopping) == 1 else f"{len(stopping)} columns nearly decide"
    lines = [f"the outcome must not stand in a feature, however: {how_many} it on the training rows:"]
    for leak in stopping:
        heading = table_heading(leak.column)
        lines.append(f"  {leak.column}: {leak.evidence}")
        lines.append(f"      known_after_decision = true    # below the existing {heading}: never a feature")
        if leak.could_be_weight and schema.weight is None:
            lines.append(
                '      kind = "weight"                # or this in place of its lines: a weight of rows'
            )
    return lines


def _on_weights(weights: list[str], schema: Schema) -> list[str]:
    if not weights:
        return []
    how_many = "a number is" if len(weights) == 1 else f"{len(weights)} numbers are"
    lines = [f"how much a row counts must be certain, however: {how_many} called like a weight of rows:"]
    for name in weights:
        lines.append(f"  {name}")
        if schema.weight is None:
            lines.append(
                f'      kind = "weight"                # in place of the lines below {table_heading(name)}'
            )
        lines.append(
            f"      known_after_decision = false   # or below the existing {table_heading(name)}: a feature"
        )
        lines.append("      known_after_decision = true    # or this: never a feature")
    return lines


def _ways_out(columns: list[str], options: TrainingOptions) -> str:
    in_time = "known_after_decision = false says of a column that it is known in time and stays a feature."
    anyway = "--allow-leaks trains with all of them."
    if not isinstance(options.data, FileData):
        return (
            "Write the lines into the schema that the store is read by (LOAN_DEFAULT_SCHEMA or --schema) and "
            f"start a new run; {in_time} {anyway} A run of the DAG has the parameter allow_leaks."
        )
    if options.schema is not None:
        return f"Write the lines into {options.schema.name}; {in_time} {anyway}"
    drop = option_text("--known-after-decision", [*options.values("known_after_decision"), *columns])
    return (
        f"To leave them out, add {drop}. Or write the lines into a schema "
        f"(`{schema_command(options, options.data)}`) and train with --schema schema.toml; {in_time} {anyway}"
    )
