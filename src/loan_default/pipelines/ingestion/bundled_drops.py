"""The bundled accounts, dropped into a folder as if they came in day by day: for a first look at the stack.

The folder itself says how far it has come: `bundled-00001-01000.csv` holds the accounts 1 to 1,000, and what
was taken from the folder keeps its name (see `data.sources.folder_feed`). Files of other names are a
person's own.
"""

import gzip
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from loan_default.bundled import BUNDLED_DATA
from loan_default.errors import ConfigurationError
from loan_default.files import write_atomically

_OURS = re.compile(r"bundled-(\d{5})-(\d{5})")


def replay_bundled(folder: Path, *, rows: int) -> Path | None:
    """Drop the next accounts as one file.

    Returns:
        The file; None where all accounts were dropped, or somebody drops files of their own.

    Raises:
        ConfigurationError: the folder is not there, or not writable.
    """
    dropped = list(_dropped(folder))
    if any(_OURS.search(path.name) is None for path in dropped):
        return None
    done = max((int(match[2]) for path in dropped if (match := _OURS.search(path.name))), default=0)
    with gzip.open(BUNDLED_DATA, "rt", encoding="utf-8") as file:
        header = next(file)
        lines = list(islice(file, done, done + rows))
    if not lines:
        return None
    path = folder / f"bundled-{done + 1:05}-{done + len(lines):05}.csv"
    try:
        write_atomically(path, "".join([header, *lines]).encode())
    except OSError as error:
        raise ConfigurationError(
            f"the folder of applications must be one that can be written to, however: {folder} "
            f"({error.strerror}). Give it to the user who runs this, or choose another."
        ) from error
    return path


def has_begun(folder: Path) -> bool:
    """Whether anything was dropped into the folder so far."""
    return any(True for _ in _dropped(folder))


def waits(folder: Path) -> bool:
    """Whether something lies in the folder that is yet to be taken."""
    return any(path.parent == folder for path in _dropped(folder))


def _dropped(folder: Path) -> Iterator[Path]:
    """The files of applications that are in the folder, or were."""
    if not folder.is_dir():
        raise ConfigurationError(f"the folder of applications must exist, however: {folder} does not.")
    for part in (".", ".taken", ".done", ".refused"):
        for path in (folder / part).glob("*"):
            by_the_way = path.name.startswith(".") or path.name.endswith((".json", ".reason.txt"))
            if path.is_file() and not by_the_way:
                yield path
