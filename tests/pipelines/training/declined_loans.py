"""Applications of which a lender has declined the riskier ones, for tests of reject inference."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.pipelines.training.training_options import FileData, TrainingOptions

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="debt", kind=Kind.NUMERICAL),
        Column(name="income", kind=Kind.NUMERICAL),
        Column(name="customer", kind=Kind.IDENTIFIER, group=True),
        Column(
            name="status",
            kind=Kind.TARGET,
            positive="Default",
            negative="Paid",
            unknown=("Current",),
            rejected=("Declined", "Refused"),
        ),
    ),
)


def loans(rows: int = 700, *, seed: int = 4) -> pd.DataFrame:
    """Rows of a file, as text; about a third was declined, a few still run."""
    generator = np.random.default_rng(seed)
    debt, income = generator.normal(size=(2, rows)).round(3)
    bad = generator.random(rows) < expit(-1 + debt - 0.7 * income)
    status = np.where(bad, "Default", "Paid").astype(object)
    declined = debt - income + generator.normal(size=rows) > 0.6
    status[declined] = generator.choice(["Declined", " refused "], declined.sum())
    status[generator.random(rows) < 0.04] = "Current"
    days = pd.date_range("2025-01-01", periods=rows, freq="h").astype("str")
    frame = pd.DataFrame({"made": days, "debt": debt, "income": income})
    frame["customer"] = [f"c{number // 2}" for number in range(rows)]
    return frame.assign(status=status).astype("str")


def options_in(folder: Path, frame: pd.DataFrame | None = None, **changes: object) -> TrainingOptions:
    """The options of a small training on such a file in a folder."""
    data, schema = folder / "loans.csv", folder / "loans.toml"
    (loans() if frame is None else frame).to_csv(data, index=False)
    schema.write_text(dump_schema(SCHEMA), encoding="utf-8")
    small = {"preset": "fast", "epochs": 1, "members": 2, "pretrain": False}
    return TrainingOptions(data=FileData(data), schema=schema, **(small | changes))
