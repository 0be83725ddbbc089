"""What lies in kubernetes/: without secrets, pinned, in step with the code, and taken by an API server."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers.kubernetes import cached_helm, not_cached, render

from loan_default.database.users import ROLES
from loan_default.kafka.topics import (
    COMMANDS,
    PROCESSED,
    PROCESSING,
    SCORING,
    TOPICS,
    TRAINING_STORE,
    dead_letter_topic,
)
from loan_default.pipelines.control import command_worker
from loan_default.serving import promotion_facts
from loan_default.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "kubernetes"
CHART = FOLDER / "chart"
MANIFESTS = ("kafka.yaml", "mongodb.yaml", "namespace.yaml")
VALUES = ("airflow-values.yaml", "airflow-values-kubernetes-executor.yaml", "chart/values.yaml")
SECRET_FILES = ROOT / "docker" / "make-secrets.sh"
AIRFLOW_KEYS = {"connection", "fernet-key", "api-secret-key", "jwt-secret"}
GRANTED = {
    "pipeline": {
        "raw_data": {"Describe", "Read", "Write"},
        "raw_data.dlq": {"Describe", "Read", "Write"},
        "processed_data": {"Describe", "Read", "Write"},
        "commands": {"Describe", "Write"},
        "commands.dlq": {"Describe"},
        "scores": {"Describe"},
        "processed_data.dlq": {"Describe"},
    },
    "commands": {"commands": {"Describe", "Read"}, "commands.dlq": {"Describe", "Write"}},
    "requester": {"commands": {"Describe", "Write"}},
    "api": {"raw_data": {"Describe", "Write"}, "commands": {"Describe", "Read", "Write"}},
    "scorer": {
        "processed_data": {"Describe", "Read"},
        "scores": {"Describe", "Write"},
        "processed_data.dlq": {"Describe", "Write"},
        "commands": {"Describe", "Read", "Write"},
    },
}
"""What each client does with the topics."""

needs_helm = pytest.mark.skipif(
    cached_helm() is None, reason="helm must be in the cache, however: not there. `make kubernetes-check`"
)


def documents(name: str) -> list[dict[str, Any]]:
    text = (FOLDER / name).read_text("utf-8")
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(kind: str, name: str) -> dict[str, dict[str, Any]]:
    """Those of a file, by their name."""
    return {each["metadata"]["name"]: each for each in documents(name) if each["kind"] == kind}


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, (*path, str(key)))
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, path)
    else:
        yield path, value


def mappings(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(each)


def rendered(*words: str) -> list[dict[str, Any]]:
    done = render(CHART, *words, namespace="loan-default", release="loan-default")
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Component -> the pod that its Deployment or Job makes."""
    workloads = [each for each in objects if each["kind"] in {"Deployment", "Job"}]
    return {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"]["spec"]
        for each in workloads
    }


@pytest.mark.parametrize("name", [*MANIFESTS, *VALUES])
def test_no_value_is_a_secret(name):
    for document in documents(name):
        assert document.get("kind") != "Secret"
        for path, value in leaves(document):
            if not re.search(r"password|secret|token|fernet|jwt", path[-1], re.IGNORECASE):
                assert not re.search(r"://[^/\s]*@", str(value)), f"{path} holds a password"
                continue
            # A reference by name, a key in a secret, a path or a switch; nothing that could be one itself.
            is_reference = re.fullmatch(r"[a-z0-9.-]*|[A-Z0-9_]+|/\S+|True|False", str(value))
            assert is_reference, f"{path}={value!r}"


@pytest.mark.parametrize("name", [*MANIFESTS, *VALUES])
def test_keys_of_secrets_are_files_that_make_secrets_makes(name):
    made = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", SECRET_FILES.read_text("utf-8")))
    for document in documents(name):
        for each in mappings(document):
            if "key" in each and each.get("name", "loan-default") == "loan-default":
                assert each["key"] in made | {"ca.crt"}, each


def test_topics_are_those_of_the_code():
    described = {
        each["spec"]["topicName"]: each["spec"] for each in of_kind("KafkaTopic", "kafka.yaml").values()
    }
    assert set(described) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        spec = described[topic.name]
        assert spec["partitions"] == topic.partitions
        assert topic.retention is not None
        assert spec["config"]["retention.ms"] == topic.retention.total_seconds() * 1_000
        assert spec["config"]["min.insync.replicas"] < spec["replicas"]


