"""Scores over HTTP: rows a second and latency at a constant arrival rate, client and server on this machine.

python -m benchmarks.serving --model runs/credit_card/model.pth       # about three minutes
python -m benchmarks.serving --model runs/credit_card/model.pth --seconds 2

Latency counts from the time at which a request was due, not from when it was sent: a server that stalls makes
all that was due meanwhile late (an open loop). CPU ms is the server's processor time for a request. bare
= the same FastAPI, uvicorn and limits, which reads and
parses the body and answers with fixed bytes. model = the scorer by itself, in one thread, without HTTP.
"""

import argparse
import asyncio
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from loan_default.files import sha256_of
from loan_default.pipelines.layout import SERVING_FILES
from loan_default.serving.scorer import Scorer, load_scorer

ROWS = (1, 16, 256)
CONNECTIONS = 16
"""Of the closed loop that finds the saturation."""
_MOST_CONNECTIONS = 400
_SHARE = 0.3
"""Of the saturation, as `--rate` in the flood: requests that are refused cost the server time too."""

BARE = """
import sys, orjson
from fastapi import FastAPI, Request
from starlette.responses import Response
from loan_default.serving.http.http_server import Address, run_server
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
@app.post("/v1/scores")
async def scores(request: Request):
    orjson.loads(await request.body())
    return Response(b'{"pd":0.1}', media_type="application/json")
started = lambda port: print(f"http://127.0.0.1:{port}", flush=True)
run_server(app, Address(host="127.0.0.1", port=0), head_seconds=10, started=started, refresh=lambda: None)
"""
SERVE = "from loan_default.cli.main import main; main()"


