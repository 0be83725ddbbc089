"""Reject inference where the truth is known: accounts of the bundled data, of which a lender declines some.

    python -m benchmarks.rejects                     # 6,000 accounts, preset fast, one network: 10 minutes
    python -m benchmarks.rejects --rows 30000 --members 3

The lender declines the 30 % that look riskiest by the state of payment and the limit, with some chance
(observed), or by these and by something that the data do not hold and that goes with default (unobserved).
Outcomes of declined accounts are hidden from the training and known to this table: no model has seen one.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.presets import PROJECT, environment
from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.choices import PRESETS, REJECT_METHODS
from loan_default.data.schema.frames import validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema, load_schema
from loan_default.data.sources.table_files import read_frame
from loan_default.evaluation.metrics import measure
from loan_default.models.model import load_model

DECLINED = 0.3
"""Share of the accounts."""
WORLDS = {"observed": 0.0, "unobserved": 0.4}
"""How the lender decides -> what a default adds to its score, in standard deviations."""
HEADS = (
    "declined by", "inference", "accepted test: AUC", "log loss", "declined: AUC", "log loss", "mean PD",
    "default rate",
)  # fmt: skip


def main() -> None:
    """Train with each method in each world, and print what it is worth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="fast")
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    schema, raw = load_schema(BUNDLED_SCHEMA), read_frame(BUNDLED_DATA)
    sample = raw.frame.sample(options.rows, random_state=options.seed)
    known = validate(replace(raw, frame=sample), schema, labelled=True).accepted
    training = ["--preset", options.preset, "--members", str(options.members), "--seed", str(options.seed)]
    print(f"| {' | '.join(HEADS)} |\n" + "|---" * len(HEADS) + "|", flush=True)
    for world, added in WORLDS.items():
        declined = declined_rows(known, schema, added=added, seed=options.seed)
        for method in REJECT_METHODS:
            cells = measured(
                sample.loc[known.index], known, declined, [*training, "--reject-inference", method]
            )
            print(f"| {world} | {method} | {' | '.join(cells)} |", flush=True)


def declined_rows(frame: pd.DataFrame, schema: Schema, *, added: float, seed: int) -> NDArray[np.bool_]:
    """Which accounts the lender declines.

    Args:
        added: what a default adds to its score, in standard deviations.
    """
    assert schema.target is not None
    payment = frame["PAY_0"].to_numpy(dtype=np.float64)
    limit = np.log(frame["LIMIT_BAL"].to_numpy(dtype=np.float64))
    score = _standard(payment) - _standard(limit) + np.random.default_rng(seed).normal(size=len(frame))
    score = score + added * score.std() * frame[schema.target.name].to_numpy()
    return np.asarray(score > np.quantile(score, 1 - DECLINED))


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((values - values.mean()) / values.std(), np.float64)


def measured(
    raw: pd.DataFrame, known: pd.DataFrame, declined: NDArray[np.bool_], training: Sequence[str]
) -> list[str]:
    """The cells of a training: metrics on accepted test rows, and on declined accounts by their outcomes."""
    schema = load_schema(BUNDLED_SCHEMA)
    target = schema.target
    assert target is not None
    columns = (replace(each, rejected=("declined",)) if each is target else each for each in schema.columns)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "schema.toml").write_text(dump_schema(replace(schema, columns=tuple(columns))), "utf-8")
        raw.assign(**{target.name: raw[target.name].astype(object).where(~declined, "declined")}).to_csv(
            home / "accounts.csv", index=False
        )
        command = [sys.executable, "train.py", "--train", "--data", str(home / "accounts.csv")]
        command += ["--schema", str(home / "schema.toml"), "--out", str(home / "run"), *training]
        subprocess.run(command, cwd=PROJECT, env=environment(home), check=True, capture_output=True)
        model = load_model(home / "run" / "model.pth")
    found = measure(known[target.name][declined], model.predict_pd(known[declined]))
    test = model.metrics["test"]
    return [
        f"{test['auc']:.4f}", f"{test['log_loss']:.4f}", f"{found.auc:.4f}", f"{found.log_loss:.4f}",
        f"{found.mean_pd:.1%}", f"{found.base_rate:.1%}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
