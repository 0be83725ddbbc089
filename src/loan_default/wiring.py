"""The beginning of a command or a task: settings, logging, and its servers, which are closed at its end."""

import hashlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from loan_default.settings import Settings, load_settings, unknown_variables

if TYPE_CHECKING:
    from loan_default.data.schema.language import Schema
    from loan_default.data.sources.feeds import Feed
    from loan_default.database.connect import Database
    from loan_default.pipelines.services import Services
    from loan_default.review_policy import ReviewPolicy


def start() -> Settings:
    """Read the settings and set up the logging."""
    settings = load_settings()
    set_up_logging(settings)
    warn_of_unknown_variables()
    return settings


def warn_of_unknown_variables() -> None:
    """Log each variable that looks like a setting and is none: a misspelt threshold would have no effect."""
    for line in unknown_variables(os.environ):
        structlog.get_logger().warning("unknown_variable", reason=line)


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


def schema_file_of(settings: Settings, schema: Path | None = None) -> Path:
    """Return the schema file of an ingestion: the given one, else that of the settings or the bundled one."""
    from loan_default.bundled import BUNDLED_SCHEMA

    return schema or settings.schema_file or BUNDLED_SCHEMA


def review_policy_of(settings: Settings) -> "ReviewPolicy":
    """Return the policy profile and the terms of loans that models are reviewed by."""
    from loan_default.bundled import POLICIES
    from loan_default.review_policy import LendingTerms, ReviewPolicy, load_profile

    return ReviewPolicy(
        profile=load_profile(POLICIES / f"{settings.policy_profile}.toml"),
        terms=LendingTerms(
            loss_given_default=settings.loss_given_default,
            margin=settings.margin,
            exposure_column=settings.exposure_column,
        ),
        cutoff=settings.cutoff,
    )


@contextmanager
def open_services(
    settings: Settings, schema: Path | None = None, *, run: str | None = None
) -> Iterator["Services"]:
    """The services of the settings, while the block runs.

    Args:
        schema: another one than the settings name.
        run: id of the run; None = a new one.
    """
    from loan_default.data.schema.schema_files import load_schema
    from loan_default.kafka.consuming import Polling
    from loan_default.kafka.open_broker import connect
    from loan_default.kafka.outbox import Outbox
    from loan_default.pipelines.layout import OUTBOX, REPLAYS
    from loan_default.pipelines.services import Services

    loaded = load_schema(schema_file_of(settings, schema))
    with open_database(settings) as database:
        yield Services(
            broker=connect(settings),
            database=database,
            schema=loaded,
            outbox=Outbox(settings.home / OUTBOX),
            replays=Outbox(settings.home / REPLAYS) if settings.kafka_bootstrap_servers is None else None,
            polling=Polling(retry_budget_seconds=settings.retry_budget_seconds),
            run=run or uuid4().hex,
        )


def feed_of(
    source: str, schema: "Schema", settings: Settings, *, rows: int | None = None, seed: int = 0
) -> "Feed":
    """Where applications come from: `bundled`, `generated`, `folder:PATH` or `file:PATH`.

    Args:
        rows: rows in one go; None = all that are left. A folder is taken whole.
        seed: of the generator.
    """
    from loan_default.bundled import BUNDLED_DATA
    from loan_default.data.sources.feeds import FileFeed, GeneratedFeed
    from loan_default.data.sources.folder_feed import FolderFeed
    from loan_default.pipelines.layout import FEEDS

    kind, _, path = source.partition(":")
    state = settings.home / FEEDS
    if kind == "folder":
        return FolderFeed(Path(path), schema)
    if kind == "generated":
        return GeneratedFeed(schema, rows=rows, seed=seed, state=state / f"generated-{seed}.json")
    if kind == "bundled":
        # By its name alone: the accounts are the same wherever the package is installed.
        return FileFeed(BUNDLED_DATA, schema, state=state / f"{BUNDLED_DATA.name}.json", rows=rows)
    return FileFeed(Path(path), schema, state=_watermark_of(Path(path), state), rows=rows)


_KEPT_OF_NAME = 40
"""Characters of a file's name in that of its watermark."""


def _watermark_of(file: Path, state: Path) -> Path:
    """The watermark of a file, by its whole path: two folders may hold files of one name.

    One by the bare name, as releases before 0.2 kept it, goes on as that of the file with its content.
    """
    from loan_default.files import sha256_of

    path_digest = hashlib.sha256(os.fsencode(file.resolve())).hexdigest()[:16]
    watermark, former = state / f"{file.name[:_KEPT_OF_NAME]}-{path_digest}.json", state / f"{file.name}.json"
    if watermark.exists() or not former.exists() or not file.is_file():
        return watermark
    try:
        digest = json.loads(former.read_bytes())["digest"]
    except (ValueError, KeyError, TypeError):
        # Its rows are sent again under the same ids, and known ones are dropped.
        return watermark
    if digest == sha256_of(file):
        with suppress(FileNotFoundError):  # another process has just renamed it
            former.replace(watermark)
    return watermark


@contextmanager
def stopping() -> Iterator[Flag]:
    """A flag that Ctrl-C and SIGTERM set: the current batch is finished first."""
    stop = Flag()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
