"""What lies under the home folder (`LOAN_DEFAULT_HOME`), beside the folders of runs by hand."""

from pathlib import Path

MODELS = "models"
"""Registered models, `<version>.pth`."""
SERVING_FILES = "serving"
"""What is derived from registered models so that a process without torch can score by them: a cache."""
TRAINING_STORE = "training_store"
"""What was ingested, as Parquet files."""
SCHEDULED_RUNS = "training"
"""A folder for each training that a scheduler runs."""
OUTBOX = "outbox"
"""What was accepted and is yet to be sent to `processed_data`."""
REPLAYS = "replays"
"""Without Kafka: replayed events, until the next `ingest` takes them."""
FEEDS = "feeds"
"""How far each source has been read."""
PREDICTION_SPOOL = "predictions_spool"
"""Predictions that were answered and are yet to be stored."""
CARDS = "cards"
"""A folder for the model card of each model."""
FROM_STORE = "from_training_store"
"""The folder of a run by hand whose data are the training store."""


def has_ingested(home: Path) -> bool:
    """Whether applications were ever taken here."""
    return any((home / name).exists() for name in (OUTBOX, TRAINING_STORE))


def is_reserved(folder: Path, home: Path) -> bool:
    """Whether a folder is one that the home keeps for something else than a run by hand."""
    reserved = (
        MODELS, SERVING_FILES, TRAINING_STORE, SCHEDULED_RUNS, OUTBOX, REPLAYS, FEEDS, PREDICTION_SPOOL,
        CARDS,
    )  # fmt: skip
    return folder.resolve() in {(home / name).resolve() for name in reserved}
