"""Documents about scores that are asked for: each prediction that a model made.

None of them holds a record: only ids, digests, times, and what a model made of the record.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from loan_default.database.stored_document import Digest, Key, Share, StoredDocument, Text, Time


class Group(StrEnum):
    """The part that a prediction played in the decision on its application."""

    CHAMPION = "champion"
    """The champion's PD was the answer."""
    CHALLENGER = "challenger"
    """The PD of an experiment's challenger was the answer."""
    SHADOW = "shadow"
    """The challenger's PD was kept beside the answer, which was the champion's."""


class Door(StrEnum):
    """The way on which a score was asked for."""

    HTTP = "http"
    STREAM = "stream"
    BATCH = "batch"
    """A file of applications."""


class KeptReason(BaseModel):
    """A column that raised a PD, and what it was called."""

    model_config = ConfigDict(frozen=True)

    column: Text
    words: Text
    contribution: FiniteFloat
    """What it added to the logit of the PD."""
    points: FiniteFloat
    """What it changed the score by, in points: below 0, as more points are better."""

    @field_validator("points")
    @classmethod
    def _below_zero(cls, points: float) -> float:
        return -abs(points)  # documents before the release of 0.2 hold what a reason cost, without the sign


class KeptExplanation(BaseModel):
    """Why a prediction is what it is: contributions and words, no value of the application."""

    model_config = ConfigDict(frozen=True)

    reasons: tuple[KeptReason, ...]
    withheld: FiniteFloat
    """What columns that are no reasons added to the logit of the PD."""
    reference: Text
    """Against whom, by which model."""
    reference_pd: Share
    gap: FiniteFloat
    """What no column explains of the logit of the PD."""


class Prediction(StoredDocument):
    """The score of an application by a model: an event has one for each version. `predictions`.

    Release 0.1 took the id of the event for that of the prediction, so that a second model's was dropped;
    `from_store` reads its documents, and `initialise` rewrites them.
    """

    current_version = "2.1"  # 2.0: the id is of event and version; 2.1: explanation
    passing = frozenset({"scored_at", "latency_seconds", "explanation"})

    event: Text
    """Id of the event that asked for it: of the request, of the message, or of the row of a file."""
    application: Text | None = None
    """Id of the application; None where the record does not say it."""
    version: Key
    """Version of the model."""
    digest: Digest | None = None
    """SHA-256 of the model's artefact; None = release 0.1 made the prediction."""
    pd: Share
    """Probability of default."""
    points: FiniteFloat
    """Score points: more are better."""
    group: Group = Group.CHAMPION
    experiment: Text | None = None
    """Id of the experiment that was running; None = there was none."""
    door: Door | None = None
    """None = release 0.1 made the prediction."""
    scored_at: Time
    features_digest: Digest | None = None
    """SHA-256 of the canonical features; it shows whether two predictions had the same input."""
    latency_seconds: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """Time from the arrival of the record to its score; None where it was not measured."""
    request_digest: Digest | None = None
    """SHA-256 of the request, which tells a repeated request from another one under the same key."""
    explanation: KeptExplanation | None = None
    """Why it is what it is; None = nobody asked."""

    @property
    def id(self) -> str:
        """Event and version: a retry is the same prediction, and another model's is another one."""
        return f"{self.event}/{self.version}"

    @classmethod
    def from_store(cls, document: Mapping[str, Any]) -> Self:
        """Return the prediction of a stored dict, one of release 0.1 as this release would have made it.

        Raises:
            DataError: the stored dict is broken, or of a newer major version.
        """
        if "event" not in document:
            document = {**document, "event": document.get("_id"), "schema_version": cls.current_version}
        return super().from_store(document)
