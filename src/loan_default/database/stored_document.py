"""The base of all stored documents, their versions, and the types of their fields.

Times are UTC with milliseconds, as a server keeps them, so a document equals what comes back. Not-a-number
and infinity are refused: a metric that does not exist is None, with its reason.

Releases share a database during an upgrade and after a rollback, so each reads what the other writes:

- A field that is added has a default, is no part of an id, and raises the minor version of its class.
  Releases without the field ignore it, and updates change single fields, so it stays in the document.
- All else (a field removed, renamed or read otherwise, a new value of an enum) raises the major version,
  which releases before it refuse.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
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
"""Schema version of documents without one, as all are that were made before the field existed."""
_SCALARS = frozenset({str, int, float, bool, datetime, type(None)})


@lru_cache(maxsize=256)  # the events of a batch have the same timestamp
def _stored_time(time: datetime) -> datetime:
    utc = time if time.tzinfo is UTC else time.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
"""A text without NUL: some stores end a text there."""
Key = Annotated[str, StringConstraints(pattern=r"^[^.$\x00]+$")]
"""A field name that every store takes: no dot, dollar sign or NUL."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in hexadecimal."""
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
"""A share, from 0 to 1."""
Time = Annotated[AwareDatetime, AfterValidator(_stored_time)]
"""A time in UTC, in whole milliseconds."""


class StoredDocument(BaseModel):
    """The base of all stored documents: frozen, checked when it is made and when it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    current_version: ClassVar[str] = FIRST_VERSION
    """MAJOR.MINOR of the fields below, see the rules at the top."""
    passing: ClassVar[frozenset[str]] = frozenset()
    """Fields that are no content, as times: two documents that differ in these alone are the same."""
    id_field: ClassVar[str | None] = None
    """Field that is stored as `_id` alone; None = all fields are stored beside the id."""

    schema_version: Annotated[str, StringConstraints(pattern=r"^[1-9]\d*\.\d+$")] = Field(
        default=FIRST_VERSION, exclude_if=lambda version: version == FIRST_VERSION
    )
    """MAJOR.MINOR of the release that made the document. The first version is not stored: releases that
    know no versions can read the document."""

    @model_validator(mode="before")
    @classmethod
    def _of_a_known_major(cls, fields: Any) -> Any:
        """Refuse what only a newer release understands; give new documents the version of this release."""
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
        """Return the document as a plain dict with `_id`."""
        plain = {
            name: value if type(value) in _SCALARS else _plain(value)
            for name, value in self.__dict__.items()
            if name != self.id_field and (name != "schema_version" or value != FIRST_VERSION)
        }
        return {"_id": self.id, **plain}

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Return the document of `model_dump_json`, read as by `from_store`; DataError where it is none."""
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
        """Return the document of a stored dict, without fields that only other releases know.

        Raises:
            DataError: the stored dict is broken, or of a newer major version.
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
        """Return whether both have the same content, whenever they were made."""
        return self.model_dump(exclude=self._not_content) == other.model_dump(exclude=self._not_content)

    @property
    def _not_content(self) -> set[str]:
        return {*self.passing, "schema_version"}


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdecimal() else 0


def _plain(value: Any) -> Any:
    """Return enums as text and tuples as lists, which every driver stores alike."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value
