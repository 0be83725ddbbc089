"""What a run decided by itself, with the reason that is printed and reported."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Something decided automatically, and why."""

    what: str
    value: str
    reason: str
