"""Records in, answers out: who answers for each record, by which model's schema, and what is kept of it.

All doors call `answer`, so the same application gets the same PD on each of them.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from loan_default.data.schema.column import Column
from loan_default.data.schema.language import Schema
from loan_default.data.schema.records import RecordError
from loan_default.data.schema.values import value_reader
from loan_default.database.experiment_documents import Mode
from loan_default.database.serving_documents import Door, Group, Prediction
from loan_default.evaluation.metrics import score_points
from loan_default.serving.lineup import Lineup, Scorer

Record = Mapping[str, Any]
_Canonical = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The score of one record."""

    prediction: Prediction
    """What is kept of it; also what a caller gets to know: PD, points, version, digest, group."""
    record: Record
    """The record as it came; `shadow` reads it by the challenger's schema."""
    unit: str | None
    """Who is routed, see `applicant_of`."""

    @property
    def pd(self) -> float:
        """Probability of default."""
        return self.prediction.pd

    @property
    def points(self) -> float:
        """Score points: more are better."""
        return self.prediction.points

    @property
    def version(self) -> str:
        """Version of the model that answered."""
        return self.prediction.version

    @property
    def digest(self) -> str | None:
        """SHA-256 of the artefact of the model that answered."""
        return self.prediction.digest

    @property
    def group(self) -> Group:
        """The group that the applicant is in."""
        return self.prediction.group

    @property
    def experiment(self) -> str | None:
        """Id of the experiment that was running, None without one."""
        return self.prediction.experiment


def answer(
    lineup: Lineup,
    records: Sequence[Record],
    *,
    event_ids: Sequence[str],
    door: Door,
    now: datetime,
    applications: Sequence[str | None] | None = None,
    request_digest: str | None = None,
    started: float | None = None,
) -> list[Answer | RecordError]:
    """Score records; each gets an answer, or the rules that it breaks, in the order in which they are given.

    A record is validated by the schema of the model that answers for it. One bad record changes nothing for
    its neighbours, and each model scores its records in one batch.

    Args:
        event_ids: an id for each record; the same event scored again by the same version is one prediction.
        now: time of the scoring.
        applications: ids of the applications; None = those that the records name.
        request_digest: SHA-256 of the request, where requests can be repeated.
        started: `time.monotonic()` at which the records arrived; None = the latency is not kept.
    """
    if len(event_ids) != len(records):
        raise ValueError(
            f"each record must have an event id, however: records={len(records)}, event_ids={len(event_ids)}"
        )
    rows = _routed(lineup, records)
    scored = {number: each for group in Group for number, each in _scored(lineup, rows, group)}
    latency = None if started is None else time.monotonic() - started
    experiment = None if lineup.trial is None else lineup.trial.id
    answers: list[Answer | RecordError] = []
    for number, (record, row) in enumerate(zip(records, rows, strict=True)):
        if isinstance(row.read, RecordError):
            answers.append(row.read)
            continue
        scorer, score = lineup.scorer_of(row.group), scored[number]
        own = _application(row.read, scorer.schema) if applications is None else applications[number]
        prediction = Prediction(
            event=event_ids[number],
            application=own,
            version=scorer.version,
            digest=scorer.digest,
            pd=score.pd,
            points=score.points,
            group=row.group,
            experiment=experiment,
            door=door,
            scored_at=now,
            features_digest=score.features_digest,
            latency_seconds=latency,
            request_digest=request_digest,
        )
        answers.append(Answer(prediction=prediction, record=record, unit=row.unit))
    return answers


