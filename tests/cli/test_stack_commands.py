"""`init`, `replay` and `status` as a person types them, without a server."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loan_default.database.documents import Champion
from loan_default.database.repositories import POINTERS
from loan_default.database.serving_repositories import ApiKeyRepository
from loan_default.settings import load_settings
from loan_default.wiring import open_database


def test_init_says_what_it_made_and_that_memory_ends_with_the_command(shell):
    code, out, _ = shell("init")
    assert code == 0
    assert "raw_data: was there" in out
    assert "gone when this command ends" in out
    assert "raw_data_logs: indexes" in out
    assert "user " not in out


def test_init_makes_the_users_whose_passwords_are_set(shell, monkeypatch):
    monkeypatch.setenv("MONGODB_READER_PASSWORD", "s3cret")
    code, out, errors = shell("init")
    assert code == 0
    assert "user reader: not made, the server knows no users" in out
    assert "s3cret" not in out + errors


@pytest.mark.slow
def test_init_waits_as_long_as_its_option_allows(shell, monkeypatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("LOAN_DEFAULT_ANSWER_SECONDS", "0.5")
    began = time.monotonic()
    assert shell("init")[0] == 3
    at_once = time.monotonic() - began
    began = time.monotonic()
    code, _, errors = shell("init", "--wait", "3")
    assert code == 3
    assert "waiting" in errors
    assert time.monotonic() - began > max(3, at_once)


@pytest.mark.slow
def test_status_says_what_there_is(shell):
    code, out, _ = shell("status")
    assert code == 0
    assert "events      0 accepted, 0 rejected" in out
    assert "champion    none yet" in out
    assert shell("ingest", "--generate", "30")[0] == 0
    with open_database(load_settings()) as database:
        database[POINTERS].insert_one(Champion(version="20261125", digest="ab" * 32, rev=1).to_store())
    code, out, _ = shell("status", "--until-champion", "5")
    assert code == 0
    assert "events      30 accepted" in out
    assert "champion    20261125" in out


@pytest.mark.slow
def test_status_does_not_wait_for_ever(shell):
    code, _, errors = shell("status", "--until-champion", "0.1")
    assert code == 3
    assert "No model became the champion within" in errors


def replayed(folder: Path, *words: str, files: int) -> list[str]:
    """Names of the files that `replay` drops until there are so many, in order."""
    command = [sys.executable, "-c", "from loan_default.cli.main import main; main()", "replay", *words]
    with subprocess.Popen([*command, "--folder", str(folder)], stderr=subprocess.PIPE, text=True) as process:
        for _ in range(200):
            if len(list(folder.glob("bundled-*.csv"))) >= files:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "file_dropped" in log
    return sorted(path.name for path in folder.glob("bundled-*.csv"))


@pytest.mark.slow
def test_replay_drops_files_until_it_is_stopped(tmp_path):
    names = replayed(tmp_path, "--rows", "20", "--files", "2", "--every", "1", files=3)
    assert names[:2] == ["bundled-00001-00020.csv", "bundled-00021-00040.csv"]
    assert len(names) > 2


@pytest.mark.slow
def test_replay_begins_at_once_where_the_folder_is_known_and_the_home_is_new(tmp_path, monkeypatch):
    monkeypatch.setenv("LOAN_DEFAULT_HOME", str(tmp_path / "home"))
    (tmp_path / ".done").mkdir()
    (tmp_path / ".done" / "bundled-00001-00020.csv").touch()
    names = replayed(tmp_path, "--rows", "20", "--files", "2", files=2)
    assert names == ["bundled-00021-00040.csv", "bundled-00041-00060.csv"]


@pytest.mark.slow
def test_init_lets_in_the_key_of_the_settings_and_revokes_its_former_one(shell, monkeypatch):
    for identifier in ("0123456789ab", "0123456789ab", "ba9876543210"):
        monkeypatch.setenv("LOAN_DEFAULT_API_KEY", f"{identifier}.{identifier * 3}")
        code, out, errors = shell("init")
        assert code == 0
        assert f"{identifier} may outcome, read, score" in out
        assert identifier * 3 not in out + errors
    with open_database(load_settings()) as database:
        keys = {key.key: key.revoked for key in ApiKeyRepository(database).newest_first()}
    assert keys == {"0123456789ab": True, "ba9876543210": False}
    monkeypatch.setenv("LOAN_DEFAULT_API_KEY", "short")
    assert shell("init", "--no-key")[0] == 0
    code, _, errors = shell("init")
    assert code == 2
    assert "a key must be 12 hexadecimal digits" in errors


@pytest.mark.slow
def test_init_refuses_a_key_that_was_revoked_and_leaves_the_present_one(shell, monkeypatch):
    for identifier, wanted in (("0123456789ab", 0), ("ba9876543210", 0), ("0123456789ab", 2)):
        monkeypatch.setenv("LOAN_DEFAULT_API_KEY", f"{identifier}.{identifier * 3}")
        code, _, errors = shell("init")
        assert code == wanted
    assert "must not have been revoked, however: 0123456789ab was" in " ".join(errors.split())
    assert "0123456789ab" * 3 not in errors
    with open_database(load_settings()) as database:
        keys = {key.key: key.revoked for key in ApiKeyRepository(database).newest_first()}
    assert keys == {"0123456789ab": True, "ba9876543210": False}
