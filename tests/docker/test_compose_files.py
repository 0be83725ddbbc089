"""What docker-compose.yml promises, read from the files: no secret, no open port, no root."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from loan_default.pipelines.governance.configured import configured_thresholds
from loan_default.settings import Settings

ROOT = Path(__file__).parents[2]
OFFICIAL = {
    "zookeeper": "confluentinc/cp-zookeeper:7.9.11",
    "kafka": "confluentinc/cp-kafka:7.9.11",
    "mongodb": "mongo:8.0.26",
    "postgres": "postgres:16-bookworm",
}
OURS = {
    "init",
    "airflow-init",
    "airflow-apiserver",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "commands",
    "replay",
    "api",
    "scorer",
}
SERVING = {"api", "scorer"}
"""Those that run in the image without Airflow and torch."""
ONE_SHOTS = {"init", "airflow-init"}


class Loader(yaml.SafeLoader):
    """Reads also what compose's own tags, `!override` and `!reset`, stand before."""

    def tagged(self, _: str, node: yaml.Node) -> object:
        plain = {yaml.MappingNode: "map", yaml.SequenceNode: "seq", yaml.ScalarNode: "null"}
        return self.yaml_constructors[f"tag:yaml.org,2002:{plain[type(node)]}"](self, node)


Loader.add_multi_constructor("!", Loader.tagged)


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((ROOT / name).read_text(), Loader)
    return loaded


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = read("docker-compose.yml")["services"]
    return found


def test_the_services_and_their_images(services):
    assert set(services) == set(OFFICIAL) | OURS
    for name, image in OFFICIAL.items():
        assert services[name]["image"] == image
    images = {name: services[name]["image"].removesuffix(":${LOAN_DEFAULT_VERSION:-latest}") for name in OURS}
    assert {name for name, image in images.items() if image == "loan-default"} == OURS - SERVING
    assert {name for name, image in images.items() if image == "loan-default-serving"} == SERVING
    assert services["api"]["build"]["target"] == "serving"


def test_who_scores_reads_models_and_writes_nothing_but_its_spool(services):
    for name in SERVING:
        mounted = {each.split(":")[1]: each.split(":")[2:] for each in services[name]["volumes"]}
        assert mounted.pop("/var/lib/loan-default") == ["ro"]
        assert set(mounted) == ({"/var/lib/spool"} if name == "api" else set())


def test_each_is_locked_limited_and_looked_after(services):
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service, name
        assert "privileged" not in service, name
        assert service.get("restart") == (None if name in ONE_SHOTS else "unless-stopped"), name
    for name in OURS | {"mongodb", "postgres"}:
        assert services[name]["read_only"] is True, name
        assert services[name]["user"], name
    without_check = {name for name, service in services.items() if "healthcheck" not in service}
    # Those hold no port: a crash ends them, and they are started again.
    assert without_check == ONE_SHOTS | {"commands", "replay"}


def test_ports_are_open_to_this_machine_only(services):
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), (name, port)
    assert {name for name, service in services.items() if "ports" in service} == {
        "kafka",
        "mongodb",
        "airflow-apiserver",
        "api",
    }


