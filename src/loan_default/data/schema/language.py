"""The schema language: one TOML file names every column and says which values it may hold.

Validation, the generator, features, splits and the report derive from the schema.
`schema_files` reads and writes the files. `file_format` describes the table `[format]`.

    name = "credit_card"
    description = "What a row is."

    [columns.age]
    kind = "numerical"          # numerical | categorical | ordinal | date | identifier | timestamp | weight
                                # | target
    description = "Age of the holder."
    unit = "years"
    integer = true              # numerical: whole numbers only
    minimum = 18                # numerical: inclusive bounds
    maximum = 100
    nullable = false            # may be missing
    optional = false            # the whole column may be absent at scoring time
    protected = true            # kept in the data, never a feature
    missing = ["?", "-"]        # texts that mean "no value", beside those that always do
    group = true                # rows with the same value are of one applicant: no split separates them;
                                # of several such columns all must be equal
    known_after_decision = true # never a feature; false = it was looked at, and is known in time
    actionable = false          # an applicant cannot act on it: never a reason for a PD, nor part of a hint
    reason = "Time as a holder" # words of a reason; absent = the description

    [columns.rate]
    kind = "numerical"
    format = "percent"          # how text is read: percent | share (58% is 0.58) | money | months | years;
                                # absent = plain numbers
    decimal = ","               # marks of the numbers where they are not those of [format]
    thousands = "."

    [columns.days_past_due]
    kind = "numerical"
    capped = true               # "90+" and "> 90" are 90, "< 1" is the whole number below, 0;
                                # absent = refused
    monotonic = "increasing"    # numerical and ordinal: the PD must not fall as the value rises, or
                                # "decreasing"; absent = as is learned

    [columns.education]
    kind = "categorical"        # or ordinal: the order of `categories` is the order of the levels
    categories = ["1", "2", "3"]    # "none" or "NA" is a category if it is listed, otherwise missing
    labels = { "1" = "graduate school" }       # words for reports
    aliases = { "0" = "3" }                    # other spellings -> the category they mean
    open = false                # true: unseen categories are accepted and handled as unknown
    buckets = 16                # open: unlisted categories share so many levels, by a hash of their text
    format = "boolean"          # two categories: yes, true, ja, oui, sí, 1 … are spellings of the second

    [columns.late_payments]
    kind = "numerical"
    special = [96, 98]          # values that are codes, not measurements: read as missing

    [columns.opened_on]
    kind = "date"               # a date that is not the application's
    format = "%d/%m/%Y"         # as `strptime` has it | epoch_seconds | epoch_milliseconds | spreadsheet;
                                # absent = ISO 8601. Timestamps have it as well.
    first_year = 1904           # years of two digits (%y) are 1904 to 2003; absent = 1940 to 2039
    derive = "years_before_application"     # the feature made of it; absent = carried, not a feature

    [columns.sample_weight]
    kind = "weight"             # how much a row counts in training and in metrics; never a feature

    [columns.default]
    kind = "target"
    positive = "1"              # the value that means default; or a list: ["Charged Off", "Default"]
    negative = "0"
    unknown = ["Current"]       # not known yet: the row is kept, and never trained on with a label
    rejected = ["Declined"]     # applications that were declined: no label either, and counted apart
    excluded = ["Fraud"]        # rows that are set apart, with this reason
    open = true                 # every other value is "not known yet" as well, instead of quarantined
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from loan_default.data.schema.column import Column, Kind, column_to_dict
from loan_default.data.schema.file_format import FileFormat, format_to_dict
from loan_default.errors import DataError, did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """All columns of one kind of application, in file order."""

    name: str
    columns: tuple[Column, ...]
    description: str = ""
    format: FileFormat | None = None
    """How files of these applications are written; None = found out from each file."""

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"column names must be distinct, however: twice={twice}")
        for kind in (Kind.TARGET, Kind.TIMESTAMP, Kind.IDENTIFIER, Kind.WEIGHT):
            several = [
                column.name
                for column in self.columns
                if column.kind is kind and not (kind is Kind.IDENTIFIER and column.group)
            ]
            if len(several) > 1:
                raise DataError(f"a schema must have at most one {kind} column, however: {several}")
        for column in self.columns:
            if column.derive and self.timestamp is None:
                raise DataError(
                    f"column {column.name!r}: derive must come with a timestamp column, the time of the "
                    "application, however: the schema has none"
                )
        if not self.features:
            raise DataError(f"schema {self.name!r} must have at least one feature column, however: none")

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        known = [column.name for column in self.columns]
        raise DataError(f"column must be in the schema, however: column={name!r}.{did_you_mean(name, known)}")

    def _only(self, kind: Kind) -> Column | None:
        return next((column for column in self.columns if column.kind is kind), None)

    @property
    def target(self) -> Column | None:
        """The target column, or None in a schema for scoring only."""
        return self._only(Kind.TARGET)

    @property
    def identifier(self) -> Column | None:
        """The column that names an application, or where there is none the applicant, or None."""
        named = [column for column in self.columns if column.kind is Kind.IDENTIFIER]
        return min(named, key=lambda column: column.group, default=None)

    @property
    def groups(self) -> tuple[Column, ...]:
        """Columns that name the applicant: no split separates rows that are equal in all of them."""
        return tuple(column for column in self.columns if column.group)

    @property
    def timestamp(self) -> Column | None:
        """The column that says when an application was made, or None."""
        return self._only(Kind.TIMESTAMP)

    @property
    def weight(self) -> Column | None:
        """The column that says how much a row counts, or None."""
        return self._only(Kind.WEIGHT)

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns that the model sees, or whose derived values it sees."""
        return tuple(column for column in self.columns if column.is_feature)

    @property
    def protected(self) -> tuple[Column, ...]:
        """Columns that are kept in the data and never a feature."""
        return tuple(column for column in self.columns if column.protected)

    @property
    def digest(self) -> str:
        """SHA-256 of the whole schema with its descriptions: the same for every spelling of the same file."""
        return _digest(schema_to_dict(self))

    @property
    def rules_digest(self) -> str:
        """SHA-256 of the schema without texts for people: of what decides which values a column may hold.

        A description, a unit, a label, what is a reason in which words, how the PD must move, or the format
        of files can be corrected without a change of it.
        """
        columns = (
            replace(column, description="", unit="", labels={}, actionable=True, reason="", monotonic="")
            for column in self.columns
        )
        return replace(self, description="", format=None, columns=tuple(columns)).digest

    @property
    def comparison_digest(self) -> str:
        """SHA-256 of what two models must share to be compared: how features are read, and what a default is.

        It covers names, kinds, categories, aliases, special values and groups. It leaves out texts for people
        (descriptions, units, labels) and validation rules (bounds, nullable, open, …): they change nothing in
        a row that is accepted, and compared models are evaluated on the same rows.
        """
        compared = [
            column
            for column in self.columns
            if column.is_feature or column.group or column.kind is Kind.TARGET
        ]
        return _digest({column.name: column.interpretation for column in compared})


def schema_to_dict(schema: Schema) -> dict[str, Any]:
    """Plain values that `schema_from_dict` reads back: what TOML files and model files hold."""
    content: dict[str, Any] = {"name": schema.name, "description": schema.description}
    if schema.format is not None:
        content["format"] = format_to_dict(schema.format)
    return content | {
        "columns": {column.name: column_to_dict(column, schema.format) for column in schema.columns}
    }


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
