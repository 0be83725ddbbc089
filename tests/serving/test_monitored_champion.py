"""A champion beside what arrives, from the training store to the stored hours, without a server."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loan_default.data.datasets.arrivals import read_arrivals
from loan_default.data.datasets.store_parts import APPLICATION, OUTCOME, StoredEvent, write_part
from loan_default.data.schema.column import TIME_KINDS
from loan_default.database.documents import ModelMetadata
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.monitoring_repository import MonitoringRepository
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.repositories import ModelRepository
from loan_default.database.serving_documents import Prediction
from loan_default.errors import ArtifactError
from loan_default.evaluation.drift import DriftLevel, Measured
from loan_default.evaluation.drift_statistics import psi
from loan_default.evaluation.performance_estimate import estimate_performance
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import TOPICS
from loan_default.models.serving_file import read_serving_file
from loan_default.pipelines.layout import TRAINING_STORE
from loan_default.pipelines.monitoring.champion_hours import monitor_champion
from loan_default.pipelines.services import Services
from loan_default.serving.monitored_champion import monitor_now
from loan_default.thresholds import DriftPolicy

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 29, 20, 30, tzinfo=UTC)
POLICY = DriftPolicy(drift_rows=300)


@pytest.fixture
def home(saved):
    return saved.cache.parent


@pytest.fixture
def services(home, schema):
    broker, database = MemoryBroker(), EmbeddedDatabase(home / "documents.sqlite3")
    broker.create_topics(TOPICS)
    yield Services(broker=broker, database=database, schema=schema, outbox=Outbox(home / "outbox"))
    database.close()


@pytest.fixture
def champion(services, saved, model, home):
    metadata = ModelMetadata(
        version=model.version,
        created_at=NOW - 5 * HOUR,
        path=f"models/{saved.path.name}",
        sha256=saved.sha256,
        schema_name="all_kinds",
        schema_digest="ab" * 32,
        preset="fast",
        objective="detection",
        pretrained=False,
        members=2,
        parameters=1,
        rows={"train": 700},
        seed=5,
        code_version="test",
        libraries={},
        training_seconds=1.0,
        snapshot="s-1",
    )
    ModelRepository(services.database).add(metadata)
    assert ModelRepository(services.database).move_champion(
        metadata.version, metadata.sha256, seen_rev=0, seen_version=None
    )
    return metadata


@pytest.fixture
def arrive(home, schema, frame):
    """Writes rows of the training frame into the store, as if they arrived in an hour before now."""
    written = 0
    times = [column.name for column in schema.columns if column.kind in TIME_KINDS]

    def write(rows, hours_ago, *, change=lambda record: record, seed=0):
        nonlocal written
        drawn = frame.drop(columns="bad").sample(rows, replace=True, random_state=seed).to_dict("records")
        at = NOW.replace(minute=0) - hours_ago * HOUR
        events = []
        for number, record in enumerate(drawn):
            plain = {
                name: None
                if value is None or value != value
                else value.to_pydatetime()
                if name in times
                else value
                for name, value in record.items()
            }
            name = f"a{written + number}"
            events.append(
                StoredEvent(
                    f"e{written + number}",
                    APPLICATION,
                    name,
                    at + timedelta(milliseconds=number),
                    change(plain),
                )
            )
        write_part(
            home / TRAINING_STORE,
            topic="processed_data",
            partition=0,
            first=written,
            next=written + rows,
            rows=events,
        )
        written += rows
        return [event.application_id for event in events]

    return write


def monitor(services, home, saved, *, now=NOW, policy=POLICY):
    return monitor_champion(
        services,
        home=home,
        load=lambda model: read_serving_file(saved.serving_file, model=model.sha256),
        policy=policy,
        cutoff=0.2,
        now=now,
    )


def test_without_a_champion_nothing_is_computed(services, home):
    assert monitor_now(services, home=home, policy=POLICY, cutoff=0.2) == []


@pytest.mark.slow
def test_each_hour_is_stored_and_assessed_with_as_many_before_it_as_are_needed(
    services, home, saved, champion, arrive
):
    arrive(500, 9)  # before the model was made: it may have learned from them
    for ago in (3, 2, 1, 0):
        arrive(120, ago, seed=ago)
    hours = monitor(services, home, saved)
    assert [each.rows for each in hours] == [0, 0, 120, 120, 120, 120]
    assert [each.assessed_rows for each in hours] == [0, 0, 120, 240, 360, 360]
    assert [each.level for each in hours[:3]] == ["insufficient"] * 3
    assert hours[-1].begins_at == NOW.replace(minute=0)
    assert hours[-1].assessed_since == NOW.replace(minute=0) - 2 * HOUR
    assert MonitoringRepository(services.database).of_model(champion.version) == hours[::-1]
    columns = {each.column for each in hours[-1].signals if each.measured == Measured.COLUMN}
    assert {"income", "purpose", "city"} <= columns
    assert "sex" not in columns, "a protected column is no feature"


@pytest.mark.slow
def test_values_of_an_hour_are_those_of_its_rows(services, home, saved, champion, arrive):
    arrive(250, 0)
    (hour,) = (each for each in monitor(services, home, saved) if each.rows)
    frozen = read_serving_file(saved.serving_file, model=saved.sha256)
    arrived = read_arrivals(home / TRAINING_STORE, frozen.schema, since=NOW - HOUR, until=NOW)
    pds = frozen.predict_pd(frozen.features.transform(arrived.frame))
    assert hour.mean_pd == pytest.approx(pds.mean())
    assert hour.approval_rate == pytest.approx((pds <= 0.2).mean())
    edges = frozen.reference["pd"]["edges"]
    counts = np.histogram(pds, [-1, *edges, 2])[0]
    expected = frozen.reference["pd"]["counts"][:-1]
    assert hour.score_psi == pytest.approx(psi(expected, counts).value)
    missing = {each.name: each.missing for each in hour.columns}
    assert missing["income"] == pytest.approx(arrived.frame["income"].isna().mean())


@pytest.mark.slow
def test_drift_of_a_column_is_found_and_published(services, home, saved, champion, arrive):
    def poorer(record):
        return {**record, "income": None if record["income"] is None else record["income"] * 0.2}

    services.broker.consumer("reader", ["commands"]).close()
    arrive(400, 1)
    arrive(400, 0, change=poorer)
    hours = monitor(services, home, saved)
    signal = next(each for each in hours[-1].signals if each.column == "income")
    assert (signal.measured, signal.level) == (Measured.COLUMN, DriftLevel.ACT)
    before = next(each for each in hours[-2].signals if each.column == "income")
    assert before.level == DriftLevel.OK
    reader = services.broker.consumer("reader", ["commands"])
    facts = reader.poll(max_records=10, timeout_seconds=0.0)
    reader.close()
    assert facts


@pytest.mark.slow
def test_a_later_run_computes_the_last_hour_again_and_what_it_missed(services, home, saved, champion, arrive):
    arrive(150, 0)
    monitor(services, home, saved, now=NOW)
    later = monitor(services, home, saved, now=NOW + 2 * HOUR)
    assert [each.begins_at for each in later] == [NOW.replace(minute=0) + n * HOUR for n in range(3)]
    assert [each.assessed_rows for each in later] == [150, 150, 150]
    first = MonitoringRepository(services.database).of_model(champion.version)
    assert len({each.id for each in first}) == len(first) == 8


def predict(services, champion, names, pds):
    """Keep predictions of the champion, one for each application."""
    PredictionRepository(services.database).add_new(
        [
            Prediction(
                event=f"p{name}",
                application=name,
                version=champion.version,
                pd=float(pd),
                points=500.0,
                scored_at=NOW - HOUR,
            )
            for name, pd in zip(names, pds, strict=True)
        ]
    )


def observe(home, names, outcomes):
    """Bring the outcomes of applications into the training store."""
    write_part(
        home / TRAINING_STORE,
        topic="processed_data",
        partition=1,
        first=0,
        next=len(names),
        rows=[
            StoredEvent(f"o{name}", OUTCOME, name, NOW, {"label": label})
            for name, label in zip(names, outcomes.tolist(), strict=True)
        ],
    )


@pytest.mark.slow
def test_predictions_are_measured_when_their_outcomes_have_come(services, home, saved, champion, arrive):
    names, generator = arrive(400, 1), np.random.default_rng(0)
    pds = generator.uniform(0.05, 0.5, 400)
    predict(services, champion, names, pds)
    assert monitor(services, home, saved)[-1].realised is None
    outcomes = (generator.random(300) < pds[:300]).astype(float)
    observe(home, names[:300], outcomes)
    realised = monitor(services, home, saved)[-1].realised
    assert (realised.rows, realised.bads) == (300, int(outcomes.sum()))
    assert realised.mean_pd == pytest.approx(pds[:300].mean())
    assert realised.brier == pytest.approx(np.square(pds[:300] - outcomes).mean())
    assert realised.auc_low < realised.auc < realised.auc_high
    assert realised.expected_auc == pytest.approx(estimate_performance(pds[:300]).auc)


@pytest.mark.slow
def test_an_order_of_the_pds_that_outcomes_contradict_is_an_alarm(services, home, saved, champion, arrive):
    names, generator = arrive(600, 1), np.random.default_rng(0)
    pds = generator.uniform(0.05, 0.5, 600)
    predict(services, champion, names, pds)
    observe(home, names, (generator.random(600) < generator.permutation(pds)).astype(float))
    signals = {each.measured: each for each in monitor(services, home, saved)[-1].signals}
    assert signals[Measured.AUC].level == DriftLevel.ACT
    assert signals[Measured.DEFAULTED].level == DriftLevel.OK, "the level is right, the order is not"


def test_a_damaged_model_file_is_refused(services, home, saved, champion):
    saved.path.write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="recorded digest"):
        monitor_now(services, home=home, policy=POLICY, cutoff=0.2)


@pytest.mark.slow
def test_it_needs_no_torch():
    code = "import sys; from loan_default.serving import monitored_champion; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
