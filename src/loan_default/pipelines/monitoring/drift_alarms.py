"""What follows from drift: a fact on `commands`, and by the policy a request to train.

An alarm is published when the level rises, not again in each hour that it lasts. A training is asked for in
any hour whose level the policy names, unless one was asked for within the cooldown: a training that did not
help is asked for again afterwards.
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta

import structlog

from loan_default.database.monitoring_documents import MonitoredHour, Realised
from loan_default.database.monitoring_repository import MonitoringRepository
from loan_default.evaluation.delong import Z_95
from loan_default.evaluation.drift import (
    FALSE_ALARMS,
    DriftLevel,
    DriftLimits,
    Signal,
    default_rate_signal,
    realised_auc_signal,
)
from loan_default.kafka.control_events import Command, CommandType, FactType, publish_fact, request
from loan_default.pipelines.services import Services
from loan_default.thresholds import DriftPolicy

_ORDER = {str(level): rank for rank, level in enumerate(DriftLevel)}
_ALARMS = frozenset({str(DriftLevel.WARN), str(DriftLevel.ACT)})
_SENTENCES = 10
"""Measures that a fact names at most."""
_FEWEST_BADS = 30
"""Defaults among the outcomes without which their rate says too little."""

log = structlog.get_logger()


def outcome_signals(realised: Realised | None, *, limits: DriftLimits | None = None) -> tuple[Signal, ...]:
    """Compare predictions whose outcomes have come with their PDs; empty = too few.

    The default rate shows a wrong level, the AUC a wrong order. Together they give a false alarm as often as
    a sample of applications does.
    """
    limits = limits or DriftLimits()
    if realised is None or realised.rows < limits.fewest_rows or realised.bads < _FEWEST_BADS:
        return ()
    level = default_rate_signal(
        bads=realised.bads,
        rows=realised.rows,
        mean_pd=realised.mean_pd,
        limits=limits,
        false_alarms=FALSE_ALARMS / 2,
    )
    if (
        realised.auc is None
        or realised.auc_low is None
        or realised.auc_high is None
        or realised.expected_auc is None
    ):
        return (level,)
    order = realised_auc_signal(
        auc=realised.auc,
        error=(realised.auc_high - realised.auc_low) / (2 * Z_95),
        expected=realised.expected_auc,
        limits=limits,
        false_alarms=FALSE_ALARMS / 2,
    )
    return (level, order)


def act_on(
    services: Services,
    hour: MonitoredHour,
    *,
    seen: Sequence[MonitoredHour],
    policy: DriftPolicy,
    now: datetime,
) -> MonitoredHour:
    """Publish an alarm where an hour has a higher level than what was seen, and ask for a training.

    Args:
        seen: the hour before, and what was stored of this hour earlier.

    Returns:
        The hour, with the id of the command where a training was asked for.

    Raises:
        DependencyError: the database or the broker is away.
    """
    highest = max((_ORDER[each.level] for each in seen), default=-1)
    if hour.level in _ALARMS and _ORDER[hour.level] > highest:
        _publish(services, hour)
    if not _asks_for_training(hour, policy) or hour.retraining is not None:
        return hour
    last = MonitoringRepository(services.database).last_retraining()
    if last is not None and now - last < timedelta(hours=policy.retrain_cooldown_hours):
        log.info("retraining_waits", hour=hour.id, last=last.isoformat())
        return hour
    if services.replays is not None:  # a broker in memory, on which nobody else hears of it
        log.warning("retraining_needs_a_broker", hour=hour.id, level=hour.level)
        return hour
    return _request_training(services, hour, now)


def _publish(services: Services, hour: MonitoredHour) -> None:
    alarming = [each for each in hour.signals if each.level in _ALARMS]
    publish_fact(
        services.broker,
        FactType.DRIFTED,
        version=hour.version,
        metrics={
            "level": hour.level,
            "hour": hour.begins_at.isoformat(),
            "rows": hour.assessed_rows,
            "since": hour.assessed_since.isoformat(),
            "signals": [each.sentence for each in alarming[:_SENTENCES]],
            "signals_in_all": len(alarming),
        },
        occasion=f"{hour.begins_at:%Y-%m-%dT%H}/{hour.level}",
    )
    log.warning("model_drifted", version=hour.version, hour=hour.id, level=hour.level, signals=len(alarming))


def _asks_for_training(hour: MonitoredHour, policy: DriftPolicy) -> bool:
    return (
        policy.retrain_on_drift != "off"
        and hour.level in _ALARMS
        and _ORDER[hour.level] >= _ORDER[policy.retrain_on_drift]
    )


def _request_training(services: Services, hour: MonitoredHour, now: datetime) -> MonitoredHour:
    command = Command(
        id=f"drift-{hour.version}-{hour.begins_at:%Y%m%dT%H}",
        type=CommandType.TRAIN,
        source="loan-default",
        time=now,
        data={},
    )
    with closing(services.broker.producer()) as producer:
        producer.deliver([request(command)])
    log.info("retraining_requested", command=command.id, level=hour.level)
    return hour.model_copy(update={"retraining": command.id, "retraining_at": now})
