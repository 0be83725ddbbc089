"""Messages on disk between the step that decided to send them and the step that sends them.

A part is one file, written whole before the offsets of its records are committed and deleted once the broker
has all of it. Whoever dies in between leaves the part; it is sent again, and readers drop what comes twice.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

import orjson

from loan_default.errors import DataError
from loan_default.failpoints import failpoint
from loan_default.files import write_atomically
from loan_default.kafka.broker import Producer
from loan_default.kafka.messages import Message, Refused

_SUFFIX = ".jsonl"


class Outbox:
    """A folder of parts; several processes may write and send at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = count()

    def put(self, messages: Iterable[Message]) -> None:
        """Keep messages until they are sent; none = no part."""
        lines = [_line(message) for message in messages]
        if lines:
            # Names sort by time: what concerns one application is sent in the order in which it came.
            name = f"{time.time_ns():020d}-{os.getpid()}-{next(self._number):06d}{_SUFFIX}"
            write_atomically(self._folder / name, b"\n".join(lines))

    def send(self, producer: Producer) -> int:
        """Send what is there, part by part; returns how many messages the broker took.

        Raises:
            DependencyError: the broker did not take all in time; the rest stays.
            DataError: a part is damaged, or the broker refuses a message for ever; the part stays.
        """
        sent = 0
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue  # another process has sent it
            delivery = producer.deliver(_messages(content, path))
            if delivery.refused:
                raise must_fit(delivery.refused)
            failpoint("part_sent")
            path.unlink(missing_ok=True)
            sent += delivery.delivered
        return sent

    def __len__(self) -> int:
        return sum(1 for _ in self._folder.glob(f"*{_SUFFIX}"))


def must_fit(refused: Sequence[Refused]) -> DataError:
    """What a topic that refuses accepted events must be told."""
    return DataError(
        f"what was accepted must fit into the topic, however: {len(refused)} messages do not: "
        f"{refused[0].reason}. Raise the broker's limit."
    )


def _line(message: Message) -> bytes:
    return orjson.dumps(
        [
            message.topic,
            _written(message.key),
            _written(message.value),
            [[name, _written(value)] for name, value in message.headers],
        ]
    )


def _messages(content: bytes, path: Path) -> Iterator[Message]:
    for line in content.split(b"\n"):
        try:
            topic, key, value, headers = orjson.loads(line)
        except ValueError as error:
            raise DataError(f"a part of the outbox must be whole, however: {path} is not") from error
        yield Message(
            topic=topic,
            key=_read(key),
            value=_read(value),
            headers=tuple((name, _read(value) or b"") for name, value in headers),
        )


def _written(content: bytes | None) -> str | dict[str, str] | None:
    """Bytes as JSON: text as it is, any other bytes as `{"hex": ...}`."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"hex": content.hex()}


def _read(written: str | dict[str, str] | None) -> bytes | None:
    if written is None:
        return None
    return written.encode() if isinstance(written, str) else bytes.fromhex(written["hex"])
