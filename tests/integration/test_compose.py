"""The stack of docker-compose.yml: from nothing to a champion, through crashes, a restart and a restore."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pymongo
import pytest
from integration.compose import CANARY, ONE_SHOTS, ROOT, USER, Compose, composed, docker
from integration.stack import patiently
from integration.test_airflow import look_at
from kafka import KafkaConsumer
from pymongo.errors import OperationFailure
from servers.browser import open_page
from servers.errors import NotInstallable
from servers.required import skip_without

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.generator import generate, to_text
from loan_default.database.backup import contents_of
from loan_default.database.documents import ModelStatus
from loan_default.database.ingestion_documents import EventStatus
from loan_default.database.ingestion_repositories import RawDataLogRepository
from loan_default.database.repositories import ModelRepository

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(3_000),
    pytest.mark.skipif("COMPOSE" not in os.environ, reason="half an hour: set COMPOSE=1"),
]

DAGS = ("data_ingestion", "model_training", "model_evaluation")
BUNDLED = 6_000
"""Accounts that the stack replays into a new folder."""
LOOKING_UP = 900.0
"""Seconds in which a scorer that was killed finds out which of thousands of events it had answered: a store
without an index of events reads all predictions for each batch."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The stack with a champion that it came to without a hand on it."""
    with composed(tmp_path_factory.mktemp("stack"), "docker-compose.yml") as stack:
        began = time.monotonic()
        stack("up", "--detach", "--wait", seconds=900)
        healthy = time.monotonic() - began
        memory = [memory_mib(stack)]

        def promoted() -> bool:
            memory.append(memory_mib(stack))
            return champion(stack) is not None

        patiently(promoted, seconds=900, otherwise=lambda: runs(stack))
        over = time.monotonic() - began
        sys.stdout.write(
            f"\nhealthy after {healthy:.0f} s, champion after {over:.0f} s, "
            f"memory {memory[0]:.0f} MiB, at most {max(memory):.0f}\n"
        )
        yield stack


def test_the_folder_becomes_a_champion_without_a_hand_on_it(stack):
    assert stack.troubles() == {}
    with pymongo.MongoClient(stack.mongodb(), tz_aware=True) as client:
        models = ModelRepository(client["loan_default"])
        (model,) = models.with_status(ModelStatus.CHAMPION)
        assert models.champion().version == model.version
        assert model.run == "command__first-training"
    assert events(stack) == (BUNDLED, 0)
    assert {run["state"] for dag in DAGS for run in runs(stack)[dag]} == {"success"}


def test_applications_are_scored_on_the_stream_and_over_http(stack):
    patiently(
        lambda: predictions(stack) >= BUNDLED,
        seconds=200,
        otherwise=lambda: (predictions(stack), stack("logs", "scorer")),
    )
    answer = ask(stack, (ROOT / "docker" / "demo-application.json").read_bytes())
    assert answer.status_code == 200, answer.text
    assert champion(stack) in answer.text
    assert ask(stack, b"{}", key="0123456789ab.wrong").status_code == 401
    patiently(lambda: predictions(stack) == BUNDLED + 1, seconds=30)
    with_champion = stack("exec", "-T", "scorer", "python", "docker/serving_health.py", "scorer", check=False)
    assert with_champion == ""


def test_the_image_that_scores_is_small(stack):
    (megabytes,) = (
        int(docker("image", "inspect", "--format", "{{.Size}}", "loan-default-serving:latest")) / 1e6,
    )
    names = [stack.services()[name]["Name"] for name in ("api", "scorer")]
    memory = docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names)
    sys.stdout.write(f"\nloan-default-serving: {megabytes:.0f} MB\n{memory}")
    assert megabytes < 600


def test_a_person_sees_the_three_dags(stack, tmp_path):
    pictures = Path(os.environ.get("PICTURES", tmp_path))
    try:
        with open_page() as page:
            page.goto(stack.airflow)
            page.wait_for_url("**/auth/login**")
            page.fill("input[name=username]", "admin")
            page.fill("input[name=password]", stack.password("AIRFLOW_ADMIN_PASSWORD"))
            page.click("input[type=submit], button[type=submit]")
            page.wait_for_url(lambda url: "login" not in url)
            look_at(page, f"{stack.airflow}/dags", DAGS, pictures / "compose-dags.png")
    except NotInstallable as reason:
        skip_without(reason)


