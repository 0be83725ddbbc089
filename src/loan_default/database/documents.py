"""What is stored: one class for each collection, checked when it is made and when it is read.

Times are UTC with milliseconds, as a server keeps them, so a document equals what comes back. Not-a-number
and infinity are refused: a figure that does not exist is None, with its reason.

Releases share a database during an upgrade and after a rollback, so each reads what the other writes:

- A field that is added has a default, is no part of an id, and raises the minor version of its class.
  Releases without the field ignore it, and updates change single fields, so it stays in the document.
- All else (a field removed, renamed or read otherwise, a new value of an enum) raises the major version,
  which releases before it refuse.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    model_validator,
)

from loan_default.errors import DataError

FIRST_VERSION = "1.0"
"""Schema version of a document that does not say its own, as none did that is older than this field."""
CHAMPION_ID = "champion"
"""`_id` of the one pointer."""
_SCALARS = frozenset({str, int, float, bool, datetime, type(None)})
ID_DIGITS = 12
"""Hexadecimal digits of a digest that stand in an id: 48 bits."""


class ModelStatus(StrEnum):
    """Where a model is in its life; which one is the champion is said by the pointer alone."""

    TRAINED = "trained"
    """Stored, not judged yet."""
    CHAMPION = "champion"
    """Promoted; stays so until another takes its place."""
    REJECTED = "rejected"
    """Judged and not promoted."""
    ARCHIVED = "archived"
    """Was the champion."""


class DatasetName(StrEnum):
    """Which rows the figures were computed on."""

    VALIDATION = "validation"
    """Chose the epoch and fitted the calibration: optimistic."""
    TEST = "test"
    """Not seen by the training."""
    OUT_OF_TIME = "out_of_time"
    """Not seen, and the latest rows; groups of alike rows stay whole."""
    HELD_OUT = "held_out"
    """Rows of the training store that are held out for good: seen by no model that was trained on it."""


def model_version(created_at: datetime, sha256: str) -> str:
    """A version that sorts by time and names the content: `20261123-101500-0f3a9c21b7de`."""
    return f"{created_at.astimezone(UTC):%Y%m%d-%H%M%S}-{sha256[:ID_DIGITS]}"


def finite_metrics(figures: Mapping[str, float | None]) -> tuple[dict[str, float | None], dict[str, str]]:
    """The figures as they can be stored, and a reason for each that does not exist."""
    stored: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for name, value in figures.items():
        stored[name] = float(value) if value is not None and math.isfinite(value) else None
        if stored[name] is None:
            reasons[name] = (
                "infinite" if value is not None and math.isinf(value) else "not defined on these rows"
            )
    return stored, reasons


@lru_cache(maxsize=256)  # the events of a batch have the same
def _stored_time(time: datetime) -> datetime:
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError("path must be relative and stay inside the home folder")
    return path


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
"""No NUL: some stores end a text there."""
Key = Annotated[str, StringConstraints(pattern=r"^[^.$\x00]+$")]
"""A field name that every store takes: no dot, dollar sign or NUL."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal."""
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
"""0 to 1."""
Time = Annotated[AwareDatetime, AfterValidator(_stored_time)]
"""UTC, whole milliseconds."""


