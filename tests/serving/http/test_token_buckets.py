"""Token buckets: a share for each key, refilled with time."""

import pytest

from loan_default.serving.http.token_buckets import TokenBuckets


@pytest.fixture
def clock():
    return [0.0]


def test_a_key_has_its_burst_and_then_its_rate_and_others_are_not_touched(clock):
    buckets = TokenBuckets(rate=2, burst=3, clock=lambda: clock[0])
    assert [buckets.take("a", 1) for _ in range(3)] == [0, 0, 0]
    assert buckets.take("a", 1) == pytest.approx(0.5)
    assert buckets.take("b", 3) == 0
    clock[0] = 0.5
    assert buckets.take("a", 1) == 0
    assert buckets.take("a", 1) == pytest.approx(0.5)


def test_over_any_time_a_key_gets_no_more_than_burst_and_rate(clock):
    buckets, taken = TokenBuckets(rate=5, burst=10, clock=lambda: clock[0]), 0
    for step in range(1000):
        clock[0] = step / 100
        taken += buckets.take("a", 1) == 0
    assert taken == 10 + 5 * 9.99 // 1


def test_a_large_request_is_taken_from_a_full_bucket_and_leaves_a_debt(clock):
    buckets = TokenBuckets(rate=10, burst=5, clock=lambda: clock[0])
    assert buckets.take("a", 25) == 0
    assert buckets.take("a", 1) == pytest.approx(2.1)


def test_without_a_rate_there_is_no_limit():
    buckets = TokenBuckets(rate=0, burst=1)
    assert {buckets.take("a", 1000) for _ in range(100)} == {0}