def test_who_may_do_what_in_airflow(stack):
    assert httpx.get(f"{stack.airflow}/api/v2/dags", timeout=30).status_code == 401
    started = {"logical_date": None, "conf": {}}
    pause, go_on = {"is_paused": True}, {"is_paused": False}
    table = [
        ("viewer", "GET", "/dags", None, 200),
        ("viewer", "POST", "/dags/data_ingestion/dagRuns", started, 403),
        ("viewer", "PATCH", "/dags/data_ingestion", pause, 403),
        ("viewer", "GET", "/connections", None, 403),
        ("commands", "PATCH", "/dags/data_ingestion", go_on, 200),
        ("commands", "GET", "/connections", None, 403),
        ("commands", "GET", "/variables", None, 403),
        ("commands", "GET", "/config", None, 403),
        ("commands", "DELETE", "/dags/data_ingestion", None, 403),
        ("admin", "GET", "/connections", None, 200),
    ]
    answers = [
        (user, method, path, body, stack.call(method, path, body, user=user).status_code)
        for user, method, path, body, _ in table
    ]
    assert answers == table


def test_who_may_do_what_in_mongodb(stack):
    port = stack.ports["MONGODB_PORT"]
    with pymongo.MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true") as anyone:
        with pytest.raises(OperationFailure):
            anyone["loan_default"]["model_metadata"].find_one()
        with pytest.raises(OperationFailure):
            anyone["loan_default"]["model_metadata"].insert_one({})
    with (
        pymongo.MongoClient(stack.mongodb().replace("pipeline:", "pipeline:x")) as wrong,
        pytest.raises(OperationFailure),
    ):
        wrong["loan_default"]["model_metadata"].find_one()
    with pymongo.MongoClient(stack.mongodb("reader")) as reader:
        assert reader["loan_default"]["model_metadata"].find_one() is not None
        if "ferretdbVersion" in reader.admin.command("buildInfo"):
            pytest.skip("passwords are checked; this server has no roles, so that nothing shows their limits")
        for user, collection in (("reader", "model_metadata"), ("commands", "decisions")):
            with pymongo.MongoClient(stack.mongodb(user)) as client, pytest.raises(OperationFailure):
                client["loan_default"][collection].insert_one({})
        with pymongo.MongoClient(stack.mongodb()) as pipeline, pytest.raises(OperationFailure):
            pipeline.drop_database("loan_default")


def test_no_secret_is_where_it_should_not_be(stack):
    kept = {path.name: path.read_text() for path in stack.secrets.iterdir()}
    assert len(kept) == 14
    image = "loan-default:latest"
    in_scheduler = ("exec", "-T", "airflow-scheduler", "sh", "-c")
    places = {
        "compose config": stack("config"),
        "logs": stack("logs", "--no-color"),
        "task logs": stack(*in_scheduler, "find /opt/airflow/logs -type f -exec cat {} +"),
        "models": stack(*in_scheduler, "find /var/lib/loan-default -type f -exec cat {} +"),
        "image": docker("history", "--no-trunc", image) + docker("inspect", image),
    }
    of_processes = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null"
    for service in stack.services():
        places[f"inspect {service}"] = json.dumps(stack.inspect(service))
        if service not in ONE_SHOTS:
            words = ("exec", "-T", service, "sh", "-c", of_processes)
            places[f"processes of {service}"] = stack(*words, check=False)
            assert "PATH=" in places[f"processes of {service}"], "they were read"
    assert len(places["task logs"]) > 10_000
    found = {
        (place, name) for place, text in places.items() for name, secret in kept.items() if secret in text
    }
    # The official images put what they are given into their own environment; no other service sees it.
    own = {("processes of mongodb", "MONGODB_ROOT_PASSWORD"), ("processes of postgres", "POSTGRES_PASSWORD")}
    health_check = {("processes of mongodb", "MONGODB_PIPELINE_PASSWORD")}
    assert found - own - health_check == set()


def test_services_run_as_nobody_and_listen_to_this_machine_only(stack):
    for service, container in stack.services().items():
        found = stack.inspect(service)
        assert found["HostConfig"]["CapDrop"] == ["ALL"], service
        assert "no-new-privileges:true" in found["HostConfig"]["SecurityOpt"], service
        assert found["HostConfig"]["Memory"] > 0, service
        assert not any("docker.sock" in mount["Source"] for mount in found["Mounts"]), service
        for bindings in (found["HostConfig"]["PortBindings"] or {}).values():
            assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, service
        if container["State"] == "running":
            assert int(stack("exec", "-T", service, "id", "-u").split()[0]) != 0, service


