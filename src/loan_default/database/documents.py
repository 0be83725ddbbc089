"""Documents about models: the model, its metrics, its training data, and the pointer to the champion.

The rules for all stored documents are those of `stored_document`.
"""

import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from loan_default.database.gate_documents import StoredEvidence
from loan_default.database.stored_document import Count, Digest, Key, Share, StoredDocument, Text, Time

CHAMPION_ID = "champion"
"""The `_id` of the pointer."""
ID_DIGITS = 12
"""Hexadecimal digits of a digest that stand in an id: 48 bits."""


class ModelStatus(StrEnum):
    """The state of a model; the pointer alone says which one is the champion."""

    TRAINED = "trained"
    """The model is stored and not evaluated yet."""
    CHAMPION = "champion"
    """The model is promoted; it stays so until another one is."""
    REJECTED = "rejected"
    """The model was evaluated and not promoted."""
    ARCHIVED = "archived"
    """The model was the champion."""


class DatasetName(StrEnum):
    """The rows that metrics were computed on."""

    VALIDATION = "validation"
    """The rows chose the epoch and fitted the calibration: the metrics are optimistic."""
    TEST = "test"
    """The training did not see the rows."""
    OUT_OF_TIME = "out_of_time"
    """The training did not see the rows, which are the latest; groups of alike rows stay whole."""
    HELD_OUT = "held_out"
    """The permanent holdout of the training store: no model that was trained on it has seen the rows."""


def model_version(created_at: datetime, sha256: str) -> str:
    """Return a version that sorts by time and names the content: `20261123-101500-0f3a9c21b7de`."""
    return f"{created_at.astimezone(UTC):%Y%m%d-%H%M%S}-{sha256[:ID_DIGITS]}"


def finite_metrics(metrics: Mapping[str, float | None]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the metrics as they can be stored, and a reason for each that does not exist."""
    stored: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for name, value in metrics.items():
        stored[name] = float(value) if value is not None and math.isfinite(value) else None
        if stored[name] is None:
            reasons[name] = (
                "infinite" if value is not None and math.isinf(value) else "not defined on these rows"
            )
    return stored, reasons


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError("path must be relative and stay inside the home folder")
    return path


class ModelMetadata(StoredDocument):
    """A trained model: where its file is, what it is, and what it was made from. `model_metadata`."""

    passing = frozenset({"status", "created_at", "training_seconds"})

    version: Key
    """The id of the model, see `model_version`."""
    created_at: Time
    status: ModelStatus = ModelStatus.TRAINED
    path: Annotated[Text, AfterValidator(_inside)]
    """The artefact, relative to the home folder, with forward slashes."""
    sha256: Digest
    """SHA-256 of the artefact; it is checked before the artefact is loaded."""
    schema_name: Text
    schema_digest: Digest
    preset: Text
    objective: Text
    pretrained: bool
    members: Annotated[Count, Field(ge=1)]
    """Networks whose scores are averaged."""
    trees: Count = 0
    """Boosted trees that count as much as all networks; 0 = there are none, or an older release made it."""
    parameters: Count
    """Trained weights of all networks together."""
    rows: dict[Key, Count]
    """Number of rows of each split, `{"train": 21000, …}`."""
    seed: Count
    code_version: Text
    libraries: dict[str, Text]
    """Versions of the libraries that decide the result, `{"torch": "2.13.0"}`."""
    training_seconds: Annotated[FiniteFloat, Field(ge=0)]
    snapshot: Key
    """Id of the training data, see `TrainingData`."""
    run: Text | None = None
    """Id of the run of the pipeline that made the model; None = it was trained by hand."""

    @property
    def id(self) -> str:
        """The version of the model."""
        return self.version


class PerformanceMetrics(StoredDocument):
    """The metrics of a model on one set of rows. `performance_metrics`."""

    current_version = "1.1"  # 1.1: evidence
    passing = frozenset({"computed_at"})

    version: Key
    """Version of the model."""
    dataset: DatasetName
    snapshot: Key
    """Id of the data that the rows are from; a model evaluated again on newer data has one more document."""
    run: Text | None = None
    """Id of the run that evaluated the model; None = the training did."""
    beside: Key | None = None
    """Version of the model that was measured on the same rows, as neither has seen them; None = alone."""
    computed_at: Time
    rows: Count
    label_rate: Share | None
    """Share of defaults among the rows; None without rows."""
    figures: dict[Key, FiniteFloat | None]
    """Name of a metric -> its value; None where it does not exist, see `reasons`."""
    intervals: dict[Key, tuple[FiniteFloat, FiniteFloat]] = Field(default_factory=dict)
    """Name of a metric -> lower and upper end of its 95 % interval."""
    reasons: dict[Key, Text] = Field(default_factory=dict)
    """Name of a metric that is None -> why it is."""
    evidence: StoredEvidence | None = None
    """What the gate decides by beside the metrics; None = the gate was not asked, or an older release was."""

    @property
    def id(self) -> str:
        """Parts that decide on which rows the model was measured, joined."""
        parts = (self.version, self.dataset, self.snapshot, self.run, self.beside)
        return "/".join(filter(None, parts))

    @model_validator(mode="after")
    def _figures_explained(self) -> Self:
        missing = {name for name, value in self.figures.items() if value is None}
        if missing != set(self.reasons):
            raise ValueError(
                f"reasons must name exactly the metrics that are None, however: None={sorted(missing)}, "
                f"reasons={sorted(self.reasons)}"
            )
        for name, (low, high) in self.intervals.items():
            if name not in self.figures or low > high:
                raise ValueError(
                    f"an interval must belong to a metric and go up, however: {name}=({low}, {high})"
                )
        return self


class TrainingData(StoredDocument):
    """The rows that a model was made from. `training_data`."""

    current_version = "1.1"  # 1.1: digest_version
    passing = frozenset({"created_at", "parts", "since", "until", "digest_version"})

    digest: Digest
    """SHA-256 of the rows."""
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
    select the same rows again; empty for other data."""
    since: Time | None = None
    """Time before which applications of those files were left out; None = none was."""
    until: Time | None = None
    """Time from which on applications were left out; None = none was."""

    @property
    def id(self) -> str:
        """Digest of all fields that are content: the same data read the same way are the same snapshot."""
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
        """The one id: there is one pointer."""
        return CHAMPION_ID


def moves_of(pointer: Champion | None) -> int:
    """Return how often the pointer has moved so far; 0 = there is none yet."""
    return 0 if pointer is None else pointer.rev
