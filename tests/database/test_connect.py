"""The factory of databases: which one comes out, and what the error says when none does."""

import socket
import socketserver
import struct
import threading
import time
import traceback
from datetime import UTC, datetime

import bson
import pytest

from loan_default.database.connect import STORE_FILE, connect
from loan_default.database.driver_errors import database_errors
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.settings import Settings


def test_without_an_address_the_embedded_store_is_made(tmp_path):
    home = tmp_path / "deep" / "home"
    database = connect(Settings(home=home, mongodb_uri=None))
    database["things"].insert_one({"_id": "a"})
    database.client.close()
    assert (home / STORE_FILE).is_file()
    again = connect(Settings(home=home, mongodb_uri=None))
    assert again["things"].find_one({}) == {"_id": "a"}
    again.client.close()


def test_a_home_that_is_a_file_is_a_configuration_error(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(ConfigurationError, match="LOAN_DEFAULT_HOME must be a folder"):
        connect(Settings(home=tmp_path / "home", mongodb_uri=None))


def test_a_broken_store_is_a_dependency_error(tmp_path):
    (tmp_path / STORE_FILE).write_bytes(b"something else" * 100)
    with pytest.raises(DependencyError, match="not a database"):
        connect(Settings(home=tmp_path, mongodb_uri=None))


def _message_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.slow
def test_an_unreachable_server_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"mongodb://loan:s3cret@127.0.0.1:{port}/"
    with pytest.raises(DependencyError) as caught:
        connect(Settings(home=tmp_path, mongodb_uri=uri))
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "Check that the server runs, and MONGODB_URI" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "s3cret" not in _message_of(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://loan:s3@cret/x@db:27017/",
        "mongodb://loan:s3cret/x@db:27017/",
        "mongodb://loan:p@s3cret@db",
        "mongodb://loan:s3cret@db:port/",
        "mongodb://loan:s3cret@db/?authSource=",
        "mongodb://",
    ],
)
def test_an_unreadable_address_is_never_quoted(tmp_path, uri):
    with pytest.raises(ConfigurationError) as caught:
        connect(Settings(home=tmp_path, mongodb_uri=uri))
    assert "cret" not in _message_of(caught.value).replace("get_secret_value", "")
    assert "%XX" in str(caught.value)


class MutableServer(socketserver.ThreadingTCPServer):
    """Speaks as much of MongoDB's protocol as a driver needs to connect; it can fall silent for good.

    That is what a stopped process looks like: its connections stay, and new ones are still taken.
    """

    daemon_threads = True
    block_on_close = False
    HELLO = {"helloOk": True, "isWritablePrimary": True, "minWireVersion": 0, "maxWireVersion": 21}  # noqa: RUF012

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.silent = False
        self.commands = []
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self.server_address[1]}/"

    def answer(self, command):
        name = next(iter(command))
        self.commands.append((name, command.get("maxTimeMS")))
        if name == "find":
            return {"ok": 1.0, "cursor": {"id": 0, "ns": "d.c", "firstBatch": []}}
        return {"ok": 1.0, "n": 1, **self.HELLO}


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        while len(header := self.rfile.read(16)) == 16:
            length, request, _, code = struct.unpack("<iiii", header)
            body = self.rfile.read(length - 16)
            if code == 2004:  # OP_QUERY, in which a driver says hello
                start = body.index(b"\0", 4) + 9
                reply, kind = struct.pack("<iqii", 8, 0, 0, 1), 1
            else:  # OP_MSG
                start = 5
                reply, kind = struct.pack("<iB", 0, 0), 2013
            size = struct.unpack_from("<i", body, start)[0]
            reply += bson.encode(self.server.answer(bson.decode(body[start : start + size])))
            if self.server.silent:
                return threading.Event().wait(30)
            self.wfile.write(struct.pack("<iiii", 16 + len(reply), 0, request, kind) + reply)
        return None


@pytest.fixture
def server():
    with MutableServer() as server:
        yield server
        server.shutdown()


@pytest.mark.slow
def test_calls_to_a_server_that_hangs_fail_within_their_deadline(tmp_path, server):
    database = connect(
        Settings(home=tmp_path, mongodb_uri=f"{server.uri}?timeoutMS=60000", answer_seconds=0.4)
    )
    logs = RawDataLogRepository(database)
    log = RawDataLog(
        event="e", topic="t", partition=0, offset=0, batch="b", outcome=EventStatus.ACCEPTED,
        logged_at=datetime.now(UTC),
    )  # fmt: skip
    assert list(logs.event_ids(EventStatus.ACCEPTED)) == []
    logs.add_new([log])
    server.silent = True
    for call in (lambda: logs.add_new([log]), lambda: list(logs.event_ids(EventStatus.ACCEPTED))):
        start = time.monotonic()
        with pytest.raises(DependencyError, match=r"Cannot (write|read) raw_data_logs: "):
            call()
        assert 0.3 < time.monotonic() - start < 2
    server.silent = False
    logs.add_new([log])
    database.client.close()


@pytest.mark.slow
def test_a_server_that_hangs_from_the_start_is_one_clear_line(tmp_path, server, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.3")
    server.silent = True
    start = time.monotonic()
    with pytest.raises(DependencyError, match="Cannot connect to MONGODB_URI: ") as caught:
        connect(Settings(home=tmp_path, mongodb_uri=server.uri))
    assert time.monotonic() - start < 2
    assert len(str(caught.value).splitlines()) == 1


def test_a_long_call_has_a_deadline_of_its_own(tmp_path, server):
    database = connect(Settings(home=tmp_path, mongodb_uri=server.uri, answer_seconds=5))
    server.commands.clear()
    database["things"].find_one({"_id": "a"})
    with database_errors("count", seconds=60):
        database["things"].find_one({"_id": "a"})
    short, long = [limit for name, limit in server.commands if name == "find"]
    assert short <= 5000
    assert 50_000 < long <= 60_000
    database.client.close()


@pytest.mark.integration
def test_a_server_answers_and_a_wrong_password_does_not_show(tmp_path, mongodb_uri):
    uri = mongodb_uri
    database = connect(Settings(home=tmp_path, mongodb_uri=uri))
    assert database.command("ping")["ok"] == 1.0
    database.client.close()
    if "@" not in uri:
        pytest.skip("the server is used without a password")
    user, host = uri.removeprefix("mongodb://").split(":")[0], uri.split("@", 1)[1]
    wrong = f"mongodb://{user}:wr0ng@{host}"
    with pytest.raises(DependencyError, match="code 18") as caught:
        connect(Settings(home=tmp_path, mongodb_uri=wrong))
    assert "wr0ng" not in _message_of(caught.value)
