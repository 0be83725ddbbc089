"""The schema language: one TOML file names every column and says which values it may hold.

Validation, the generator, features, splits and the report derive from the schema.
`schema_files` reads and writes the files.

    name = "credit_card"
    description = "What a row is."

    [columns.age]
    kind = "numerical"          # numerical | categorical | ordinal | identifier | timestamp | target
    description = "Age of the holder."
    unit = "years"
    integer = true              # numerical: whole numbers only
    minimum = 18                # numerical: inclusive bounds
    maximum = 100
    nullable = false            # may be missing
    optional = false            # the whole column may be absent at scoring time
    protected = true            # kept in the data, never a feature

    [columns.education]
    kind = "categorical"        # or ordinal: the order of `categories` is the order of the levels
    categories = ["1", "2", "3"]
    labels = { "1" = "graduate school" }       # words for reports
    aliases = { "0" = "3" }                    # other spellings -> the category they mean
    open = false                # true: unseen categories are accepted and handled as unknown

    [columns.late_payments]
    kind = "numerical"
    special = [96, 98]          # values that are codes, not measurements: read as missing

    [columns.default]
    kind = "target"
    positive = "1"              # the value that means default
    negative = "0"
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from loan_default.errors import DataError, did_you_mean


class Kind(StrEnum):
    """What a column is for; decides how it is validated and whether it can be a feature."""

    NUMERICAL = "numerical"
    """A measurement. A feature."""
    CATEGORICAL = "categorical"
    """A code without order. A feature."""
    ORDINAL = "ordinal"
    """A code whose categories are listed from low to high. A feature."""
    IDENTIFIER = "identifier"
    """Names the application; carried through to the scores, never a feature."""
    TIMESTAMP = "timestamp"
    """When the application was made; orders the rows, never a feature."""
    TARGET = "target"
    """Whether the loan defaulted."""

    @property
    def dtype(self) -> str:
        """Pandas' name of the dtype that canonical values of the kind have."""
        if self in (Kind.NUMERICAL, Kind.TARGET):
            return "float64"
        return "datetime64[us, UTC]" if self is Kind.TIMESTAMP else "str"


FEATURE_KINDS = frozenset({Kind.NUMERICAL, Kind.CATEGORICAL, Kind.ORDINAL})
CODED_KINDS = frozenset({Kind.CATEGORICAL, Kind.ORDINAL})

