"""Promotions over a broker in memory, and over one that is away for a while."""

from threading import Event, Thread

import pytest

import loan_default.serving.promotion_facts as facts
from loan_default.errors import DependencyError
from loan_default.kafka.control_events import FactType, publish_fact
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.topics import TOPICS
from loan_default.serving.promotion_facts import hear_promotions


class Unsteady(MemoryBroker):
    """A broker that refuses the first consumers."""

    refusals = 2

    def consumer(self, group, topics):
        if self.refusals:
            self.refusals -= 1
            raise DependencyError("Cannot read: the broker is away.")
        return super().consumer(group, topics)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MemoryBroker, Unsteady])
def test_a_promotion_is_heard_and_other_facts_are_not(kind, monkeypatch, capsys):
    monkeypatch.setattr(facts, "_RETRY_SECONDS", 0.01)
    broker, heard, stop = kind(), Event(), Event()
    broker.create_topics(TOPICS)
    publish_fact(broker, FactType.REJECTED, version="v1", metrics={})
    thread = Thread(target=hear_promotions, args=(broker, heard.set), kwargs={"stop": stop})
    thread.start()
    assert not heard.wait(0.3)
    publish_fact(broker, FactType.PROMOTED, version="v2", metrics={})
    assert heard.wait(5)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert capsys.readouterr().out.count("promotions_not_heard") == (kind is Unsteady)


@pytest.mark.slow
def test_each_process_hears_all(monkeypatch):
    broker, stop = MemoryBroker(), Event()
    broker.create_topics(TOPICS)
    all_heard = [Event(), Event()]
    threads = [
        Thread(target=hear_promotions, args=(broker, each.set), kwargs={"stop": stop}) for each in all_heard
    ]
    for thread in threads:
        thread.start()
    publish_fact(broker, FactType.PROMOTED, version="v2", metrics={})
    assert all(each.wait(5) for each in all_heard)
    stop.set()
    for thread in threads:
        thread.join(5)
