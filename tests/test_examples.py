"""The tour: each section by itself, without a server and on genuine ones."""

import os
import subprocess
import sys
from pathlib import Path

import pymongo
import pytest

ROOT = Path(__file__).parents[1]
SHOWS = {
    "schema": ("30,000 read: 30,000 accepted", "LIMIT_BAL: must be at least 0, however: '-20000'"),
    "producer": ("1,001 messages: 1,000 confirmed", "over the size limit"),
    "consumer": ("polls 300, of them 100 that the first had polled", "accepted    297", "left        0:"),
    "repositories": ("knowing of 0 moves: refused", "at offset 17: redelivered", "at offset 18: duplicate"),
    "encoder": ("tokens (256, 20, 32)", "5.55 = ln 256 if all are alike"),
    "training": ("network     AUC 0.7", "calibrated  mean PD 2"),
    "scoring": ("scored      1,999 rows", "what if     2 months late", "refused     "),
    "serving": ("answer      PD ", "1,000 scored, 1,000 came again", "applications, 0 of them differ"),
}
"""Section -> some of what it prints."""
SERVERS = ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI")


def examples(*names: str, **servers: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name not in SERVERS}
    return subprocess.run(
        [sys.executable, str(ROOT / "examples.py"), *names],
        env=environment | servers,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("section", SHOWS)
def test_a_section_runs_alone_and_without_a_server(section):
    done = examples(section)
    assert done.returncode == 0, done.stderr
    for text in SHOWS[section]:
        assert text in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_help_names_the_sections_and_a_wrong_one_is_refused():
    assert all(name in examples("--help").stdout for name in SHOWS)
    done = examples("consumr")
    assert done.returncode == 2
    assert "Did you mean 'consumer'?" in done.stderr


@pytest.mark.integration
@pytest.mark.slow
def test_on_genuine_servers_it_leaves_nothing_to_process(kafka_servers, mongodb_uri):
    with pymongo.MongoClient(mongodb_uri) as client:
        before = client["loan_default"].list_collection_names()
        done = examples(
            "producer",
            "consumer",
            "repositories",
            KAFKA_BOOTSTRAP_SERVERS=kafka_servers,
            MONGODB_URI=mongodb_uri,
        )
        assert done.returncode == 0, done.stderr
        for name in ("producer", "consumer", "repositories"):
            assert all(text in done.stdout for text in SHOWS[name])
        assert f"broker      {kafka_servers}" in done.stdout
        assert "store       the server of MONGODB_URI" in done.stdout
        assert client["loan_default"].list_collection_names() == before
