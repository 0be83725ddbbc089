"""The outbox: nothing that was put is lost, whoever dies in between."""

import pytest

from loan_default.errors import DataError, DependencyError
from loan_default.kafka.memory import MAX_BYTES, MemoryBroker
from loan_default.kafka.messages import Delivery, Message, Partition
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import Topic


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create_topics([Topic(name="t", partitions=1)])
    return broker


def messages(*numbers: int) -> list[Message]:
    return [
        Message(topic="t", key=b"k", value=f'{{"n":"ü{n}\\n"}}'.encode(), headers=(("ce_id", b"%d" % n),))
        for n in numbers
    ]


def test_parts_are_sent_in_the_order_in_which_they_were_put_and_go(tmp_path, broker):
    outbox = Outbox(tmp_path / "outbox")
    assert outbox.send(broker.producer()) == 0
    for numbers in ((1, 2), (), (3,)):
        outbox.put(messages(*numbers))
    assert len(outbox) == 2
    assert outbox.send(broker.producer()) == 3
    assert len(outbox) == 0
    sent = broker.logs[Partition("t", 0)]
    assert [(r.key, r.value, r.headers) for r in sent] == [
        (m.key, m.value, m.headers) for m in messages(1, 2, 3)
    ]


def test_bytes_that_are_no_text_come_out_as_they_were(tmp_path, broker):
    odd = Message(
        topic="t", key=b"\xff", value=b"\x00\xfe", headers=(("a", b"\x80"), ("b", b""), ("c", b"text"))
    )
    outbox = Outbox(tmp_path)
    outbox.put([odd, Message(topic="t", key=None, value=None)])
    assert outbox.send(broker.producer()) == 2
    first, second = broker.logs[Partition("t", 0)]
    assert (first.key, first.value, first.headers) == (odd.key, odd.value, odd.headers)
    assert (second.key, second.value, second.headers) == (None, None, ())


def test_what_the_broker_does_not_take_stays(tmp_path, broker):
    class Away:
        def __init__(self) -> None:
            self.calls = 0

        def deliver(self, some) -> Delivery:
            self.calls += 1
            if self.calls == 2:
                raise DependencyError("away")
            return broker.producer().deliver(some)

        def close(self) -> None: ...

    outbox = Outbox(tmp_path)
    for number in (1, 2, 3):
        outbox.put(messages(number))
    with pytest.raises(DependencyError):
        outbox.send(Away())
    assert len(outbox) == 2
    assert Outbox(tmp_path).send(broker.producer()) == 2
    assert [dict(record.headers)["ce_id"] for record in broker.logs[Partition("t", 0)]] == [b"1", b"2", b"3"]


def test_a_message_that_the_topic_never_takes_is_an_error_and_its_part_stays(tmp_path, broker):
    outbox = Outbox(tmp_path)
    outbox.put([Message(topic="t", key=b"k", value=b"x" * (MAX_BYTES + 1))])
    with pytest.raises(DataError, match=r"1 messages do not: .* Raise the broker's limit"):
        outbox.send(broker.producer())
    assert len(outbox) == 1


def test_a_damaged_part_is_named_and_stays(tmp_path, broker):
    outbox = Outbox(tmp_path)
    outbox.put(messages(1))
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes()[:-5])
    with pytest.raises(DataError, match=f"must be whole, however: {part} is not"):
        outbox.send(broker.producer())
    assert len(outbox) == 1


def test_parts_that_are_in_sending_stay_until_the_block_has_ended(tmp_path, broker):
    outbox = Outbox(tmp_path)
    outbox.put(messages(1, 2))
    outbox.put(messages(3))

    def fail() -> None:
        with outbox.sending(broker.producer()):
            raise DependencyError("away")

    with pytest.raises(DependencyError, match="away"):
        fail()
    assert len(outbox) == 2
    with outbox.sending(broker.producer()) as sent:
        outbox.put(messages(4))
    assert sent == 3
    assert len(outbox) == 1, "what came meanwhile was not sent"
    assert len(broker.logs[Partition("t", 0)]) == 6
