"""Judging models: which one, on which rows, beside whom, and who wins when two are promoted at once."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from conftest import SCHEMA, Listener

from loan_default.data.feeds import GeneratedFeed
from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import DecisionRepository, Fence
from loan_default.database.documents import DatasetName, ModelMetadata, ModelStatus
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.repositories import MetricsRepository, ModelRepository
from loan_default.errors import ArtifactError, DataError
from loan_default.evaluation.gate import Thresholds, Verdict
from loan_default.kafka.consuming import Pace
from loan_default.kafka.memory import MemoryBroker
from loan_default.kafka.outbox import Outbox
from loan_default.kafka.topics import COMMANDS, TOPICS
from loan_default.models.model import load_model as read_model
from loan_default.models.model import save_model
from loan_default.pipelines.dataset import STORE
from loan_default.pipelines.evaluation import (
    EvaluationRun,
    check_thresholds,
    choose_model,
    evaluate_model,
    update_status,
)
from loan_default.pipelines.flow import Flow
from loan_default.pipelines.ingestion import ingest_raw_data, process_raw_data, send_processed_data
from loan_default.pipelines.preparing import TrainingOptions
from loan_default.pipelines.training_steps import (
    TrainingRun,
    freeze_training_data,
    store_step,
    train_step,
)

ROWS = 700
LENIENT = Thresholds(
    minimum_rows=30, minimum_auc=0.0, minimum_ks=0.0, maximum_brier=1.0, maximum_calibration_error=1.0
)


@dataclass(frozen=True)
class Court:
    """A training store, a trained model, and runs of the evaluation."""

    home: Path
    flow: Flow
    model: ModelMetadata

    def run(self, name: str = "run", *, thresholds: Thresholds = LENIENT) -> EvaluationRun:
        return EvaluationRun(
            flow=replace(self.flow, run=name), home=self.home, maturity_days=0, thresholds=thresholds
        )

    def candidate(self, name: str, **provenance: object) -> ModelMetadata:
        """Another model of the registry with the same weights; it says of its training what is asked for."""
        original = read_model(self.home / self.model.path)
        copy = replace(original, version=name, provenance=dict(original.provenance) | provenance)
        path = self.home / "models" / f"{name}.pth"
        document = self.model.model_copy(
            update={
                "version": name,
                "path": f"models/{name}.pth",
                "sha256": save_model(path, copy),
                "run": None,
                "created_at": datetime.now(UTC),
                "status": ModelStatus.TRAINED,
            }
        )
        ModelRepository(self.flow.database).add(document)
        return document


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Flow, ModelMetadata]]:
    home = tmp_path_factory.mktemp("home")
    broker = MemoryBroker()
    broker.create_topics(TOPICS)
    database = EmbeddedDatabase(home / "store.sqlite3")
    flow = Flow(
        broker=broker,
        database=database,
        schema=SCHEMA,
        outbox=Outbox(home / "outbox"),
        pace=Pace(poll_seconds=0.01),
        run="training-run",
    )
    ingest_raw_data(flow, GeneratedFeed(SCHEMA, rows=ROWS, seed=1, state=home / "feed.json"))
    process_raw_data(flow)
    send_processed_data(flow)
    schema = home / "loans.toml"
    from loan_default.data.schema import dump_schema  # noqa: PLC0415

    schema.write_text(dump_schema(SCHEMA))
    options = TrainingOptions(data=home / STORE, schema=schema, preset="fast", epochs=1, members=1)
    (home / STORE).mkdir(exist_ok=True)
    run = TrainingRun(flow=flow, home=home, options=options)
    fence = Fence(database=database, run=run.id, task="test", attempt=1)
    freeze_training_data(run)
    train_step(run, Listener(), fence, encoder=None)
    model, _ = store_step(run, fence)
    yield home, flow, model
    database.close()


@pytest.fixture
def court(trained) -> Court:
    home, flow, model = trained
    for name in ("pointers", "decisions"):
        flow.database[name].delete_many({})
    flow.database["model_metadata"].delete_many({"_id": {"$ne": model.version}})
    ModelRepository(flow.database).set_status(model.version, ModelStatus.TRAINED)
    return Court(home, flow, model)


def judged(run: EvaluationRun, version: str, **how: bool):
    evaluated = evaluate_model(run, version)
    return update_status(run, evaluated, check_thresholds(run, evaluated), **how)


def test_which_model_is_judged(court):
    models = ModelRepository(court.flow.database)
    assert choose_model(court.run(), version=court.model.version).why == "asked for"
    newer = court.candidate("newer")
    assert choose_model(court.run()).version == "newer"
    judged(court.run(), "newer")
    assert choose_model(court.run()).version == court.model.version, "the one that still waits"
    models.set_status(court.model.version, ModelStatus.REJECTED)
    chosen = choose_model(court.run())
    assert (chosen.version, "champion" in chosen.why) == (newer.version, True)
    with pytest.raises(DataError, match="former champion"):
        choose_model(court.run(), rollback=True)
    with pytest.raises(DataError, match="must hold what is asked for"):
        choose_model(court.run(), version="unknown")


def test_a_damaged_file_is_refused_before_anything_is_judged(court):
    damaged = court.candidate("damaged")
    path = court.home / damaged.path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        choose_model(court.run())
    assert ModelRepository(court.flow.database).champion() is None


def test_figures_are_computed_on_rows_that_no_training_has_seen(court):
    evaluated = evaluate_model(court.run("first"), court.model.version)
    metrics = MetricsRepository(court.flow.database).get(evaluated.metrics)
    trained = [m for m in MetricsRepository(court.flow.database).of_model(court.model.version) if not m.run]
    on_test = next(m for m in trained if m.dataset is DatasetName.TEST)
    # Its own test rows are those that are held out for good, and nothing has come since.
    assert (metrics.rows, metrics.label_rate) == (on_test.rows, on_test.label_rate)
    assert metrics.figures["auc"] == pytest.approx(on_test.figures["auc"], abs=1e-9)
    assert metrics.dataset is DatasetName.HELD_OUT
    assert evaluate_model(court.run("first"), court.model.version).metrics == evaluated.metrics


def test_later_rows_are_taken_where_there_are_enough(court):
    early = court.candidate("early", seen_until="2000-01-01T00:00:00+00:00", split="out of time")
    evaluated = evaluate_model(court.run(), early.version)
    metrics = MetricsRepository(court.flow.database).get(evaluated.metrics)
    assert metrics.dataset is DatasetName.OUT_OF_TIME
    assert metrics.rows > 0.5 * ROWS


def test_a_model_that_may_have_seen_everything_is_not_promoted(court):
    foreign = court.candidate("foreign", split="stratified", seen_until=None)
    decision = judged(court.run(), foreign.version)
    assert decision.action is Action.REJECTED
    assert decision.reasons[0].startswith("broken: there must be rows to judge on")


def test_a_champion_that_may_have_seen_everything_does_not_stop_a_better_one(court):
    foreign = court.candidate("foreign", split="stratified", seen_until=None)
    judged(court.run("rollback"), foreign.version, rollback=True)
    decision = judged(court.run("next"), court.model.version)
    assert (decision.action, decision.champion) == (Action.PROMOTED, "foreign")
    assert any("not compared with foreign" in reason for reason in decision.reasons)
    assert ModelRepository(court.flow.database).get("foreign").status is ModelStatus.ARCHIVED


def test_the_champion_itself_is_kept_whatever_comes_out(court):
    judged(court.run("first"), court.model.version)
    strict = Thresholds(minimum_rows=30, minimum_auc=1.0)
    decision = judged(court.run("second", thresholds=strict), court.model.version)
    assert decision.action is Action.KEPT
    assert any(reason.startswith("broken: AUC") for reason in decision.reasons)
    assert ModelRepository(court.flow.database).champion().rev == 1


def test_what_was_decided_is_not_decided_again(court):
    run = court.run("once")
    evaluated = evaluate_model(run, court.model.version)
    verdict = check_thresholds(run, evaluated)
    first = update_status(run, evaluated, verdict)
    other = court.candidate("other")
    judged(court.run("later"), other.version, rollback=True)
    again = update_status(run, evaluated, verdict)
    assert again.id == first.id
    assert ModelRepository(court.flow.database).champion().version == "other"
    assert len(DecisionRepository(court.flow.database).of_model(court.model.version)) == 1


def test_who_loses_a_race_is_judged_again_beside_the_winner(court):
    models = ModelRepository(court.flow.database)
    slow, quick = court.candidate("slow"), court.candidate("quick")
    run = court.run("slow-run")
    evaluated = evaluate_model(run, slow.version)
    verdict = check_thresholds(run, evaluated)
    judged(court.run("quick-run"), quick.version)
    strict = replace(run, thresholds=replace(LENIENT, minimum_lead=0.01))
    decision = update_status(strict, evaluated, verdict)
    assert (decision.action, decision.champion) == (Action.REJECTED, "quick")
    assert models.champion().version == "quick"
    actions = [each.action for each in DecisionRepository(court.flow.database).of_model("slow")]
    assert sorted(actions) == sorted([Action.OVERTAKEN, Action.REJECTED])


@pytest.mark.slow
def test_of_two_promotions_at_once_one_wins_two_hundred_times(court):
    """F22: one champion at every instant, and a history without a fork."""
    rounds, errors, samples, over = 200, [], [], threading.Event()
    names = ("left", "right")
    for name in names:
        court.candidate(name)
    pointer = EmbeddedDatabase(court.home / "store.sqlite3")
    barrier = threading.Barrier(len(names))

    def evaluator(name: str) -> None:
        database = EmbeddedDatabase(court.home / "store.sqlite3")
        try:
            models = ModelRepository(database)
            model = models.get(name)
            for _ in range(rounds):
                barrier.wait(60)
                while True:  # as `update_status` does: read, decide, move, and again where another was faster
                    seen = models.champion()
                    if models.move_champion(name, model.sha256, seen_rev=seen.rev if seen else 0):
                        break
        except BaseException as error:
            errors.append(error)
            barrier.abort()
        finally:
            database.close()

    def observer() -> None:
        while not over.is_set():
            stored = list(pointer["pointers"].find({}))
            samples.append([(each["version"], each["rev"]) for each in stored])

    threads = [threading.Thread(target=evaluator, args=(name,)) for name in names]
    watch = threading.Thread(target=observer)
    watch.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    watch.join()
    pointer.close()
    assert not errors
    assert all(len(sample) <= 1 for sample in samples), "two champions at one instant"
    seen = [sample[0] for sample in samples if sample]
    revisions = [rev for _, rev in seen]
    assert revisions == sorted(revisions)
    assert len(set(seen)) == len(set(revisions)), "one move, two champions"
    assert ModelRepository(court.flow.database).champion().rev == 2 * rounds
    assert len(samples) > rounds / 10


def test_what_happens_to_a_model_a_second_time_is_news_of_its_own(court):
    def news() -> list[bytes]:
        logs = court.flow.broker.logs.items()
        records = [record for place, log in logs if place.topic == COMMANDS for record in log]
        return [record.header("ce_id") for record in records]

    told = len(news())
    model, other = court.model.version, court.candidate("next").version
    judged(court.run("first"), model)
    judged(court.run("second"), other)
    judged(court.run("back"), model, rollback=True)
    strict = Thresholds(minimum_rows=30, minimum_auc=0.999)
    for run in ("once", "twice"):
        judged(court.run(run, thresholds=strict), other)
    kinds = [identifier.decode().split("/")[0] for identifier in news()[told:]]
    assert kinds == ["model.promoted"] * 3 + ["model.rejected"] * 2
    assert len(set(news()[told:])) == 5


def test_rows_of_later_events_are_no_reason_to_forget_what_is_held_out(court):
    """The held-out rows of the store stay the same rows when it grows."""
    before = evaluate_model(court.run("before"), court.model.version)
    feed = GeneratedFeed(SCHEMA, rows=300, seed=2, state=court.home / "feed-2.json")
    ingest_raw_data(court.flow, feed)
    process_raw_data(court.flow)
    send_processed_data(court.flow)
    after = evaluate_model(court.run("after"), court.model.version)
    metrics = MetricsRepository(court.flow.database)
    rows = [metrics.get(each.metrics).rows for each in (before, after)]
    assert rows[0] < rows[1] < rows[0] + 0.35 * 300
    assert after.snapshot != before.snapshot


def test_a_verdict_is_kept_with_its_reasons(court):
    run = court.run("strict", thresholds=Thresholds(minimum_rows=30, minimum_auc=0.999))
    decision = judged(run, court.model.version)
    stored = DecisionRepository(court.flow.database).of_model(court.model.version)
    assert stored == [decision]
    assert ModelRepository(court.flow.database).get(court.model.version).status is ModelStatus.REJECTED
    assert decision.decided_at - datetime.now(UTC) < timedelta(minutes=1)
    assert any(reason.startswith("broken: AUC must be at least 0.9990") for reason in decision.reasons)
    assert isinstance(check_thresholds(run, evaluate_model(run, court.model.version)), Verdict)
    assert np.isfinite(MetricsRepository(court.flow.database).newest_first()[0].figures["auc"])
