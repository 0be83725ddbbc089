"""The page on drift over time, for people: what was measured hour by hour, and what it asks for now."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from markupsafe import Markup

from loan_default.errors import DataError
from loan_default.evaluation.charts import Line
from loan_default.evaluation.hours_chart import hours_chart
from loan_default.evaluation.pages import page_templates
from loan_default.thresholds import DriftPolicy

Hour = Mapping[str, Any]
"""The fields of a monitored hour, as its document has them."""

MOST_COLUMNS = 20
"""Columns in the table over time, those that moved most; the others are counted."""
MOST_HOURS = 10
"""Hours in that table, the last ones."""
MOST_SIGNALS = 15
"""Measures in the table of the latest sample, those that ask for most; the others are counted."""
_DAY_SECONDS = 86_400
_WORDS = {
    "ok": "No drift beyond chance.",
    "insufficient": "Too few applications to say anything yet.",
    "warn": "The applications have moved: somebody should look.",
    "act": "The applications are no longer those of the training: act.",
}


def render_drift_page(
    hours: Sequence[Hour], *, version: str, policy: DriftPolicy, written_at: datetime
) -> str:
    """Render the hours of one model as an HTML page without scripts and links.

    Args:
        hours: at least one, the oldest first.
        version: version of the model.
        policy: its limits are drawn.

    Raises:
        DataError: there are no hours.
    """
    if not hours:
        raise DataError("a page on drift must have at least one hour, however: there is none")
    last = hours[-1]
    shown = hours[-MOST_HOURS:]
    columns = _columns(shown)
    page = {
        "version": version,
        "written_at": written_at,
        "first": hours[0],
        "last": last,
        "lead": _WORDS[last["level"]],
        "policy": policy,
        "charts": {name: Markup(svg) for name, svg in _charts(hours, policy).items()},  # noqa: S704
        "shown": shown,
        "columns": columns[:MOST_COLUMNS],
        "others": max(0, len(columns) - MOST_COLUMNS),
        "signals": last["signals"][:MOST_SIGNALS],
        "other_signals": max(0, len(last["signals"]) - MOST_SIGNALS),
        "assessed_psi": _psi_of(last).get(None),
        "rows": sum(hour["rows"] for hour in hours),
        "alarms": [hour for hour in hours if hour["level"] in ("warn", "act")][::-1],
    }
    return page_templates().get_template("drift.html").render(page).lstrip()


def _columns(hours: Sequence[Hour]) -> list[dict[str, Any]]:
    """Each column with its PSI by hour, that with the highest latest one first; None = too few rows."""
    by_hour = [_psi_of(hour) for hour in hours]
    names = {name: None for columns in by_hour for name in columns if name is not None}
    found = [{"name": name, "cells": [columns.get(name) for columns in by_hour]} for name in names]
    return sorted(found, key=lambda column: -(_last(column["cells"]) or 0.0))


def _psi_of(hour: Hour) -> dict[str | None, float]:
    """PSI of the sample that was assessed in an hour, by column; None = the score."""
    return {
        signal["column"]: signal["value"]
        for signal in hour["signals"]
        if signal["measured"] in ("score_psi", "column_psi")
    }


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _charts(hours: Sequence[Hour], policy: DriftPolicy) -> dict[str, str]:
    drawn = {
        "psi": hours_chart(
            "psi",
            [_line("score", hours, lambda hour: _psi_of(hour).get(None))],
            y_label="PSI of the score",
            limits={"warns": policy.drift_warning, "asks for action": policy.drift_action},
            label="Population stability index of the score by hour.",
        ),
        "rates": hours_chart(
            "rates",
            [
                _line("mean PD", hours, lambda hour: hour["mean_pd"]),
                _line("approval rate", hours, lambda hour: hour["approval_rate"]),
            ],
            y_label="share",
            label="Mean PD and approval rate by hour.",
        ),
    }
    if any(hour["estimated"] or hour["realised"] for hour in hours):
        drawn["performance"] = hours_chart(
            "performance",
            [
                _line("estimated without outcomes", hours, lambda hour: _of(hour["estimated"], "auc")),
                _line("from outcomes", hours, lambda hour: _of(hour["realised"], "auc")),
            ],
            y_label="AUC",
            label="AUC by hour: estimated from the PDs, and from outcomes where they have come.",
        )
    return drawn


def _line(name: str, hours: Sequence[Hour], value: Any) -> Line:
    points = [(hour["begins_at"].timestamp() / _DAY_SECONDS, value(hour)) for hour in hours]
    return Line(
        name=name,
        x=np.array([at for at, _ in points], np.float64),
        y=np.array([np.nan if number is None else number for _, number in points], np.float64),
    )


def _of(part: Mapping[str, Any] | None, name: str) -> float | None:
    return None if part is None else part[name]
