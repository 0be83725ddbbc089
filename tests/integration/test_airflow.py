"""From empty servers to a promoted champion on the real scheduler, all read back from the stores."""

import os
import signal
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from integration.stack import Stack, patiently, running_stack
from servers.airflow import ADMIN, VIEWER
from servers.browser import open_page
from servers.errors import NotInstallable
from servers.kafka import console_producer
from servers.required import skip_without

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.schema.frames import validate
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.table_files import RawFrame, read_frame
from loan_default.database.control_documents import Action
from loan_default.database.control_repositories import CommandRepository, DecisionRepository
from loan_default.database.documents import ModelStatus
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.repositories import MetricsRepository, ModelRepository, TrainingDataRepository
from loan_default.kafka.control_events import CommandType, FactType
from loan_default.kafka.topics import COMMANDS, PROCESSED, RAW
from loan_default.models.model import load_model

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

DAGS = ("data_ingestion", "model_training", "model_evaluation")
TRAINING_TASKS = ("prepare_training_data", "pretrain_encoder", "train_classifier", "store_model")
ROWS = 2_000
RUNS = 3


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environ = {"LOAN_DEFAULT_SOURCE_ROWS": str(ROWS), "LOAN_DEFAULT_PRESET": "fast"}
    with running_stack(tmp_path_factory.mktemp("home"), environ=environ) as stack:
        yield stack


def test_from_empty_servers_to_a_champion_that_a_worse_model_does_not_replace(stack):
    airflow, database = stack.airflow, stack.database
    airflow.unpause("model_evaluation")
    first = stack.run_of_type("model_evaluation", "scheduled")
    assert set(stack.finish("model_evaluation", first).values()) == {"skipped"}, "nothing to evaluate"

    # Three ingestions: the one of this hour, and two that are asked for.
    airflow.unpause("data_ingestion")
    hourly = stack.run_of_type("data_ingestion", "scheduled")
    assert set(stack.finish("data_ingestion", hourly).values()) == {"success"}
    after_the_first = datetime.now(UTC)
    for _ in range(RUNS - 1):
        assert set(stack.finish("data_ingestion", airflow.trigger("data_ingestion")).values()) == {"success"}
    # A full hour that passed meanwhile has brought one scheduled run more. From here on nothing comes in.
    runs = [run["dag_run_id"] for run in airflow.runs("data_ingestion")]
    assert len(runs) in (RUNS, RUNS + 1)
    for run in runs:
        stack.finish("data_ingestion", run)
    airflow.pause("data_ingestion")
    rows_ingested = len(runs) * ROWS
    assert sum(stack.world.broker.end_offsets(RAW).values()) == rows_ingested
    assert sum(stack.world.broker.end_offsets(PROCESSED).values()) == rows_ingested
    logged = RawDataLogRepository(database).count_by_status()
    assert {str(name): count for name, count in logged.items()} == {"accepted": rows_ingested, "rejected": 0}

    # The training of this day, and the evaluation that its model starts.
    airflow.unpause("model_training")
    daily = stack.run_of_type("model_training", "scheduled")
    assert set(stack.finish("model_training", daily, seconds=400).values()) == {"success"}
    models = ModelRepository(database)
    (model,) = models.newest_first()
    assert (model.run, model.preset, model.pretrained) == (daily, "fast", True)
    assert TrainingDataRepository(database).get(model.snapshot).rows_accepted == rows_ingested
    log = airflow.log("model_training", daily, "train_classifier")
    assert all(word in log for word in ("epoch_finished", "loss", "score", "rows_per_second"))
    evaluation = stack.run_of_type("model_evaluation", "asset_triggered")
    tasks = stack.finish("model_evaluation", evaluation)
    assert tasks.pop("ask_for_approval") == "skipped", "no approval is required"
    assert set(tasks.values()) == {"success"}
    champion = models.champion()
    assert (champion.version, champion.rev) == (model.version, 1)
    (metrics,) = (each for each in MetricsRepository(database).newest_first() if each.run == evaluation)
    assert (metrics.version, 0.65 < metrics.figures["auc"] < 0.9) == (model.version, True)
    assert 0.15 * rows_ingested < metrics.rows < 0.25 * rows_ingested

    # Its file loads, and scores rows of the bundled file that have not come yet.
    loaded = load_model(stack.world.home / model.path, sha256=champion.digest)
    fresh = read_frame(BUNDLED_DATA).frame.iloc[rows_ingested : rows_ingested + 500]
    rows = validate(RawFrame(frame=fresh), load_schema(BUNDLED_SCHEMA), labelled=False).accepted
    pds = loaded.predict_pd(rows)
    assert (len(pds), pds.min() > 0, pds.max() < 1) == (500, True, True)

    # A worse one, by few labels: those that had come with the first ingestion, and two passes.
    until = after_the_first.isoformat()
    airflow.trigger("model_training", "few", until=until, epochs=1, pretraining_epochs=1)
    stack.finish("model_training", "few", seconds=400)
    second = stack.run_of_type("model_evaluation", "asset_triggered", known=(evaluation,))
    stack.finish("model_evaluation", second)
    worse = next(each for each in models.newest_first() if each.run == "few")
    assert TrainingDataRepository(database).get(worse.snapshot).rows_accepted == ROWS
    assert models.champion() == champion
    assert models.get(worse.version).status is ModelStatus.REJECTED
    assert models.get(model.version).status is ModelStatus.CHAMPION
    decisions = {each.version: each for each in DecisionRepository(database).newest_first()}
    assert decisions[model.version].action is Action.PROMOTED
    assert decisions[worse.version].action is Action.REJECTED
    assert any(reason.startswith("failed") for reason in decisions[worse.version].reasons)
    published = [
        ((record.header("ce_type") or b"").decode(), orjson.loads(record.value))
        for record in stack.world.records(COMMANDS)
    ]
    facts = [(kind, data["version"]) for kind, data in published if kind in set(FactType)]
    assert (CommandType.TRAIN, {}) in published, "without a champion, many applications ask for a training"
    assert sorted(facts) == sorted(
        [
            (FactType.TRAINED, model.version),
            (FactType.PROMOTED, model.version),
            (FactType.TRAINED, worse.version),
            (FactType.REJECTED, worse.version),
        ]
    )


