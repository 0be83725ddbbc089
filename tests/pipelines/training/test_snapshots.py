"""From `processed_data` to the training store, and from there to a prepared run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.data.datasets import duplicates, row_hashing, twins
from loan_default.data.datasets.row_hashing import DIGEST_VERSION
from loan_default.data.datasets.splits import SPLIT_VERSION, held_out
from loan_default.data.datasets.store_compaction import compact
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema
from loan_default.data.sources.feeds import Feed, FileFeed, GeneratedFeed
from loan_default.data.sources.generator import generate, to_text
from loan_default.database.documents import TrainingData
from loan_default.database.repositories import TrainingDataRepository
from loan_default.errors import ConfigurationError, DataError
from loan_default.kafka.consuming import Polling
from loan_default.kafka.events import Event, EventType, to_message
from loan_default.kafka.topics import RAW, TRAINING_STORE
from loan_default.models.model import PretrainedEncoder
from loan_default.pipelines.ingestion.ingestion_steps import (
    ingest_raw_data,
    process_raw_data,
    send_processed_data,
)
from loan_default.pipelines.ingestion.training_store_writer import store_processed_data
from loan_default.pipelines.services import Services
from loan_default.pipelines.training import row_splits
from loan_default.pipelines.training.dataset import (
    EmptyStoreError,
    load_dataset,
    load_snapshot,
    load_store,
    snapshot_of,
)
from loan_default.pipelines.training.plan import TrainingPlan, plan_training
from loan_default.pipelines.training.provenance import provenance_of
from loan_default.pipelines.training.snapshots import (
    prepare_training_data,
    snapshot_store,
)
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import StoreData, TrainingOptions

SCHEMA = Schema(
    name="loans",
    columns=(
        Column(name="id", kind=Kind.IDENTIFIER),
        Column(name="made", kind=Kind.TIMESTAMP),
        Column(name="income", kind=Kind.NUMERICAL, minimum=0, nullable=True),
        Column(name="purpose", kind=Kind.CATEGORICAL, categories=("car", "house")),
        Column(name="bad", kind=Kind.TARGET),
    ),
)
ROWS = 400
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def services(new_services, tmp_path: Path) -> Services:
    services = new_services(SCHEMA, Polling(batch=70, poll_seconds=0.05))
    send_all(
        services, GeneratedFeed(SCHEMA, rows=None, seed=5, state=tmp_path / "feed.json", population=ROWS)
    )
    return services


def send_all(services: Services, feed: Feed) -> None:
    """The rows of a feed as far as `processed_data`."""
    ingest_raw_data(services, feed)
    process_raw_data(services)
    send_processed_data(services)


def test_the_store_holds_what_the_generator_made(services, tmp_path):
    assert store_processed_data(services, tmp_path / "store").records == ROWS
    dataset = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW)
    made = generate(SCHEMA, rows=ROWS, seed=5).frame
    found = dataset.frame.sort_values("id").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, made.sort_values("id").reset_index(drop=True), check_dtype=False)
    assert (dataset.rows_read, dataset.duplicates) == (ROWS, 0)


@pytest.mark.slow
def test_a_store_of_many_small_parts_is_compacted_and_its_snapshots_stay_readable(
    new_services, tmp_path, monkeypatch
):
    soon = partial(compact, parts=5, kept=timedelta(0))
    monkeypatch.setattr("loan_default.pipelines.ingestion.training_store_writer.compact", soon)
    services, store, drains, taken = (
        new_services(SCHEMA, Polling(poll_seconds=0.01)),
        tmp_path / "store",
        16,
        {},
    )
    for seed in range(drains):
        send_all(services, GeneratedFeed(SCHEMA, rows=9, seed=seed, state=tmp_path / f"{seed}.json"))
        store_processed_data(services, store)
        dataset, snapshot = snapshot_store(services, store, maturity_days=0)
        taken[snapshot] = dataset
    store_processed_data(services, store)  # removes what the one before has compacted
    files = {path.name for path in store.glob("*.parquet")}
    assert len(files) < drains
    assert sum(bool(files.isdisjoint(snapshot.parts)) for snapshot in taken) > 2
    for snapshot, dataset in taken.items():
        found = load_snapshot(store, SCHEMA, snapshot, maturity_days=0)
        pd.testing.assert_frame_equal(found.frame, dataset.frame)
        assert snapshot_of(found, snapshot.created_at).same_content(snapshot)


@pytest.mark.slow
def test_a_store_without_applications_of_the_time_asked_for_says_so(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    made = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW).frame["made"]
    after = made.max().to_pydatetime() + timedelta(days=1)
    with pytest.raises(EmptyStoreError, match=r"of the time that was asked for.* from 20.* on") as raised:
        load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW, since=after)
    assert after.isoformat() in str(raised.value)
    before = made.min().to_pydatetime() - timedelta(days=1)
    with pytest.raises(EmptyStoreError, match=r"asked for.* has none before 20"):
        load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW, until=before)


def test_a_schema_that_shares_no_column_with_the_store_is_refused(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    other = Schema(
        name="accounts",
        columns=(Column(name="limit", kind=Kind.NUMERICAL), Column(name="default", kind=Kind.TARGET)),
    )
    with pytest.raises(DataError, match=r"applications that the schema allows, however: all 400 break it"):
        load_store(tmp_path / "store", other, maturity_days=0, now=NOW)


@pytest.mark.slow
def test_the_store_is_read_by_the_schema_of_now(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    before = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW)
    incomes = before.frame["income"].dropna()
    code, least = incomes.iloc[0], incomes.quantile(0.1)
    schema = with_income(special=(float(code),), minimum=float(least))
    dataset = load_store(tmp_path / "store", schema, maturity_days=0, now=NOW)
    assert len(dataset.quarantined) == dataset.reasons[f"income: must be at least {least:g}"] > 10
    assert len(dataset.frame) + len(dataset.quarantined) + dataset.duplicates == dataset.rows_read
    assert not dataset.frame["income"].eq(code).any()
    assert dataset.frame["income"].isna().sum() > before.frame["income"].isna().sum()
    assert dataset.digest != before.digest
    assert load_store(tmp_path / "store", schema, maturity_days=0, now=NOW).digest == dataset.digest
    with pytest.raises(DataError, match=r"applications that the schema allows, however: all 400 break it"):
        load_store(tmp_path / "store", with_income(minimum=1e12, nullable=False), maturity_days=0, now=NOW)


@pytest.mark.slow
def test_a_code_in_a_column_that_must_be_filled_is_no_gap(new_services, tmp_path):
    frame = generate(SCHEMA, rows=ROWS, seed=5).frame.dropna(subset="income")
    incomes = frame["income"]
    schema = with_income(special=(float(incomes.iloc[0]),), nullable=False)
    to_text(frame, SCHEMA).to_csv(tmp_path / "loans.csv", index=False)
    services = new_services(schema, Polling(batch=70, poll_seconds=0.05))
    send_all(services, FileFeed(tmp_path / "loans.csv", schema, state=tmp_path / "feed.json"))
    store_processed_data(services, tmp_path / "store")
    dataset = load_store(tmp_path / "store", schema, maturity_days=0, now=NOW)
    assert len(dataset.quarantined) == 0
    assert dataset.frame["income"].isna().sum() == incomes.eq(incomes.iloc[0]).sum() > 0


@pytest.mark.slow
def test_a_row_with_an_outcome_and_no_weight_is_quarantined_and_stops_nothing(new_services, tmp_path):
    weight = Column(name="sample_weight", kind=Kind.WEIGHT, nullable=True)
    schema = replace(SCHEMA, columns=(*SCHEMA.columns, weight))
    frame = generate(SCHEMA, rows=60, seed=5).frame.drop_duplicates("id")
    text = to_text(frame, SCHEMA).assign(sample_weight="1.5")
    text.iloc[:7, text.columns.get_loc("sample_weight")] = ""
    text.iloc[:3, text.columns.get_loc("bad")] = ""  # not known yet: no weight is needed yet
    text.to_csv(tmp_path / "loans.csv", index=False)
    services = new_services(schema, Polling(batch=70, poll_seconds=0.05))
    send_all(services, FileFeed(tmp_path / "loans.csv", schema, state=tmp_path / "feed.json"))
    store_processed_data(services, tmp_path / "store")
    for dataset in (
        load_store(tmp_path / "store", schema, maturity_days=0, now=NOW),
        load_dataset(tmp_path / "loans.csv", schema),
    ):
        assert dataset.reasons == {"sample_weight: must be given where the outcome is known": 4}
        assert sorted(dataset.quarantined["id"]) == sorted(frame["id"].iloc[3:7])
        assert len(dataset.frame) == len(frame) - 4 == dataset.rows_read - 4
        assert np.isnan(dataset.weights).sum() == np.isnan(dataset.labels).sum() == 3


def with_income(**changes: object) -> Schema:
    income = replace(SCHEMA["income"], **changes)
    return replace(
        SCHEMA, columns=tuple(income if each.name == "income" else each for each in SCHEMA.columns)
    )


@pytest.mark.slow
def test_reading_the_topic_again_changes_nothing(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    once = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW)
    assert store_processed_data(services, tmp_path / "store").records == 0
    services.broker.groups[TRAINING_STORE].done.clear()
    again = replace(
        services, polling=Polling(batch=33, poll_seconds=0.05)
    )  # other ranges, so parts that overlap
    assert store_processed_data(again, tmp_path / "store").records == ROWS
    twice = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW)
    assert twice.digest == once.digest
    assert twice.rows_read == len(twice.frame) + twice.duplicates == 2 * ROWS


@pytest.mark.slow
def test_a_snapshot_says_what_the_store_holds_and_again_is_the_same(services, tmp_path):
    snapshot = prepare_training_data(services, tmp_path / "store", maturity_days=0)
    made = generate(SCHEMA, rows=ROWS, seed=5).frame
    assert snapshot.rows_accepted == ROWS
    assert snapshot.label_rate == pytest.approx(made["bad"].mean())
    ends = [made["made"].min().floor("ms"), made["made"].max().floor("ms")]
    assert [snapshot.first_at, snapshot.last_at] == ends
    again = prepare_training_data(services, tmp_path / "store", maturity_days=0)
    assert again.id == snapshot.id
    (stored,) = TrainingDataRepository(services.database).newest_first()
    assert stored == snapshot
    older = prepare_training_data(services, tmp_path / "store", maturity_days=3660)
    assert (older.label_rate, older.rows_accepted) == (None, ROWS)
    assert older.id != snapshot.id


@pytest.mark.slow
def test_an_outcome_that_comes_later_labels_its_application(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    before = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW).frame.set_index("id")["bad"]
    name, label = before.index[7], before.iloc[7]
    outcome = Event(
        id="late",
        type=EventType.OUTCOME,
        source="collections",
        time=NOW,
        subject=str(name),
        schema="",
        data={"bad": "0" if label else "1"},
    )
    services.broker.producer().deliver([to_message(outcome, RAW)])
    process_raw_data(services)
    send_processed_data(services)
    store_processed_data(services, tmp_path / "store")
    after = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW).frame.set_index("id")["bad"]
    assert after[name] == 1 - label
    assert after.drop(name).equals(before.drop(name))


@pytest.mark.slow
def test_a_young_label_does_not_count_and_its_row_stays(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    made = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW).frame["made"]
    now = made.max().to_pydatetime() + timedelta(days=10)
    frame = load_store(tmp_path / "store", SCHEMA, maturity_days=100, now=now).frame
    old = frame["made"] <= now - timedelta(days=100)
    assert len(frame) == ROWS
    assert frame["bad"].notna().equals(old)
    assert 0 < old.sum() < ROWS


@pytest.mark.slow
def test_pretraining_sees_no_row_on_which_models_are_evaluated_once_its_outcome_has_come(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    schema = tmp_path / "loans.toml"
    schema.write_text(dump_schema(SCHEMA))
    everything = load_store(tmp_path / "store", SCHEMA, maturity_days=0, now=NOW)
    age = datetime.now(UTC) - everything.frame["made"].median().to_pydatetime()
    store = StoreData(folder=tmp_path / "store", maturity_days=age.days)
    options = TrainingOptions(data=store, schema=schema, preset="fast")
    watch = Stopwatch(lambda name, detail: None)
    plan = plan_training(options, watch=watch, environ={"OMP_NUM_THREADS": "1"})
    ids = plan.dataset.frame["id"]
    unlabelled, pretrained = set(ids.iloc[plan.split.unlabelled]), set(ids.iloc[plan.pretraining])
    evaluated = set(everything.frame["id"][held_out(everything.frame, SCHEMA)])
    assert unlabelled & evaluated, "no hidden label is on the test side: the test shows nothing"
    assert unlabelled & pretrained
    assert not pretrained & evaluated


@pytest.mark.slow
def test_a_run_can_be_prepared_from_the_store(services, tmp_path):
    store_processed_data(services, tmp_path / "store")
    schema = tmp_path / "loans.toml"
    schema.write_text(dump_schema(SCHEMA))
    options = TrainingOptions(data=StoreData(folder=tmp_path / "store"), schema=schema, preset="fast")
    watch = Stopwatch(lambda name, detail: None)
    plan = plan_training(options, watch=watch, environ={"OMP_NUM_THREADS": "1"})
    assert len(plan.dataset.frame) == ROWS
    assert plan.dataset.source == "the training store"
    with pytest.raises(ConfigurationError, match="the training store must come with --schema"):
        plan_training(replace(options, schema=None), watch=watch, environ={})
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the training store must hold applications"):
        plan_training(replace(options, data=StoreData(folder=tmp_path / "empty")), watch=watch, environ={})


@pytest.mark.slow
def test_a_plan_on_the_training_store_hashes_its_rows_once(services, tmp_path, monkeypatch):
    prepare_training_data(services, tmp_path / "store", maturity_days=0)
    schema = tmp_path / "schema.toml"
    schema.write_text(dump_schema(SCHEMA))
    hashed = []
    real = row_hashing.hash_rows
    for module in (duplicates, row_hashing, row_splits, twins):
        monkeypatch.setattr(
            module,
            "hash_rows",
            lambda frame, columns: (hashed.append(len(frame)), real(frame, columns))[1],
        )
    options = TrainingOptions(data=StoreData(folder=tmp_path / "store"), schema=schema, preset="fast")
    watch = Stopwatch(lambda name, detail: None)
    plan_training(options, watch=watch, environ={"OMP_NUM_THREADS": "1"})
    assert hashed == [ROWS]


def test_a_snapshot_of_a_release_with_other_digests_is_refused_with_a_way_out(services, tmp_path):
    snapshot = prepare_training_data(services, tmp_path / "store", maturity_days=0)
    assert snapshot.digest_version == DIGEST_VERSION
    older = TrainingData.from_store({**snapshot.to_store(), "digest_version": 1})
    assert older.id == snapshot.id
    with pytest.raises(DataError, match=r"its version is 1\. Start a new run"):
        load_snapshot(tmp_path / "store", SCHEMA, older, maturity_days=0)
    unversioned = {
        k: v for k, v in snapshot.to_store().items() if k not in ("digest_version", "schema_version")
    }
    assert TrainingData.from_store(unversioned).digest_version == 1


# The permanent holdout and encoders ----------------------------------------------------------------------


def prepared_from(
    services: Services, tmp_path: Path, *, provenance: dict[str, object], schema: Schema = SCHEMA
) -> TrainingPlan:
    """A run on the store that starts from an encoder with this history."""
    prepare_training_data(services, tmp_path / "store", maturity_days=0)
    (tmp_path / "loans.toml").write_text(dump_schema(SCHEMA))
    options = TrainingOptions(
        data=StoreData(folder=tmp_path / "store"), schema=tmp_path / "loans.toml", preset="fast", seed=1
    )
    own = plan_training(options, watch=Stopwatch(lambda *_: None), environ={})
    encoder = PretrainedEncoder(
        schema=schema,
        features=own.features,
        config=own.preset.encoder,
        state={},
        provenance={"seen_until": "2020-01-01T00:00:00+00:00"} | provenance,
    )
    return replace(own, encoder=encoder)


@pytest.mark.slow
def test_a_run_records_the_permanent_holdout_that_its_encoder_was_pretrained_without(services, tmp_path):
    mine = {"split": "for good", "split_version": SPLIT_VERSION}
    assert prepared_from(services, tmp_path, provenance=mine).encoder_split_version == SPLIT_VERSION
    recorded = provenance_of(prepared_from(services, tmp_path, provenance=mine))
    assert (recorded["split_version"], recorded["encoder_given"]) == (SPLIT_VERSION, True)
    assert recorded["encoder_split_version"] == SPLIT_VERSION
    for other in ({"split": "stratified"}, {"split": "for good"}):
        assert prepared_from(services, tmp_path, provenance=other).encoder_split_version is None
    special = replace(SCHEMA["income"], special=(7.0,))
    columns = tuple(special if each.name == "income" else each for each in SCHEMA.columns)
    changed = replace(SCHEMA, columns=columns)
    assert prepared_from(services, tmp_path, provenance=mine, schema=changed).encoder_split_version is None


@pytest.mark.slow
def test_what_a_model_has_seen_includes_the_rows_of_its_encoder(services, tmp_path):
    plan = prepared_from(services, tmp_path, provenance={})
    own = replace(plan, encoder=None).seen_until
    assert own is not None
    assert plan.seen_until == own
    later = own + timedelta(days=30)
    assert prepared_from(services, tmp_path, provenance={"seen_until": later.isoformat()}).seen_until == later
    assert prepared_from(services, tmp_path, provenance={"seen_until": None}).seen_until is None
    renamed = tuple(replace(c, name="decided") if c.name == "made" else c for c in SCHEMA.columns)
    other = replace(SCHEMA, columns=renamed)
    assert prepared_from(services, tmp_path, provenance={}, schema=other).seen_until is None
