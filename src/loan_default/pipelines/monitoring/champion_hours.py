"""The hours of a champion: computed from the training store, stored, and published where they show drift.

    hours = monitor_champion(services, home=home, load=load, policy=policy, cutoff=0.2, now=datetime.now(UTC))

An hour is computed again until it is over, and what was missed is caught up with, a week at most. Facts and
requests go out before the hour is stored, under ids that are made of it: whoever dies in between does the
same again.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from loan_default.data.datasets.arrivals import read_arrivals
from loan_default.database.documents import ModelMetadata
from loan_default.database.monitoring_documents import MonitoredHour, Realised
from loan_default.database.monitoring_repository import MonitoringRepository
from loan_default.database.repositories import ModelRepository
from loan_default.evaluation.drift import DriftLimits, overall
from loan_default.models.frozen_model import FrozenModel
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.monitoring.drift_alarms import act_on, outcome_signals
from loan_default.pipelines.monitoring.hour_samples import (
    ScoredArrivals,
    columns_of,
    count_sample,
    drift_of,
    estimated,
    score_arrivals,
    score_psi,
    stored,
)
from loan_default.pipelines.monitoring.realised_performance import realised_performance
from loan_default.pipelines.services import Services
from loan_default.thresholds import DriftPolicy

HOUR = timedelta(hours=1)
FURTHEST = timedelta(days=7)
"""How far back applications are read, to catch up and to have enough rows."""
_MANY_OUTCOMES = 20_000
"""Outcomes from which on the realised performance is computed once a day."""

log = structlog.get_logger()


def monitor_champion(
    services: Services,
    *,
    home: Path,
    load: Callable[[ModelMetadata], FrozenModel],
    policy: DriftPolicy,
    cutoff: float,
    now: datetime,
) -> list[MonitoredHour]:
    """Compute and store the hours of the champion that are not over yet or were missed, the oldest first.

    Args:
        home: folder of the training store.
        load: returns the model of a registered file; an ArtifactError of it passes through.
        cutoff: PD up to which an application counts as approved.

    Returns:
        The hours; none without a champion.

    Raises:
        DependencyError: the database or the broker is away.
        DataError: a part of the training store is damaged.
    """
    champion = ModelRepository(services.database).champion()
    if champion is None:
        return []
    metadata = ModelRepository(services.database).get(champion.version)
    model, repository = load(metadata), MonitoringRepository(services.database)
    known = repository.of_model(metadata.version, limit=int(FURTHEST / HOUR))
    begin = max(metadata.created_at, now - FURTHEST)
    first = known[0].begins_at if known else _hour(begin)
    first = max(first, _hour(begin))
    needed = _since(known, first, rows=policy.drift_rows)
    arrived = read_arrivals(
        home / TRAINING_STORE, model.schema, since=max(begin, needed), until=now + timedelta(minutes=1)
    )
    arrivals = score_arrivals(model, arrived.frame, arrived.times)
    limits = DriftLimits(psi=(policy.drift_warning, policy.drift_action))
    before = next((each for each in known if each.begins_at < first), None)
    same = known[0] if known and known[0].begins_at == first else None
    results = []
    hours = _hours(first, now)
    realised = _realised(services, metadata, before, home=home, now=now)
    for at in hours:
        hour = _computed(
            model,
            arrivals,
            at,
            earliest=max(_hour(begin), needed),
            realised=realised if at == hours[-1] else None,
            cutoff=cutoff,
            limits=limits,
            policy=policy,
            now=now,
        )
        if same is not None and same.begins_at == at and same.retraining is not None:
            hour = hour.model_copy(
                update={"retraining": same.retraining, "retraining_at": same.retraining_at}
            )
        hour = act_on(services, hour, seen=[each for each in (before, same) if each], policy=policy, now=now)
        repository.put(hour)
        log.info("hour_monitored", version=hour.version, hour=hour.id, rows=hour.rows, level=hour.level)
        results.append(hour)
        before, same = hour, None
    return results


def _computed(
    model: FrozenModel,
    arrivals: ScoredArrivals,
    at: datetime,
    *,
    earliest: datetime,
    realised: Realised | None,
    cutoff: float,
    limits: DriftLimits,
    policy: DriftPolicy,
    now: datetime,
) -> MonitoredHour:
    own = arrivals.between(at, at + HOUR)
    since, sample = at, own
    while len(sample.frame) < policy.drift_rows and since > earliest:
        since -= HOUR
        sample = arrivals.between(since, at + HOUR)
    signals = drift_of(
        sample.frame,
        sample.pds,
        features=model.features,
        reference=model.reference,
        cutoff=cutoff,
        limits=limits,
    )
    signals = (*signals, *outcome_signals(realised, limits=limits))
    counted = count_sample(model, own)
    rows = len(own.frame)
    return MonitoredHour(
        version=model.version,
        digest=model.digest,
        begins_at=at,
        computed_at=now,
        rows=rows,
        score_psi=score_psi(counted),
        mean_pd=float(own.pds.mean()) if rows else None,
        approval_rate=float((own.pds <= cutoff).mean()) if rows else None,
        cutoff=cutoff,
        columns=tuple(columns_of(counted)),
        estimated=estimated(sample.pds, fewest_rows=limits.fewest_rows),
        level=str(overall(signals)),
        assessed_rows=len(sample.frame),
        assessed_since=since,
        signals=tuple(stored(each) for each in signals),
        realised=realised,
    )


def _realised(
    services: Services, model: ModelMetadata, before: MonitoredHour | None, *, home: Path, now: datetime
) -> Realised | None:
    """The realised performance as of now; that of the hour before where computing it again is too much."""
    last = None if before is None else before.realised
    is_of_today = before is not None and before.computed_at.date() == now.date()
    if last is not None and last.rows >= _MANY_OUTCOMES and is_of_today:
        return last
    target = services.schema.target
    return realised_performance(
        services.database,
        model.version,
        store=home / TRAINING_STORE,
        target=None if target is None else target.name,
        since=model.created_at,
        now=now,
    )


def _since(known: Sequence[MonitoredHour], first: datetime, *, rows: int) -> datetime:
    """The hour from which on applications must be read so that the first hour has enough rows to assess."""
    since, found = first, 0
    for each in known:
        if each.begins_at < first and found < rows:
            since, found = each.begins_at, found + each.rows
    return since


def _hours(first: datetime, now: datetime) -> list[datetime]:
    count = int((_hour(now) - first) / HOUR) + 1
    return [first + number * HOUR for number in range(count)]


def _hour(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