def shadow(lineup: Lineup, answers: Sequence[Answer | RecordError]) -> list[Prediction]:
    """Score answered records by the challenger of an experiment in shadow; call it once the answers are out.

    Returns the predictions to keep: none without such an experiment, and none of a record that breaks the
    challenger's schema. Records that name nobody are drawn by their event.
    """
    trial = lineup.trial
    if trial is None or trial.mode is not Mode.SHADOW:
        return []
    mirrored = [
        each
        for each in answers
        if isinstance(each, Answer) and trial.takes(each.unit or each.prediction.event)
    ]
    if not mirrored:
        return []
    read = trial.challenger.read([each.record for each in mirrored])
    pairs = [(each, row) for each, row in zip(mirrored, read, strict=True) if isinstance(row, dict)]
    if not pairs:
        return []
    scores = _scores(trial.challenger, [row for _, row in pairs])
    return [
        each.prediction.model_copy(
            update={
                "version": trial.challenger.version,
                "digest": trial.challenger.digest,
                "pd": score.pd,
                "points": score.points,
                "group": Group.SHADOW,
                "features_digest": score.features_digest,
                "latency_seconds": None,
            }
        )
        for (each, _), score in zip(pairs, scores, strict=True)
    ]


def applicant_of(canonical: Mapping[str, Any], schema: Schema) -> str | None:
    """Return who is routed: the applicant where the schema names one, else the application; None = nobody."""
    values = [canonical.get(column.name) for column in _naming_columns(schema)]
    if all(value is None for value in values):
        return None
    return "\0".join("" if value is None else str(value) for value in values)


def digested_columns(schema: Schema) -> tuple[str, ...]:
    """Return the columns that decide a PD: the features, and the time where a feature is made from it."""
    names = [column.name for column in schema.features]
    if schema.timestamp is not None and any(column.derive for column in schema.features):
        names.append(schema.timestamp.name)
    return tuple(names)


def features_digest(canonical: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Return the SHA-256 of these columns of a canonical record, see `digested_columns`."""
    features = {name: canonical.get(name) for name in columns}
    return hashlib.sha256(orjson.dumps(features, option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Score:
    pd: float
    points: float
    features_digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    group: Group
    unit: str | None
    read: _Canonical | RecordError


def _scored(lineup: Lineup, rows: Sequence[_Row], group: Group) -> Iterator[tuple[int, _Score]]:
    """Yield the number and the score of each row of a group that can be read."""
    readable = {
        number: row.read
        for number, row in enumerate(rows)
        if row.group is group and isinstance(row.read, dict)
    }
    if readable:
        yield from zip(readable, _scores(lineup.scorer_of(group), list(readable.values())), strict=True)


def _scores(scorer: Scorer, canonical: Sequence[_Canonical]) -> list[_Score]:
    """Score canonical records in one batch; points are those of a file of scores."""
    pds, columns = scorer.score(canonical), digested_columns(scorer.schema)
    points = score_points(pds).round(2)
    return [
        _Score(pd=pd, points=each, features_digest=features_digest(row, columns))
        for pd, each, row in zip(pds.tolist(), points.tolist(), canonical, strict=True)
    ]


def _routed(lineup: Lineup, records: Sequence[Record]) -> list[_Row]:
    """Find who answers for each record, and read it by that model's schema."""
    champion, rows = lineup.champion, []
    for record, read in zip(records, champion.read(records), strict=True):
        unit = _unit(record, read, champion)
        rows.append(_Row(group=lineup.group_of(unit), unit=unit, read=read))
    challenged = [number for number, row in enumerate(rows) if row.group is Group.CHALLENGER]
    if challenged:
        again = lineup.scorer_of(Group.CHALLENGER).read([records[number] for number in challenged])
        for number, read in zip(challenged, again, strict=True):
            rows[number] = _Row(group=Group.CHALLENGER, unit=rows[number].unit, read=read)
    return rows


def _unit(record: Record, read: _Canonical | RecordError, champion: Scorer) -> str | None:
    """Return who is routed, also of a record that the champion cannot read: the challenger may."""
    schema = champion.schema
    if isinstance(read, dict):
        return applicant_of(read, schema)
    if not isinstance(record, Mapping):
        return None
    columns = _naming_columns(schema)
    return applicant_of({each.name: value_reader(each)(record.get(each.name))[0] for each in columns}, schema)


def _naming_columns(schema: Schema) -> tuple[Column, ...]:
    """Return the columns that say who applies."""
    return schema.groups or ((schema.identifier,) if schema.identifier else ())


def _application(canonical: Mapping[str, Any], schema: Schema) -> str | None:
    identifier = schema.identifier
    value = None if identifier is None else canonical.get(identifier.name)
    return None if value is None else str(value)
