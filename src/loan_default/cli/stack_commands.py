"""`loan-default init`, `replay`, `status`, `backup` and `restore`: a stack as a whole."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import structlog
import typer

from loan_default.cli.console import counted, make_console, say
from loan_default.cli.options import path_argument, path_option
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.wiring import open_database, start, stopping

if TYPE_CHECKING:
    from loan_default.database.connect import Database
    from loan_default.pipelines.control.stack_status import StackStatus

log = structlog.get_logger()

T = TypeVar("T")


def init(
    log_days: Annotated[
        int | None, typer.Option(help="Days after which MongoDB drops raw_data_logs. Default: never.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for servers that are still starting.")
    ] = 0,
    key: Annotated[
        bool, typer.Option("--key/--no-key", help="Let in the key of LOAN_DEFAULT_API_KEY, if it is set.")
    ] = True,
) -> None:
    """Create topics, collections, indexes, and the users whose passwords are set; safe to repeat."""
    from loan_default.database.initialise import initialise
    from loan_default.database.users import make_users
    from loan_default.kafka.open_broker import connect
    from loan_default.kafka.topics import TOPICS

    console, settings = make_console(), start()
    deadline = time.monotonic() + wait
    made = _waiting(lambda: connect(settings).create_topics(TOPICS), until=deadline)
    for topic in TOPICS:
        say(console, "topic", f"{topic.name}: {'created' if topic.name in made else 'was there'}")
    if settings.kafka_bootstrap_servers is None:
        say(console, "", "in memory, as KAFKA_BOOTSTRAP_SERVERS is not set: gone when this command ends")
    with ExitStack() as opened:
        database = _waiting(lambda: opened.enter_context(open_database(settings)), until=deadline)
        for line in initialise(database, log_days=log_days, prediction_days=settings.prediction_days):
            say(console, "database", line)
        for line in make_users(database, settings.mongodb_users, name=settings.mongodb_database):
            say(console, "database", line)
        if key and settings.api_key is not None:
            say(console, "key", let_in(database, settings.api_key.get_secret_value()))


_OWNER_OF_STACK = "stack"
"""Owner of the key that comes by the settings; `init` revokes its former ones."""


def let_in(database: "Database", token: str) -> str:
    """Make the key of a stack known and revoke its former ones; return what was done.

    Raises:
        ConfigurationError: the token is no key, or one that was revoked.
    """
    from loan_default.database.api_key_documents import KeyScope
    from loan_default.database.serving_repositories import ApiKeyRepository
    from loan_default.serving.api_keys import key_of

    now, repository = datetime.now(UTC), ApiKeyRepository(database)
    scopes = (KeyScope.SCORE, KeyScope.OUTCOME, KeyScope.READ)
    key = key_of(token, _OWNER_OF_STACK, scopes=scopes, now=now)
    repository.add(key)
    if repository.get(key.key).revoked:  # it was there: adding it again changes nothing
        raise ConfigurationError(
            f"the key of LOAN_DEFAULT_API_KEY must not have been revoked, however: {key.key} was. Set "
            "another one, with 12 new hexadecimal digits before its dot."
        )
    for former in repository.newest_first():
        if former.owner == _OWNER_OF_STACK and former.key != key.key and not former.revoked:
            repository.revoke(former.key, now=now)
    return f"{key.key} may {', '.join(key.scopes)}"


def replay(
    folder: Annotated[Path, path_option("Folder that the ingestion watches.")],
    rows: Annotated[int, typer.Option(min=1, help="Accounts in one file.")] = 1_000,
    files: Annotated[int, typer.Option(min=1, help="Files at once where nothing was taken yet.")] = 6,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two files after that.")] = 3_600,
) -> None:
    """Drop the bundled accounts into a folder, file by file, until Ctrl-C or SIGTERM.

    It stops dropping when they are all there, or somebody drops files of their own.
    """
    from loan_default.pipelines.ingestion.bundled_drops import has_begun, replay_bundled, waits
    from loan_default.pipelines.layout import has_ingested

    settings = start()
    with stopping() as stop:
        # A stack whose volumes were deleted has taken nothing yet, whatever the folder has seen.
        begun = has_begun(folder) and has_ingested(settings.home)
        at_once = 0 if begun or waits(folder) else files
        while not stop.is_set():
            if at_once or not stop.wait(every):
                path = replay_bundled(folder, rows=rows)
                log.info("file_dropped", name=path.name) if path else log.info("nothing_to_drop")
                at_once = max(0, at_once - 1) if path else 0


_LOOK_SECONDS = 3.0
"""Time between two reads of the stack's status."""


def status(
    until_champion: Annotated[
        float, typer.Option(min=0, help="Go on, with a line for each change, for so many seconds at most.")
    ] = 0,
) -> None:
    """Show how many events came in, how many models there are, and which of them scores."""
    from loan_default.pipelines.control.stack_status import stack_status

    console, settings = make_console(), start()
    deadline, shown = time.monotonic() + until_champion, []
    with open_database(settings) as database:
        while True:
            now = stack_status(database)
            lines = _lines(now)
            for label, text in lines:
                if (label, text) not in shown:
                    say(console, label, text)
            shown = lines
            if now.champion is not None or not until_champion:
                return
            if time.monotonic() > deadline:
                raise DependencyError(
                    f"No model became the champion within {until_champion:.0f} s. Look at the runs and their "
                    "logs in Airflow."
                )
            time.sleep(_LOOK_SECONDS)


def backup(folder: Annotated[Path, path_argument("Folder to be made; one for each backup.")]) -> None:
    """Write all collections of the database into files. Stop what writes to it first."""
    from loan_default.database.backup import back_up

    console, settings = make_console(), start()
    with open_database(settings) as database:
        for name, contents in back_up(database, folder).items():
            say(console, name, f"{counted(contents.documents, 'document')}, digest {contents.digest}")


def restore(
    folder: Annotated[Path, path_argument("A backup.")],
    kafka_is_new: Annotated[
        bool,
        typer.Option("--kafka-is-new", help="Its topics were made anew too: offsets count from 0 again."),
    ] = False,
) -> None:
    """Restore a backup into a database whose collections are empty, and compare the digests."""
    from loan_default.database.backup import restore

    console, settings = make_console(), start()
    with open_database(settings) as database:
        gone = f"{datetime.now(UTC):%Y%m%dT%H%M%S}" if kafka_is_new else None
        for name, contents in restore(database, folder, gone=gone).items():
            say(console, name, f"{counted(contents.documents, 'document')}, digest {contents.digest}")


def _lines(now: "StackStatus") -> list[tuple[str, str]]:
    decided = f"{now.decision.version} {now.decision.action}" if now.decision else "none yet"
    return [
        ("events", f"{now.accepted:,} accepted, {now.rejected:,} rejected"),
        ("models", f"{now.models:,}, the latest decision: {decided}"),
        ("champion", now.champion.version if now.champion else "none yet"),
    ]


def _waiting(attempt: Callable[[], T], *, until: float) -> T:
    """Return the answer of a server that may still be starting."""
    while True:
        try:
            return attempt()
        except DependencyError as error:
            if time.monotonic() >= until:
                raise
            log.info("waiting", reason=str(error))
            time.sleep(1)
