"""The set-up of a command: its services, its source, and how it is stopped."""

import os
import signal

import pytest

from loan_default.bundled import BUNDLED_DATA
from loan_default.data.sources.feeds import FileFeed, GeneratedFeed
from loan_default.data.sources.folder_feed import FolderFeed
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_the_flag_and_the_former_handler_is_put_back(number):
    before = signal.getsignal(number)
    with stopping() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before
