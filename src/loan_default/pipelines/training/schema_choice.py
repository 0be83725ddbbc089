"""Which schema the data of a training have: a given one, the bundled one, or one that is inferred."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.schema.column import Kind
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame
from loan_default.data.schema.inference.findings import Finding
from loan_default.data.schema.inference.infer import infer_frame_schema
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema, load_schema, table_heading
from loan_default.data.schema.values import category_lookup, outcome_lookup
from loan_default.data.sources.sniffing import detect_format
from loan_default.data.sources.table_files import file_findings, read_columns, read_frame, stem_of
from loan_default.errors import ConfigurationError, did_you_mean
from loan_default.pipelines.training.training_options import FileData, StoreData


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaChoice:
    """The schema of the data, and where it comes from."""

    schema: Schema
    findings: tuple[Finding, ...] = ()
    """What the inference noticed; empty for a schema that was given."""
    notes: Mapping[str, str]
    """Comments for the saved schema, by column."""
    origin: str
    """Where the schema comes from, in words: the file that was read, or the data it was inferred from."""
    form: FileFormat | None = None
    """How the file is written; None = it is the training store, or was not looked at."""
    raw: RawFrame | None = field(default=None, compare=False, repr=False)
    """The rows that the schema was inferred from, for `load_dataset`; None where the file was not read."""

    def to_toml(self) -> str:
        """The schema as a file that a person can edit."""
        return dump_schema(self.schema, notes=self.notes)


def choose_schema(
    data: FileData | StoreData,
    *,
    schema: Path | None,
    target: str | None,
    named: NamedOutcomes | None = None,
    form: FileFormat | None = None,
    too_late: tuple[str, ...] = (),
) -> SchemaChoice:
    """The schema of the data: the given one, the bundled one for the bundled data, else an inferred one.

    Args:
        named: what a person says of the target's values; a given schema must say the same.
        form: how the file is written, by `format_for`; None = it is found out.
        too_late: columns that are known too late to be features; a given schema says so itself.

    Raises:
        ConfigurationError: neither a schema nor a target is named, they contradict each other, a person must
            say which values mean default, or the training store comes without a schema.
        DataError: the schema or the file is unusable.
    """
    if schema is None and isinstance(data, FileData) and data.path.resolve() == BUNDLED_DATA.resolve():
        schema = BUNDLED_SCHEMA
    if schema is not None:
        if too_late:
            raise ConfigurationError(
                "--known-after-decision must come without a schema, however: there is one. Write "
                f"known_after_decision = true below {table_heading(too_late[0])} in {schema.name}."
            )
        return replace(_given_schema(schema, target=target, named=named), form=form)
    if isinstance(data, StoreData):
        raise ConfigurationError(
            f"the training store must come with --schema FILE, however: {data.folder} has none."
        )
    form = form or detect_format(data.path)
    if target is None:
        columns = read_columns(data.path, form=form)
        some = ", ".join(columns[:30]) + (f", … ({len(columns)} in all)" if len(columns) > 30 else "")
        raise ConfigurationError(
            f"a file of one's own must come with --target COLUMN or --schema FILE, however: {data.name} has "
            f"neither. Its columns are {some}."
        )
    raw = read_frame(data.path, form=form)
    inference = infer_frame_schema(
        raw, name=stem_of(data.path), source=data.name, target=target, named=named, form=form
    )
    return SchemaChoice(
        schema=_without_late(inference.schema, too_late, raw),
        findings=(*inference.findings, *file_findings(raw, form=form)),
        notes=inference.notes,
        origin=f"inferred from {data.name}",
        form=form,
        raw=raw,
    )


def _without_late(schema: Schema, too_late: tuple[str, ...], raw: RawFrame) -> Schema:
    """The schema with some columns marked as known after the decision."""
    names = [str(name) for name in raw.frame.columns]
    for name in too_late:
        if name not in names:
            raise ConfigurationError(
                f"--known-after-decision must name columns of the file, however: {name!r}."
                + did_you_mean(name, names)
            )
    columns = (
        replace(column, known_after_decision=True)
        if column.name in too_late and column.kind is not Kind.TARGET
        else column
        for column in schema.columns
    )
    return replace(schema, columns=tuple(columns))


def _given_schema(path: Path, *, target: str | None, named: NamedOutcomes | None) -> SchemaChoice:
    schema = load_schema(path)
    if target is not None and (schema.target is None or schema.target.name != target):
        its = schema.target.name if schema.target else None
        raise ConfigurationError(
            f"--target must be the schema's target, however: --target={target!r}, {path.name} names "
            f"{its!r}. Leave one of them out."
        )
    if named is not None:
        _check_outcomes(schema, named, path)
    return SchemaChoice(schema=schema, notes={}, origin=f"read from {path.name}")


def _check_outcomes(schema: Schema, named: NamedOutcomes, path: Path) -> None:
    """Raise a ConfigurationError where a schema says something else of the target than a person."""
    if schema.target is None:
        return  # refused with the reason by the plan
    find = outcome_lookup(schema.target)
    for option, spellings, meant in (
        ("--bad", named.bad, schema.target.positive),
        ("--good", named.good, schema.target.negative),
    ):
        for value in spellings:
            if find(value) != meant:
                raise ConfigurationError(
                    f"{option} must say what the schema says, however: {value!r} is no spelling of {meant!r} "
                    f"in {path.name}. Leave {option} out, or edit positive, negative and unknown there."
                )
    find_rejected = category_lookup(schema.target.rejected, {})
    for value in named.rejected:
        if find_rejected(value) is None:
            raise ConfigurationError(
                f"--rejected must say what the schema says, however: {value!r} is none of rejected = "
                f"{list(schema.target.rejected)} in {path.name}. Write it there, or leave --rejected out."
            )