class StoredDocument(BaseModel):
    """What all stored documents have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    current_version: ClassVar[str] = FIRST_VERSION
    """MAJOR.MINOR of the fields below, see the rules at the top."""
    passing: ClassVar[frozenset[str]] = frozenset()
    """Fields that say when or how long, not what: two documents that differ in these alone are the same."""
    id_field: ClassVar[str | None] = None
    """Field that is stored as `_id` alone; None = the id stands for itself."""

    schema_version: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*\.\d+$")] = Field(
        default=FIRST_VERSION, exclude_if=lambda version: version == FIRST_VERSION
    )
    """MAJOR.MINOR of the release that made the document. The first one is not stored: its absence says it,
    and releases that know no versions can read the document."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_known_major(cls, fields: Any) -> Any:
        """Refuse what only a newer release understands, whatever else is wrong with it; new ones get ours."""
        if not isinstance(fields, Mapping):
            return fields
        version = fields.get("schema_version")
        if version is None and cls.current_version != FIRST_VERSION:
            return {**fields, "schema_version": cls.current_version}
        if isinstance(version, str) and _major(version) > _major(cls.current_version):
            raise ValueError(
                f"schema_version {version} was written by a newer release, this one reads up to "
                f"{_major(cls.current_version)}.x. Upgrade this installation."
            )
        return fields

    @property
    def id(self) -> str:
        """The document's `_id`, made from its content so that a retry is the same write."""
        raise NotImplementedError

    def to_store(self) -> dict[str, Any]:
        """The document as a plain dict with `_id`."""
        plain = {
            name: value if type(value) in _SCALARS else _plain(value)
            for name, value in self.__dict__.items()
            if name != self.id_field and (name != "schema_version" or value != FIRST_VERSION)
        }
        return {"_id": self.id, **plain}

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The document of `model_dump_json`, read as by `from_store`; DataError where it is none."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise DataError(f"a stored {cls.__name__} must be JSON, however: {error}") from error
        if not isinstance(fields, dict):
            raise DataError(
                f"a stored {cls.__name__} must be a JSON object, however: {type(fields).__name__}"
            )
        return cls.from_store(fields)

    @classmethod
    def from_store(cls, document: Mapping[str, Any]) -> Self:
        """The document of a stored dict, without fields that only other releases know.

        Raises:
            DataError: it is broken, or of a newer major version.
        """
        try:
            fields = {"schema_version": FIRST_VERSION, **document}
            fields.pop("_id", None)
            if cls.id_field is not None:
                fields[cls.id_field] = document.get("_id")
            return cls.model_validate(fields, extra="ignore")
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}".removeprefix(": Value error, ")
                for problem in error.errors()
            )
            raise DataError(
                f"a stored {cls.__name__} must be complete and valid, however: "
                f"_id={document.get('_id')!r}: {problems}"
            ) from None

    def same_content(self, other: Self) -> bool:
        """Whether both say the same, whenever they said it."""
        return self.model_dump(exclude=self._not_content) == other.model_dump(exclude=self._not_content)

    @property
    def _not_content(self) -> set[str]:
        return {*self.passing, "schema_version"}


class ModelMetadata(StoredDocument):
    """A trained model: where its file is, what it is, and what it was made from. `model_metadata`."""

    passing = frozenset({"status", "created_at", "training_seconds"})

    version: Key
    """The id, see `model_version`."""
    created_at: Time
    status: ModelStatus = ModelStatus.TRAINED
    path: Annotated[Text, AfterValidator(_inside)]
    """The artefact, relative to the home folder, with forward slashes."""
    sha256: Digest
    """Of the artefact; checked before it is loaded."""
    schema_name: Text
    schema_digest: Digest
    preset: Text
    objective: Text
    pretrained: bool
    members: Annotated[Count, Field(ge=1)]
    """Networks whose scores are averaged."""
    parameters: Count
    """Trained weights of all members together."""
    rows: dict[Key, Count]
    """Rows of each split, `{"train": 21000, …}`."""
    seed: Count
    code_version: Text
    libraries: dict[str, Text]
    """Versions of the libraries that decide the result, `{"torch": "2.13.0"}`."""
    training_seconds: Annotated[FiniteFloat, Field(ge=0)]
    snapshot: Key
    """Id of the training data."""
    run: Text | None = None
    """Id of the run of the pipeline that made it; None = by hand."""

    @property
    def id(self) -> str:
        """The version."""
        return self.version


