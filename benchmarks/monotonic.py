"""What it costs that PDs must be monotonic, and how often they are not, on the bundled data.

    python -m benchmarks.monotonic                   # preset fast, one seed: some minutes
    python -m benchmarks.monotonic --preset default --seeds 3

The PD must not fall with the six states of payment (PAY_0 to PAY_6), and must not rise with the limit. Both
models are swept over the same columns and the same rows.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.presets import PROJECT, environment
from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.choices import PRESETS
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema, load_schema
from loan_default.data.sources.table_files import read_frame
from loan_default.evaluation.monotonicity import MonotonicSweep
from loan_default.models.model import load_model
from loan_default.pipelines.training.monotonic_sweeps import monotonic_sweeps

DIRECTIONS = {"LIMIT_BAL": "decreasing"} | {f"PAY_{month}": "increasing" for month in (0, 2, 3, 4, 5, 6)}


def main() -> None:
    """Train with and without, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="fast")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--with-trees", action="store_true")
    options = parser.parse_args()
    plain = load_schema(BUNDLED_SCHEMA)
    rows = validate(read_frame(BUNDLED_DATA), plain, labelled=True).accepted
    heads = ["monotonic", "seed", "test AUC", "log loss", "rows that fall", "in the worst column", "furthest"]
    print(f"| {' | '.join(heads)} |\n" + "|---" * len(heads) + "|", flush=True)
    for seed in range(options.seeds):
        arguments = ["--preset", options.preset, "--seed", str(seed)]
        arguments += ["--with-trees"] if options.with_trees else []
        for name, schema in (("no", plain), ("yes", with_directions(plain))):
            metrics, sweeps = measured(schema, arguments, rows=rows)
            falling = [each.falling for each in sweeps]
            print(
                f"| {name} | {seed} | {metrics['auc']:.4f} | {metrics['log_loss']:.4f} | "
                f"{sum(falling) / len(falling):.1%} | {max(falling):.1%} | "
                f"{max(each.largest for each in sweeps):.4f} |",
                flush=True,
            )


def with_directions(schema: Schema) -> Schema:
    """The schema with its monotonic columns."""
    columns = (replace(each, monotonic=DIRECTIONS.get(each.name, "")) for each in schema.columns)
    return replace(schema, columns=tuple(columns))


def measured(
    schema: Schema, arguments: Sequence[str], *, rows: pd.DataFrame
) -> tuple[dict[str, float], tuple[MonotonicSweep, ...]]:
    """Test metrics of a training, and sweeps of the model that it hands over."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "schema.toml").write_text(dump_schema(schema), encoding="utf-8")
        command = [sys.executable, "train.py", "--pretrain", "--train", "--data", str(BUNDLED_DATA)]
        command += ["--schema", str(home / "schema.toml"), "--out", str(home / "run"), *arguments]
        subprocess.run(command, cwd=PROJECT, env=environment(home), check=True, capture_output=True)
        model = load_model(home / "run" / "model.pth")
    return model.metrics["test"], monotonic_sweeps(replace(model, schema=with_directions(schema)), rows)


if __name__ == "__main__":
    main()