def test_a_command_of_a_console_client_starts_one_run_however_often_it_is_sent(stack, monkeypatch):
    for name, value in stack.airflow.environment.items():
        monkeypatch.setenv(name, value)
    command = {
        "specversion": "1.0",
        "id": "from-the-console",
        "type": "training.requested",
        "source": "a person",
        "time": "2026-11-25T10:00:00Z",
        "data": {"epochs": 1, "pretrain": False, "members": 1},
    }
    wrong = command | {"id": "wrong", "data": {"epochs": 0}}

    def type_in(typed: dict[str, object]) -> None:
        console_producer(stack.world.kafka, COMMANDS, orjson.dumps(typed).decode())

    listener = stack.world.start("commands")
    for each in (command, command, wrong, command):
        type_in(each)
    commands = CommandRepository(stack.database)
    patiently(lambda: len(commands.newest_first()) == 3, seconds=120)
    runs = [
        "command__first-training",
        "command__from-the-console",
    ]  # the first was asked for by the ingestion
    for run in runs:
        stack.finish("model_training", run, seconds=400)
    models = ModelRepository(stack.database)
    patiently(lambda: not models.with_status(ModelStatus.TRAINED), seconds=200)
    started = [run["dag_run_id"] for run in stack.airflow.runs("model_training")]
    assert sorted(run for run in started if run.startswith("command__")) == runs
    assert "epochs" in (commands.get("wrong").reason or "")

    for switch, paused in (("ingestion.resumed", False), ("ingestion.paused", True)):
        now = datetime.now(UTC).isoformat()
        type_in(command | {"id": switch, "type": switch, "time": now, "data": {}})
        patiently(
            lambda paused=paused: stack.airflow.get("/dags/data_ingestion")["is_paused"] is paused, seconds=60
        )
    listener.send_signal(signal.SIGTERM)
    assert listener.wait(60) == 0


