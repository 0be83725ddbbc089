"""No value of an application stands where it may not: logs, metrics, answers, and what is stored (S19)."""

import shutil
import sqlite3

import httpx
import pytest
from serving_processes import serving

CANARIES = {
    "id": "canary-of-id",
    "made": "2021-12-17T13:14:15.161718Z",
    "income": 918273.5,
    "debt": 81726354.5,
    "ratio": 0.73190846,
    "purpose": "study",
    "city": "canary-of-city",
}
MARKS = (
    "canary-of-id",
    "2021-12-17",
    "161718",
    "918273.5",
    "81726354",
    "73190846",
    "canary-of-city",
    "canary-key",
)
ALLOWED = {"canary-of-id": {"predictions"}}
"""Canary -> collections that may hold it: the id of the application stands in its predictions."""


@pytest.mark.integration
def test_canary_values_are_found_only_where_they_may_be(lab, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    known = {path for path in home.rglob("*") if path.is_file()}
    with serving(home) as server:
        http, url = server.http, server.url
        secret = {"Authorization": "Bearer canary-key.canary-key", "Idempotency-Key": "canary-key"}
        good = http.post(f"{url}/v1/scores", json=CANARIES, headers=secret)
        assert good.status_code == 200
        explained = http.post(f"{url}/v1/explanations", json=CANARIES)
        assert explained.status_code == 200
        assert len(explained.json()["explanation"]["reasons"]) <= 4
        broken = [CANARIES | {name: {"canary-key": "canary-of-city"}} for name in CANARIES]
        answers = [http.post(f"{url}/v1/scores", json=each) for each in broken]
        answers.append(http.post(f"{url}/v1/scores", json=CANARIES | {"canary-of-city": 1}))
        answers.append(
            http.post(f"{url}/v1/scores?city=canary-of-city", content=b'{"city": "canary-of-city",')
        )
        answers.append(http.post(f"{url}/v1/what-if", json={"canary-of-city": 1}))
        answers += [http.post(f"{url}/v1/explanations", json=each) for each in broken]
        answers.append(
            http.post(f"{url}/v1/outcomes", json={"application": ["canary-of-id"], "outcome": "x"})
        )
        answers.append(http.get(f"{url}/v1/predictions/canary-of-city"))
        answers.append(http.get(f"{url}/canary-of-city/canary-of-id"))
        assert {answer.status_code for answer in answers} <= {400, 404, 415, 422}
        for answer in answers:
            assert not found_in(answer.text), answer.text
        assert not found_in(httpx.get(f"{url}/metrics").text)
        assert server.stop() == 0
    assert not found_in(server.log.read_text())
    dump = stored_lines(home / "documents.sqlite3")
    for line in dump:
        for mark in found_in(line):
            assert any(name in line for name in ALLOWED.get(mark, ())), line[:300]
    assert any("canary-of-id" in line for line in dump), "its prediction is there"
    for path in home.rglob("*"):
        if path.is_file() and path not in known and not path.name.startswith("documents.sqlite3"):
            assert not found_in(path.read_bytes().decode("latin-1")), path


def stored_lines(path):
    """Each row of the embedded store as text, its collection first."""
    store = sqlite3.connect(path)
    tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    lines = []
    for table in tables:
        for row in store.execute(f'SELECT * FROM "{table}"'):
            values = (each.decode("latin-1") if isinstance(each, bytes) else str(each) for each in row)
            lines.append(" ".join([table, *values]))
    store.close()
    return lines


def found_in(text):
    return [mark for mark in MARKS if mark in text]
