"""`loan-default serve` as a person types it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving_processes import serving

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_repositories import ApiKeyRepository
from loan_default.errors import DependencyError

ROOT = Path(__file__).parents[2]
SERVE = "from loan_default.cli.main import main; main()"


def test_without_a_model_it_says_how_to_get_one(shell):
    code, _, errors = shell("serve")
    assert code == 2
    assert "train" in errors


def test_a_damaged_model_that_is_named_is_refused_at_once(shell, lab, tmp_path):
    content = bytearray(lab.outcome.trained.path.read_bytes())
    content[1_000] ^= 1
    (tmp_path / "named.pth").write_bytes(content)
    (tmp_path / "named.pth.sha256").write_text(f"{lab.outcome.trained.sha256}  named.pth\n")
    code, _, errors = shell("serve", "--model", str(tmp_path / "named.pth"), "--port", "0")
    assert (code, "must have its recorded digest" in errors) == (4, True), errors


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_is_not_opened_to_other_machines_without_a_key(shell, host):
    code, _, errors = shell("serve", "--host", host)
    assert code == 2
    assert "loan-default keys add" in errors


def test_it_does_not_start_while_keys_cannot_be_read(shell, monkeypatch):
    def away(self):
        raise DependencyError("the keys are away")

    monkeypatch.setattr(ApiKeyRepository, "newest_first", away)
    code, _, errors = shell("serve")
    assert code != 0
    assert "the keys are away" in " ".join(errors.split())
    assert "train" not in errors, "it ended before it looked for a model"


@pytest.mark.integration
def test_the_lines_of_the_readme_end_with_a_score_and_its_reasons(lab, tmp_path):
    lines = re.findall(r"^curl -s localhost:8000.*$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(lines) == 3
    outputs = []
    with serving(lab.home) as server:
        for line in lines:
            here = line.replace("localhost:8000", f"localhost:{server.port}")
            run = subprocess.run(["bash", "-c", here], check=True, capture_output=True, cwd=tmp_path)
            outputs.append(run.stdout)
    score, explained = map(json.loads, outputs[1:])
    assert 0 < score["pd"] < 1
    assert explained["pd"] == score["pd"]
    assert len(explained["explanation"]["reasons"]) <= 4


@pytest.mark.integration
def test_an_outcome_over_http_reaches_the_next_ingestion_without_servers(lab, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    shutil.copy(lab.schema, tmp_path / "loans.toml")
    with serving(home) as server:
        body = [{"application": f"a-{number}", "outcome": "yes"} for number in range(3)]
        assert server.http.post(f"{server.url}/v1/outcomes", json=body).status_code == 202
    environment = {**os.environ, "LOAN_DEFAULT_HOME": str(home)}
    ingest = [sys.executable, "-c", SERVE, "ingest", "--schema", str(tmp_path / "loans.toml")]
    run = subprocess.run(ingest, check=True, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert "3 records: 3 accepted" in run.stdout
    assert "3 events in" in run.stdout


@pytest.mark.integration
def test_scores_that_were_given_are_in_the_store_when_the_server_has_ended(lab, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    with serving(home, "--model", lab.version[:15]) as server:
        answer = server.http.post(f"{server.url}/v1/scores", json=[server.example] * 40).json()
        assert server.stop() == 0
    database = EmbeddedDatabase(home / "documents.sqlite3")
    kept = [PredictionRepository(database).of_event(each["id"]) for each in answer["scores"]]
    database.close()
    assert [each[0].pd for each in kept] == [each["pd"] for each in answer["scores"]]
    assert {each[0].version for each in kept} == {lab.version}