@dataclass
class Server:
    """A server as a process of its own."""

    process: "subprocess.Popen[bytes]"
    port: int

    def resident_megabytes(self) -> float:
        """Memory of the process."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu_seconds(self) -> float:
        """Processor time of the process so far: on a shared machine it says more than time on the clock."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(home: Path, code: str, *words: str) -> Iterator[Server]:
    """A server while the block runs."""
    environment = {**os.environ, "LOAN_DEFAULT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    log = home / "server.log"
    with log.open("wb") as file:
        command = [sys.executable, "-c", code, *words]
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    try:
        while (found := re.search(rb"http://[^ ]+:(\d+)", log.read_bytes())) is None:
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield Server(process, int(found[1]))
    finally:
        process.terminate()
        process.wait()


# Clients ---------------------------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """One connection that is kept: a request at a time, its status as the answer."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Settle the answer once it is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or self._answer is None:
            return
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if len(body) >= int(length[1] if length else 0):
            self._received = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Settle what is open: nobody will answer it."""
        self._is_lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    async def ask(self, request: bytes) -> int:
        """The status of the answer; 0 = the connection was closed."""
        assert self._transport is not None
        if self._is_lost:
            return 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


@dataclass
class Answers:
    """What became of the requests of one run."""

    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    """Of the answers with status 200, in milliseconds, from when each was due."""

    def quantile(self, share: float) -> float:
        """A latency in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


async def connected(port: int) -> Connection:
    """A new connection."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


async def closed_loop(port: int, request: bytes, *, seconds: float) -> Answers:
    """Some connections that each ask as soon as they are answered: the most that the server does."""
    answers, began = Answers(seconds), time.perf_counter()

    async def client() -> None:
        connection = await connected(port)
        while time.perf_counter() - began < seconds:
            answers.statuses[await connection.ask(request)] += 1

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    answers.seconds = time.perf_counter() - began
    return answers


async def open_loop(port: int, request: bytes, *, rate: float, seconds: float) -> Answers:
    """Requests that are due at a constant rate, whether earlier ones are answered or not."""
    answers, opened = Answers(seconds), 0
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        nonlocal opened
        if idle:
            connection = idle.pop()
        elif opened < _MOST_CONNECTIONS:
            opened += 1
            connection = await connected(port)
        else:
            answers.statuses[-1] += 1  # the client has no connection left
            return
        status = await connection.ask(request)
        answers.statuses[status] += 1
        if status == 200:
            answers.latencies.append(1000 * (time.perf_counter() - due))
        if status:
            idle.append(connection)
        else:
            opened -= 1

    began, number = time.perf_counter(), 0
    while (due := began + number / rate) < began + seconds:
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
    await asyncio.gather(*tasks)
    return answers


def request_of(application: dict[str, object], rows: int) -> bytes:
    """The bytes of a request."""
    body = orjson.dumps(application if rows == 1 else [application] * rows)
    head = f"POST /v1/scores HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


# Measurements ----------------------------------------------------------------------------------------------


def rows_a_second(
    server: Server, application: dict[str, object], *, rows: int, seconds: float
) -> tuple[float, float]:
    """Rows a second of the closed loop, and milliseconds of the server's processor for each request."""
    before = server.cpu_seconds()
    answers = asyncio.run(closed_loop(server.port, request_of(application, rows), seconds=seconds))
    answered = answers.statuses[200]
    spent = server.cpu_seconds() - before
    return answered * rows / answers.seconds, 1000 * spent / max(answered, 1)


def alone(scorer: Scorer, application: dict[str, object], *, rows: int, seconds: float) -> float:
    """Rows a second of the scorer by itself, records in, PDs out."""
    records, times, until = [application] * rows, [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        read = scorer.read(records)
        scorer.score([row for row in read if isinstance(row, dict)])
        times.append(time.perf_counter() - began)
    return rows / statistics.median(times)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="model file, with its .sha256 beside it")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as home:
        measure(given.model.resolve(), Path(home), seconds=given.seconds)


def measure(model: Path, home: Path, *, seconds: float) -> None:
    """Measure a model and print."""
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    serve = ("serve", "--port", "0", "--model", str(model))
    with serving(home, SERVE, *serve) as server:
        application = httpx.get(f"http://127.0.0.1:{server.port}/v1/schema").json()["examples"][0]
        rows_a_second(server, application, rows=1, seconds=1)
        saturation = {rows: rows_a_second(server, application, rows=rows, seconds=seconds) for rows in ROWS}
        one, rate = request_of(application, 1), saturation[1][0] / 2
        calm = asyncio.run(open_loop(server.port, one, rate=rate, seconds=seconds))
    with serving(home, BARE) as server:
        ceiling = {rows: rows_a_second(server, application, rows=rows, seconds=seconds) for rows in ROWS}
        bare_calm = asyncio.run(open_loop(server.port, one, rate=rate, seconds=seconds))
    scorer = load_scorer(model, version=None, sha256=sha256_of(model), cache=home / SERVING_FILES)
    own = {rows: alone(scorer, application, rows=rows, seconds=seconds / 3) for rows in ROWS}
    print(" rows  HTTP rows/s  CPU ms  bare rows/s  CPU ms  model rows/s")
    for rows in ROWS:
        (scored, cpu), (bare, bare_cpu) = saturation[rows], ceiling[rows]
        print(f"{rows:>5} {scored:>12,.0f} {cpu:>7.2f} {bare:>12,.0f} {bare_cpu:>7.2f} {own[rows]:>13,.0f}")
    show("half of saturation", calm, rate)
    show("bare at that rate", bare_calm, rate)
    share = _SHARE * saturation[1][0]
    with serving(home, SERVE, *serve, "--rate", f"{share:.0f}") as server:
        before = server.resident_megabytes()
        rate = 2 * saturation[1][0]
        flood = asyncio.run(open_loop(server.port, one, rate=rate, seconds=seconds))
        after = server.resident_megabytes()
    show(f"twice saturation, --rate {share:.0f}", flood, rate)
    print(f"memory {before:.0f} MB before, {after:.0f} MB after")
    print(f"load after: {os.getloadavg()[0]:.1f}")


def show(name: str, answers: Answers, rate: float) -> None:
    """Print one run of the open loop."""
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(answers.statuses.items()))
    quantiles = f"p50 {answers.quantile(0.5):.2f} ms, p99 {answers.quantile(0.99):.2f} ms"
    print(f"{name}: {rate:,.0f} requests/s due, {quantiles} of what was accepted; {statuses}")


if __name__ == "__main__":
    main()
