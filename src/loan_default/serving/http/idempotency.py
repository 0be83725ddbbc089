"""Requests that come again under the same idempotency key: the same prediction, once.

What was answered lately is remembered here; what was answered by another process, or before a restart, is
found in the document store by the id that the key gives its events.
"""

import asyncio
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass

from loan_default.serving.http.problems import Problem

_REMEMBERED = 10_000
"""Requests; the store has all of them."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """A request that a client may repeat."""

    event: str
    """Beginning of the ids of its events; other clients cannot make the same."""
    digest: str
    """SHA-256 of its body."""


class AnsweredRequests:
    """Requests with an idempotency key, while they are answered and afterwards."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, tuple[str, asyncio.Future[bytes]]] = OrderedDict()

    def find(self, identity: RequestIdentity) -> "asyncio.Future[bytes] | None":
        """The answer that the request got, or will get; None = it is new.

        Raises:
            Problem: 422, the key came with another body before.
        """
        known = self._answers.get(identity.event)
        if known is None:
            return None
        digest, future = known
        check_same(digest, identity)
        return future

    def begin(self, identity: RequestIdentity) -> "asyncio.Future[bytes]":
        """Remember a new request; its answer must be set, or the request forgotten."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[identity.event] = (identity.digest, future)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return future

    def forget(self, identity: RequestIdentity) -> None:
        """Let a request that was not answered be tried again, also by those who wait for its answer."""
        _, future = self._answers.pop(identity.event, (None, None))
        if future is not None and not future.done():
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
    return RequestIdentity(event=f"http-{named}", digest=hashlib.sha256(body).hexdigest())


def check_same(digest: str | None, identity: RequestIdentity) -> None:
    """Raise a Problem where an earlier request under the same key had another body."""
    if digest != identity.digest:
        raise Problem(
            422,
            "idempotency-key",
            "An Idempotency-Key must come with the same body again. Use a new key for a new request.",
        )
