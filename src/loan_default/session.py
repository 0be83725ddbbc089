"""The beginning of a command: settings, logging, and the servers it works with, closed at its end."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from loan_default.settings import Settings, load_settings

if TYPE_CHECKING:
    from loan_default.database.connect import Database


def start() -> Settings:
    """Read the settings and set up the logging."""
    settings = load_settings()
    set_up_logging(settings)
    return settings


def set_up_logging(settings: Settings) -> None:
    """Structured log lines on standard error: for people on a terminal, JSON elsewhere."""
    form = settings.log_format
    for_people = form == "console" or (form == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger("kafka").setLevel(logging.ERROR)  # it warns of each attempt to reach a broker


@contextmanager
def open_database(settings: Settings) -> Iterator["Database"]:
    """The database of the settings, while the block runs."""
    from loan_default.database.connect import connect

    database = connect(settings)
    try:
        yield database
    finally:
        database.client.close()
