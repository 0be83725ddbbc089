"""Scoring of files: a file of applications in, a file of PDs out, in memory that does not grow.

Rows are read, validated and predicted some thousand at a time, in the order of the file. Rows that break the
schema go to the quarantine with their reasons. Both files appear at the end as a whole, or not at all.
"""

import gzip
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RENAMED, Validation, validate
from loan_default.data.sources.no_tables import check_file
from loan_default.data.sources.sniffing import format_for
from loan_default.data.sources.spreadsheets import write_csv
from loan_default.data.sources.table_files import SCORES_SUFFIXES, iter_frames, read_columns
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.evaluation.metrics import score_points
from loan_default.files import write_atomically
from loan_default.models.device import choose_compute, torch_threads, usable_cores
from loan_default.models.model import LoanModel
from loan_default.models.unseen import count_unseen
from loan_default.pipelines.scoring.column_positions import check_target_position, names_by_position

CHUNK_ROWS = 8_192
"""Rows that are in memory at once; a larger number is not faster."""
ROW_COLUMN = "row"
"""Number of the row in the file, from 0, as in the quarantine: identifiers may be blank, or not there."""

_RESULTS = (ROW_COLUMN, "pd", "score", "model_version")
_CSV_DIGITS = "%.9g"  # the network computes in 32 bits, which have no more digits

Write = Callable[[pd.DataFrame], None]
Keep = Callable[[pd.DataFrame, NDArray[np.float64]], None]
"""Keeps the PDs `(rows,)` of canonical rows, whose index is their number in the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What became of the rows of a file: read = scored + quarantined."""

    out: Path
    quarantine: Path | None
    """None = no row broke the schema."""
    rows_read: int
    rows_scored: int
    rows_quarantined: int
    reasons: Mapping[str, int]
    """Broken rule -> rows, the most frequent first. Holds no values."""
    mean_pd: float | None
    """None = no row was scored."""
    seconds: float
    absent: tuple[str, ...]
    """Optional features that the file lacks, so that they are missing in every row."""
    ignored: tuple[str, ...]
    """Columns of the file that the schema does not know."""
    footer_lines: int = 0
    """Lines at the end of the file that are no rows, such as a total."""
    unseen: Mapping[str, int] = field(default_factory=dict)
    """What training never saw -> rows that were scored all the same, the most frequent first."""

    @property
    def rows_per_second(self) -> float:
        """Rows that were read per second."""
        return self.rows_read / max(1e-9, self.seconds)


def quarantine_beside(out: Path) -> Path:
    """Path of the quarantine of a file of scores where no other path is given."""
    return out.with_name(f"{out.name[: -len(_suffix_of_scores(out))]}.quarantine.csv")


def check_paths(data: Path, *, out: Path, quarantine: Path) -> None:
    """Check the three paths before a model is loaded.

    Raises:
        DataError: the data file is not readable.
        ConfigurationError: a file cannot be written there, or would overwrite another one of the three.
    """
    check_file(data)
    _suffix_of_scores(out)
    if not quarantine.name.lower().endswith(".csv"):
        raise ConfigurationError(f"--quarantine must end in .csv, however: {quarantine.name}")
    if len({path.resolve() for path in (data, out, quarantine)}) < 3:
        raise ConfigurationError(
            f"data, --out and --quarantine must be three files, however: {data}, {out}, {quarantine}"
        )
    for path in (out, quarantine):
        if path.is_dir():
            raise ConfigurationError(
                f"scores must go to a file in a folder, however: {path} is a folder. Choose another path."
            )
        existing = next(parent for parent in path.absolute().parents if parent.exists())
        if not existing.is_dir():
            raise ConfigurationError(
                f"scores must go to a file in a folder, however: {existing} is a file. Choose another path."
            )


@contextmanager
def scoring_threads(environ: Mapping[str, str] = os.environ) -> Iterator[int]:
    """Let torch use as many threads as one process should on this machine, while the block runs.

    Yields their number; after the block torch uses as many as before.
    """
    threads = choose_compute("cpu", members=1, environ=environ, cores=usable_cores()).threads
    with torch_threads(threads):
        yield threads


