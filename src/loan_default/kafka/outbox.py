"""Messages on disk between the step that decided to send them and the step that sends them.

A part is one file, written whole before the offsets of its records are committed and deleted once the broker
has all of it. Whoever dies in between leaves the part; it is sent again, and readers drop what comes twice.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
        for path in self._parts():
            sent += _deliver_part(path, producer)
            failpoint("part_sent")
            path.unlink(missing_ok=True)
        return sent

    @contextmanager
    def sending(self, producer: Producer) -> Iterator[int]:
        """Send what is there, and delete it only when the block ends without an error.

        This is for a broker that is gone with the process: until the block has had its effects, the parts
        are all that another process could begin again with. Errors: as `send`.

        Yields:
            How many messages the broker took.
        """
        parts = self._parts()
        sent = 0
        for path in parts:
            sent += _deliver_part(path, producer)
        yield sent
        for path in parts:
            path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._parts())

    def _parts(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))


def _deliver_part(path: Path, producer: Producer) -> int:
    """Send one part; how many messages the broker took."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0  # another process has sent it
    delivery = producer.deliver(_messages(content, path))
    if delivery.refused:
        raise must_fit(delivery.refused)
    return delivery.delivered


def must_fit(refused: Sequence[Refused]) -> DataError:
    """The error for accepted events that their topic refuses."""
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