def test_each_container_crashes_during_an_ingestion_and_nothing_is_lost(stack):
    schema, sent = load_schema(BUNDLED_SCHEMA), 0
    accepted, _ = events(stack)
    crashed = [name for name in stack.services() if name not in ONE_SHOTS]
    for number, service in enumerate(crashed):
        drop(stack, schema, rows=1_500, seed=number)
        sent += 1_500
        patiently(lambda: start(stack, "data_ingestion"), seconds=120)
        time.sleep(4 + number % 3)  # into the run
        stack.crash(service)
        patiently(
            lambda: stack.troubles() == {} and not busy(stack, "data_ingestion"),
            seconds=420,
            otherwise=lambda service=service: (service, stack.troubles(), runs(stack)["data_ingestion"][-3:]),
        )
    # A run whose supervisor had gone may have failed in the end: the next one takes what is left.
    patiently(lambda: start(stack, "data_ingestion"), seconds=120)
    patiently(lambda: not busy(stack, "data_ingestion"), seconds=300)
    assert events(stack) == (accepted + sent, 0)
    assert processed(stack) == accepted + sent
    # One prediction of each, also of those that came while the scorer was dead, and the one over HTTP.
    patiently(
        lambda: predictions(stack) == accepted + sent + 1,
        seconds=LOOKING_UP,
        otherwise=lambda: (predictions(stack), stack("logs", "--tail", "20", "scorer")),
    )


def test_a_command_typed_into_the_console_client_is_done(stack):
    command = {"specversion": "1.0", "id": "typed", "type": "evaluation.requested", "source": "a person"}
    typed = json.dumps(command | {"time": datetime.now(UTC).isoformat(), "data": {}})
    client = ("kafka-console-producer", "--bootstrap-server", "localhost:29092", "--topic", "commands")
    stack("exec", "-T", "kafka", *client, given=typed.encode())
    found = "/dags/model_evaluation/dagRuns/command__typed"
    patiently(lambda: stack.call("GET", found).json().get("state") == "success", seconds=200)


def test_a_new_password_replaces_the_old_one(stack):
    old = stack.mongodb("reader")
    for name in ("MONGODB_READER_PASSWORD", "AIRFLOW_VIEWER_PASSWORD"):
        (stack.secrets / name).unlink()
        (stack.secrets / name).write_text(f"{CANARY}-another-{name.lower()}")
        (stack.secrets / name).chmod(0o444)
    stack.forget_logins()
    stack("up", "--detach", "--wait", "--force-recreate", seconds=900)
    with pymongo.MongoClient(stack.mongodb("reader")) as client:
        assert client["loan_default"]["model_metadata"].find_one() is not None
    with pymongo.MongoClient(old) as client, pytest.raises(OperationFailure):
        client["loan_default"]["model_metadata"].find_one()
    assert stack.call("GET", "/dags", user="viewer").status_code == 200


def test_down_and_up_keeps_everything_and_a_backup_restores_it(stack, tmp_path):
    for dag in DAGS:
        assert stack.call("PATCH", f"/dags/{dag}", {"is_paused": True}).is_success
    patiently(lambda: not any(busy(stack, dag) for dag in DAGS), seconds=300)
    # Applications that are on processed_data alone, as nothing was trained on them yet, belong to a backup.
    stack("exec", "-T", "airflow-scheduler", "loan-default", "ingest", "--generate", "700")
    drop(stack, load_schema(BUNDLED_SCHEMA), rows=300, seed=500)
    stack("exec", "-T", "airflow-scheduler", "loan-default", "ingest", "--folder", "/incoming")
    applications = stored(stack)
    patiently(
        lambda: predictions(stack) == processed(stack) + 1,
        seconds=LOOKING_UP,
        otherwise=lambda: (predictions(stack), processed(stack), stack("logs", "--tail", "20", "scorer")),
    )
    before, kept, history = contents(stack), files(stack), runs(stack)
    assert champion(stack) is not None
    assert ".pth" in kept
    stack("down", "--timeout", "30")
    stack("up", "--detach", "--wait", seconds=900)
    assert (contents(stack), files(stack), runs(stack)) == (before, kept, history)

    backup = script(stack, "docker/backup.sh", BACKUPS=str(tmp_path)).split()[-1]
    stack("down", "--volumes")
    script(stack, "docker/restore.sh", backup)
    patiently(lambda: stack.troubles() == {}, seconds=300, otherwise=stack.troubles)
    restored = contents(stack)
    others = {name for name in before if restored[name] != before[name]}
    # Logged events have places in the Kafka that is gone; the backup's own ingestion computed an hour anew.
    assert {"raw_data_logs"} <= others <= {"raw_data_logs", "monitoring"}
    assert restored["raw_data_logs"].documents == before["raw_data_logs"].documents
    assert restored["monitoring"].documents >= before["monitoring"].documents
    assert (files(stack), runs(stack)) == (kept, history)

    # Kafka counts from 0 again: what comes now is new, what was there is known.
    drop(stack, load_schema(BUNDLED_SCHEMA), rows=400, seed=501)
    drop(stack, load_schema(BUNDLED_SCHEMA), rows=300, seed=500)
    output = stack("exec", "-T", "airflow-scheduler", "loan-default", "ingest", "--folder", "/incoming")
    assert "700 records: 400 accepted, 0 rejected, 300 duplicates" in output
    assert stored(stack) == applications + 400