def test_kafka_users_may_do_what_their_client_does():
    users = of_kind("KafkaUser", "kafka.yaml")
    assert set(users) == set(GRANTED)
    groups: dict[str, set[str]] = {
        "pipeline": {PROCESSING, TRAINING_STORE, "look-"},
        "commands": {command_worker.GROUP},
        "requester": set(),
        "api": {promotion_facts.GROUPS},
        "scorer": {SCORING, promotion_facts.GROUPS},
    }
    for name, user in users.items():
        rules = user["spec"]["authorization"]["acls"]
        granted = {
            rule["resource"]["name"]: set(rule["operations"])
            for rule in rules
            if rule["resource"]["type"] == "topic"
        }
        assert granted == GRANTED[name]
        assert {rule["resource"]["name"] for rule in rules if rule["resource"]["type"] == "group"} == groups[
            name
        ]
        assert user["spec"]["authentication"]["type"] == "scram-sha-512"
    assert set(GRANTED["commands"]) == {COMMANDS, dead_letter_topic(COMMANDS)}


def test_kafka_has_no_listener_without_a_password():
    (kafka,) = of_kind("Kafka", "kafka.yaml").values()
    assert [listener["authentication"]["type"] for listener in kafka["spec"]["kafka"]["listeners"]] == [
        "scram-sha-512"
    ]
    assert kafka["spec"]["kafka"]["config"]["auto.create.topics.enable"] is False
    assert kafka["spec"]["kafka"]["version"].startswith("4.")
    assert "zookeeper" not in kafka["spec"]


def test_roles_of_mongodb_are_those_of_the_code():
    (mongodb,) = of_kind("MongoDBCommunity", "mongodb.yaml").values()
    roles = {role["role"]: role for role in mongodb["spec"]["security"]["roles"]}
    assert set(roles) == set(ROLES)
    database = Settings().mongodb_database
    for name, rights in ROLES.items():
        privileges = {
            (each["resource"]["db"], each["resource"]["collection"]): list(each["actions"])
            for each in roles[name]["privileges"]
        }
        assert privileges == {(database, collection): list(actions) for collection, actions in rights.items()}
    users = {user["name"]: user for user in mongodb["spec"]["users"]}
    assert set(users) == {*ROLES, "init"}
    for name in ROLES:
        assert users[name]["roles"] == [{"name": name, "db": database}]
        assert users[name]["db"] == database
    assert mongodb["spec"]["members"] == 3


@pytest.mark.slow
def test_versions_are_pinned():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    (mongodb,) = of_kind("MongoDBCommunity", "mongodb.yaml").values()
    assert f"mongo:{mongodb['spec']['version']}" == compose["services"]["mongodb"]["image"]
    (chart,) = documents("chart/Chart.yaml")
    (airflow,) = documents("airflow-values.yaml")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'version = "{chart["appVersion"]}"' in project
    assert airflow["defaultAirflowTag"] == chart["appVersion"]
    assert f'"apache-airflow=={airflow["airflowVersion"]}"' in project


def test_airflow_has_no_account_and_no_server_from_its_chart():
    (values,) = documents("airflow-values.yaml")
    assert values["executor"] == "LocalExecutor"
    assert not values["createUserJob"]["enabled"]
    assert not values["webserver"]["defaultUser"]["enabled"]
    for name in ("postgresql", "redis", "statsd", "pgbouncer", "flower"):
        assert not values[name]["enabled"]
    secret = values["data"]["metadataSecretName"]
    names = {values[f"{key}SecretName"] for key in ("fernetKey", "apiSecretKey", "jwt")}
    assert names == {secret}
    readme = (FOLDER / "README.md").read_text("utf-8")
    assert all(f"{key}=" in readme for key in AIRFLOW_KEYS)


def test_airflow_in_kubernetes_is_configured_like_the_image():
    (values,) = documents("airflow-values.yaml")
    image = ConfigParser(interpolation=None)
    image.read(ROOT / "docker" / "airflow" / "airflow.cfg", "utf-8")
    elsewhere = {"executor", "execution_api_server_url"}  # the chart's own value, and another service
    for section in ("core", "api", "api_auth", "scheduler", "logging", "usage_data_collection"):
        ours = {name: value for name, value in image[section].items() if not name.endswith("_cmd")}
        theirs = {name: str(value) for name, value in values["config"][section].items()}
        assert {**ours, **dict.fromkeys(elsewhere)} == {**theirs, **dict.fromkeys(elsewhere)}, section
    service = values["config"]["core"]["execution_api_server_url"].removesuffix("/execution/")
    (ours,) = documents("chart/values.yaml")
    assert ours["commands"]["airflowUrl"] == service


