"""Microseconds of each step from a record to its PD, beside `predict_pd(frame)`.

    python -m benchmarks.serving_engine                # a minute; best on an idle machine
    python -m benchmarks.serving_engine --memory       # resident MB of a process that scores, seconds to load

The model has the sizes of the preset `default` for the bundled accounts and random weights, on which no time
depends. Each figure is the processor time of one call in the calling thread, the median of many: another
program on the machine lengthens it less than the time on the clock. All runs on one thread.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.record_batches import RecordBatchReader
from loan_default.data.schema.records import RecordError, record_model, records_frame, validate_record
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.table_files import read_frame
from loan_default.models.calibration import Calibration
from loan_default.models.deriving import derive
from loan_default.models.features import fit_features
from loan_default.models.frozen_network import mean_probability_of, places_of
from loan_default.models.member_training import Architecture
from loan_default.models.model import LoanModel, save_model
from loan_default.models.network_graph import graph_logits
from loan_default.models.presets import preset_for
from loan_default.models.reference import reference_of
from loan_default.models.serving_file import read_serving_file, serving_path
from loan_default.serving import record_arrays
from loan_default.serving.record_arrays import RecordArrays
from loan_default.serving.scorer import load_scorer

Records = list[dict[str, Any]]
Step = Callable[[Records], object]

SIZES = (1, 4, 8, 16, 64, 256)
VERSION = "20261129-120000-abcdef"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.7, help="seconds for each figure")
    parser.add_argument("--memory", action="store_true", help="resident memory and time to load instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth"
        model, rows = bundled_model()
        sha256 = save_model(path, model)
        derive(path, sha256=sha256, out=serving_path(Path(folder), sha256))
        if options.memory:
            print(memory_table(path, sha256))
        else:
            print(time_table(model, path, sha256, rows, seconds=options.seconds))


def bundled_model() -> tuple[LoanModel, pd.DataFrame]:
    """A model of random weights as the default preset makes it of the bundled accounts, and 256 of them."""
    schema = load_schema(BUNDLED_SCHEMA)
    frame = validate(read_frame(BUNDLED_DATA), schema, labelled=True).accepted
    features = fit_features(frame, schema)
    preset = preset_for("default", rows=len(frame))
    architecture = Architecture(features=features, encoder=preset.encoder, head=preset.head)
    torch.manual_seed(0)
    model = LoanModel(
        version=VERSION,
        schema=schema,
        architecture=architecture,
        members=tuple(architecture.new_classifier().eval() for _ in range(preset.members)),
        calibration=Calibration(slope=1.1, intercept=-0.1),
        metrics={},
        reference=reference_of(features.transform(frame), features, np.linspace(0.01, 0.9, 1_000)),
        provenance={},
    )
    return model, frame.head(max(SIZES))


def time_table(model: LoanModel, path: Path, sha256: str, rows: pd.DataFrame, *, seconds: float) -> str:
    """Markdown: microseconds of each step by the number of rows."""
    steps = steps_of(model, path, sha256)
    canonical = canonical_of(rows, model.schema)
    lines = [
        f"{len(model.members)} members, {len(model.architecture.features.names)} columns; µs of one call.",
        "",
        "| step | " + " | ".join(f"{size} rows" for size in SIZES) + " |",
        "|---|" + "---|" * len(SIZES),
    ]
    for name, step in steps.items():
        times = [microseconds(step, canonical[:size], seconds=seconds) for size in SIZES]
        lines.append(f"| {name} | " + " | ".join(f"{each:,.0f}" for each in times) + " |")
    return "\n".join(lines)


def steps_of(model: LoanModel, path: Path, sha256: str) -> dict[str, Step]:
    """The steps, by their names; each takes canonical records, which are valid records as well."""
    schema, features = model.schema, model.architecture.features
    frozen = read_serving_file(serving_path(path.parent, sha256), model=sha256)
    scorer = load_scorer(path, version=VERSION, sha256=sha256, cache=path.parent)
    one_by_one, batches, arrays_of = record_model(schema), RecordBatchReader(schema), RecordArrays(features)
    graph = graph_logits(frozen.network)

    def by_columns(records: Records) -> object:
        few, record_arrays.FEW_ROWS = record_arrays.FEW_ROWS, 0
        try:
            return arrays_of(records)
        finally:
            record_arrays.FEW_ROWS = few

    def by_rows(records: Records) -> object:
        few, record_arrays.FEW_ROWS = record_arrays.FEW_ROWS, 10**9
        try:
            return arrays_of(records)
        finally:
            record_arrays.FEW_ROWS = few

    inputs = Prepared(arrays_of)
    return {
        "`predict_pd` of a frame of canonical records": lambda rows: model.predict_pd(
            records_frame(rows, schema)
        ),
        "of that the frame": lambda rows: records_frame(rows, schema),
        "`Scorer.read` and `Scorer.score`": lambda rows: scorer.score(
            [row for row in scorer.read(rows) if not isinstance(row, RecordError)]
        ),
        "`Scorer.score`": scorer.score,
        "validation, one by one": lambda rows: [
            validate_record(row, schema, model=one_by_one) for row in rows
        ],
        "validation, as a batch": batches,
        "arrays, by bisection": by_rows,
        "arrays, by columns": by_columns,
        "bins and positions": lambda rows: places_of(frozen.network, inputs(rows)),
        "network and bins, numpy": lambda rows: frozen.network.logits(inputs(rows)),
        "network and bins, ONNX Runtime": lambda rows: graph(inputs(rows)),
        "sigmoid, mean, calibration": calibrating(frozen, graph, inputs),
    }


class Prepared:
    """The arrays of records, made at the first call for so many."""

    def __init__(self, arrays_of: RecordArrays) -> None:
        self._arrays_of, self._made = arrays_of, dict[int, Any]()

    def __call__(self, records: Records) -> Any:
        if len(records) not in self._made:
            self._made[len(records)] = self._arrays_of(records)
        return self._made[len(records)]


def calibrating(frozen: Any, graph: Any, inputs: Prepared) -> Step:
    """The step after the network."""
    logits: dict[int, Any] = {}

    def step(records: Records) -> object:
        if len(records) not in logits:
            logits[len(records)] = graph(inputs(records))
        return frozen.calibrated(mean_probability_of(logits[len(records)]), inputs(records))

    return step


def canonical_of(frame: pd.DataFrame, schema: Schema) -> Records:
    """The rows as records that their schema accepts."""
    records = frame.drop(columns=schema.target.name if schema.target else [])
    plain = records.astype(object).where(records.notna(), None).to_dict("records")
    return [{**{column.name: None for column in schema.columns}, **row} for row in plain]  # type: ignore[dict-item]


def microseconds(step: Step, records: Records, *, seconds: float) -> float:
    """Median processor time of a call in microseconds."""
    for _ in range(3):
        step(records)
    times, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        since = time.thread_time_ns()
        step(records)
        times.append(time.thread_time_ns() - since)
    return median(times) / 1e3


SCORING = """
import sys
import time
from pathlib import Path

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024

start = resident()
from loan_default.serving.scorer import load_scorer
imported = resident()
path, sha256 = sys.argv[1:]
since = time.monotonic()
scorer = load_scorer(Path(path), version=None, sha256=sha256, cache=Path(path).parent)
seconds = time.monotonic() - since
for _ in range(200):
    scorer.warm_up()
print(start, imported, resident(), f"{seconds:.2f}", "torch" in sys.modules, "pandas" in sys.modules)
"""


def memory_table(path: Path, sha256: str) -> str:
    """Resident memory of a process that loads the model and scores, without any server around it."""
    done = subprocess.run(
        [sys.executable, "-c", SCORING, str(path), sha256],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    start, imported, scoring, seconds, with_torch, with_pandas = done.stdout.split()
    size = serving_path(path.parent, sha256).stat().st_size / 1e6
    return (
        f"resident MB: Python {start}, imports {imported}, scoring {scoring} (torch: {with_torch}, pandas: "
        f"{with_pandas}), loaded in {seconds} s; serving file {size:.1f} MB, model file "
        f"{path.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
