"""Predictions that have been measured: one file for each (set, model, seed)."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from loan_default.files import write_atomically

FOLDER = Path(__file__).resolve().parents[1] / "build" / "quality"

Arrays = Mapping[str, NDArray[np.float64]]


def kept_path(folder: Path, name: str, model: str, seed: int) -> Path:
    """Where the arrays of a measurement lie."""
    return folder / f"{name}-{model}-{seed}.npz"


def keep(path: Path, arrays: Mapping[str, ArrayLike], *, seconds: float) -> None:
    """Write arrays and how long they took, whole or not at all."""
    content = io.BytesIO()
    named: dict[str, Any] = {name: np.asarray(each) for name, each in arrays.items()}
    np.savez(content, seconds=seconds, **named)
    write_atomically(path, content.getvalue())


def kept_runs(folder: Path, name: str, model: str, *, seeds: int) -> dict[int, Arrays]:
    """Seed -> its arrays, of those seeds that have been measured."""
    measured = [seed for seed in range(seeds) if kept_path(folder, name, model, seed).exists()]
    return {seed: kept_run(folder, name, model, seed) for seed in measured}


def kept_run(folder: Path, name: str, model: str, seed: int) -> Arrays:
    """The arrays of one measurement.

    Raises:
        FileNotFoundError: it has not been made.
    """
    with np.load(kept_path(folder, name, model, seed)) as arrays:
        return dict(arrays)
