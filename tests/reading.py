"""How many documents of the embedded document store were read, index keys not counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bson
import pytest

from loan_default.database.sqlite_storage import Documents


@contextmanager
def documents_read() -> Iterator[list[Any]]:
    """The ids of the documents that are read within the block, as often as each is."""
    read: list[Any] = []
    bodies = Documents._bodies

    def counting(self: Documents, rowids: list[int]) -> Iterator[tuple[int, bytes]]:
        for rowid, body in bodies(self, rowids):
            read.append(bson.decode(body)["_id"])
            yield rowid, body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Documents, "_bodies", counting)
        yield read
