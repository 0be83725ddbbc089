"""The four public credit sets and the split that all benchmarks use.

Only the UCI set may be redistributed and lies in the checkout. The others are looked for in the folder that
`LOAN_DEFAULT_SETS` names, else in `build/sets`; a set that is not there is left out, and a line says so.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from loan_default.bundled import BUNDLED_DATA
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

_BUILD = Path(__file__).resolve().parents[1] / "build"
FOLDER = Path(os.environ.get("LOAN_DEFAULT_SETS", _BUILD / "sets"))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    path: Path
    target: str
    dropped: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


_SOURCES = {
    "loan_default": _Source(path=FOLDER / "loan_default.csv", target="Default", dropped=("LoanID",)),
    "uci_credit_card": _Source(
        path=BUNDLED_DATA,
        target="default.payment.next.month",
        dropped=("ID",),
        categories=("SEX", "EDUCATION", "MARRIAGE"),
    ),
    "give_me_some_credit": _Source(
        path=FOLDER / "give_me_some_credit.csv", target="SeriousDlqin2yrs", dropped=("Unnamed: 0",)
    ),
    "credit_risk": _Source(path=FOLDER / "credit_risk.csv", target="loan_status"),
}
SETS = tuple(_SOURCES)


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditSet:
    """All rows of a set and the positions of its parts."""

    name: str
    schema: Schema
    frame: pd.DataFrame
    """Features only: float64 and text."""
    y: NDArray[np.float32]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def categories(self) -> list[str]:
        """Names of the categorical columns."""
        return [column.name for column in self.schema.features if column.kind is Kind.CATEGORICAL]


def available() -> list[str]:
    """Names of the sets whose file is there."""
    return [name for name, source in _SOURCES.items() if source.path.exists()]


def load(name: str) -> CreditSet:
    """A set, split 64/16/20, stratified, in file order with the seeds 1000 (test) and 0 (validation)."""
    source = _SOURCES[name]
    frame = pd.read_csv(source.path).drop(columns=list(source.dropped))
    y = frame.pop(source.target).to_numpy(dtype=np.float32)
    columns = []
    for column in frame.columns:
        if column in source.categories or not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].astype("str")
            columns.append(Column(name=column, kind=Kind.CATEGORICAL, open=True, nullable=True))
        else:
            frame[column] = frame[column].astype(np.float64)
            columns.append(Column(name=column, kind=Kind.NUMERICAL, nullable=True))
    rest, test = train_test_split(np.arange(len(y)), test_size=0.2, random_state=1000, stratify=y)
    train, validation = train_test_split(rest, test_size=0.2, random_state=0, stratify=y[rest])
    return CreditSet(
        name=name,
        schema=Schema(name=name, columns=tuple(columns)),
        frame=frame,
        y=y,
        train=train,
        validation=validation,
        test=test,
    )
