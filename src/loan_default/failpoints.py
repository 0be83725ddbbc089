"""Places where a test can let a process die, fail or hang; without LOAN_DEFAULT_TEST=1 they do nothing.

    LOAN_DEFAULT_TEST=1 LOAN_DEFAULT_FAILPOINTS='logged=kill@3,committed=sleep(200)' loan-default ingest

`@3` = at the third passing only; otherwise at each. Actions: `kill` (SIGKILL, as if the machine had gone),
`raise` (DependencyError, as if an answer were lost), `sleep(MILLISECONDS)`.
"""

import os
import re
import signal
import time
from collections import Counter
from functools import cache

from loan_default.errors import ConfigurationError, DependencyError

_POINT = re.compile(r"(?P<name>\w+)=(?P<action>kill|raise|sleep)(\((?P<value>\d+)\))?(@(?P<pass>\d+))?")
_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Do here what a test asks for, if anything."""
    points = _points()
    if name not in points:
        return
    _passed[name] += 1
    action, value, only = points[name]
    if only and _passed[name] != only:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "raise":
        raise DependencyError(f"no failure must be asked for, however: failpoint {name}")
    time.sleep(value / 1000)


@cache
def _points() -> dict[str, tuple[str, int, int]]:
    """Name -> action, value, and the passing at which alone it acts, 0 = each."""
    if os.environ.get("LOAN_DEFAULT_TEST") != "1":
        return {}
    points = {}
    for part in filter(None, os.environ.get("LOAN_DEFAULT_FAILPOINTS", "").split(",")):
        match = _POINT.fullmatch(part)
        if match is None:
            raise ConfigurationError(f"LOAN_DEFAULT_FAILPOINTS must be name=action, however: {part!r}")
        points[match["name"]] = (match["action"], int(match["value"] or 0), int(match["pass"] or 0))
    return points
