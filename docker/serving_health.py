"""Whether a process that scores is healthy: `serving_health.py api|scorer`; exit status 0 = yes.

`api` must answer, and where it has a model that model must score its golden rows. `scorer` has no port: it
sets the time of a file as long as it polls and its model scores its golden rows. While there is no model yet,
both are healthy and wait.
"""

import json
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

ADDRESS = "http://127.0.0.1:8000/readyz"
ALIVE = Path("/tmp/alive")  # noqa: S108 (of the container alone)
OLDEST_SECONDS = 120.0
"""More than the retry budget: a scorer that waits for a server that is away is not ill."""


def api_is_healthy() -> bool:
    """Whether the server answers, and has no model that fails; a full spool is no such fault."""
    try:
        with urlopen(ADDRESS, timeout=5) as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        ready = json.load(error)
        # A new process would find the spool as full, and the store as far away.
        return ready.get("model") is None or ready.get("predictions") == "refused"


def scorer_is_healthy() -> bool:
    """Whether the scorer has shown a sign of life of late."""
    return time.time() - ALIVE.stat().st_mtime < OLDEST_SECONDS


sys.exit(not {"api": api_is_healthy, "scorer": scorer_is_healthy}[sys.argv[1]]())
