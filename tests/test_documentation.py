"""The documents: their commands run, and the files and layers that they name exist.

Commands for one machine are run here as they stand. For each other command, a table names the test that runs
it, or DEPLOYMENT.md gives the reason why nothing does.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.generator import generate, to_text

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "DEPLOYMENT.md", "ARCHITECTURE.md", "kubernetes/README.md")
QUICKLY = ("--preset", "fast", "--epochs", "1", "--pretraining-epochs", "1", "--members", "1")

ELSEWHERE = {
    r"make train": "tests/integration/test_kill_and_resume.py: the same run, killed and resumed",
    r"make test": "this run",
    r"make check": ".github/workflows/ci.yml",
    r".venv/bin/pre-commit install": "tests/test_project.py: its hooks are what `make lint` runs",
    r"make secrets": "tests/docker/test_compose_files.py",
    r"make demo": "tests/integration/test_compose.py: its commands, by themselves",
    r"kafka-console-producer\.sh .*|\{\"specversion.*": "tests/integration/test_airflow.py",
    r".venv/bin/python examples.py.*": "tests/test_examples.py",
    r"curl -s localhost:8000/.*": "tests/cli/test_serving_commands.py",
    r"docker compose (build|up|down)( --[a-z-]+)*( kafka-2)?": "tests/integration/test_compose.py",
    r"docker compose exec airflow-scheduler loan-default status": "tests/integration/test_compose.py",
    r"docker compose exec kafka kafka-topics .* --alter .*": "tests/integration/test_compose.py",
    r"docker compose exec kafka kafka-console-producer .*": "tests/integration/test_compose.py",
    r"echo COMPOSE_FILE=docker-compose\.yml:docker-compose\.(secure|external)\.yml >> \.env": (
        "tests/integration/test_compose_secure.py"
    ),
    r"echo COMPOSE_FILE=docker-compose\.yml:docker-compose\.brokers\.yml >> \.env": (
        "tests/integration/test_compose.py"
    ),
    r".venv/bin/loan-default rollback .*": "tests/cli/test_promotion_commands.py: it needs a champion before",
    r"docker/(backup|restore)\.sh.*": "tests/integration/test_compose.py",
    r"rm secrets/.*": "tests/integration/test_compose.py",
}
"""Pattern of a command -> the test that runs it, or its like."""


def commands(document: str) -> list[str]:
    """The commands of a document, without their comments."""
    text = (ROOT / document).read_text()
    fenced = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in fenced if not language]
    lines = (line for block in blocks for line in block.replace("\\\n", " ").splitlines())
    found = (re.sub(r"\s+#.*", "", line).strip() for line in lines)
    return [line for line in found if line]


def not_run_here() -> list[str]:
    """The commands that DEPLOYMENT.md lists as not run."""
    table = (ROOT / "DEPLOYMENT.md").read_text().partition("## Not run here")[2]
    return re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (.*?) \|", table, flags=re.MULTILINE)))


def is_run_here(command: str) -> bool:
    return re.match(r"\.venv/bin/(loan-default (?!rollback)|python train\.py )", command) is not None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_command_is_run_somewhere_or_listed_as_not_run(document):
    unaccounted = [
        command
        for command in commands(document)
        if not is_run_here(command)
        and not any(re.fullmatch(pattern, command) for pattern in ELSEWHERE)
        and not any(command.startswith(known) for known in not_run_here())
    ]
    assert unaccounted == []


def test_the_tests_that_run_commands_exist():
    for where in ELSEWHERE.values():
        assert where == "this run" or (ROOT / where.partition(":")[0]).exists(), where


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_file_that_a_document_names_exists(document):
    text = (ROOT / document).read_text()
    named = set(re.findall(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|toml|yaml|yml|sh|txt))`", text))
    bases = [ROOT, ROOT / "src" / "loan_default", ROOT / "src"]
    assert [name for name in sorted(named) if not any((base / name).exists() for base in bases)] == []


def test_the_architecture_lists_the_layers_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if "containers" not in each and "layers" in each)
    checked = [set(re.findall(r"loan_default\.(\w+)", layer)) for layer in layers]
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("| layer | job |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == checked


def test_the_architecture_shows_each_folder_of_the_package():
    tree = (ROOT / "ARCHITECTURE.md").read_text().partition("## Rooms")[2].partition("## Where")[0]
    package = ROOT / "src" / "loan_default"
    folders = {path.parent for path in package.rglob("__init__.py")} - {package}
    shown = set(re.findall(r"^ +(\w+)/", tree, flags=re.MULTILINE))
    nested = {"inference"}  # the line of the schema names it
    assert {folder.name for folder in folders} - nested == shown


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    """A folder with files of the names that the documents use."""
    schema = load_schema(BUNDLED_SCHEMA)
    frame = to_text(generate(schema, rows=900, seed=1).frame, schema)
    assert schema.target is not None
    frame = frame.rename(columns={schema.target.name: "Default"})
    frame.to_csv(tmp_path / "loans.csv", index=False)
    frame.head(50).to_csv(tmp_path / "new.csv", index=False)
    frame.head(50).to_parquet(tmp_path / "new.parquet", index=False)
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "inbox").mkdir()
    frame.tail(100).to_csv(tmp_path / "inbox" / "more.csv", index=False)
    os.utime(tmp_path / "inbox" / "more.csv", (1, 1))
    return tmp_path


def test_the_python_of_the_readme_scores_each_row(lab, sound_applications, tmp_path, monkeypatch):
    (block,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "credit_card").symlink_to(lab.home / "loans")
    sound_applications.to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert len(names["checked"].accepted) == len(names["pds"]) == len(sound_applications)
    assert ((names["pds"] > 0) & (names["pds"] < 1)).all()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_for_one_machine_do_as_they_stand(loans):
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "MONGODB_"))
    }
    environ["LOAN_DEFAULT_HOME"] = "runs"
    of_one_machine = [line for name in DOCUMENTS for line in commands(name) if is_run_here(line)]
    assert len(of_one_machine) > 12
    for line in of_one_machine:
        words = shlex.split(line)
        if "runs/credit_card/model.pth" in words:
            words[words.index("runs/credit_card/model.pth")] = "runs/loans/model.pth"
        if "VERSION" in words:
            (words[words.index("VERSION")], *_) = sorted(
                path.stem for path in loans.glob("runs/models/*.pth")
            )
        if "--expires" in words:
            words[words.index("--expires") + 1] = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
        program = Path(words[0]).name
        start = [str(Path(sys.executable).with_name(program))]
        if program == "python":
            start = [sys.executable, str(ROOT / words.pop(1)), *QUICKLY]
        output = loans / "output"
        with output.open("wb") as written:
            process = subprocess.Popen(
                [*start, *words[1:]], cwd=loans, env=environ, stdout=written, stderr=subprocess.STDOUT
            )
        if "--follow" in words or "serve" in words:
            wait_until_it_runs(process, output)
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=300)
        assert process.returncode in (0, 5, 6), (line, output.read_text()[-2000:])


def wait_until_it_runs(process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until a command that has no end of its own has written a line, and works."""
    end = time.monotonic() + 120
    while not output.stat().st_size and time.monotonic() < end:
        time.sleep(0.1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=5)
