"""The stack of docker-compose.yml under a name of its own, with its own passwords, ports and folders."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers.process import LOCALHOST, free_ports

ROOT = Path(__file__).parents[2]
CANARY = "canary"
"""Each password begins with it, so that it is found wherever it should not be."""
ONE_SHOTS = {"init", "airflow-init", "kafka-users"}
USER = 12_345
"""Nobody whom the image knows, as with most people who run `make secrets`."""


@dataclass(kw_only=True)
class Compose:
    """One project of `docker compose`."""

    name: str
    files: tuple[str, ...]
    secrets: Path
    incoming: Path
    ports: dict[str, int]
    variables: dict[str, str] = field(default_factory=dict)
    """More of what stands in .env."""
    _token: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_FILE": os.pathsep.join(str(ROOT / file) for file in self.files),
            "COMPOSE_ENV_FILES": os.devnull,
            "LOAN_DEFAULT_SECRETS_FOLDER": str(self.secrets),
            "LOAN_DEFAULT_INCOMING": str(self.incoming),
            "LOAN_DEFAULT_UID": str(USER),
            "LOAN_DEFAULT_PRESET": "fast",
            **{name: str(port) for name, port in self.ports.items()},
            **self.variables,
        }

    def __call__(self, *words: str, check: bool = True, seconds: float = 600, given: bytes = b"") -> str:
        """What `docker compose …` prints."""
        done = subprocess.run(
            ["docker", "compose", *words],
            cwd=ROOT,
            env=self.environ,
            input=given,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        output = (done.stdout + done.stderr).decode(errors="replace")
        if check and done.returncode:
            raise OSError(f"docker compose {' '.join(words)}: {output[-3000:]}")
        return output

    def services(self) -> dict[str, dict[str, Any]]:
        """Service -> its container, as `docker compose ps` says."""
        lines = self("ps", "--all", "--format", "json").splitlines()
        found = (json.loads(line) for line in lines if line.startswith("{"))
        return {each["Service"]: each for each in found}

    def troubles(self) -> dict[str, str]:
        """Services that are not as they should be -> how they are."""
        wrong = {}
        for name, each in self.services().items():
            fine = each["State"] == "exited" and each["ExitCode"] == 0
            if name not in ONE_SHOTS:
                fine = each["State"] == "running" and each["Health"] in ("healthy", "")
            if not fine:
                wrong[name] = f"{each['State']} {each['Health']} {each['ExitCode']}"
        return wrong

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of its container."""
        identifier = self("ps", "--all", "--quiet", service).split()[0]
        found: dict[str, Any] = json.loads(docker("inspect", identifier))[0]
        return found

    def crash(self, service: str) -> None:
        """Kill its first process, as a crash does: `docker kill` counts as a stop that somebody wanted."""
        os.kill(self.inspect(service)["State"]["Pid"], signal.SIGKILL)

    def password(self, name: str) -> str:
        return (self.secrets / name).read_text()

    @property
    def airflow(self) -> str:
        return f"http://{LOCALHOST}:{self.ports['AIRFLOW_PORT']}"

    def call(self, method: str, path: str, body: object = None, *, user: str = "admin") -> httpx.Response:
        """A request to Airflow's API."""
        if user not in self._token:
            login = {"username": user, "password": self.password(f"AIRFLOW_{user.upper()}_PASSWORD")}
            answer = httpx.post(f"{self.airflow}/auth/token", json=login, timeout=30)
            self._token[user] = answer.raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {self._token[user]}"}
        return httpx.request(method, f"{self.airflow}/api/v2{path}", json=body, headers=headers, timeout=30)

    @contextmanager
    def with_file(self, file: str) -> Iterator[None]:
        """Another compose file over the others, while the block runs."""
        files, self.files = self.files, (*self.files, file)
        try:
            yield
        finally:
            self.files = files

    def forget_logins(self) -> None:
        self._token.clear()

    def mongodb(self, user: str = "pipeline") -> str:
        """Address of MongoDB for a user."""
        login = f"{user}:{self.password(f'MONGODB_{user.upper()}_PASSWORD')}"
        return (
            f"mongodb://{login}@{LOCALHOST}:{self.ports['MONGODB_PORT']}/loan_default?directConnection=true"
        )


def docker(*words: str) -> str:
    """What `docker …` prints."""
    return subprocess.run(["docker", *words], capture_output=True, check=True, timeout=120).stdout.decode()


@contextmanager
def composed(folder: Path, *files: str) -> Iterator[Compose]:
    """A stack, built and not started, taken down with its volumes at the end; skipped without an engine."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], check=False).returncode
    ):
        pytest.skip("docker compose must be installed")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("a Docker engine must answer")
    kept, incoming = folder / "secrets", folder / "incoming"
    kept.mkdir(mode=0o711)
    incoming.mkdir()
    os.chown(incoming, USER, 0)
    for name in sorted(set(re.findall(r"SECRETS_FOLDER[^}]*}/([A-Z_]+)", _text(files)))):
        (kept / name).write_text(_secret(name))
        (kept / name).chmod(0o444)
    ports = dict(
        zip(
            ("AIRFLOW_PORT", "API_PORT", "KAFKA_PORT", "MONGODB_PORT", "KAFKA_2_PORT"),
            free_ports(5),
            strict=True,
        )
    )
    stack = Compose(
        name=f"loan-default-{secrets.token_hex(3)}", files=files, secrets=kept, incoming=incoming, ports=ports
    )
    stack("build", "init", "api", seconds=1_800)
    try:
        yield stack
    finally:
        stack("down", "--volumes", "--timeout", "10", check=False)


def _text(files: tuple[str, ...]) -> str:
    return "".join((ROOT / file).read_text() for file in files)


def _secret(name: str) -> str:
    if name == "AIRFLOW_FERNET_KEY":
        from cryptography.fernet import Fernet  # noqa: PLC0415 (comes with Airflow)

        return Fernet.generate_key().decode()
    if name == "API_KEY":
        return f"{secrets.token_hex(6)}.{CANARY}-{secrets.token_hex(16)}"
    return f"{CANARY}-{name.lower().replace('_', '-')}-{secrets.token_hex(16)}"
