"""What is stored of what was asked for and decided: commands, decisions about models, and who may write."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from loan_default.database.stored_document import Count, Key, StoredDocument, Text, Time


class CommandStatus(StrEnum):
    """What became of a command."""

    DONE = "done"
    SUPERSEDED = "superseded"
    """It came after a younger one that says where the ingestion stands: it changed nothing."""
    REFUSED = "refused"
    """It cannot be done; it is a dead letter, `reason` says why."""


class CommandLog(StoredDocument):
    """A command and what became of it; a command whose id is here acts no more. `command_log`."""

    passing = frozenset({"handled_at", "place"})  # of two copies either may be the one that is handled
    id_field = "command"

    command: Text
    """The id, chosen by who sent it."""
    type: Text
    source: Text
    outcome: CommandStatus
    reason: Text | None = None
    sent_at: Time
    """By the clock of who sent it."""
    handled_at: Time
    place: Text | None = None
    """Where the record stood that was handled; None in documents that are older than this field."""

    @property
    def id(self) -> str:
        """The command's."""
        return self.command

    @model_validator(mode="after")
    def _refusal_explained(self) -> Self:
        if (self.outcome is CommandStatus.REFUSED) != (self.reason is not None):
            raise ValueError(
                f"reason must be given for refused commands and for them alone, however: "
                f"outcome={self.outcome}, reason={self.reason!r}"
            )
        return self


class Action(StrEnum):
    """What was decided about a model."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    KEPT = "kept"
    """It was the champion and stays it."""
    ROLLED_BACK = "rolled_back"
    """Somebody asked for it: it is the champion, whatever its figures are."""
    SUPERSEDED = "overtaken"
    """Another model became the champion meanwhile: this decision had no effect, the next one counts."""


class Decision(StoredDocument):
    """What was decided about a model, why, and beside which champion; written before it has effects.

    `decisions`.
    """

    passing = frozenset({"decided_at", "action"})

    version: Key
    """The model's."""
    action: Action
    reasons: Annotated[tuple[Text, ...], Field(min_length=1)]
    """One for each rule that was checked, whether it held or not."""
    broken: tuple[Text, ...] = ()
    """Those of the reasons that speak against the model."""
    champion: Key | None
    """The champion at that time; None = there was none."""
    seen_rev: Count
    """Moves of the pointer at that time."""
    snapshot: Key | None
    """Id of the data that it was judged on; None = it was not measured."""
    metrics: Text | None = None
    """Id of its figures; None = there are none."""
    run: Text
    """Id of the run that decided."""
    decided_at: Time

    @property
    def id(self) -> str:
        """Model, run and moves of the pointer: a retry is the same decision."""
        return f"{self.version}/{self.run}/{self.seen_rev}"
