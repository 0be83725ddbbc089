"""The files of a source that a look at it did not take, and the reason of each, for a person to read."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import structlog

from loan_default.data.sources.feeds import Feed, FileFeed, GeneratedFeed
from loan_default.data.sources.folder_feed import FolderFeed

log = structlog.get_logger()

_REMAINS = "its name must end like one of a file of applications, such as .csv; it stays"


class Skipped(NamedTuple):
    """A file or a source that was not taken, and why."""

    kind: Literal["left out", "waits", "refused", "nothing"]
    """`left out`: this look did not take it and no later one will. `waits`: a later look takes it. `refused`:
    an earlier look left it out and it still lies there. `nothing`: the source has no more rows."""
    name: str
    """Of the file, or of the source."""
    reason: str


def skipped_files(feed: Feed) -> Iterator[Skipped]:
    """The files that the last look at a folder left out, or leaves for a later one."""
    if isinstance(feed, FolderFeed):
        yield from (Skipped("left out", file.name, file.reason) for file in feed.refused)
        yield from (Skipped("left out", name, _REMAINS) for name in feed.unknown)
        yield from (Skipped("waits", file.name, file.reason) for file in feed.waiting)


def log_skipped(skipped: Skipped) -> None:
    """Log that a look did not take a file: a warning, unless the file only waits."""
    if skipped.kind == "waits":
        log.info("file_waits", name=skipped.name, reason=skipped.reason)
    else:
        log.warning("file_left_out", name=skipped.name, reason=skipped.reason)


def refused_earlier(feed: Feed) -> Iterator[Skipped]:
    """The files of a folder that earlier looks refused and that still lie there."""
    if isinstance(feed, FolderFeed):
        yield from (Skipped("refused", file.name, file.reason) for file in feed.refused_before())


def why_nothing_came(feed: Feed) -> Skipped:
    """Why a look at a source brought no row."""
    if isinstance(feed, FolderFeed):
        return Skipped("nothing", str(feed.folder), "no file to take")
    if isinstance(feed, FileFeed):
        return Skipped("nothing", feed.path.name, f"all rows were taken before, says {feed.state}")
    if isinstance(feed, GeneratedFeed):
        return Skipped("nothing", "generator", f"all rows were taken before, says {feed.state}")
    return Skipped("nothing", "the source", "it has no new rows")
