"""One column of a schema and the values that it may hold."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any

from loan_default.data.schema.file_format import FileFormat, check_marks
from loan_default.data.schema.time_texts import check_pattern
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
    DATE = "date"
    """Another date. What is derived from it can be a feature."""
    WEIGHT = "weight"
    """How much a row counts in training and in metrics; never a feature."""
    TARGET = "target"
    """Whether the loan defaulted."""

    @property
    def dtype(self) -> str:
        """Pandas' name of the dtype that canonical values of the kind have."""
        if self in (Kind.NUMERICAL, Kind.WEIGHT, Kind.TARGET):
            return "float64"
        return "datetime64[us, UTC]" if self in TIME_KINDS else "str"


FEATURE_KINDS = frozenset({Kind.NUMERICAL, Kind.CATEGORICAL, Kind.ORDINAL})
TIME_KINDS = frozenset({Kind.TIMESTAMP, Kind.DATE})
CODED_KINDS = frozenset({Kind.CATEGORICAL, Kind.ORDINAL})
NUMBER_KINDS = frozenset({Kind.NUMERICAL, Kind.WEIGHT})
"""Kinds whose values are numbers in a file and in a record."""

SHARED_KEYS = (
    "description",
    "unit",
    "nullable",
    "optional",
    "protected",
    "missing",
    "known_after_decision",
    "group",
    "actionable",
    "reason",
)
MARK_KEYS = ("decimal", "thousands")
KEYS_OF_KIND: Mapping[Kind, tuple[str, ...]] = {
    Kind.NUMERICAL: ("integer", "minimum", "maximum", "special", "capped", "format", "monotonic", *MARK_KEYS),
    Kind.CATEGORICAL: ("categories", "labels", "aliases", "open", "buckets", "format"),
    Kind.ORDINAL: ("categories", "labels", "aliases", "open", "format", "monotonic"),
    Kind.DATE: ("format", "first_year", "derive"),
    Kind.TIMESTAMP: ("format", "first_year"),
    Kind.WEIGHT: MARK_KEYS,
    Kind.TARGET: ("positive", "negative", "unknown", "rejected", "excluded", "open"),
    Kind.IDENTIFIER: (),
}
"""Keys that a column of each kind may have in a schema file, beside `kind` and `SHARED_KEYS`."""

