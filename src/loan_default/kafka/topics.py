"""The topics: their names, their partitions, and how long they keep what they hold."""

from dataclasses import dataclass
from datetime import timedelta

from loan_default.errors import DependencyError


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """One topic."""

    name: str
    partitions: int = 3
    retention: timedelta | None = timedelta(days=7)
    """Records older than that may go; None = never."""


RAW = "raw_data"
"""Rows of a source, as they came."""
PROCESSED = "processed_data"
"""Rows that passed the schema, in canonical form."""
SCORES = "scores"
"""What the model that scores makes of `processed_data`: PD, points and version of each application."""
COMMANDS = "commands"
"""Requests to the pipelines and facts about what they did."""

PROCESSING = "processing"
"""Consumer group of those who validate `raw_data`."""
TRAINING_STORE = "training-store"
"""Consumer group of those who bring `processed_data` into the training store."""
SCORING = "scoring"
"""Consumer group of those who score `processed_data`."""
READERS = {RAW: (PROCESSING,), PROCESSED: (TRAINING_STORE,)}
"""Topic -> groups that read all of it wherever the pipeline runs. The other topics are for people, and for
whoever comes later. `scoring` is not among them: nobody can score what lies in the memory of another process,
so a broker in memory that waited for that group would keep all that passes."""


def dead_letter_topic(name: str) -> str:
    """Where records of a topic go that cannot be used."""
    return f"{name}.dlq"


TOPICS = (
    Topic(name=RAW),
    Topic(name=PROCESSED),
    Topic(name=SCORES),
    Topic(name=COMMANDS),
    # A person has to look at dead-letter records: they are kept longer than what they come from.
    Topic(name=dead_letter_topic(RAW), retention=timedelta(days=90)),
    Topic(name=dead_letter_topic(PROCESSED), retention=timedelta(days=90)),
    Topic(name=dead_letter_topic(COMMANDS), retention=timedelta(days=90)),
)
DEAD_LETTER_TOPICS = tuple(dead_letter_topic(name) for name in (RAW, PROCESSED, COMMANDS))


def missing_topics(names: list[str]) -> DependencyError:
    """The error that says which topics are not there."""
    return DependencyError(
        f"the topics must be there, however: {', '.join(sorted(names))} {'is' if len(names) == 1 else 'are'} "
        "not. Create them with `loan-default init`."
    )
