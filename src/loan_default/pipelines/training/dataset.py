"""Rows to train on: from a file or the training store, validated, without duplicates, each one counted."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.datasets.duplicates import drop_duplicates
from loan_default.data.datasets.row_hashing import DIGEST_VERSION, digest_of
from loan_default.data.datasets.store_files import short_names
from loan_default.data.datasets.training_store import read_store
from loan_default.data.schema.column import Column
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.frames import RawFrame, Validation, rejected_for, validate
from loan_default.data.schema.language import Schema
from loan_default.data.schema.values import as_text, category_lookup, fold, is_missing
from loan_default.data.sources.sniffing import format_for
from loan_default.data.sources.table_files import iter_frames
from loan_default.database.documents import TrainingData
from loan_default.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Rows to train on, and what became of the others: read = accepted + quarantined + duplicates."""

    schema: Schema
    source: str
    """Name of the file, or `the training store`."""
    frame: pd.DataFrame
    """Canonical frame of the accepted rows; the index is the row number in the file or the store, from 0."""
    quarantined: pd.DataFrame
    """Rows that broke the schema, with their reasons and values as text."""
    reasons: Mapping[str, int]
    """Broken rule -> rows."""
    rows_read: int
    duplicates: int
    ignored_columns: tuple[str, ...]
    digest: str
    """SHA-256 of the accepted rows."""
    period: tuple[datetime, datetime] | None
    """Times of the first and the last application; None where they are not known."""
    footer_lines: int = 0
    """Lines at the end of the file that are no rows."""
    parts: tuple[str, ...] = ()
    """Names of the parts of the training store that the rows are from; see `store_files.short_names`."""
    not_known_yet: Mapping[str, int] = field(default_factory=dict)
    """Value of the target that is no outcome yet -> accepted rows; "" = none was given. Empty for the store,
    which keeps labels only."""
    declined: NDArray[np.int64] = field(default_factory=lambda: np.arange(0))
    """Ascending positions of the accepted rows whose applications were declined. Empty for the store."""

    @property
    def labels(self) -> NDArray[np.float64]:
        """(accepted rows,), 1 = default, 0 = none, NaN = not known."""
        assert self.schema.target is not None
        return self.frame[self.schema.target.name].to_numpy(dtype=np.float64)

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """(accepted rows,), how much each row counts, known where its label is; None = the schema has no
        weight, all count alike."""
        if self.schema.weight is None:
            return None
        return self.frame[self.schema.weight.name].to_numpy(dtype=np.float64)


class EmptyStoreError(DataError):
    """The training store holds no application yet, or none of the time that was asked for."""


def _empty_store(folder: Path, *, since: datetime | None, until: datetime | None) -> EmptyStoreError:
    if since is None and until is None:
        return EmptyStoreError(
            f"the training store must hold applications, however: {folder} has none. `loan-default ingest` "
            "brings them."
        )
    bounds = [f"from {since.isoformat()} on"] if since is not None else []
    bounds += [f"before {until.isoformat()}"] if until is not None else []
    return EmptyStoreError(
        f"the training store must hold applications of the time that was asked for, however: {folder} has "
        f"none {' and '.join(bounds)}. Ask for another time, or bring them by `loan-default ingest`."
    )


