"""A proxy in front of one server, for faults of the network: slow, silent, cut, or answers that get lost.

    with kafka_behind_proxy(kafka) as (proxy, seen):    # clients of `seen` go through the proxy
        proxy.hold()                                    # from now on nothing passes, nothing ends
        proxy.mend()

A call applies at once, also to the connections that are open.
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from servers.errors import StartError
from servers.ferretdb import Ferretdb
from servers.kafka import Kafka
from servers.process import LOCALHOST, READY_WITHIN_SECONDS, listens, on_free_ports

Request = Callable[[bytes], bool]
"""Says which requests are meant, by their bytes."""

_LISTENER = "PROXIED"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: the end of a connection is RST, not FIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Wire:
    """How a protocol tells its messages apart: four bytes of length, and a number that the answer repeats."""

    order: Literal["big", "little"]
    uncounted: int
    """Bytes of a message that its length leaves out."""
    asked: int
    """Where a request has its number."""
    answered: int
    """Where the answer has it."""

    async def messages(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """Whole messages until the connection ends."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(4)
                left = int.from_bytes(head, self.order) + self.uncounted - 4
                yield head + await reader.readexactly(left)


KAFKA = Wire(order="big", uncounted=4, asked=8, answered=4)
MONGODB = Wire(order="little", uncounted=0, asked=4, answered=8)


