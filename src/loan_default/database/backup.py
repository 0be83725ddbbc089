"""The whole database as files, and back: from any database into any other.

    backups/2026-11-25/model_metadata.jsonl.gz …   a document a line, MongoDB's canonical extended JSON, by id
    backups/2026-11-25/digests.json                collection -> how many documents, and a digest of them

https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from bson import json_util

from loan_default.database.connect import Database, Document
from loan_default.database.driver_errors import database_errors
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.initialise import REPOSITORIES
from loan_default.database.repositories import FENCES, POINTERS
from loan_default.errors import ConfigurationError, DataError
from loan_default.files import write_atomically

COLLECTIONS = (*(repository.collection for repository in REPOSITORIES), POINTERS, FENCES)
_DIGESTS = "digests.json"
_AT_ONCE = 1_000
_LOGS = RawDataLogRepository.collection
_ID_MARK = "#"
"""The character before the mark of an id."""
_READING = json_util.CANONICAL_JSON_OPTIONS.with_options(tz_aware=True)


@dataclass(frozen=True, slots=True)
class Contents:
    """The number and the digest of the documents of a collection."""

    documents: int
    digest: str
    """Sum of the SHA-256 of its lines: their order does not count, as marks may change that of the ids."""


def contents_of(
    database: Database, names: Iterable[str] = COLLECTIONS, *, mark: str = ""
) -> dict[str, Contents]:
    """Return the contents of each collection by name; DependencyError where the database is away.

    Args:
        mark: suffix of the names of topics that are gone, see `restore`; it does not count.
    """
    return {name: _contents(_lines(database, name, mark=mark)) for name in names}


def back_up(database: Database, folder: Path) -> dict[str, Contents]:
    """Write all collections into a folder that is new or empty; nobody should write to them meanwhile.

    Raises:
        ConfigurationError: there is something in the folder, or it cannot be made.
        DependencyError: the database is away.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if folder.is_file() else error.strerror
        raise ConfigurationError(f"Cannot write a backup to {folder}: {why}. Name another folder.") from error
    if any(folder.iterdir()):
        raise ConfigurationError(
            f"Cannot write a backup to {folder}: the folder is not empty. Name another folder."
        )
    found = {}
    for name in COLLECTIONS:
        with gzip.open(folder / f"{name}.jsonl.gz", "wb") as file:
            found[name] = _contents(_written(_lines(database, name), file))
    digests = {name: asdict(contents) for name, contents in found.items()}
    write_atomically(folder / _DIGESTS, json.dumps(digests, indent=2).encode())
    return found


def restore(database: Database, folder: Path, *, gone: str | None = None) -> dict[str, Contents]:
    """Put a backup into a database whose collections are empty; return what they hold then.

    Args:
        gone: suffix for the names of the topics of logged events, where Kafka's topics were made anew and
            offsets count from 0 again: the positions are free then. None = the topics are the same.

    Raises:
        ConfigurationError: a collection holds documents: nothing is overwritten.
        DataError: the folder holds no whole backup, or what was restored has another digest.
        DependencyError: the database is away.
    """
    wanted, mark = _digests(folder), f"@{gone}" if gone else ""
    with database_errors("look for documents"):
        taken = [name for name in COLLECTIONS if database[name].find_one({}, {"_id": 1}) is not None]
    if taken:
        raise ConfigurationError(
            f"Cannot restore: {', '.join(taken)} hold documents, and nothing is overwritten. Name another "
            "database, or drop this one."
        )
    for name in wanted:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            _insert(database, name, file, mark=mark)
    restored = contents_of(database, wanted, mark=mark)
    different = [name for name, contents in wanted.items() if restored[name] != contents]
    if different:
        raise DataError(
            f"Cannot trust what was restored: {', '.join(different)} differ from the backup's digests. Drop "
            "the database and use another backup."
        )
    return restored


def _lines(database: Database, name: str, *, mark: str = "") -> Iterator[bytes]:
    """Yield the documents as lines; logged events without the mark of their topics and ids."""
    options = json_util.CANONICAL_JSON_OPTIONS
    with database_errors(f"read {name}"):
        for document in database[name].find({}).sort([("_id", 1)]):
            if name == _LOGS and mark:
                document["topic"] = document["topic"].removesuffix(mark)
                document["_id"] = document["_id"].removesuffix(_ID_MARK + mark)
            yield json_util.dumps(document, json_options=options, sort_keys=True).encode() + b"\n"


def _written(lines: Iterable[bytes], file: gzip.GzipFile) -> Iterator[bytes]:
    for line in lines:
        file.write(line)
        yield line


def _contents(lines: Iterable[bytes]) -> Contents:
    count, digest = 0, 0
    for line in lines:
        digest = (digest + int.from_bytes(hashlib.sha256(line).digest())) % 2**256
        count += 1
    return Contents(count, f"{digest:064x}")


def _insert(database: Database, name: str, lines: Iterable[str], *, mark: str) -> None:
    documents: Iterator[Document] = (json_util.loads(line, json_options=_READING) for line in lines)
    with database_errors(f"write {name}"):
        while some := list(islice(documents, _AT_ONCE)):
            if name == _LOGS:
                some = [_marked(document, mark) for document in some]
            database[name].insert_many(some)


def _marked(log: Document, mark: str) -> Document:
    """Return a logged event whose topic is gone; where its id is its position, that is free again too."""
    if mark and log["_id"] == "{topic}-{partition}-{offset}".format(**log):
        log = log | {"_id": log["_id"] + _ID_MARK + mark}
    return log | {"topic": log["topic"] + mark}


def _digests(folder: Path) -> dict[str, Contents]:
    path = folder / _DIGESTS
    try:
        return {name: Contents(**contents) for name, contents in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"Cannot read {path} ({type(error).__name__}): the folder holds no backup, or an unfinished one. "
            "Name the folder of another backup."
        ) from error
