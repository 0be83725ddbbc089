"""The factory: which database comes out, and what is said when none does."""

import os
import socket
import traceback

import pytest

from loan_default.database import connect as module
from loan_default.database.connect import STORE_FILE, connect
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


def _said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_an_unreachable_server_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"mongodb://loan:s3cret@127.0.0.1:{port}/"
    with pytest.raises(DependencyError) as caught:
        connect(Settings(home=tmp_path, mongodb_uri=uri))
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "Is the server running" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "s3cret" not in _said(caught.value)


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
    assert "cret" not in _said(caught.value).replace("get_secret_value", "")
    assert "%XX" in str(caught.value)


@pytest.mark.integration
def test_a_server_answers_and_a_wrong_password_does_not_show(tmp_path):
    uri = os.environ.get("MONGODB_URI")
    if not uri:
        pytest.skip("no real server: MONGODB_URI is not set")
    database = connect(Settings(home=tmp_path, mongodb_uri=uri))
    assert database.command("ping")["ok"] == 1.0
    database.client.close()
    if "@" not in uri:
        pytest.skip("the server is used without a password")
    user, host = uri.removeprefix("mongodb://").split(":")[0], uri.split("@", 1)[1]
    wrong = f"mongodb://{user}:wr0ng@{host}"
    with pytest.raises(DependencyError, match="code 18") as caught:
        connect(Settings(home=tmp_path, mongodb_uri=wrong))
    assert "wr0ng" not in _said(caught.value)
