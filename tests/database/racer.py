"""One of several processes that race on a database: `python racer.py SETTINGS THREADS`, a round a line.

A line is `[race, round, number]`: all threads of all racers do the same thing at once, each as another of
`number, number + 1, …`. The answer is a line with what each of them found.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

from loan_default.database.connect import Database, connect
from loan_default.database.control_documents import Action, CommandLog, CommandStatus, Decision
from loan_default.database.control_repositories import CommandRepository, DecisionRepository, FencingToken
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.repositories import ModelRepository
from loan_default.errors import DataError
from loan_default.settings import Settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENTS = 20


def digest_of(number: int) -> str:
    return f"{number:02x}" * 32


_seen: dict[int, str | None] = {}
"""Number of a racer -> the champion that it saw last."""


def look(database: Database, turn: int, number: int) -> str | None:
    """Remember the champion, before any racer moves the pointer."""
    pointer = ModelRepository(database).champion()
    _seen[number] = None if pointer is None else pointer.version
    return _seen[number]


def champion(database: Database, turn: int, number: int) -> bool:
    """Return whether this racer moved the pointer from where all have seen it."""
    return ModelRepository(database).move_champion(
        f"v{number}", digest_of(number), seen_rev=turn, seen_version=_seen[number]
    )


def token_claimed(database: Database, turn: int, number: int) -> bool:
    """Return whether this try could claim the fencing token."""
    return _may(FencingToken(database=database, run=f"run-{turn}", task="train", attempt=number + 1).claim)


def token_checked(database: Database, turn: int, number: int) -> bool:
    """Return whether this try may write."""
    return _may(FencingToken(database=database, run=f"run-{turn}", task="train", attempt=number + 1).check)


def switch(database: Database, turn: int, number: int) -> str:
    """A pause or resume of its own time, and one that all of them handle; when the youngest was sent."""
    commands = CommandRepository(database)
    for name, minutes in ((f"own-{turn}-{number}", number), (f"shared-{turn}", 0)):
        commands.add(
            CommandLog(
                command=name,
                type="pause" if minutes % 2 else "resume",
                source="race",
                outcome=CommandStatus.DONE,
                sent_at=NOON + timedelta(hours=turn, minutes=minutes),
                handled_at=datetime.now(UTC),
                place=f"commands-0-{number}",
            )
        )
    return "added"


def decision(database: Database, turn: int, number: int) -> str:
    """The decision that counts, of several with one id."""
    mine = Decision(
        version="v0",
        action=Action.PROMOTED if number % 2 else Action.REJECTED,
        reasons=(f"that of {number}",),
        champion=None,
        seen_rev=turn,
        snapshot=None,
        run="run",
        decided_at=NOON,
    )
    return DecisionRepository(database).keep(mine).reasons[0]


def events(database: Database, turn: int, number: int) -> list[str]:
    """How each of the same events arrived."""
    logs = [_log(f"e-{turn}-{n}", offset=turn * EVENTS + n, batch=f"b{number}") for n in range(EVENTS)]
    return [str(arrival) for arrival in RawDataLogRepository(database).add_new(logs).arrivals]


def offset(database: Database, turn: int, number: int) -> bool:
    """Whether an event of its own got the offset that all of them claim."""
    log = _log(f"x-{turn}-{number}", offset=turn, batch="b", topic="contested")
    return _may(lambda: RawDataLogRepository(database).add_new([log]))


RACES = {
    each.__name__: each
    for each in (look, champion, token_claimed, token_checked, switch, decision, events, offset)
}


def _may(act: Any) -> bool:
    try:
        act()
    except DataError:
        return False
    return True


def _log(event: str, *, offset: int, batch: str, topic: str = "raw_data") -> RawDataLog:
    outcome = EventStatus.ACCEPTED
    return RawDataLog(
        event=event, topic=topic, partition=0, offset=offset, batch=batch, outcome=outcome, logged_at=NOON
    )


def main() -> None:
    settings, threads = json.loads(sys.argv[1]), int(sys.argv[2])
    database = connect(Settings(**{**settings, "home": Path(settings["home"])}))
    barrier = Barrier(threads)

    def run(race: str, turn: int, number: int) -> Any:
        barrier.wait(timeout=60)
        return RACES[race](database, turn, number)

    with ThreadPoolExecutor(threads) as pool:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        for line in sys.stdin:
            race, turn, first = json.loads(line)
            found = list(pool.map(lambda number: run(race, turn, number), range(first, first + threads)))  # noqa: B023
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()
    database.client.close()


if __name__ == "__main__":
    main()