@pytest.mark.parametrize(
    "file", ["docker-compose.yml", "docker-compose.secure.yml", "docker-compose.external.yml"]
)
def test_no_secret_is_in_the_file_or_in_a_variable(file):
    content = read(file)
    for name, source in content["secrets"].items():
        assert set(source) == {"file"}
        assert source["file"].endswith(f"/{name}")
    for name, service in content["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            named = re.search("PASSWORD|SECRET|KEY|TOKEN|_CONN$", variable)
            assert not named or str(value).startswith("/run/secrets"), (name, variable)
    assert not re.search(r"//[^/\s:]+:[^/\s$%]+@", (ROOT / file).read_text()), "an address with a password"


def test_each_secret_is_made_by_the_script_and_given_to_somebody(services):
    made = set(
        re.findall(
            r"\b[A-Z]+_[A-Z_]*(?:PASSWORD|KEY|SECRET)\b", (ROOT / "docker/make-secrets.sh").read_text()
        )
    )
    plain, secure = read("docker-compose.yml"), read("docker-compose.secure.yml")
    assert set(plain["secrets"]) | set(secure["secrets"]) == made
    used = set()
    for service in [*plain["services"].values(), *secure["services"].values()]:
        used |= {each if isinstance(each, str) else each["source"] for each in service.get("secrets", [])}
    assert used == made


def test_who_gets_which_secret(services):
    def of(name: str) -> set[str]:
        return {
            each if isinstance(each, str) else each["source"] for each in services[name].get("secrets", [])
        }

    airflow = {"POSTGRES_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET", "AIRFLOW_SECRET_KEY"}
    assert of("airflow-scheduler") == airflow | {"MONGODB_PIPELINE_PASSWORD"}
    assert of("airflow-apiserver") == of("airflow-dag-processor") == of("airflow-triggerer") == airflow
    assert of("commands") == {"MONGODB_COMMANDS_PASSWORD", "AIRFLOW_COMMANDS_PASSWORD"}
    assert of("replay") == set()
    assert of("api") == {"MONGODB_API_PASSWORD"}
    assert of("scorer") == {"MONGODB_SCORER_PASSWORD"}
    assert {name for name in services if "MONGODB_ROOT_PASSWORD" in of(name)} == {"mongodb", "init"}


def test_with_servers_of_a_provider_nothing_waits_for_those_of_the_stack(services):
    external = read("docker-compose.external.yml")
    assert set(external["services"]) == set(services) - {"replay"}
    assert set(external["secrets"]) <= set(read("docker-compose.secure.yml")["secrets"])
    for name in OFFICIAL:
        assert external["services"][name] == {"profiles": ["own-servers"]}
    for name in OURS - {"replay"}:
        assert set(external["services"][name]["depends_on"]) <= OURS, name


def test_each_setting_that_decides_about_models_reaches_the_tasks_and_the_cut_off_who_scores():
    services = read("docker-compose.yml")["services"]
    variables = {each["variable"] for each in configured_thresholds(Settings())}
    assert variables - {"LOAN_DEFAULT_STREAM_REASONS"} <= set(services["airflow-scheduler"]["environment"])
    for name in ("api", "scorer"):
        scoring = {"LOAN_DEFAULT_CUTOFF", "LOAN_DEFAULT_REASONS_AGAINST", "LOAN_DEFAULT_STREAM_REASONS"}
        assert scoring <= set(services[name]["environment"])
    assert "LOAN_DEFAULT_PREDICTION_DAYS" in services["init"]["environment"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "make-secrets.sh", tmp_path / "docker")
    for name in ("docker-compose.yml", "docker-compose.secure.yml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def make_secrets(checkout: Path) -> dict[str, str]:
    subprocess.run([checkout / "docker" / "make-secrets.sh"], check=True, capture_output=True)
    return {path.name: path.read_text() for path in (checkout / "secrets").iterdir()}


@pytest.mark.slow
def test_secrets_are_random_and_stay(checkout):
    first = make_secrets(checkout)
    assert len(set(first.values())) == len(first)
    for name, secret in first.items():
        assert len(set(secret)) > 12, name
        # The key of the API is of two parts, the first of which may be known.
        expected = r"[0-9a-f]{12}\.[A-Za-z0-9_-]{43}" if name == "API_KEY" else r"[A-Za-z0-9_-]{32,64}=?"
        assert re.fullmatch(expected, secret), name
    assert (checkout / "secrets").stat().st_mode & 0o777 == 0o700
    assert make_secrets(checkout) == first
    (checkout / "secrets" / "POSTGRES_PASSWORD").unlink()
    again = make_secrets(checkout)
    assert {name for name in first if first[name] != again[name]} == {"POSTGRES_PASSWORD"}
    other = checkout / "other"
    (other / "docker").mkdir(parents=True)
    shutil.copy(checkout / "docker" / "make-secrets.sh", other / "docker")
    assert not set(make_secrets(other).values()) & set(first.values())


@pytest.mark.slow
def test_the_fernet_key_is_one(checkout):
    from cryptography.fernet import Fernet  # noqa: PLC0415 (comes with Airflow)

    assert Fernet(make_secrets(checkout)["AIRFLOW_FERNET_KEY"])


def config(checkout: Path, *files: str) -> subprocess.CompletedProcess[str]:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose must be installed")
    words = [word for file in files for word in ("--file", file)]
    return subprocess.run(
        ["docker", "compose", *words, "config"], cwd=checkout, capture_output=True, text=True, check=False
    )


def test_without_secrets_compose_refuses_and_says_what_to_do(checkout):
    refused = config(checkout, "docker-compose.yml")
    assert refused.returncode != 0
    assert "run make secrets first" in refused.stderr


@pytest.mark.slow
def test_what_compose_shows_holds_no_secret(checkout):
    kept = make_secrets(checkout)
    shown = config(checkout, "docker-compose.yml", "docker-compose.secure.yml")
    assert shown.returncode == 0, shown.stderr
    assert "KAFKA_SUPER_USERS: User:broker" in shown.stdout
    assert not [name for name, secret in kept.items() if secret in shown.stdout]
    ports = re.findall(r"host_ip: (\S+)", shown.stdout)
    assert len(ports) == 4
    assert set(ports) == {"127.0.0.1"}


def test_the_image_is_made_of_what_it_needs():
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    assert patterns[1] == "*"
    kept = {line[1:] for line in patterns if line.startswith("!")}
    assert not kept & {"secrets", ".env", "incoming", ".git", "tests"}
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", dockerfile, flags=re.MULTILINE) == ["50000:0", "50000:0"]
    assert set(re.findall(r"^FROM (\S+)", dockerfile, flags=re.MULTILINE)) == {"${PYTHON_IMAGE}"}