def test_tasks_are_given_settings_that_exist_and_the_same_with_both_executors():
    local, pods_of_tasks = (documents(name)[0] for name in VALUES[:2])
    known = {
        *Settings.model_fields,
        *(str(field.validation_alias) for field in Settings.model_fields.values()),
    }
    for variable in (each["name"] for each in local["env"]):
        field = variable.removeprefix("LOAN_DEFAULT_").lower()
        assert variable in known or field in known or variable in {"LOAN_DEFAULT_SECRETS", "OMP_NUM_THREADS"}
    worker = pods_of_tasks["workers"]["kubernetes"]
    for key in ("extraVolumes", "extraVolumeMounts"):
        assert worker[key] == local["scheduler"][key]
        assert pods_of_tasks["scheduler"][key] == []
    (ours,) = documents("chart/values.yaml")
    given = {each["name"]: each["value"] for each in local["env"]}
    assert given["MONGODB_URI"] == ours["mongodb"]["uri"]
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == ours["kafka"]["bootstrapServers"]


@pytest.mark.slow
@needs_helm
@pytest.mark.parametrize(
    "words", [(), ("--set=init.makeUsers=true", "--set=commands.autoscaling.enabled=true")]
)
def test_pods_of_our_chart_are_locked_down(words):
    found = pods(rendered(*words))
    assert set(found) == {"commands", "init", "airflow-setup", "api", "scorer"}
    for pod in found.values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]
        assert not re.search(r":latest$|^[^:@]+$", container["image"])
        assert not any("PASSWORD" in each["name"] or "valueFrom" in each for each in container["env"])
        assert {each["name"] for each in container["volumeMounts"]} == {
            each["name"] for each in pod["volumes"]
        }


@pytest.mark.slow
@needs_helm
def test_each_pod_sees_its_own_passwords_only():
    def files(pod: dict[str, Any]) -> set[str]:
        (volume,) = (each for each in pod["volumes"] if each["name"] == "secrets")
        return {item["path"] for each in volume["projected"]["sources"] for item in each["secret"]["items"]}

    found = pods(rendered())
    assert files(found["commands"]) == {
        "MONGODB_PASSWORD",
        "KAFKA_SASL_PASSWORD",
        "LOAN_DEFAULT_AIRFLOW_PASSWORD",
    }
    assert files(found["init"]) == {"MONGODB_PASSWORD", "KAFKA_SASL_PASSWORD", "LOAN_DEFAULT_API_KEY"}
    assert files(found["api"]) == files(found["scorer"]) == {"MONGODB_PASSWORD", "KAFKA_SASL_PASSWORD"}
    assert not any("MONGODB" in name or "KAFKA" in name for name in files(found["airflow-setup"]))
    with_users = pods(rendered("--set=init.makeUsers=true"))
    assert {f"MONGODB_{user.upper()}_PASSWORD" for user in ROLES} < files(with_users["init"])


@pytest.mark.slow
@needs_helm
def test_what_is_off_by_default_and_can_be_switched():
    def kinds(*words: str) -> set[str]:
        return {each["kind"] for each in rendered(*words)}

    assert {"PodDisruptionBudget", "NetworkPolicy", "PersistentVolumeClaim"} <= kinds()
    without_api = "--set=api.enabled=false"
    assert "HorizontalPodAutoscaler" not in kinds(without_api)
    assert "HorizontalPodAutoscaler" in kinds(without_api, "--set=commands.autoscaling.enabled=true")
    assert {"HorizontalPodAutoscaler", "Service"} <= kinds()
    assert not {"Service", "ScaledObject"} & kinds(without_api)
    assert "ScaledObject" in kinds("--set=scorer.keda.enabled=true")
    assert "Job" not in kinds("--set=init.enabled=false", "--set=airflowSetup.enabled=false")
    (setup,) = pods(rendered())["airflow-setup"]["containers"]
    # Read, not imported: with Airflow come settings, which only tests/airflow has made ready.
    shared = (ROOT / "src" / "loan_default" / "airflow" / "dag_defaults.py").read_text()
    (pool,) = re.findall(r'^TRAINING_POOL = "(\w+)"', shared, flags=re.MULTILINE)
    assert f"pools set {pool} 1" in setup["args"][0]