class Proxy:
    """Listens on one port for the server of another; `close` ends it with all its connections."""

    def __init__(self, wire: Wire, *, port: int, target: int) -> None:
        self.host = f"{LOCALHOST}:{port}"
        self.lost = 0
        """Answers that were lost on purpose."""
        self._wire, self._port, self._target = wire, port, target
        self._latency, self._rate = 0.0, 0
        self._losing: Request = lambda request: False
        self._to_lose = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._thread = Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        try:
            self.mend()
        except OSError as error:
            self.close()
            raise StartError(f"the port of a proxy must be free, however: {port}", log=str(error)) from error

    def mend(self) -> None:
        """Everything passes, what was held too: requests come late, of clients that have given up."""
        self._do(self._mend())

    def slow(self, seconds: float) -> None:
        """Each message takes that long, each way."""
        self._latency = seconds

    def throttle(self, bytes_per_second: int) -> None:
        """That much passes, each way of each connection."""
        self._rate = bytes_per_second

    def hold(self) -> None:
        """Half-open: connections can be made and stay open, nobody answers."""
        self._do(self._hold())

    def cut(self) -> None:
        """RST for the connections that are open; new ones are welcome."""
        self._do(self._cut())

    def refuse(self) -> None:
        """RST for the connections that are open, and no new ones."""
        self._do(self._refuse())

    def lose_answers(self, request: Request, *, times: int) -> None:
        """So often let such a request pass, then cut the connection instead of handing on its answer."""
        self._losing, self._to_lose = request, times

    def close(self) -> None:
        """End it."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _mend(self) -> None:
        self._latency, self._rate = 0.0, 0
        self._passing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, LOCALHOST, self._port)

    async def _hold(self) -> None:
        self._passing.clear()

    async def _cut(self) -> None:
        for writer in self._writers:
            _abort(writer)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _end(self) -> None:
        await self._refuse()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed by the loop's next turn

    def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, client))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One connection of a client, and ours to the server."""
        self._writers.add(client)
        server, doomed = None, set[bytes]()
        try:
            await self._passing.wait()
            answers, server = await asyncio.open_connection(LOCALHOST, self._target)
            self._writers.add(server)
            ways = [self._requests(reader, server, doomed), self._answers(answers, client, doomed)]
            tasks = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            _abort(client)  # the server is away
        finally:
            for writer in filter(None, (client, server)):
                writer.close()  # hands on what is on its way, but where the connection was cut
                with suppress(OSError):
                    await writer.wait_closed()
                self._writers.discard(writer)

    async def _requests(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, doomed: set[bytes]
    ) -> None:
        place = self._wire.asked
        async for request in self._wire.messages(reader):
            if self._to_lose and self._losing(request):
                self._to_lose -= 1
                doomed.add(request[place : place + 4])
            await self._pass_on(request, server)

    async def _answers(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, doomed: set[bytes]
    ) -> None:
        place = self._wire.answered
        async for answer in self._wire.messages(reader):
            if answer[place : place + 4] in doomed:
                self.lost += 1
                _abort(client)
                return
            await self._pass_on(answer, client)

    async def _pass_on(self, message: bytes, writer: asyncio.StreamWriter) -> None:
        """As the network is now: it may change while a message is on its way."""
        await asyncio.sleep(self._latency)
        while message:
            size = max(1, self._rate // 10) if self._rate else len(message)
            if self._rate:
                await asyncio.sleep(size / self._rate)
            await self._passing.wait()
            writer.write(message[:size])
            await writer.drain()
            message = message[size:]


@contextmanager
def ferretdb_behind_proxy(server: Ferretdb) -> Iterator[tuple[Proxy, Ferretdb]]:
    """A proxy, and the server as it is seen through it."""
    target = _port(server.host)
    proxy = on_free_ports(1, lambda ports: Proxy(MONGODB, port=ports[0], target=target))
    try:
        yield proxy, replace(server, host=proxy.host)
    finally:
        proxy.close()


@contextmanager
def kafka_behind_proxy(kafka: Kafka) -> Iterator[tuple[Proxy, Kafka]]:
    """A proxy, and the broker as it is seen through it.

    A broker tells its clients where to go on. It gets another listener, whose address is the proxy's, for as
    long as its ZooKeeper lives; who came by the other ones stays there.
    """
    proxy = on_free_ports(2, lambda ports: _proxy_of_listener(kafka, *ports))
    try:
        yield proxy, replace(kafka, addresses={**kafka.addresses, "PLAINTEXT": proxy.host})
    finally:
        proxy.close()


def _proxy_of_listener(kafka: Kafka, port: int, target: int) -> Proxy:
    proxy = Proxy(KAFKA, port=port, target=target)
    try:
        _add_listener(kafka, port=target, advertised=port)
    except BaseException:
        proxy.close()
        raise
    return proxy


def _add_listener(kafka: Kafka, *, port: int, advertised: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    try:
        number = str(admin.describe_cluster()["controller_id"])
        broker = ConfigResource(ConfigResourceType.BROKER, number)
        stated = admin.describe_configs([broker], config_filter="all")["broker"][number]
        listeners, protocols = (
            stated[name]["value"] for name in ("listeners", "listener.security.protocol.map")
        )
        seen = stated["advertised.listeners"]["value"] or listeners
        broker.configs = {
            "listener.security.protocol.map": f"{protocols},{_LISTENER}:PLAINTEXT",
            "listeners": f"{listeners},{_LISTENER}://{LOCALHOST}:{port}",
            "advertised.listeners": f"{seen},{_LISTENER}://{LOCALHOST}:{advertised}",
        }
        answer = admin.alter_configs([broker])["broker"][number]
    finally:
        admin.close()
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while answer == "OK" and not _is_advertised(port, advertised):  # the broker learns it by way of ZooKeeper
        if time.monotonic() > deadline:
            answer = "the broker has the listener and does not listen"
        time.sleep(0.1)
    if answer != "OK":
        raise StartError(f"Kafka must take a listener, however: {answer}", log=answer)


def _is_advertised(port: int, advertised: int) -> bool:
    """Whether the broker sends those who come by its new port to the one of the proxy."""
    if not listens(port):
        return False
    try:
        admin = KafkaAdminClient(bootstrap_servers=f"{LOCALHOST}:{port}", bootstrap_timeout_ms=2_000)
    except KafkaError:
        return False
    try:
        return [broker["port"] for broker in admin.describe_cluster()["brokers"]] == [advertised]
    except KafkaError:
        return False
    finally:
        admin.close()


def _port(host: str) -> int:
    return int(host.rpartition(":")[2])


def _abort(writer: asyncio.StreamWriter) -> None:
    """End a connection as a machine does that has gone: what was not sent yet is not sent any more."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
