"""Documents about control: the commands that were handled and the decisions about models."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from loan_default.database.gate_documents import StoredRule
from loan_default.database.stored_document import Count, Key, StoredDocument, Text, Time


class CommandStatus(StrEnum):
    """The result of a command."""

    DONE = "done"
    """The command had its effect."""
    SUPERSEDED = "superseded"
    """The command came after a younger one that sets the same switch: it changed nothing."""
    REFUSED = "refused"
    """The command cannot be done; it is a dead-letter record, `reason` says why."""


class CommandLog(StoredDocument):
    """A command and its result; a command whose id is stored has no effect again. `command_log`."""

    passing = frozenset({"handled_at", "place"})  # either of two copies may be the one that is handled
    id_field = "command"

    command: Text
    """The id of the command, chosen by its sender."""
    type: Text
    source: Text
    outcome: CommandStatus
    reason: Text | None = None
    sent_at: Time
    """Time of sending, by the clock of the sender."""
    handled_at: Time
    place: Text | None = None
    """Position of the record that was handled; None in documents that are older than this field."""

    @property
    def id(self) -> str:
        """The id of the command."""
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
    """The action that was decided for a model."""

    PROMOTED = "promoted"
    REJECTED = "rejected"
    KEPT = "kept"
    """The model was the champion and stays it."""
    ROLLED_BACK = "rolled_back"
    """A person asked for the model: it is the champion, whatever its metrics are."""
    SUPERSEDED = "overtaken"
    """Another model became the champion meanwhile: this decision had no effect, the next one counts."""


MOVES = frozenset({Action.PROMOTED, Action.ROLLED_BACK})
"""The actions that move the pointer to the champion."""


class Decision(StoredDocument):
    """A decision about a model, its reasons and the champion of that time; written before it has effects.

    `decisions`.
    """

    current_version = "1.1"  # 1.1: rules, approval
    passing = frozenset({"decided_at", "action"})

    version: Key
    """Version of the model."""
    action: Action
    reasons: Annotated[tuple[Text, ...], Field(min_length=1)]
    """A reason for each rule that was checked, whether it held or not."""
    broken: tuple[Text, ...] = ()
    """The reasons that speak against the model."""
    rules: tuple[StoredRule, ...] = ()
    """Each rule of the gate with its value, threshold, interval and data; empty = none was checked, or an
    older release decided."""
    approval: Text | None = None
    """Id of the approval by a person that the decision rests on; None = on none."""
    champion: Key | None
    """The champion at that time; None = there was none."""
    seen_rev: Count
    """Number of moves of the pointer at that time."""
    snapshot: Key | None
    """Id of the data that the model was evaluated on; None = it was not measured."""
    metrics: Text | None = None
    """Id of its metrics; None = there are none."""
    run: Text
    """Id of the run that decided."""
    decided_at: Time

    @property
    def id(self) -> str:
        """Model, run and moves of the pointer: a retry is the same decision."""
        return f"{self.version}/{self.run}/{self.seen_rev}"
