"""`loan-default serve` as a process of its own, on a free port."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson


@dataclass
class HttpProcess:
    """`loan-default serve` as a process of its own."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    example: dict[str, Any] = field(default_factory=dict)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def example_bytes(self) -> bytes:
        return orjson.dumps(self.example)

    def score(self, *, rows: int | None = None) -> int | None:
        """The status of a request; None = there is no server any more."""
        body = self.example if rows is None else [self.example] * rows
        try:
            return self.http.post(f"{self.url}/v1/scores", json=body).status_code
        except httpx.TransportError:
            return None

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics", timeout=30).text

    def threads(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/task").iterdir())

    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def resident_bytes(self) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) * 1024

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def serving(home: Path, *options: str, servers: Mapping[str, str] | None = None) -> Iterator[HttpProcess]:
    """`loan-default serve` on a free port, ended with the block.

    Args:
        servers: environment that names a broker and a document store; None = it runs without.
    """
    command = [sys.executable, "-c", "from loan_default.cli.main import main; main()", "serve", "--port", "0"]
    environment = {**os.environ, "LOAN_DEFAULT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    for name in ("MONGODB_URI", "KAFKA_BOOTSTRAP_SERVERS"):
        environment.pop(name, None)
    environment |= servers or {}
    log = home / "serve.log"
    with log.open("wb") as file:
        process = subprocess.Popen([*command, *options], env=environment, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 120
        while (found := re.search(rb"http://[^ ]+:(\d+)", log.read_bytes())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        server = HttpProcess(process=process, port=int(found[1]), log=log)
        schema = httpx.get(f"{server.url}/v1/schema", timeout=30)
        server.example = schema.json()["examples"][0] if schema.status_code == 200 else {}
        yield server
        server.http.close()
    finally:
        process.kill()
        process.wait()