NUMBER_FORMATS = ("percent", "share", "money", "months", "years", "boolean")
"""How text in a numerical column may be written: "14.5 %" as 14.5 or as a share of 0.145, "$1,250.00",
"2 yrs 3 mon" as months or years, yes and no as 1 and 0."""
CODE_FORMATS = ("boolean",)
TIME_FORMATS = ("epoch_seconds", "epoch_milliseconds", "spreadsheet")
"""Numbers that are times: since 1970, or days as spreadsheets count. Otherwise a pattern of `strptime`."""
DERIVATIONS = ("years_before_application",)
DIRECTIONS: Mapping[str, int] = {"increasing": 1, "decreasing": -1}
"""How a PD may move as a value rises: not down, not up."""


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
    capped: bool = False
    """Numerical: text may hold a bound: "90+" and "> 90" are 90, "< 1" is the whole number below, 0."""
    categories: tuple[str, ...] = ()
    """Coded: the canonical levels; for an ordinal column from low to high."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Coded: category -> words for people."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Coded: other spelling -> category."""
    open: bool = False
    """Coded: unseen categories are accepted (and unknown to the model) instead of quarantined.

    Target: values that are not listed mean "not known yet".
    """
    buckets: int = 0
    """Categorical and open: unlisted categories share so many levels by a hash; 0 = all are one unknown."""
    positive: str = "1"
    """Target: the value that means default; other spellings of it are `aliases`."""
    negative: str = "0"
    """Target: the value that means no default; other spellings of it are `aliases`."""
    unknown: tuple[str, ...] = ()
    """Target: values that mean "not known yet"."""
    rejected: tuple[str, ...] = ()
    """Target: values of applications that were declined; nobody knows what would have become of them."""
    excluded: tuple[str, ...] = ()
    """Target: values whose rows are quarantined with that reason."""
    missing: tuple[str, ...] = ()
    """Texts that mean "no value", beside those that always do."""
    group: bool = False
    """Rows with the same value, in all such columns, are of one applicant: no split separates them."""
    known_after_decision: bool | None = None
    """True = it is known too late to be a feature; False = it is known in time, whatever it looks like."""
    actionable: bool = True
    """False = an applicant cannot act on it: it is never a reason for a PD, nor changed in a hint."""
    monotonic: str = ""
    """Numerical, ordinal: how the PD moves as the value rises, of `DIRECTIONS`; empty = as is learned."""
    reason: str = ""
    """Words for an applicant whose PD the column raised; empty = the description."""
    format: str = ""
    """How text is written, by kind: `NUMBER_FORMATS`, `CODE_FORMATS`, `TIME_FORMATS` or a pattern of
    `strptime`; empty = plain numbers, categories as they stand, ISO 8601."""
    decimal: str = "."
    """Numbers: the decimal mark of text."""
    thousands: str = ""
    """Numbers: the mark between thousands of text; empty = none."""
    first_year: int = 0
    """Times: the first of the hundred years that `%y` means; 0 = 1940."""
    derive: str = ""
    """Date: the feature made of it, of `DERIVATIONS`; empty = carried, not a feature."""

    def __post_init__(self) -> None:
        where = f"column {self.name!r}"
        if not self.name:
            raise DataError(f"column names must not be empty, however: name={self.name!r}")
        self._check_reading(where)
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
        named = (self.negative, self.positive) if self.kind is Kind.TARGET else self.categories
        for spelling, category in self.aliases.items():
            if category not in named:
                raise DataError(
                    f"{where}: an alias must name a category, however: {spelling!r} -> {category!r}."
                    + did_you_mean(category, named)
                )
        if self.kind is Kind.TARGET:
            self._check_outcomes(where)

    def _check_outcomes(self, where: str) -> None:
        """Check that each value of a target means one thing."""
        if self.positive == self.negative:
            raise DataError(f"{where}: positive and negative must differ, however: both={self.positive!r}")
        values = [self.positive, self.negative, *self.aliases, *self.without_outcome, *self.excluded]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise DataError(f"{where}: a value of a target must have one meaning, however: twice={twice}")

    @property
    def without_outcome(self) -> tuple[str, ...]:
        """Target: the listed values of rows that are kept without a label."""
        return (*self.unknown, *self.rejected)

    def spellings_of(self, value: str) -> tuple[str, ...]:
        """Target: a value and the other spellings of it, in the order of the schema."""
        return (value, *(spelling for spelling, meant in self.aliases.items() if meant == value))

    def _check_reading(self, where: str) -> None:
        """Check how text is read."""
        check_marks(where, decimal=self.decimal, thousands=self.thousands)
        if self.group and self.kind in (Kind.TARGET, Kind.WEIGHT):
            raise DataError(f"{where}: group must name applicants, however: it is a {self.kind} column")
        formats = {Kind.NUMERICAL: NUMBER_FORMATS}.get(self.kind, CODE_FORMATS)
        if self.kind in TIME_KINDS:
            if self.format and self.format not in TIME_FORMATS and "%" not in self.format:
                raise DataError(
                    f"{where}: format must be one of {', '.join(TIME_FORMATS)} or a pattern such as "
                    f"%d/%m/%Y, however: {self.format!r}"
                )
            if "%" in self.format:
                check_pattern(self.format, where)
            if self.first_year and not ("%y" in self.format and 1800 <= self.first_year <= 2100):
                raise DataError(
                    f"{where}: first_year must be a year of 1800 to 2100 beside a format with %y, however: "
                    f"first_year={self.first_year}, format={self.format!r}"
                )
        elif self.format and self.format not in formats:
            raise DataError(
                f"{where}: format must be one of {', '.join(formats)}, however: {self.format!r}."
                + did_you_mean(self.format, formats)
            )
        if self.is_coded and self.format == "boolean" and len(self.categories) != 2:
            raise DataError(
                f"{where}: a boolean must have two categories, no and yes, however: {list(self.categories)}"
            )
        if self.monotonic and self.monotonic not in DIRECTIONS:
            raise DataError(
                f"{where}: monotonic must be one of {', '.join(DIRECTIONS)}, however: {self.monotonic!r}."
                + did_you_mean(self.monotonic, list(DIRECTIONS))
            )
        if self.monotonic and not self.is_feature:
            raise DataError(
                f"{where}: monotonic must stand in a feature, however: it is protected or known after "
                "the decision, so that the PD does not see it. Leave monotonic out."
            )
        if self.derive and self.derive not in DERIVATIONS:
            raise DataError(
                f"{where}: derive must be one of {', '.join(DERIVATIONS)}, however: {self.derive!r}."
                + did_you_mean(self.derive, DERIVATIONS)
            )
        if self.buckets < 0 or (self.buckets and not self.open):
            raise DataError(
                f"{where}: buckets must be a positive number in an open column, however: "
                f"buckets={self.buckets}, open={self.open}"
            )

    @property
    def is_feature(self) -> bool:
        """Whether the model may see this column, or what is derived from it."""
        can_be = self.kind in FEATURE_KINDS or bool(self.derive)
        return can_be and not self.protected and self.known_after_decision is not True

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
            content |= {"aliases": dict(self.aliases)} if self.aliases else {}
        # These are later than the first models, whose digests must not change.
        for key in ("buckets", "capped", "derive", "first_year", "group"):
            if value := getattr(self, key):
                content[key] = value
        return content

    @property
    def is_reason(self) -> bool:
        """Whether the column may be named to an applicant as a reason for a PD."""
        return self.is_feature and self.actionable

    @property
    def may_be_left_out(self) -> bool:
        """Whether a record may lack this column altogether."""
        return self.nullable or self.optional or self.kind is Kind.TARGET


def column_to_dict(column: Column, form: FileFormat | None = None) -> dict[str, Any]:
    """The keys of one column as a schema file holds them, those at their defaults left out.

    The marks of numbers default to those of the format of files.
    """
    form = form or FileFormat()
    table: dict[str, Any] = {"kind": column.kind.value}
    for key in (*SHARED_KEYS, *KEYS_OF_KIND[column.kind]):
        value = getattr(column, key)
        if key in ("positive", "negative"):
            spellings = column.spellings_of(value)
            table[key] = list(spellings) if len(spellings) > 1 else value
            continue
        default = getattr(form, key) if key in MARK_KEYS else _DEFAULTS[key]
        if value == default and type(value) is type(default):  # a bound of 0 equals False, but is not it
            continue
        table[key] = _plain(value)
    return table


def _plain(value: Any) -> Any:
    """Lists and dicts instead of tuples and mappings; 18.0 as 18, so that both have one digest."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


_DEFAULTS: Mapping[str, Any] = {
    each.name: each.default_factory() if each.default_factory is not MISSING else each.default
    for each in fields(Column)
}
