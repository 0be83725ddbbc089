"""A token bucket for each key: how much of one replica a client may use."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: float


class TokenBuckets:
    """Buckets that hold `burst` tokens and are filled by `rate` a second.

    They are of this process: with n replicas a client has n times as much.

    Args:
        rate: tokens a second; 0 = there is no limit.
        clock: seconds.
    """

    def __init__(self, *, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self._burst, self._clock = rate, max(burst, 1.0), clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str, tokens: float) -> float:
        """Take tokens of a key; 0.0, or where they are not there the seconds until they are.

        More than the bucket holds can be had where it is full, and leaves it in debt.
        """
        if not self.rate:
            return 0.0
        bucket = self._filled(key)
        needed = min(tokens, self._burst)
        if bucket.tokens < needed:
            return (needed - bucket.tokens) / self.rate
        bucket.tokens -= tokens
        return 0.0

    def wait(self, key: str) -> float:
        """Seconds until a key has a whole token; 0.0 = it has one."""
        if not self.rate:
            return 0.0
        return max(0.0, (1.0 - self._filled(key).tokens) / self.rate)

    def _filled(self, key: str) -> _Bucket:
        """The bucket of a key as it is now."""
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.filled) * self.rate)
        bucket.filled = now
        return bucket