def score_file(
    model: LoanModel,
    data: Path,
    *,
    out: Path,
    quarantine: Path,
    report: Callable[[int], None],
    form: FileFormat | None = None,
    keep: Keep | None = None,
) -> Scored:
    """Score all rows of a file that pass the model's schema.

    `out` (CSV, gzipped CSV or Parquet by its suffix) gets a row for each of them, in the order of the file:
    the identifier if there is one, `pd`, `score` in points, `model_version` and `row`, its number in the file
    from 0, which comes first where there is no identifier. `quarantine` gets the others; without any, the one
    of an earlier run is removed.

    Args:
        report: called with the number of rows read so far.
        form: how the file is written, by `format_for` and the model's schema; None = it is found out.
        keep: called with each batch of accepted rows and their PDs, before any score is given; None = no
            prediction is kept. What it raises passes through.

    Raises:
        DataError: the file is unusable, or a column that must be there is not.
        ConfigurationError: a file cannot be written.
    """
    started, tally = time.monotonic(), _Tally()
    form = form or format_for(data, model.schema)
    found = read_columns(data, form=form)
    present = found if form.header else names_by_position(found, model.schema)
    identifier = model.schema.identifier
    named_by = identifier.name if identifier and identifier.name in present else None
    rejected_columns = _quarantine_columns(present)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.parent, prefix=f".{out.name[:40]}.", suffix=".tmp") as folder:
            scores, rejected = Path(folder, "scores"), Path(folder, "rejected")
            with (
                _scores_writer(scores, _suffix_of_scores(out), named_by) as write,
                _csv_writer(rejected) as reject,
            ):
                for part in iter_frames(data, rows=CHUNK_ROWS, form=form):
                    raw = replace(part, frame=part.frame.set_axis(present, axis=1))
                    if not form.header and tally.read == 0:
                        check_target_position(raw.frame, model.schema, data.name)
                    validation = validate(raw, model.schema, labelled=False)
                    write(_scores(model, validation.accepted, named_by, tally, keep))
                    reject(validation.rejected.reindex(columns=rejected_columns))
                    tally.count(validation)
                    tally.footer_lines += raw.footer_lines
                    report(tally.read)
            # The scores come last: where they are, the run is complete.
            if tally.quarantined:
                write_atomically(quarantine, partial(_move, rejected))
            else:
                quarantine.unlink(missing_ok=True)
            write_atomically(out, partial(_move, scores))
    except DependencyError:  # an OSError as well; `keep` raised it
        raise
    except OSError as error:
        raise ConfigurationError(
            f"scores must be written, however: {out}: {error.strerror or error}"
        ) from error
    return Scored(
        out=out,
        quarantine=quarantine if tally.quarantined else None,
        rows_read=tally.read,
        rows_scored=tally.scored,
        rows_quarantined=tally.quarantined,
        reasons=dict(tally.reasons.most_common()),
        mean_pd=tally.sum_pd / tally.scored if tally.scored else None,
        seconds=time.monotonic() - started,
        absent=tuple(name for name in model.architecture.features.names if name not in present),
        ignored=tally.ignored,
        footer_lines=tally.footer_lines,
        unseen=dict(tally.unseen.most_common()),
    )


@dataclass(slots=True)
class _Tally:
    """Counts of the rows that were read so far."""

    scored: int = 0
    quarantined: int = 0
    sum_pd: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    ignored: tuple[str, ...] = ()
    footer_lines: int = 0
    unseen: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        return self.scored + self.quarantined

    def count(self, validation: Validation) -> None:
        self.scored += len(validation.accepted)
        self.quarantined += len(validation.rejected)
        self.reasons.update(validation.counts)
        self.ignored = validation.unknown_columns


def _scores(
    model: LoanModel, accepted: pd.DataFrame, named_by: str | None, tally: _Tally, keep: Keep | None
) -> pd.DataFrame:
    """The rows of the output for a batch of accepted rows."""
    pds = model.predict_pd(accepted) if len(accepted) else np.zeros(0)
    if keep is not None and len(accepted):
        keep(accepted, pds)
    tally.sum_pd += float(pds.sum())
    tally.unseen.update(count_unseen(model.architecture.features, accepted))
    numbered = {ROW_COLUMN: accepted.index.astype(np.int64).array}
    return pd.DataFrame(
        {
            **(numbered if named_by is None else {_name_column(named_by): accepted[named_by].array}),
            "pd": pds,
            "score": score_points(pds).round(2),
            "model_version": pd.Series([model.version] * len(pds), dtype="str"),
            **({} if named_by is None else numbered),
        }
    )


def _name_column(named_by: str) -> str:
    return f"{named_by}_in_data" if named_by in _RESULTS else named_by


def _quarantine_columns(present: list[str]) -> list[str]:
    """The columns of the whole quarantine; those of one batch depend on what is wrong in it."""
    return list(dict.fromkeys(["row", "reason", *(RENAMED.get(name, name) for name in present), "raw_text"]))


@contextmanager
def _scores_writer(path: Path, suffix: str, named_by: str | None) -> Iterator[Write]:
    """Open a file of scores; yields a function that appends rows to it."""
    if suffix != ".parquet":
        with _csv_writer(path, compressed=suffix == ".csv.gz") as write:
            yield write
        return
    numbered = (ROW_COLUMN, pa.int64())
    layout = pa.schema(
        [
            numbered if named_by is None else (_name_column(named_by), pa.string()),
            ("pd", pa.float64()),
            ("score", pa.float64()),
            ("model_version", pa.string()),
            *([] if named_by is None else [numbered]),
        ]
    )
    with pq.ParquetWriter(path, layout) as writer:
        yield lambda frame: writer.write_table(pa.Table.from_pandas(frame, layout, preserve_index=False))


@contextmanager
def _csv_writer(path: Path, *, compressed: bool = False) -> Iterator[Write]:
    """Open a CSV file; yields a function that appends rows, the first ones below a header."""
    open_ = gzip.open if compressed else open
    with open_(path, "wt", encoding="utf-8", newline="") as file:
        is_empty = True

        def write(frame: pd.DataFrame) -> None:
            nonlocal is_empty
            write_csv(frame, file, header=is_empty, digits=_CSV_DIGITS)
            is_empty = False

        yield write


def _suffix_of_scores(out: Path) -> str:
    for suffix in SCORES_SUFFIXES:
        if out.name.lower().endswith(suffix):
            return suffix
    raise ConfigurationError(f"--out must end in {', '.join(SCORES_SUFFIXES)}, however: {out.name}")


def _move(source: Path, target: Path) -> None:
    shutil.move(source, target)
