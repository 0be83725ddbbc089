"""Documents of the gate: its evidence, the rules that it checked, and approvals by people."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from loan_default.database.stored_document import Count, Digest, Key, Share, StoredDocument, Text, Time
from loan_default.thresholds import RuleOutcome


class _Part(BaseModel):
    """A part of a stored document; fields that only newer releases know are left out when it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StoredLead(_Part):
    """AUCs of a model and of the champion on the same rows."""

    new: Share
    old: Share
    error: Annotated[FiniteFloat, Field(ge=0)]
    """Standard error of the difference, by DeLong's test."""
    bootstrap: tuple[FiniteFloat, FiniteFloat] | None = None
    """95 % interval of the difference by the paired bootstrap."""


class StoredSegment(_Part):
    """The model in one segment, beside the champion where both are compared."""

    column: Text
    value: Text
    rows: Count
    bads: Count
    lead: StoredLead | None = None
    """None = there is no champion to compare with, or the segment is too small."""
    gap: FiniteFloat | None = None
    """Default rate less mean PD; None = the segment is too small."""
    gap_error: Annotated[FiniteFloat, Field(ge=0)] | None = None


class StoredEstimate(_Part):
    """A value with an interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class StoredLive(_Part):
    """A model beside the champion on live applications, in an experiment."""

    experiment: Text
    """Id of the experiment."""
    number: Annotated[Count, Field(ge=1)]
    """Which experiment beside this champion it is."""
    outcomes: Count
    """Applications whose outcome is known."""
    planned: Count | None = None
    lead: StoredEstimate | None = None
    """AUC of the model less that of the champion, with an interval that holds at all looks; None = too little
    is known."""
    note: str = ""
    """What is too little."""


class StoredColumnPsi(_Part):
    """PSI of a column against the training, and what it may be by chance."""

    column: Text
    value: FiniteFloat
    critical: FiniteFloat


class StoredEvidence(_Part):
    """What the gate decides by, beside the metrics."""

    artefact: Digest
    """SHA-256 of the model's file."""
    golden_gap: FiniteFloat | None
    """Largest difference of a golden row's PD from the stored one, by torch and by the arrays that servers
    use; None = the file has no golden rows."""
    bads: Count
    coverage: Share | None
    """Share of the rows old enough for an outcome whose outcome is known."""
    score_psi: FiniteFloat | None
    score_psi_critical: FiniteFloat | None
    """PSI of the scores against those of the training, and what it may be by chance."""
    column_psi: StoredColumnPsi | None = None
    """The column that has moved furthest; None = an older release measured the model, or it froze no bins."""
    approval_rate: Share
    lead: StoredLead | None = None
    """None = there is no champion that it is compared with."""
    segments: tuple[StoredSegment, ...] = ()
    live: StoredLive | None = None
    """None = no experiment has compared the model with the champion."""
    monotonic: tuple[Key, ...] = ()
    """Columns in which the schema of the model wants the PD to be monotonic."""


class StoredRule(_Part):
    """One rule of the gate, as it was checked."""

    number: Annotated[int, Field(ge=1, le=11)]
    """The rule's number in the gate: 1 artefact, 2 data, 3 cooldown, 4 discrimination, 5 calibration, 6
    segments, 7 stability, 8 fairness, 9 monotonicity and reasons, 10 canary, 11 approval."""
    name: Key
    outcome: RuleOutcome
    value: FiniteFloat | None
    threshold: FiniteFloat | None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    """The interval that the rule was decided by; None = by the value alone."""
    data: Text | None
    """Digest or id of what the value was computed from."""
    sentence: Text


class Approval(StoredDocument):
    """A person's approval of a model, and of the rules that it may break; written before it acts.

    `approvals`.
    """

    current_version = "1.1"  # 1.1: champion_rev
    passing = frozenset({"granted_at"})

    version: Key
    """Version of the model."""
    champion: Key | None
    """The champion that it was granted beside: beside another one it does not hold."""
    champion_rev: Count | None = None
    """Moves of the champion's pointer until then: after another move it does not hold, even if the same
    champion is back. 0 = there was no pointer; None = an older release granted it."""
    approver: Text
    """Name of who answers for it."""
    reason: Text
    overrides: tuple[Key, ...] = ()
    """Names of the rules that the model may break; none = it is approved as it is."""
    granted_at: Time
    expires_at: Time
    """When it ceases to hold."""

    @property
    def id(self) -> str:
        """Model and time."""
        return f"{self.version}/{self.granted_at:%Y%m%d-%H%M%S-%f}"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in ("approver", "reason"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} must not be blank")
        if self.expires_at <= self.granted_at:
            raise ValueError(
                f"expires_at must be after granted_at, however: {self.expires_at.isoformat()} is not"
            )
        return self

    def holds(self, *, at: datetime, champion: str | None, rev: int) -> bool:
        """Return whether it holds at a time beside a champion, whose pointer has moved so often."""
        is_beside = self.champion == champion and self.champion_rev in (None, rev)
        return is_beside and self.granted_at <= at < self.expires_at