def load_store(
    folder: Path,
    schema: Schema,
    *,
    maturity_days: int,
    now: datetime,
    only: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Dataset:
    """The applications of the training store.

    They have passed the schema that they came with; the present one may be stricter, or read a value as a
    code. So their features are validated once more.

    Args:
        maturity_days: age from which on an application's label counts.
        only: names of the files to read; None = all.
        since, until: applications from that time on, and before that time; None = all.

    Raises:
        EmptyStoreError: it holds no application of that time.
        DataError: it is damaged, or none of its applications passes the schema.
    """
    contents = read_store(
        folder, schema, maturity_days=maturity_days, now=now, only=only, since=since, until=until
    )
    if contents.frame.empty:
        raise _empty_store(folder, since=since, until=until)
    frame, validation = _with_weights(*_revalidated(contents.frame, schema), schema)
    frame = frame if frame is contents.frame else frame.reset_index(drop=True)
    copies = contents.duplicates + contents.superseded
    first, last = contents.first_event_time, contents.last_event_time
    return Dataset(
        schema=schema,
        source="the training store",
        frame=frame,
        quarantined=validation.rejected,
        reasons=validation.counts,
        rows_read=contents.applications + copies,
        duplicates=copies,
        ignored_columns=(),
        digest=contents.digest if frame is contents.frame else digest_of(frame),
        period=_period(frame, schema) or ((first, last) if first and last else None),
        parts=short_names(folder, contents.parts),
    )


def _revalidated(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, Validation]:
    """The same frame where nothing changes, else the rows that pass, as the schema reads them now."""
    # A column that came later than some of the rows is missing in those; a code is stored as missing.
    lenient = [
        replace(each, nullable=each.nullable or each.optional or bool(each.special))
        for each in schema.columns
    ]
    absent = [each.name for each in lenient if each.optional and frame[each.name].isna().all()]
    validation = validate(
        RawFrame(frame=frame.drop(columns=absent)), replace(schema, columns=tuple(lenient)), labelled=False
    )
    passed = validation.accepted
    if passed.empty:
        raise DataError(
            "the training store must hold applications that the schema allows, however: all "
            f"{len(frame):,} break it: {', '.join(validation.counts)}. Use the schema that they came with, "
            "or ingest them anew."
        )
    if passed.equals(frame[passed.columns]):
        return frame, validation
    read = frame.loc[passed.index].copy()
    read[passed.columns] = passed
    return read, validation


def _with_weights(
    frame: pd.DataFrame, validation: Validation, schema: Schema
) -> tuple[pd.DataFrame, Validation]:
    """Reject rows whose outcome is known and whose weight is not: nobody knows how much they count.

    In the store an outcome may come later than an application that was scored without a weight.
    """
    if schema.weight is None or schema.target is None:
        return frame, validation
    name = schema.weight.name
    lacking = (frame[name].isna() & frame[schema.target.name].notna()).to_numpy()
    if not lacking.any():
        return frame, validation
    reason = f"{name}: must be given where the outcome is known"
    rejected = [each for each in (validation.rejected, rejected_for(frame[lacking], reason)) if len(each)]
    return frame[~lacking], replace(
        validation,
        rejected=pd.concat(rejected, ignore_index=True),
        counts={**validation.counts, reason: int(lacking.sum())},
    )


def load_snapshot(folder: Path, schema: Schema, snapshot: TrainingData, *, maturity_days: int) -> Dataset:
    """The rows of the training store that a snapshot names, whatever has been added since.

    Raises:
        DataError: they are not there any more, the schema or the maturity is another one, or an older release
            made the snapshot.
    """
    if snapshot.digest_version != DIGEST_VERSION:
        raise DataError(
            f"a snapshot must have a digest of version {DIGEST_VERSION}, however: {snapshot.id} was made by "
            f"another release, its version is {snapshot.digest_version}. Start a new run of the training; "
            "what this one has pretrained was split otherwise."
        )
    dataset = load_store(
        folder,
        schema,
        maturity_days=maturity_days,
        now=snapshot.created_at,
        only=snapshot.parts,
        since=snapshot.since,
        until=snapshot.until,
    )
    if dataset.digest != snapshot.digest:
        raise DataError(
            f"a snapshot must hold the rows that it was made of, however: {snapshot.id} has others now. "
            "Use the schema and LOAN_DEFAULT_MATURITY_DAYS that it was made with, or start a new run."
        )
    return dataset


def load_dataset(
    data: Path, schema: Schema, *, form: FileFormat | None = None, raw: RawFrame | None = None
) -> Dataset:
    """All labelled or unlabelled rows of a file that pass the schema.

    Args:
        form: how the file is written; None = it is found out.
        raw: the rows of the file where they are read already; None = the file is read in parts, so that it is
            never whole in memory before its rows are validated.

    Raises:
        DataError: the file is unusable, a column is missing, or every row breaks the schema.
    """
    accepted, quarantined, outcomes, declined = [], [], [], []
    reasons: Counter[str] = Counter()
    ignored: tuple[str, ...] = ()
    rows_read = footer_lines = 0
    parts = iter_frames(data, form=form or format_for(data, schema)) if raw is None else [raw]
    for part in parts:
        found = validate(part, schema, labelled=True)
        passed, validation = _with_weights(found.accepted, found, schema)
        rows_read += len(part.frame) + len(part.rejects)
        footer_lines += part.footer_lines
        accepted.append(passed)
        if schema.target is not None:
            labels = passed[schema.target.name]
            values = part.frame[schema.target.name].loc[labels.index[labels.isna()]]
            is_declined = _is_declined(values, schema.target)
            outcomes.append(values[~is_declined])
            declined.append(values.index[is_declined])
        quarantined.append(validation.rejected)
        reasons.update(validation.counts)
        ignored = validation.unknown_columns
    everything = pd.concat(accepted)
    if everything.empty:
        worst = ", ".join(f"{rule} ({rows})" for rule, rows in reasons.most_common(3))
        raise DataError(
            f"a file must have rows that its schema allows, however: all {rows_read} rows of {data.name} "
            f"break it: {worst}."
        )
    frame = drop_duplicates(everything, schema)
    return Dataset(
        schema=schema,
        source=data.name,
        frame=frame,
        quarantined=pd.concat(quarantined, ignore_index=True),
        reasons=dict(reasons.most_common()),
        rows_read=rows_read,
        duplicates=len(everything) - len(frame),
        ignored_columns=ignored,
        digest=digest_of(frame),
        period=_period(frame, schema),
        not_known_yet=_not_known_yet(outcomes, frame),
        declined=np.flatnonzero(frame.index.isin(np.concatenate([np.arange(0), *declined]))),
        footer_lines=footer_lines,
    )


def _is_declined(values: pd.Series, target: Column) -> NDArray[np.bool_]:
    """Which of the raw values of a target `(n,)` say that an application was declined."""
    find = category_lookup(target.rejected, {})
    texts = [None if is_missing(value) else as_text(value) for value in values.astype(object)]
    return np.array([text is not None and find(text) is not None for text in texts], bool)


def _not_known_yet(outcomes: list[pd.Series], frame: pd.DataFrame) -> dict[str, int]:
    """The values of the target in the rows of a frame that have no label, the most frequent first."""
    counts: Counter[str] = Counter()
    spelling: dict[str, str] = {}
    for raw in outcomes:
        kept = raw[raw.index.isin(frame.index)].astype(object)
        for value, rows in kept.value_counts(dropna=False).items():
            text = "" if is_missing(value) else (as_text(value) or "").strip()
            counts[spelling.setdefault(fold(text), text)] += int(rows)
    return dict(counts.most_common())


def snapshot_of(dataset: Dataset, now: datetime) -> TrainingData:
    """The document that names these rows; the same rows have the same id."""
    labels = dataset.labels[~np.isnan(dataset.labels)]
    first_at, last_at = dataset.period or (None, None)
    return TrainingData(
        digest=dataset.digest,
        digest_version=DIGEST_VERSION,
        created_at=now,
        sources=(dataset.source,),
        rows_read=dataset.rows_read,
        rows_accepted=len(dataset.frame),
        rows_rejected=len(dataset.quarantined),
        rows_duplicate=dataset.duplicates,
        label_rate=float(labels.mean()) if len(labels) else None,
        columns=tuple(str(name) for name in dataset.frame.columns),
        first_at=first_at,
        last_at=last_at,
        parts=dataset.parts,
    )


def _period(frame: pd.DataFrame, schema: Schema) -> tuple[datetime, datetime] | None:
    if schema.timestamp is None:
        return None
    times = frame[schema.timestamp.name].dropna()
    return (times.min().to_pydatetime(), times.max().to_pydatetime()) if len(times) else None
