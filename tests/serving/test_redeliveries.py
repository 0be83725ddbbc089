"""Which records are looked up because they may have been processed before."""

from loan_default.kafka.messages import Offsets, Partition, Record
from loan_default.serving.redeliveries import LONG_BATCH_SECONDS, SILENCE_SECONDS, Redeliveries


class Topic:
    """Two partitions that grow, and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ends = {0: 0, 1: 0}

    def clock(self) -> float:
        return self.now

    def end_offsets(self, topic: str) -> Offsets:
        return {Partition(topic, number): end for number, end in self.ends.items()}


def followed(topic: Topic) -> Redeliveries:
    return Redeliveries(topic.end_offsets, clock=topic.clock)


def read(redeliveries: Redeliveries, first: int, end: int, *, partition: int = 0) -> list[bool]:
    place = Partition("processed_data", partition)
    return [
        redeliveries.possible(Record(partition=place, offset=offset, key=None, value=b"{}"))
        for offset in range(first, end)
    ]


def test_what_came_before_the_takeover_may_come_again_and_what_came_later_does_not():
    topic = Topic()
    redeliveries = followed(topic)
    topic.ends = {0: 30, 1: 7}
    assert read(redeliveries, 20, 25) == [True] * 5
    assert read(redeliveries, 5, 6, partition=1) == [True]
    topic.ends = {0: 90, 1: 90}
    assert read(redeliveries, 25, 40) == [True] * 5 + [False] * 10
    assert read(redeliveries, 6, 9, partition=1) == [True, False, False]


def test_a_batch_that_is_handled_again_may_have_been_processed():
    topic = Topic()
    redeliveries = followed(topic)
    topic.ends = {0: 1, 1: 0}
    read(redeliveries, 0, 1)
    topic.ends = {0: 5, 1: 0}
    assert read(redeliveries, 1, 5) == [False] * 4
    assert read(redeliveries, 1, 5) == [True] * 4


def test_a_gap_and_a_silence_look_like_a_takeover():
    topic = Topic()
    redeliveries = followed(topic)
    topic.ends = {0: 1, 1: 0}
    read(redeliveries, 0, 1)
    topic.ends = {0: 10, 1: 0}
    assert read(redeliveries, 1, 3) == [False, False]
    topic.now += SILENCE_SECONDS
    assert read(redeliveries, 3, 4) == [False]
    topic.now += SILENCE_SECONDS + 0.1
    assert read(redeliveries, 4, 5) == [True]
    topic.ends = {0: 20, 1: 0}
    assert read(redeliveries, 12, 13) == [True]


def test_a_silence_is_one_of_all_partitions():
    topic = Topic()
    redeliveries = followed(topic)
    topic.ends = {0: 1, 1: 1}
    read(redeliveries, 0, 1)
    read(redeliveries, 0, 1, partition=1)
    topic.ends = {0: 10, 1: 10}
    for offset in range(1, 6):  # the backlog of one partition is read while the other one waits
        topic.now += SILENCE_SECONDS / 2
        assert read(redeliveries, offset, offset + 1) == [False]
    assert read(redeliveries, 1, 2, partition=1) == [False]
    topic.now += SILENCE_SECONDS + 0.1
    assert read(redeliveries, 6, 7) == [True]
    assert read(redeliveries, 2, 3, partition=1) == [True]


def test_a_batch_that_takes_long_is_no_silence_unless_it_takes_very_long():
    topic = Topic()
    redeliveries = followed(topic)
    topic.ends = {0: 1, 1: 0}
    read(redeliveries, 0, 1)
    topic.ends = {0: 50, 1: 0}
    topic.now += 3 * SILENCE_SECONDS
    redeliveries.handled()
    assert read(redeliveries, 1, 2) == [False]
    topic.now += LONG_BATCH_SECONDS
    redeliveries.handled()
    assert read(redeliveries, 2, 3) == [True]


def test_a_partition_that_another_consumer_had_meanwhile_is_taken_over():
    topic = Topic()
    redeliveries = followed(topic)
    topic.ends = {0: 1, 1: 1}
    read(redeliveries, 0, 1)
    read(redeliveries, 0, 1, partition=1)
    topic.ends = {0: 10, 1: 10}
    redeliveries.keep({Partition("processed_data", 0)})
    redeliveries.keep({Partition("processed_data", 0), Partition("processed_data", 1)})
    assert read(redeliveries, 1, 2) == [False]
    assert read(redeliveries, 1, 2, partition=1) == [True]
