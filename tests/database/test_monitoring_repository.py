"""Monitored hours over every database: an hour that is computed again replaces itself."""

from datetime import UTC, datetime, timedelta

import pytest

from loan_default.database.monitoring_documents import MonitoredHour, Realised, StoredSignal, hour_id
from loan_default.database.monitoring_repository import MonitoringRepository

NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hour_of(number, version="m-1", **values):
    fields = {
        "version": version,
        "digest": "ab" * 32,
        "begins_at": NOON + number * HOUR,
        "computed_at": NOON + number * HOUR,
        "rows": 10,
        "cutoff": 0.2,
        "level": "insufficient",
        "assessed_rows": 10,
        "assessed_since": NOON,
        **values,
    }
    return MonitoredHour(**fields)


@pytest.fixture
def hours(database):
    hours = MonitoringRepository(database)
    for _ in range(2):
        hours.ensure_indexes()
    return hours


def test_an_hour_is_replaced_by_what_is_computed_later(hours):
    hours.put(hour_of(0))
    signal = StoredSignal(
        measured="score_psi", value=0.3, critical=0.03, limit=0.1, level="act", sentence="PSI is 0.300."
    )
    realised = Realised(since=NOON, rows=50, bads=9, mean_pd=0.2, bad_rate=0.18)
    later = hour_of(0, rows=500, level="act", signals=(signal,), realised=realised, score_psi=0.3)
    hours.put(later)
    assert hours.count() == 1
    assert hours.get(hour_id("m-1", NOON)) == later


def test_the_hours_of_a_model_come_back_the_newest_first(hours):
    for number in (1, 0, 2):
        hours.put(hour_of(number))
    hours.put(hour_of(5, version="m-2"))
    assert [each.begins_at for each in hours.of_model("m-1")] == [NOON + n * HOUR for n in (2, 1, 0)]
    assert [each.begins_at for each in hours.of_model("m-1", since=NOON + HOUR, limit=1)] == [NOON + 2 * HOUR]
    assert hours.of_model("m-3") == []


def test_the_last_training_that_was_asked_for_is_that_of_any_model(hours):
    assert hours.last_retraining() is None
    hours.put(hour_of(0, retraining="a", retraining_at=NOON))
    hours.put(hour_of(7, version="m-2", retraining="b", retraining_at=NOON + 7 * HOUR))
    hours.put(hour_of(9))
    assert hours.last_retraining() == NOON + 7 * HOUR
