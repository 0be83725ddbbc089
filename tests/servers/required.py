"""What a missing server means: its tests are skipped, or fail where `REQUIRE_SERVERS` asks for it.

REQUIRE_SERVERS=1                         every server
REQUIRE_SERVERS=kafka,ferretdb,postgres   these
"""

import os
from typing import NoReturn

import pytest

from servers.errors import NotInstallable

SERVERS = frozenset({"airflow", "chromium", "ferretdb", "kafka", "kubernetes", "mongodb", "postgres"})


def skip_without(reason: NotInstallable) -> NoReturn:
    """Skip the test that needs the server, with the reason; fail it where the server is required."""
    if is_required(reason.server, os.environ.get("REQUIRE_SERVERS", "")):
        pytest.fail(f"{reason} REQUIRE_SERVERS asks for it.", pytrace=False)
    pytest.skip(str(reason))


def is_required(server: str, asked: str) -> bool:
    """Whether a server is among those that are asked for; ValueError where one of those is unknown."""
    if asked in ("", "0", "1"):
        return asked == "1"
    names = {name.strip().lower() for name in asked.split(",")}
    if unknown := names - SERVERS:
        raise ValueError(
            f"REQUIRE_SERVERS must be 1 or some of {', '.join(sorted(SERVERS))}, however: {sorted(unknown)}"
        )
    return server.lower().startswith(tuple(names))
