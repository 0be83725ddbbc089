"""`REQUIRE_SERVERS`: a server that is missing skips its tests, or fails them where it is asked for."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from servers.__main__ import START
from servers.errors import NotInstallable
from servers.required import SERVERS, is_required, skip_without

TESTS = Path(__file__).parent


@pytest.mark.parametrize(
    ("server", "asked", "required"),
    [
        ("Kafka", "", False),
        ("Kafka", "0", False),
        ("Kafka", "1", True),
        ("Kafka 4.1.0", "ferretdb, kafka", True),
        ("Kafka", "ferretdb,postgres", False),
        ("PostgreSQL", "postgres", True),
        ("MongoDB", "mongodb", True),
        ("Thing", "1", True),
    ],
)
def test_a_server_is_required_by_its_name_or_with_all(server: str, asked: str, required: bool) -> None:
    assert is_required(server, asked) is required


def test_a_name_that_no_server_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"some of airflow, .*, however: \['kafak'\]"):
        is_required("Kafka", "kafak,postgres")


def test_a_missing_server_skips_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = NotInstallable("Kafka", "java must be on the PATH")
    monkeypatch.delenv("REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="java must be on the PATH"):
        skip_without(reason)
    monkeypatch.setenv("REQUIRE_SERVERS", "kafka")
    with pytest.raises(pytest.fail.Exception, match=r"java must be on the PATH REQUIRE_SERVERS asks for it"):
        skip_without(reason)


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "code"), [("postgres", 0), ("kafka", 1)])
def test_a_run_without_java_is_green_or_red(tmp_path: Path, asked: str, code: int) -> None:
    environ = {**os.environ, "PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "REQUIRE_SERVERS": asked}
    environ["MPLCONFIGDIR"] = str(Path.home() / ".cache" / "matplotlib")  # or it looks for fonts for a while
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "PYTEST_ADDOPTS"):
        environ.pop(name, None)
    test = TESTS / "kafka" / "test_transactions.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)]
    done = subprocess.run(
        command, env=environ, cwd=TESTS.parent, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == code, done.stdout
    assert "Kafka cannot be installed: java must be on the PATH" in done.stdout
    assert ("REQUIRE_SERVERS asks for it" in done.stdout) == bool(code)


def test_every_missing_server_goes_through_the_flag() -> None:
    for path in TESTS.rglob("*.py"):
        if path not in (Path(__file__), TESTS / "servers" / "required.py"):
            for block in re.findall(r"except NotInstallable as \w+:\n((?:\s+.*\n){1,4})", path.read_text()):
                assert "pytest.skip(" not in block, path


def test_ci_requires_what_it_installs_and_runs_what_needs_mongodb_on_a_genuine_one() -> None:
    project = TESTS.parent
    asked = re.search(r"REQUIRE_SERVERS-([a-z,]+)", (project / ".ci" / "run").read_text())
    assert asked
    assert set(asked[1].split(",")) == set(START) <= SERVERS
    job = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]
    assert job["services"]["mongodb"]["image"] == "mongo:8"
    (step,) = [each for each in job["steps"] if "MONGODB_URI" in each.get("env", {})]
    service = job["services"]["mongodb"]["env"]
    login = f"{service['MONGO_INITDB_ROOT_USERNAME']}:{service['MONGO_INITDB_ROOT_PASSWORD']}@"
    assert login in step["env"]["MONGODB_URI"]
    assert is_required("MongoDB", step["env"]["REQUIRE_SERVERS"])
