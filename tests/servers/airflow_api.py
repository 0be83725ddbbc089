"""The part of Airflow's REST API that commands use, over real HTTP: what was asked of it can be looked at."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

USERNAME, PASSWORD = "listener", "s3cret"


@dataclass
class AirflowApi:
    """What a scheduler would know, and how it answers."""

    url: str = ""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Id of a run -> `dag` and `conf`."""
    paused: list[bool] = field(default_factory=list)
    logins: int = 0
    token: str = "first"
    """The token that is accepted."""
    login: object = None
    """The answer to a login that is accepted; None = the token."""
    broken: HTTPStatus | None = None
    """The status of every answer; None = by the request."""
    detail: object = "broken"
    """The detail of that answer."""
    lock: Lock = field(default_factory=Lock)

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> tuple[HTTPStatus, object]:
        """Status and JSON."""
        if self.broken is not None:
            return self.broken, {"detail": self.detail}
        if (method, path) == ("POST", "/auth/token"):
            self.logins += 1
            if body != {"username": USERNAME, "password": PASSWORD}:
                return HTTPStatus.UNAUTHORIZED, {"detail": "Invalid credentials"}
            return HTTPStatus.CREATED, {"access_token": self.token} if self.login is None else self.login
        if token != f"Bearer {self.token}":
            return HTTPStatus.UNAUTHORIZED, {"detail": "Not authenticated"}
        if (method, path) == ("PATCH", "/api/v2/dags/data_ingestion"):
            self.paused.append(body["is_paused"])
            return HTTPStatus.OK, {"dag_id": "data_ingestion", **body}
        started = re.fullmatch(r"/api/v2/dags/(\w+)/dagRuns", path)
        if method != "POST" or started is None or "logical_date" not in body:
            return HTTPStatus.NOT_FOUND, {"detail": "Not Found"}
        if body["conf"].get("epochs") == 0:
            return HTTPStatus.BAD_REQUEST, {"detail": "Invalid input for param epochs: 0 is below 1"}
        if body["dag_run_id"] in self.runs:
            return HTTPStatus.CONFLICT, {"detail": {"reason": "Unique constraint violation"}}
        self.runs[body["dag_run_id"]] = {"dag": started[1], "conf": body["conf"]}
        return HTTPStatus.OK, body


@contextmanager
def running_airflow_api() -> Iterator[AirflowApi]:
    """It listens while the block runs."""
    api = AirflowApi()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with api.lock:
                status, answer = api.answer(
                    self.command, self.path, self.headers.get("Authorization", ""), body
                )
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PATCH = do_POST

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
