"""Documents about experiments: a challenger beside the champion, and the pointer to the one that runs."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from loan_default.database.stored_document import Count, Digest, Key, Share, StoredDocument, Text, Time

EXPERIMENT_ID = "experiment"
"""The `_id` of the pointer."""


class Mode(StrEnum):
    """The way in which a challenger takes part."""

    SHARE = "share"
    """The challenger answers for a share of the applicants."""
    SHADOW = "shadow"
    """The challenger scores beside the champion, whose answer stands."""


class Experiment(StoredDocument):
    """A challenger that is compared with the champion on live applications. `experiments`."""

    current_version = "1.3"  # 1.1: planned_outcomes; 1.2: champion_rev; 1.3: it is in the audit trail
    passing = frozenset(
        {"started_at", "share", "ended_at", "ended_by", "stopped_because", "planned_outcomes"}
    )
    id_field = "experiment"

    experiment: Text
    """Id of the experiment; it salts the draw of its groups."""
    champion: Key
    """Version of the champion when it began."""
    champion_rev: Count | None = None
    """Moves of the champion's pointer until then: any later move ends the experiment, even if it brings the
    same champion back. 0 = there was no pointer; None = an older release began it."""
    challenger: Key
    """Version of the challenger."""
    challenger_digest: Digest
    """SHA-256 of the challenger's artefact."""
    mode: Mode
    share: Annotated[Share, Field(gt=0)]
    """Share of the applicants whom the challenger scores; it may grow."""
    started_at: Time
    started_by: Text
    """Who started it, and answers for its effect on people."""
    reason: Text | None = None
    planned_outcomes: Count | None = None
    """Outcomes that it takes to find a lead of 0.01 AUC with a power of 80 %, computed before it began.
    None = the champion's AUC was not known, or an older release began it."""
    ended_at: Time | None = None
    """None = it runs, if the pointer names it."""
    ended_by: Text | None = None

    @property
    def id(self) -> str:
        """The id of the experiment."""
        return self.experiment

    @property
    def ran(self) -> bool:
        """Whether it took effect: one that lost against another at its start did not."""
        return self.ended_at != self.started_at

    @model_validator(mode="after")
    def _two_models(self) -> Self:
        if self.champion == self.challenger:
            raise ValueError(
                f"the challenger must be another model than the champion, however: both are {self.champion}"
            )
        return self


class RunningExperiment(StoredDocument):
    """The pointer to the experiment that runs; it is moved by compare-and-set. `pointers`."""

    experiment: Text | None
    """Id of the experiment; None = none runs."""
    rev: Annotated[Count, Field(ge=1)]
    """Number of moves and changes so far."""

    @property
    def id(self) -> str:
        """The one id: at most one experiment runs."""
        return EXPERIMENT_ID
