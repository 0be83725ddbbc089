"""What is kept of figures, and which of a model's figures are shown."""

from collections.abc import Iterable, Mapping
from typing import Any

from loan_default.database.documents import DatasetName, PerformanceMetrics, finite_figures

_COUNTS = frozenset({"rows", "bads"})


def figures_to_store(measured: Mapping[str, Any]) -> tuple[dict[str, float | None], dict[str, str]]:
    """The figures without the counts, and a reason for each that does not exist."""
    return finite_figures({name: value for name, value in measured.items() if name not in _COUNTS})


def on_unseen_rows(metrics: Iterable[PerformanceMetrics]) -> PerformanceMetrics | None:
    """The first of these that was computed on rows that the model had not seen; None where none was."""
    return next((each for each in metrics if each.dataset is not DatasetName.VALIDATION), None)