@pytest.mark.slow
@needs_helm
def test_our_pods_are_closed_but_for_their_servers():
    policies = [each for each in rendered() if each["kind"] == "NetworkPolicy"]
    deny = next(each for each in policies if each["metadata"]["name"].endswith("-deny"))
    assert deny["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(deny["spec"])
    (listener,) = (each for each in policies if each["metadata"]["name"].endswith("-commands"))
    ports = [port["port"] for rule in listener["spec"]["egress"] for port in rule["ports"]]
    assert ports == [9093, 27017, 8080]


@pytest.mark.slow
@needs_helm
def test_only_whom_the_values_name_may_ask_for_scores():
    def ingress(*words: str) -> list[dict[str, Any]]:
        policies = [each for each in rendered(*words) if each["kind"] == "NetworkPolicy"]
        (callers,) = (each for each in policies if each["metadata"]["name"].endswith("-api-callers"))
        assert callers["spec"]["policyTypes"] == ["Ingress"]
        found: list[dict[str, Any]] = callers["spec"].get("ingress", [])
        return found

    assert ingress() == []
    (rule,) = ingress("--set=networkPolicy.callers.from[0].podSelector.matchLabels.app=ingress")
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"app": "ingress"}}}]


@pytest.mark.slow
@needs_helm
def test_services_that_score_are_probed_and_scale_by_what_waits():
    found = {each["kind"]: each for each in rendered("--set=api.autoscaling.targetRequestsInFlight=8")}
    (api,) = pods(rendered())["api"]["containers"]
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert api["livenessProbe"]["httpGet"]["path"] == "/livez"
    home = {each["name"]: each for each in api["volumeMounts"]}["home"]
    assert home["readOnly"] is True
    metrics = found["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource", "Pods"]
    assert metrics[1]["pods"]["metric"]["name"].startswith("loan_")
    scaled = {each["kind"]: each for each in rendered("--set=scorer.keda.enabled=true")}
    (trigger,) = scaled["ScaledObject"]["spec"]["triggers"]
    assert (trigger["metadata"]["consumerGroup"], trigger["metadata"]["topic"]) == (SCORING, PROCESSED)
    assert trigger["metadata"]["sasl"] == "scram_sha512"
    most = scaled["ScaledObject"]["spec"]["maxReplicaCount"]
    assert most <= next(topic.partitions for topic in TOPICS if topic.name == PROCESSED)
    deployments = [
        each for each in rendered("--set=scorer.keda.enabled=true") if each["kind"] == "Deployment"
    ]
    (scorer,) = (each for each in deployments if each["metadata"]["name"].endswith("-scorer"))
    assert "replicas" not in scorer["spec"]


@pytest.mark.slow
@needs_helm
def test_both_that_score_take_settings_of_scoring():
    found = pods(rendered("--set-string=scoring.settings.LOAN_DEFAULT_CUTOFF=0.15"))
    for name in ("api", "scorer"):
        (container,) = found[name]["containers"]
        assert {"name": "LOAN_DEFAULT_CUTOFF", "value": "0.15"} in container["env"]


@pytest.mark.slow
@needs_helm
@pytest.mark.parametrize(
    "wrong",
    [
        "scoring.settings.MONGODB_PASSWORD=x",
        "commands.replcas=2",
        "image.tag=latest",
        "mongodb.uri=mongodb://me:secret@host",
        "secrets.kafka=",
    ],
)
def test_wrong_values_are_refused(wrong):
    done = render(CHART, f"--set={wrong}", namespace="loan-default", release="loan-default")
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


@pytest.mark.integration
@pytest.mark.slow
def test_an_api_server_takes_it_all_and_refuses_what_is_broken():
    if missing := not_cached():
        pytest.skip(f"{', '.join(missing)} must be in the cache, however: not there. `make kubernetes-check`")
    done = subprocess.run(
        [sys.executable, str(FOLDER / "validate.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    accepted, all_of_them, refused, broken = re.findall(r"\d+", done.stdout.splitlines()[-1])
    assert accepted == all_of_them
    assert refused == broken
    assert 'unknown field "spec.replicaz"' in done.stdout
