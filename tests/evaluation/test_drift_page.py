import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loan_default.errors import DataError
from loan_default.evaluation.charts import Line
from loan_default.evaluation.drift_page import MOST_COLUMNS, MOST_SIGNALS, render_drift_page
from loan_default.evaluation.hours_chart import hours_chart
from loan_default.thresholds import DriftPolicy

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def hour(number, level="ok", *, signals=(), **values):
    return {
        "begins_at": NOON + timedelta(hours=number),
        "rows": 1234,
        "score_psi": 0.04,
        "mean_pd": 0.213,
        "approval_rate": 0.66,
        "cutoff": 0.2,
        "level": level,
        "assessed_rows": 1234,
        "assessed_since": NOON,
        "signals": list(signals),
        "estimated": {"auc": 0.77, "brier": 0.14, "mean_pd": 0.2},
        "realised": None,
        "retraining": None,
        **values,
    }


def signal(column, value, level="ok", measured="column_psi"):
    return {
        "measured": measured,
        "column": column,
        "value": value,
        "expected": None,
        "critical": 0.03,
        "limit": 0.1,
        "level": level,
        "sentence": f"PSI of {column} is {value:.3f}.",
    }


def page(hours):
    return render_drift_page(hours, version="m-1", policy=DriftPolicy(), written_at=NOON)


@pytest.mark.slow
def test_it_says_what_the_latest_hour_asks_for_and_stands_alone():
    measures = [signal("income", 0.412, "act"), signal(None, 0.07, measured="score_psi")]
    realised = {
        "since": NOON, "rows": 1900, "bads": 400, "mean_pd": 0.19, "bad_rate": 0.2105,
        "auc": 0.741, "auc_low": 0.72, "auc_high": 0.76, "brier": 0.15,
    }  # fmt: skip
    text = page(
        [hour(0), hour(1, "act", signals=measures, realised=realised, retraining="drift-m-1-20261123T13")]
    )
    assert "The applications are no longer those of the training: act." in text
    assert "0.412" in text
    assert "PSI of income is 0.412." in text
    assert "drift-m-1-20261123T13" in text
    assert "1,900 predictions" in text
    assert "0.741 (0.720 to 0.760)" in text
    assert text.count("<svg") == 3
    assert "<script" not in text
    assert not re.search(r'(?:src|href)="(?!#)', text)


@pytest.mark.slow
def test_without_enough_rows_it_says_so():
    text = page([hour(0, "insufficient", estimated=None, mean_pd=None, approval_rate=None, score_psi=None)])
    assert "Too few applications to say anything yet." in text
    assert "nothing is measured yet" in text
    assert text.count("<svg") == 2


@pytest.mark.slow
def test_names_are_escaped_and_what_is_left_out_is_counted():
    many = [signal(f"<b>{at}", 0.5 - at / 100, "act") for at in range(MOST_COLUMNS + 4)]
    text = page([hour(0, "act", signals=many)])
    assert "<b>1" not in text
    assert f"{len(many) - MOST_SIGNALS} more measures" in text
    assert "4 more columns moved less." in text


def test_no_hours_make_no_page():
    with pytest.raises(DataError, match="at least one hour"):
        page([])


@pytest.mark.slow
def test_a_chart_of_hours_is_the_same_for_the_same_hours_and_has_gaps_where_nothing_was_measured():
    days = [NOON.timestamp() / 86_400 + number / 24 for number in range(4)]
    lines = [
        Line(name="score", x=days, y=[0.1, np.nan, 0.3, 0.2]),
        Line(name="never measured", x=days, y=[np.nan] * 4),
    ]
    drawn = [
        hours_chart("psi", lines, label="PSI", y_label="PSI", limits={"warns": 0.1, "acts": 0.25})
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert "warns" in drawn[0]
    assert "never measured" not in drawn[0]
