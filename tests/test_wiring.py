"""The set-up of a command: its services, its source, and how it is stopped."""

import json
import os
import signal
from pathlib import Path

import pytest

from loan_default.bundled import BUNDLED_DATA
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.sources.feeds import FileFeed, GeneratedFeed
from loan_default.data.sources.folder_feed import FolderFeed
from loan_default.errors import DataError
from loan_default.files import sha256_of
from loan_default.kafka.client import KafkaBroker
from loan_default.kafka.memory import MemoryBroker
from loan_default.settings import Settings
from loan_default.wiring import feed_of, open_services, stopping


def test_without_kafka_replays_wait_in_files_of_the_home(tmp_path):
    settings = Settings(home=tmp_path, retry_budget_seconds=70)
    with open_services(settings, run="r") as services:
        assert isinstance(services.broker, MemoryBroker)
        assert services.replays is not None
        assert (services.run, services.polling.retry_budget_seconds) == ("r", 70)
        name, _, digest = services.schema_name.partition("/")
        assert (name, digest) == (services.schema.name, services.schema.digest[:12])


def test_on_kafka_the_topic_keeps_replays(tmp_path):
    settings = Settings(home=tmp_path, kafka_bootstrap_servers="127.0.0.1:9")
    with open_services(settings) as first, open_services(settings) as second:
        assert isinstance(first.broker, KafkaBroker)
        assert first.replays is None
        assert first.run != second.run


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("generated", GeneratedFeed),
        ("folder:in", FolderFeed),
        ("file:a.csv", FileFeed),
        ("bundled", FileFeed),
    ],
)
def test_each_source_has_its_feed(tmp_path, source, kind):
    settings = Settings(home=tmp_path)
    with open_services(settings) as services:
        feed = feed_of(source, services.schema, settings, rows=7, seed=3)
    assert type(feed) is kind
    if isinstance(feed, GeneratedFeed):
        assert (feed.seed, feed.rows, feed.state.name) == (3, 7, "generated-3.json")
    if isinstance(feed, FileFeed):
        assert feed.path == BUNDLED_DATA if source == "bundled" else feed.path.name == "a.csv"
        assert (feed.rows, feed.state.parent) == (7, tmp_path / "feeds")


INCOME = Schema(name="loans", columns=(Column(name="income", kind=Kind.NUMERICAL),))


def incomes(path: Path, home: Path) -> list[int]:
    """Take all rows that `ingest --file` would take now."""
    found = []
    for batch in feed_of(f"file:{path}", INCOME, Settings(home=home)).batches():
        found += [row.data["income"] for row in batch.rows]
        batch.done()
    return found


def file_of(path: Path, *values: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("income\n" + "".join(f"{value}\n" for value in values))
    return path


def test_files_of_one_name_in_two_folders_are_both_read(tmp_path, monkeypatch):
    january, february = (file_of(tmp_path / month / "loans.csv", n, n + 1) for n, month in enumerate("ab"))
    same = file_of(tmp_path / "c" / "loans.csv", 0, 1)
    home = tmp_path / "home"
    assert [incomes(path, home) for path in (january, february, same)] == [[0, 1], [1, 2], [0, 1]]
    monkeypatch.chdir(tmp_path / "a")  # the same file by another spelling
    assert [incomes(Path(name), home) for name in ("loans.csv", "../b/loans.csv", "../c/./loans.csv")] == [
        [], [], []
    ]  # fmt: skip


def test_a_file_that_has_changed_since_it_was_read_is_refused(tmp_path):
    path = file_of(tmp_path / "loans.csv", 1, 2)
    assert incomes(path, tmp_path / "home") == [1, 2]
    file_of(path, 3)
    with pytest.raises(DataError, match=r"loans\.csv must be as it was"):
        incomes(path, tmp_path / "home")


def test_a_watermark_by_the_bare_name_is_that_of_the_file_with_its_content(tmp_path):
    """Releases before 0.2 kept one for all files of a name; the content decides whose it is."""
    other, path = file_of(tmp_path / "other" / "loans.csv", 7, 8), file_of(tmp_path / "loans.csv", 1, 2, 3)
    former = tmp_path / "home" / "feeds" / "loans.csv.json"
    former.parent.mkdir(parents=True)
    former.write_text(json.dumps({"source": "loans.csv", "digest": sha256_of(path), "next_row": 2}))
    assert incomes(other, tmp_path / "home") == [7, 8]
    assert former.exists()
    assert incomes(path, tmp_path / "home") == [3]
    assert not former.exists()
    assert incomes(path, tmp_path / "home") == []


@pytest.mark.parametrize("content", ["", "{}", "[]", "no JSON"])
def test_a_damaged_watermark_by_the_bare_name_is_left_alone(tmp_path, content):
    """The rows are sent again under the same ids, and dropped where they are known."""
    path, former = file_of(tmp_path / "loans.csv", 1), tmp_path / "home" / "feeds" / "loans.csv.json"
    former.parent.mkdir(parents=True)
    former.write_text(content)
    assert incomes(path, tmp_path / "home") == [1]
    assert former.read_text() == content


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_the_flag_and_the_former_handler_is_put_back(number):
    before = signal.getsignal(number)
    with stopping() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before
