"""The batch door: what is kept of the rows of a file that was scored.

The ids are made of the file's content and the row's number, so a file that is scored again by the same model
is kept once. A batch takes no part in an experiment: one model scores the whole file.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.schema.column import TIME_KINDS
from loan_default.data.schema.language import Schema
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Prediction
from loan_default.evaluation.metrics import score_points
from loan_default.serving.answering import digested_columns, features_digest

if TYPE_CHECKING:  # it brings torch
    from loan_default.pipelines.scoring.file_scoring import Keep

_FILE_DIGITS = 16
"""Digits of the file's digest in an event id."""


def batch_keeper(
    predictions: PredictionRepository, *, file_digest: str, version: str, digest: str, schema: Schema
) -> "Keep":
    """Return a function that stores predictions of rows of one file.

    It raises DependencyError where the store is away: then no scores are given.

    Args:
        file_digest: SHA-256 of the file of applications.
        version, digest: those of the model.
        schema: the model's.
    """

    def keep(rows: pd.DataFrame, pds: NDArray[np.float64]) -> None:
        now = datetime.now(UTC)
        identifier = schema.identifier
        named = identifier is not None and identifier.name in rows.columns
        names = rows[identifier.name].tolist() if named and identifier is not None else [None] * len(rows)
        predictions.add_new(
            [
                Prediction(
                    event=f"{file_digest[:_FILE_DIGITS]}-{number}",
                    application=None if name is None or pd.isna(name) else str(name),
                    version=version,
                    digest=digest,
                    pd=pd_,
                    points=points,
                    door=Door.BATCH,
                    scored_at=now,
                    features_digest=features,
                )
                for number, name, pd_, points, features in zip(
                    rows.index.tolist(),
                    names,
                    pds.tolist(),
                    score_points(pds).round(2).tolist(),
                    _digests(rows, schema),
                    strict=True,
                )
            ]
        )

    return keep


def _digests(rows: pd.DataFrame, schema: Schema) -> list[str]:
    """Return for each row the digest that its record has at the other doors."""
    columns = digested_columns(schema)
    values = [_plain(rows, name, schema) for name in columns]
    return [
        features_digest(dict(zip(columns, row, strict=True)), columns) for row in zip(*values, strict=True)
    ]


def _plain(rows: pd.DataFrame, name: str, schema: Schema) -> list[Any]:
    """Return a column as records have it: None for what is missing, times as datetimes."""
    if name not in rows.columns:
        return [None] * len(rows)
    column = rows[name]
    missing = column.isna().tolist()
    values: list[Any] = column.tolist()
    if schema[name].kind in TIME_KINDS:
        values = [
            None if gone else value.to_pydatetime() for value, gone in zip(values, missing, strict=True)
        ]
    return [None if gone else value for value, gone in zip(values, missing, strict=True)]
