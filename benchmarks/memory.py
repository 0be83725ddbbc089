"""Peak memory of `loan-default ingest` without Kafka and MongoDB, by mode and number of rows.

python -m benchmarks.memory                                                  # about half an hour
python -m benchmarks.memory --rows 10000 100000 --modes file follow

Each figure is a process of its own in an empty home folder, and what the kernel says of it (ru_maxrss).
follow = a folder with one file of that many rows, `--follow`, ended by SIGTERM when the last row is taken.
rejected = a file none of whose rows passes the schema: each becomes a dead-letter record.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.generator import chunks, to_text

_COMMAND = "from loan_default.cli.main import main; main()"
_CHUNK = 5_000
_LOOK_SECONDS = 0.5
_GOAL = 0.1
"""How far the peaks of one mode may lie apart, of the smallest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mode:
    """One way to ingest."""

    words: Callable[[Path, int], list[str]]
    """What is typed after `loan-default ingest`, by the folder of the run and the number of rows."""
    make: Callable[[Path, int, Schema], None]
    """Makes the files of the run."""
    is_done: Callable[[Path], bool] | None = None
    """Of a process that does not end by itself."""


def main() -> None:
    """Measure and print one line for each process, then the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    options = parser.parse_args()
    peaks: dict[str, list[int]] = {}
    for mode in options.modes:
        for rows in options.rows:
            peak, seconds = measure(MODES[mode], rows)
            peaks.setdefault(mode, []).append(peak)
            print(f"{mode}, {rows:,} rows: {peak / 2**20:.0f} MiB, {rows / seconds:,.0f} rows/s", flush=True)
    print(f"\n| mode | {' | '.join(f'{rows:,} rows, MiB' for rows in options.rows)} | apart |")
    print("|---" * (len(options.rows) + 2) + "|")
    for mode, sizes in peaks.items():
        apart = max(sizes) / min(sizes) - 1
        cells = " | ".join(f"{size / 2**20:.0f}" for size in sizes)
        print(f"| {mode} | {cells} | {apart:.1%}{'' if apart <= _GOAL else ', over the goal'} |")


def measure(mode: Mode, rows: int) -> tuple[int, float]:
    """Peak bytes and seconds of one process; SystemExit where it fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mode.make(folder, rows, load_schema(BUNDLED_SCHEMA))
        hidden = ("MONGODB_URI", "KAFKA_BOOTSTRAP_SERVERS")
        environment = {key: value for key, value in os.environ.items() if key not in hidden}
        environment |= {"LOAN_DEFAULT_HOME": str(folder / "home")}
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "ingest", *mode.words(folder, rows)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while mode.is_done is not None and process.poll() is None and not mode.is_done(folder):
            time.sleep(_LOOK_SECONDS)
        if mode.is_done is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
        # What the kernel says of this one child; `wait` must not have asked for it before.
        _, status, usage = os.wait4(process.pid, 0) if process.returncode is None else (0, 1, None)
        if usage is None or os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"`ingest` must end well, however: it ended with {process.returncode or status}")
        process.returncode = 0
        return usage.ru_maxrss * 1024, time.monotonic() - began


def write_rows(path: Path, rows: int, schema: Schema, *, first: int = 0, seed: int = 1) -> None:
    """Generated rows as CSV, in flat memory; `first` rows of them are left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        for chunk in chunks(schema, rows=first + rows, chunk_rows=_CHUNK, seed=seed):
            frame = to_text(chunk.frame, schema)
            frame[frame.index >= first].to_csv(file, index=False, header=file.tell() == 0)


def _write_file(folder: Path, rows: int, schema: Schema) -> None:
    write_rows(folder / "loans.csv", rows, schema)


def _write_dropped(folder: Path, rows: int, schema: Schema) -> None:
    incoming = folder / "incoming"
    write_rows(incoming / "loans.csv", rows, schema)
    os.utime(incoming / "loans.csv", (1, 1))
    time.sleep(3)  # a file that has just come is left alone


def _write_rejected(folder: Path, rows: int, schema: Schema) -> None:
    write_rows(folder / "sound.csv", rows, schema)
    with (folder / "sound.csv").open() as sound, (folder / "loans.csv").open("w") as broken:
        place = next(sound).split(",").index("LIMIT_BAL")
        sound.seek(0)
        broken.write(sound.readline())
        for line in sound:
            cells = line.split(",")
            broken.write(",".join([*cells[:place], "-1", *cells[place + 1 :]]))
    (folder / "sound.csv").unlink()


def _nothing(folder: Path, rows: int, schema: Schema) -> None:
    """The rows are generated by the process."""


def _dropped_is_done(folder: Path) -> bool:
    done = folder / "incoming" / ".done"
    return done.is_dir() and any(done.iterdir())


MODES = {
    "file": Mode(
        make=_write_file,
        words=lambda folder, _: ["--file", str(folder / "loans.csv")],
    ),
    "generate": Mode(make=_nothing, words=lambda _, rows: ["--generate", str(rows)]),
    "follow": Mode(
        make=_write_dropped,
        words=lambda folder, _: ["--folder", str(folder / "incoming"), "--follow"],
        is_done=_dropped_is_done,
    ),
    "rejected": Mode(
        make=_write_rejected,
        words=lambda folder, _: ["--file", str(folder / "loans.csv")],
    ),
}

if __name__ == "__main__":
    main()