def test_a_viewer_looks_and_cannot_trigger_and_bad_parameters_are_refused(stack):
    call, runs = stack.airflow.call, "/dags/model_training/dagRuns"
    body = {"logical_date": None, "conf": {}}
    before = len(stack.airflow.runs("model_training"))
    assert call("GET", "/dags", user=VIEWER).status_code == 200
    assert call("POST", runs, body, user=VIEWER).status_code == 403
    assert call("PATCH", "/dags/model_training", {"is_paused": True}, user=VIEWER).status_code == 403
    refused = call("POST", runs, body | {"conf": {"seed": -1}})
    assert (refused.status_code, "less than the minimum of 0" in refused.text) == (400, True)
    assert len(stack.airflow.runs("model_training")) == before


def test_a_rollback_brings_back_a_model_whatever_its_figures(stack):
    models = ModelRepository(stack.database)
    champion = models.champion()
    rejected = models.with_status(ModelStatus.REJECTED)[0]
    run = stack.airflow.trigger("model_evaluation", version=rejected.version, rollback=True)
    stack.finish("model_evaluation", run)
    assert models.champion().version == rejected.version
    run = stack.airflow.trigger("model_evaluation", rollback=True)
    stack.finish("model_evaluation", run)
    assert models.champion().version == champion.version
    assert models.champion().rev == champion.rev + 2


def test_a_person_sees_the_dags_a_finished_grid_and_the_assets(stack):
    """Pictures go to the folder that PICTURES names, else to the one of the test."""
    pictures = Path(os.environ.get("PICTURES", stack.world.home / "pictures"))
    pictures.mkdir(parents=True, exist_ok=True)
    try:
        with open_page() as page:
            page.goto(stack.airflow.url)
            page.wait_for_url("**/auth/login**")
            page.fill("input[name=username]", ADMIN)
            page.fill("input[name=password]", stack.airflow.passwords[ADMIN])
            page.click("button[type=submit]")
            page.wait_for_url(lambda url: "login" not in url)
            look_at(page, f"{stack.airflow.url}/dags", DAGS, pictures / "airflow-dags.png")
            grid = f"{stack.airflow.url}/dags/model_training"
            look_at(page, grid, TRAINING_TASKS, pictures / "airflow-training.png")
            (model,) = (each for each in stack.airflow.get("/assets")["assets"] if each["name"] == "model")
            assets = f"{stack.airflow.url}/assets/{model['id']}"
            look_at(page, assets, ("model_training", "model_evaluation"), pictures / "airflow-assets.png")
    except NotInstallable as reason:
        skip_without(reason)
    assert {path.stat().st_size > 20_000 for path in pictures.glob("airflow-*.png")} == {True}


def look_at(page: Any, address: str, texts: Iterable[str], picture: Path) -> None:
    """Open a page, wait until it shows these texts, and take a picture."""
    page.goto(address)
    for text in texts:
        page.get_by_text(text).first.wait_for(timeout=30_000)
    page.wait_for_timeout(2_000)  # graphs are laid out after their texts are there
    page.screenshot(path=str(picture))


def test_neither_secrets_nor_values_of_records_get_into_the_logs(stack):
    secrets = [stack.world.ferretdb.password, *stack.airflow.passwords.values()]
    written = [path.read_text(errors="replace") for path in Path(stack.airflow.home).rglob("*.log")]
    assert sum(map(len, written)) > 10_000
    for text in written:
        assert not any(secret in text for secret in secrets)
        assert "LIMIT_BAL" not in text
