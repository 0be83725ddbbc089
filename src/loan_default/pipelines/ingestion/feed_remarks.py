"""What a person should know about a source after a look at it: files that were left, and why."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from loan_default.data.sources.feeds import Feed, FileFeed, GeneratedFeed
from loan_default.data.sources.folder_feed import FolderFeed

_REMAINS = "its name must end like one of CSV or Parquet; it stays"


class Remark(NamedTuple):
    """Something that was not taken, and why."""

    kind: Literal["left out", "waits", "refused", "nothing"]
    """`left out`: by this look, for good. `waits`: taken later. `refused`: by an earlier look; it still lies
    there. `nothing`: the source has no more rows."""
    name: str
    """Of the file, or of the source."""
    reason: str


def remarks_on(feed: Feed) -> Iterator[Remark]:
    """The files that the last look at a folder left out or left for later."""
    if isinstance(feed, FolderFeed):
        yield from (Remark("left out", file.name, file.reason) for file in feed.refused)
        yield from (Remark("left out", name, _REMAINS) for name in feed.unknown)
        yield from (Remark("waits", file.name, file.reason) for file in feed.waiting)


def earlier_remarks_on(feed: Feed) -> Iterator[Remark]:
    """The files of a folder that earlier looks refused and that still lie there."""
    if isinstance(feed, FolderFeed):
        yield from (Remark("refused", file.name, file.reason) for file in feed.refused_before())


def why_nothing_came(feed: Feed) -> Remark:
    """Why a look at a source brought no row."""
    if isinstance(feed, FolderFeed):
        return Remark("nothing", str(feed.folder), "no file to take")
    if isinstance(feed, FileFeed):
        return Remark("nothing", feed.path.name, f"all rows were taken before, says {feed.state}")
    if isinstance(feed, GeneratedFeed):
        return Remark("nothing", "generator", f"all rows were taken before, says {feed.state}")
    return Remark("nothing", "the source", "it has no new rows")
