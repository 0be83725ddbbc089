"""Requests that come again under the same idempotency key: the same prediction, once.

What was answered lately is remembered here; what was answered by another process, or before a restart, is
found in the document store by the ids that key and body give the events. That the same key must come with the
same body is known only to the process that answered first, while it remembers: elsewhere another body is
another request with ids of its own, so each score that is given is kept.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass

from loan_default.serving.http.problems import Problem

_REMEMBERED = 10_000
"""Requests; the store has all of them."""
_REMEMBERED_BYTES = 16_000_000
"""Of their answers."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """A request that a client may repeat."""

    name: str
    """What its key stands for; other clients cannot make the same."""
    digest: str
    """SHA-256 of its body."""

    @property
    def event(self) -> str:
        """Beginning of the ids of its events, which another body under the same key never shares."""
        return f"{self.name}-{self.digest[:16]}"


class AnsweredRequests:
    """Requests with an idempotency key, while they are answered and afterwards."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[str, asyncio.Future[bytes]]] = {}
        self._answers: OrderedDict[str, tuple[str, asyncio.Future[bytes]]] = OrderedDict()
        self._bytes = 0

    def find(self, identity: RequestIdentity) -> "asyncio.Future[bytes] | None":
        """The answer that the request got, or will get; None = it is new.

        Raises:
            Problem: 422, the key came with another body before.
        """
        known = self._running.get(identity.name) or self._answers.get(identity.name)
        if known is None:
            return None
        digest, future = known
        if digest != identity.digest:
            raise Problem(
                422,
                "idempotency-key",
                "An Idempotency-Key must come with the same body again. Use a new key for a new request.",
            )
        return future

    def begin(self, identity: RequestIdentity) -> "asyncio.Future[bytes]":
        """Remember a new request, which must be finished or forgotten; return its answer to be."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._running[identity.name] = (identity.digest, future)
        return future

    def finish(self, identity: RequestIdentity, content: bytes) -> None:
        """Remember the answer of a request; the oldest answers go where there are too many, or too large."""
        _, future = self._answers[identity.name] = self._running.pop(identity.name)
        future.set_result(content)
        self._bytes += len(content)
        while len(self._answers) > _REMEMBERED or self._bytes > _REMEMBERED_BYTES:
            _, (_, oldest) = self._answers.popitem(last=False)
            self._bytes -= len(oldest.result())

    def forget(self, identity: RequestIdentity) -> None:
        """Let a request that was not answered be tried again, also by those who wait for its answer."""
        _, future = self._running.pop(identity.name)
        future.cancel()


def identity_of(key: str | None, *, client: str, body: bytes) -> RequestIdentity | None:
    """The identity of a request by the header `Idempotency-Key`; None without it.

    Args:
        client: who asks; the same key of two clients is two requests.

    Raises:
        Problem: 400, the key cannot be used.
    """
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Problem(
            400,
            "idempotency-key",
            "The header Idempotency-Key must have 1 to 255 printable ASCII characters.",
        )
    named = hashlib.sha256(f"{client}\0{key}".encode()).hexdigest()[:32]
    return RequestIdentity(name=f"http-{named}", digest=hashlib.sha256(body).hexdigest())