def test_more_partitions_and_another_broker_while_it_runs(stack):
    assert stack.call("PATCH", "/dags/data_ingestion", {"is_paused": False}).is_success
    accepted, _ = events(stack)
    with stack.with_file("docker-compose.brokers.yml"):
        stack("up", "--detach", "--wait", "kafka-2", seconds=300)
        topics = ("exec", "-T", "kafka", "kafka-topics", "--bootstrap-server", "localhost:29092")
        stack(*topics, "--alter", "--topic", "raw_data", "--partitions", "6")
        leaders = re.findall(
            r"Partition: \d+\s+Leader: (\d)", stack(*topics, "--describe", "--topic", "raw_data")
        )
        assert len(leaders) == 6
        assert set(leaders) == {"1", "2"}
        drop(stack, load_schema(BUNDLED_SCHEMA), rows=900, seed=900)
        patiently(lambda: start(stack, "data_ingestion"), seconds=60)
        patiently(lambda: events(stack) == (accepted + 900, 0), seconds=300, otherwise=lambda: events(stack))
        stack("down", "--volumes")  # a broker that holds partitions cannot go alone


def champion(stack: Compose) -> str | None:
    with pymongo.MongoClient(stack.mongodb(), tz_aware=True, serverSelectionTimeoutMS=2_000) as client:
        pointer = ModelRepository(client["loan_default"]).champion()
    return pointer.version if pointer else None


def predictions(stack: Compose) -> int:
    with pymongo.MongoClient(stack.mongodb(), tz_aware=True, serverSelectionTimeoutMS=2_000) as client:
        found: int = client["loan_default"]["predictions"].count_documents({})
    return found


def ask(stack: Compose, body: bytes, *, key: str = "") -> httpx.Response:
    """Ask for a score over HTTP."""
    headers = {
        "Authorization": f"Bearer {key or stack.password('API_KEY')}",
        "Content-Type": "application/json",
    }
    address = f"http://127.0.0.1:{stack.ports['API_PORT']}/v1/scores"
    return httpx.post(address, content=body, headers=headers, timeout=30)


def contents(stack: Compose) -> dict[str, object]:
    with pymongo.MongoClient(stack.mongodb(), tz_aware=True) as client:
        return dict(contents_of(client["loan_default"]))


def events(stack: Compose) -> tuple[int, int]:
    """Accepted and rejected ones."""
    with pymongo.MongoClient(stack.mongodb(), tz_aware=True) as client:
        counts = RawDataLogRepository(client["loan_default"]).count_by_status()
    return counts[EventStatus.ACCEPTED], counts[EventStatus.REJECTED]


def processed(stack: Compose) -> int:
    """Distinct events on `processed_data`."""
    consumer = KafkaConsumer(
        "processed_data",
        bootstrap_servers=f"localhost:{stack.ports['KAFKA_PORT']}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=15_000,
    )
    ids = {dict(record.headers)["ce_id"] for record in consumer}
    consumer.close()
    return len(ids)


def runs(stack: Compose) -> dict[str, list[dict[str, str]]]:
    """DAG -> its runs, the oldest first."""
    found = {}
    for dag in DAGS:
        answer = stack.call("GET", f"/dags/{dag}/dagRuns?order_by=run_after&limit=100").raise_for_status()
        found[dag] = [{"id": run["dag_run_id"], "state": run["state"]} for run in answer.json()["dag_runs"]]
    return found


def busy(stack: Compose, dag: str) -> bool:
    return any(run["state"] in ("queued", "running") for run in runs(stack)[dag])


def start(stack: Compose, dag: str) -> bool:
    return stack.call("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": {}}).is_success


def drop(stack: Compose, schema, *, rows: int, seed: int) -> None:
    """A file into the folder that the ingestion watches."""
    path = stack.incoming / f"loans-{seed}.csv"
    to_text(generate(schema, rows=rows, seed=1_000 + seed).frame, schema).to_csv(path, index=False)
    os.chown(path, USER, 0)
    os.utime(path, (1, 1))


def stored(stack: Compose) -> int:
    """Applications of the training store."""
    output = stack("exec", "-T", "airflow-scheduler", "loan-default", "prepare")
    return int(re.search(r"([\d,]+) applications", output)[1].replace(",", ""))


def memory_mib(stack: Compose) -> float:
    """What all containers hold."""
    units = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}
    names = [each["Name"] for each in stack.services().values() if each["State"] == "running"]
    used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", *names)
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+)([KMG]iB) /", used))


def script(stack: Compose, *words: str, **environ: str) -> str:
    """What a script of docker/ prints."""
    done = subprocess.run(
        words, cwd=ROOT, env=stack.environ | environ, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def files(stack: Compose) -> str:
    """Digests of the models, the training store and all else in the home folder."""
    command = "cd /var/lib/loan-default && find . -type f | sort | xargs sha256sum"
    return stack("exec", "-T", "airflow-scheduler", "sh", "-c", command)
