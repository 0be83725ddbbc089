"""The HTTP server of a process: uvicorn with limits on slow heads, without access logs or reload."""

import asyncio
import gc
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from loan_default.errors import ConfigurationError
from loan_default.serving.api_keys import REFRESH_SECONDS
from loan_default.serving.http.access import Access

log = structlog.get_logger()

_SWITCH_SECONDS = 0.001
"""How long the thread that scores may keep the interpreter from the loop that answers probes."""
_KEEP_ALIVE_SECONDS = 30
_STOP_SECONDS = 10
_BACKLOG = 2_048
_LOOK_SECONDS = 1.0
_HEAD_BYTES = 32_768
"""Of a request whose head is not complete; what has arrived at once may be larger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def check_reachable(address: Address, access: Access) -> None:
    """Refuse to open a server without keys to other machines; on this one only warn.

    Raises:
        ConfigurationError: there is no key, and the address is not of this machine alone.
    """
    if access.count:
        return
    if not address.is_local:
        raise ConfigurationError(
            f"a server that others can reach must have a key, however: --host={address.host}, and there is "
            "none. Add one with `loan-default keys add`, or leave --host at 127.0.0.1."
        )
    log.warning("no_keys", reason="whoever works on this machine may ask for scores: `loan-default keys add`")


def run_server(
    app: FastAPI,
    address: Address,
    *,
    head_seconds: float,
    started: Callable[[int], None],
    refresh: Callable[[], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Answer requests until Ctrl-C or SIGTERM; what is being answered then is finished.

    Args:
        head_seconds: how long the head of a request may take to arrive; a slower connection is closed.
        started: called with the port once the server listens.
        refresh: called every few seconds in a thread, to read keys anew.
        stop: whether to end, such as by a signal that came before the server listened.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    listening = listening_socket(address)
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection needs to look at it again
    config = uvicorn.Config(
        app,
        http="h11",  # httptools has no bound on heads
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # its messages quote requests
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=_HEAD_BYTES,
    )
    server = _Server(config, head_seconds=head_seconds, started=started, stop=stop)
    with listening:
        asyncio.run(_serve(server, refresh, listening))


def listening_socket(address: Address) -> socket.socket:
    """A socket that listens; the connections it accepts send each part of an answer at once.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {address.host}:{address.port}: {error.strerror or 'no such address'}. "
            "Choose another --port or --host."
        ) from None
    # asyncio sets this only where a socket names its protocol, which `create_server` leaves out. Without it
    # the body of an answer waits until the client has acknowledged its head: 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class _Server(uvicorn.Server):
    """uvicorn's server; it closes connections whose next request is late, uvicorn lets them wait."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        head_seconds: float,
        started: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> None:
        super().__init__(config)
        self._head_seconds, self._on_started, self._stop = head_seconds, started, stop
        self._waiting: dict[Any, tuple[int, float]] = {}

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say so, unless the end came first: from here on uvicorn takes signals itself."""
        self.end_if_stopped()
        if self.should_exit:
            return
        await super().startup(sockets)
        if not self.should_exit:
            self._on_started(self.servers[0].sockets[0].getsockname()[1])

    def end_if_stopped(self) -> None:
        """Begin to end where that is asked for."""
        self.should_exit = self.should_exit or self._stop()

    def close_late(self) -> None:
        """Close connections that have begun no request, or no further one, for too long."""
        now, waiting = time.monotonic(), {}
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                continue
            number, since = self._waiting.get(connection, (id(cycle), now))
            if number != id(cycle):
                since = now
            if now - since > max(self._head_seconds, 0 if cycle is None else _KEEP_ALIVE_SECONDS):
                getattr(connection, "transport").close()  # noqa: B009 (not in all protocols' types)
                continue
            waiting[connection] = (id(cycle), since)
        self._waiting = waiting


async def _serve(server: _Server, refresh: Callable[[], None], listening: socket.socket) -> None:
    # Requests that wait for the store or the broker may take all threads of asyncio's own.
    thread = ThreadPoolExecutor(1, thread_name_prefix="keys")

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            server.end_if_stopped()
            server.close_late()

    async def keep_refreshing() -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await asyncio.get_running_loop().run_in_executor(thread, refresh)

    tasks = [asyncio.create_task(look()), asyncio.create_task(keep_refreshing())]
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in tasks:
            task.cancel()
        thread.shutdown(wait=False, cancel_futures=True)
