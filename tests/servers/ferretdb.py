"""FerretDB: the MongoDB protocol with authentication, over SQLite files, as one small binary."""

import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import pymongo
from pymongo.errors import PyMongoError

from servers.errors import NotInstallable
from servers.installation import find_program, installed, run
from servers.process import LOCALHOST, ServerProcess, listens, on_free_ports

VERSION = "1.24.2"
"""The last line that needs no PostgreSQL with an extension of its own."""
_MODULE = f"github.com/FerretDB/FerretDB@v{VERSION}"
_SUM = "h1:trrUU0LbmusMbyubhPS1IELncvrIwKrsRT2LW1UUWCw="
"""What Go's checksum database says of the module."""
_BUILD = f"{VERSION}-ids"
"""Name of the build in the cache: another one for each change of `_CHANGES`."""
_CHANGES = (
    # Its index of `_id` is written with other quotes than its queries, so SQLite reads every document.
    (
        "internal/backends/sqlite/metadata/metadata.go",
        """DefaultColumn + "->'$._id'\"""",
        """DefaultColumn + `->"_id"`""",
    ),
    # MongoDB finds many ids at once by its index, too; what is found is still compared as before.
    (
        "internal/backends/sqlite/collection.go",
        """\
			args = []any{string(must.NotFail(sjson.MarshalSingleValue(v)))}
		}
	}

	q += whereClause
""",
        """\
			args = []any{string(must.NotFail(sjson.MarshalSingleValue(v)))}
		case *types.Document:
			in, _ := v.(*types.Document).Get("$in")
			if ids, ok := in.(*types.Array); ok && ids.Len() > 0 {
				marks := strings.Repeat(", ?", ids.Len()-1)
				whereClause = fmt.Sprintf(` WHERE %s IN (?%s)`, metadata.IDColumn, marks)
				for i := 0; i < ids.Len(); i++ {
					id, ok := must.NotFail(ids.Get(i)).(string)
					if !ok {
						whereClause, args = "", nil
						break
					}
					args = append(args, string(must.NotFail(sjson.MarshalSingleValue(id))))
				}
			}
		}
	}

	q += whereClause
""",
    ),
)
"""File, what it says, what it is to say: so that a look at a few of many documents takes as long as a real
server's, and not minutes."""
_HINT = "Go 1.24 or newer is needed, from https://go.dev/dl or the package golang-go"


@dataclass(frozen=True, kw_only=True, slots=True)
class Ferretdb:
    """A server that runs, and its only user, who may do everything."""

    host: str
    """host:port, for addresses with other users or none."""
    username: str
    password: str
    process: ServerProcess

    @property
    def uri(self) -> str:
        return f"mongodb://{self.username}:{self.password}@{self.host}/?authSource=admin"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the project finds it."""
        return {"MONGODB_URI": self.uri}

    def stop(self) -> None:
        self.process.stop()


def install_ferretdb() -> Path:
    """The folder of the binary; NotInstallable without Go or a network."""
    return installed("FerretDB", _BUILD, _build)


def start_ferretdb(folder: Path) -> Ferretdb:
    """Start a server with its data in `folder`, which must be new or empty.

    Raises:
        NotInstallable: no Go or no network.
        StartError: it does not come up.
    """
    binary = install_ferretdb() / "ferretdb"
    (folder / "state").mkdir(parents=True, exist_ok=True)
    password = secrets.token_hex(16)  # of all attempts: the first one writes it into the folder
    return on_free_ports(1, lambda ports: _start(binary, folder, password, *ports))


def _start(binary: Path, folder: Path, password: str, port: int) -> Ferretdb:
    host, username = f"{LOCALHOST}:{port}", "loan-default"
    command = [
        str(binary),
        "--handler=sqlite",
        "--sqlite-url=file:state/",
        "--state-dir=state",
        f"--listen-addr={host}",
        "--debug-addr=-",  # no port for its metrics
        "--telemetry=disable",
        "--log-level=error",  # a warning quotes the answer to every refused write
        "--test-enable-new-auth",
        "--setup-database=admin",
        f"--setup-username={username}",
    ]
    process = ServerProcess(
        name=f"FerretDB {VERSION}",
        command=command,
        log=folder / "ferretdb.log",
        environ={"FERRETDB_SETUP_PASSWORD": password},
        is_ready=lambda: listens(port) and _answers(server),
    )
    server = Ferretdb(host=host, username=username, password=password, process=process)
    process.start()
    return server


def _answers(server: Ferretdb) -> bool:
    try:
        with pymongo.MongoClient[dict[str, object]](server.uri, serverSelectionTimeoutMS=2_000) as client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


def _build(target: Path) -> None:
    go = find_program("FerretDB", "go", places=("/usr/local/go/bin", "/usr/lib/go/bin"), hint=_HINT)
    # Without cgo it needs no compiler of C; outside of a Git checkout it reads its version from a file.
    module = json.loads(run("FerretDB", go, "mod", "download", "-json", _MODULE, folder=target))
    if module["Sum"] != _SUM:
        raise NotInstallable("FerretDB", f"its digest must be {_SUM}, however: {module['Sum']}")
    source = target / "source"
    shutil.copytree(module["Dir"], source, copy_function=shutil.copyfile)
    for place in (source, *(path for path in source.rglob("*") if path.is_dir())):
        place.chmod(0o755)  # Go keeps its modules read-only
    (source / "build" / "version").mkdir(parents=True, exist_ok=True)
    (source / "build" / "version" / "version.txt").write_text(f"v{VERSION}", encoding="utf-8")
    for name, before, after in _CHANGES:
        text = (source / name).read_text(encoding="utf-8")
        if text.count(before) != 1:
            raise NotInstallable("FerretDB", f"{name} must say {before!r} once, however: it does not")
        (source / name).write_text(text.replace(before, after), encoding="utf-8")
    build = (go, "build", "-mod=mod", "-trimpath", "-o", str(target / "ferretdb"), "./cmd/ferretdb")
    run("FerretDB", *build, folder=source, environ={"CGO_ENABLED": "0"})
    shutil.rmtree(source)
