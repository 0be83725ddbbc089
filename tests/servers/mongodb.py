"""A genuine MongoDB, where its program is on the PATH: nothing is downloaded or built."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from servers.errors import NotInstallable
from servers.process import LOCALHOST, ServerProcess, listens, on_free_ports

_HINT = "MONGODB_URI names a server instead; for a program see https://www.mongodb.com/try/download/community"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mongodb:
    """A server that runs, without users."""

    uri: str
    process: ServerProcess

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the project finds it."""
        return {"MONGODB_URI": self.uri}

    def stop(self) -> None:
        self.process.stop()


def start_mongodb(folder: Path) -> Mongodb:
    """Start a server with its data in `folder`, which must be new or empty.

    Raises:
        NotInstallable: `mongod` is not on the PATH.
        StartError: it does not come up.
    """
    program = shutil.which("mongod")
    if program is None:
        raise NotInstallable("MongoDB", f"mongod must be on the PATH, however: it is not found; {_HINT}")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    return on_free_ports(1, lambda ports: _start(program, folder, *ports))


def is_genuine(uri: str) -> bool:
    """Whether the server of this address is MongoDB, and not another that speaks its protocol."""
    with pymongo.MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=10_000) as client:
        return "ferretdbVersion" not in client.admin.command("buildInfo")


def _start(program: str, folder: Path, port: int) -> Mongodb:
    uri = f"mongodb://{LOCALHOST}:{port}/"
    process = ServerProcess(
        name="MongoDB",
        command=[program, f"--dbpath={folder / 'data'}", f"--bind_ip={LOCALHOST}", f"--port={port}"],
        log=folder / "mongodb.log",
        is_ready=lambda: listens(port) and _answers(uri),
    )
    process.start()
    return Mongodb(uri=uri, process=process)


def _answers(uri: str) -> bool:
    try:
        with pymongo.MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=2_000) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True