class PerformanceMetrics(StoredDocument):
    """A model's figures on one set of rows. `performance_metrics`."""

    passing = frozenset({"computed_at"})

    version: Key
    """The model's."""
    dataset: DatasetName
    snapshot: Key
    """Id of the data that the rows are from; a model judged again on newer data has one more document."""
    run: Text | None = None
    """Id of the run that judged the model; None = of its training."""
    beside: Key | None = None
    """Version of the model that was measured on the same rows, as neither has seen them; None = alone."""
    computed_at: Time
    rows: Count
    label_rate: Share | None
    """Share of defaults among the rows; None without rows."""
    figures: dict[Key, FiniteFloat | None]
    """Name -> figure; None where it does not exist, see `reasons`."""
    intervals: dict[Key, tuple[FiniteFloat, FiniteFloat]] = Field(default_factory=dict)
    """Name of a figure -> lower and upper end of its 95 % interval."""
    reasons: dict[Key, Text] = Field(default_factory=dict)
    """Name of a figure that is None -> why."""

    @property
    def id(self) -> str:
        """All that decides on which rows the model was measured."""
        parts = (self.version, self.dataset, self.snapshot, self.run, self.beside)
        return "/".join(filter(None, parts))

    @model_validator(mode="after")
    def _figures_explained(self) -> Self:
        missing = {name for name, value in self.figures.items() if value is None}
        if missing != set(self.reasons):
            raise ValueError(
                f"reasons must name exactly the figures that are None, however: None={sorted(missing)}, "
                f"reasons={sorted(self.reasons)}"
            )
        for name, (low, high) in self.intervals.items():
            if name not in self.figures or low > high:
                raise ValueError(
                    f"an interval must belong to a figure and go up, however: {name}=({low}, {high})"
                )
        return self


class TrainingData(StoredDocument):
    """The rows that a model was made from. `training_data`."""

    current_version = "1.1"  # 1.1: digest_version
    passing = frozenset({"created_at", "parts", "since", "until", "digest_version"})

    digest: Digest
    """SHA-256 of the content."""
    digest_version: Count = 1
    """Version of the digest: 1 was made of pandas' row hashes, and can be compared with no other."""
    created_at: Time
    sources: tuple[Text, ...]
    """Names of the files, without folders."""
    rows_read: Count
    rows_accepted: Count
    rows_rejected: Count
    rows_duplicate: Count
    label_rate: Share | None
    """Share of defaults among the labelled rows; None without any."""
    columns: tuple[Text, ...]
    first_at: Time | None = None
    """Time of the earliest application; None where the data have no time."""
    last_at: Time | None = None
    parts: tuple[Text, ...] = ()
    """Parts of the training store, or where they are many the file that lists them. With `created_at` they
    tell the rows again; empty for other data."""
    since: Time | None = None
    """Earlier applications of those files were left out; None = none was."""
    until: Time | None = None
    """Applications of that time and later ones were left out; None = none was."""

    @property
    def id(self) -> str:
        """From all that is not passing: the same data read the same way are the same snapshot."""
        content = self.model_dump_json(exclude=self._not_content).encode()
        return f"data-{hashlib.sha256(content).hexdigest()[:ID_DIGITS]}"

    @model_validator(mode="after")
    def _counts_add_up(self) -> Self:
        parts = self.rows_accepted + self.rows_rejected + self.rows_duplicate
        if self.rows_read != parts:
            raise ValueError(
                f"rows_read must be accepted + rejected + duplicate, however: "
                f"rows_read={self.rows_read}, sum={parts}"
            )
        ends = [time for time in (self.first_at, self.last_at) if time is not None]
        if len(ends) == 1 or ends != sorted(ends):
            raise ValueError(
                f"first_at and last_at must both be there, in this order, however: "
                f"{self.first_at} to {self.last_at}"
            )
        return self


class Champion(StoredDocument):
    """The pointer to the model that scores. `pointers`."""

    version: Key
    digest: Digest
    """SHA-256 of the model's artefact."""
    rev: Annotated[Count, Field(ge=1)]
    """Number of moves so far."""

    @property
    def id(self) -> str:
        """There is one."""
        return CHAMPION_ID


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdecimal() else 0


def _plain(value: Any) -> Any:
    """Enums as text and tuples as lists: what every driver stores alike."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