SHARED_KEYS = ("description", "unit", "nullable", "optional", "protected")
NUMERICAL_KEYS = ("integer", "minimum", "maximum", "special")
CODED_KEYS = ("categories", "labels", "aliases", "open")
TARGET_KEYS = ("positive", "negative")
"""Keys that a column of each kind may have in a schema file, beside `kind`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column and the values that it may hold."""

    name: str
    kind: Kind
    description: str = ""
    unit: str = ""
    """Unit of a numerical column, e.g. "years"; empty = none."""
    nullable: bool = False
    """A value may be missing."""
    optional: bool = False
    """The whole column may be absent when scoring."""
    protected: bool = False
    """Kept in the data, never a feature."""
    integer: bool = False
    """Numerical: whole numbers only."""
    minimum: float | None = None
    """Numerical: smallest possible value, inclusive; None = no bound."""
    maximum: float | None = None
    """Numerical: largest possible value, inclusive; None = no bound."""
    special: tuple[float, ...] = ()
    """Numerical: values that are codes, not measurements; validation makes them missing values."""
    categories: tuple[str, ...] = ()
    """Coded: the canonical levels; for an ordinal column from low to high."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Coded: category -> words for people."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Coded: other spelling -> category."""
    open: bool = False
    """Coded: unseen categories are accepted (and unknown to the model) instead of quarantined."""
    positive: str = "1"
    """Target: the value that means default."""
    negative: str = "0"
    """Target: the value that means no default."""

    def __post_init__(self) -> None:
        where = f"column {self.name!r}"
        if not self.name:
            raise DataError(f"column names must not be empty, however: name={self.name!r}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise DataError(
                f"{where}: minimum must not exceed maximum, however: "
                f"minimum={self.minimum}, maximum={self.maximum}"
            )
        for bound in (self.minimum, self.maximum, *self.special):
            if bound is not None and not math.isfinite(bound):
                raise DataError(f"{where}: bounds and special values must be finite, however: {bound}")
        if len(set(self.categories)) != len(self.categories):
            raise DataError(f"{where}: categories must be distinct, however: {list(self.categories)}")
        if any(not category.strip() for category in self.categories):
            raise DataError(f"{where}: categories must not be empty text, however: {list(self.categories)}")
        if self.kind in CODED_KINDS and not self.categories and not self.open:
            raise DataError(f"{where}: a closed {self.kind} column must list its categories, however: none")
        for category in self.labels:
            if category not in self.categories:
                raise DataError(
                    f"{where}: a label must belong to a category, however: {category!r}."
                    + did_you_mean(category, self.categories)
                )
        for spelling, category in self.aliases.items():
            if category not in self.categories:
                raise DataError(
                    f"{where}: an alias must name a category, however: {spelling!r} -> {category!r}."
                    + did_you_mean(category, self.categories)
                )
        if self.kind is Kind.TARGET and self.positive == self.negative:
            raise DataError(f"{where}: positive and negative must differ, however: both={self.positive!r}")

    @property
    def is_feature(self) -> bool:
        """Whether the model may see this column."""
        return self.kind in FEATURE_KINDS and not self.protected

    @property
    def is_coded(self) -> bool:
        """Whether the values are categories."""
        return self.kind in CODED_KINDS

    @property
    def interpretation(self) -> dict[str, Any]:
        """What decides the meaning of a value, as plain values, without descriptions and validation rules."""
        content: dict[str, Any] = {"kind": self.kind.value}
        if self.kind is Kind.NUMERICAL:
            content["special"] = sorted(_plain(self.special))
        if self.is_coded:
            is_ordered = self.kind is Kind.ORDINAL
            content["categories"] = list(self.categories) if is_ordered else sorted(self.categories)
            content["aliases"] = dict(self.aliases)
        if self.kind is Kind.TARGET:
            content |= {"positive": self.positive, "negative": self.negative}
        return content

    @property
    def may_be_left_out(self) -> bool:
        """Whether a record may lack this column altogether."""
        return self.nullable or self.optional or self.kind is Kind.TARGET


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """All columns of one kind of application, in file order."""

    name: str
    columns: tuple[Column, ...]
    description: str = ""

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"column names must be distinct, however: twice={twice}")
        for kind in (Kind.TARGET, Kind.TIMESTAMP, Kind.IDENTIFIER):
            several = [column.name for column in self.columns if column.kind is kind]
            if len(several) > 1:
                raise DataError(f"a schema must have at most one {kind} column, however: {several}")
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
        """The column that names an application, or None."""
        return self._only(Kind.IDENTIFIER)

    @property
    def timestamp(self) -> Column | None:
        """The column that says when an application was made, or None."""
        return self._only(Kind.TIMESTAMP)

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns that the model sees."""
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

        A description, a unit or a label can be corrected without a change of it.
        """
        columns = (replace(column, description="", unit="", labels={}) for column in self.columns)
        return replace(self, description="", columns=tuple(columns)).digest

    @property
    def comparison_digest(self) -> str:
        """SHA-256 of what two models must share to be compared: how features are read, and what a default is.

        It covers names, kinds, categories, aliases and special values. It leaves out texts for people
        (descriptions, units, labels) and validation rules (bounds, nullable, open, …): they change nothing in
        a row that is accepted, and compared models are evaluated on the same rows.
        """
        compared = [column for column in self.columns if column.is_feature or column.kind is Kind.TARGET]
        return _digest({column.name: column.interpretation for column in compared})


def schema_to_dict(schema: Schema) -> dict[str, Any]:
    """Plain values that `schema_from_dict` reads back: what TOML files and model files hold."""
    return {
        "name": schema.name,
        "description": schema.description,
        "columns": {column.name: column_to_dict(column) for column in schema.columns},
    }


def column_to_dict(column: Column) -> dict[str, Any]:
    """The keys of one column as a schema file holds them, those at their defaults left out."""
    keys = list(SHARED_KEYS)
    if column.kind is Kind.NUMERICAL:
        keys += NUMERICAL_KEYS
    if column.is_coded:
        keys += CODED_KEYS
    table: dict[str, Any] = {"kind": column.kind.value}
    for key in keys:
        value = getattr(column, key)
        is_empty = isinstance(value, str | tuple | Mapping) and not value
        if value is None or value is False or is_empty:  # a bound of 0 equals False, but is not it
            continue
        table[key] = _plain(value)
    if column.kind is Kind.TARGET:
        table |= {key: getattr(column, key) for key in TARGET_KEYS}
    return table


def _plain(value: Any) -> Any:
    """Lists and dicts instead of tuples and mappings; 18.0 as 18, so that both have one digest."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
