"""Requests that schemathesis makes of the OpenAPI document, good and bad, to a server with keys (S18)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving_processes import serving
from serving_setup import key_of

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.serving_repositories import ApiKeyRepository

BEARER = "Authorization: Bearer 000000000000.s3cret"
PROGRAM = Path(sys.executable).with_name("schemathesis")


@pytest.mark.integration
@pytest.mark.slow
def test_each_answer_is_as_the_document_says(lab, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(lab.home, home)
    database = EmbeddedDatabase(home / "documents.sqlite3")
    ApiKeyRepository(database).add(key_of("0" * 12, scopes=["admin"]))
    database.close()
    with serving(home) as server:
        command = [str(PROGRAM), "run", f"{server.url}/openapi.json", "--header", BEARER, "--seed=1"]
        # No JSON Schema can say that a time lies in the past, or that a key came with another body before.
        checks = ["--exclude-checks=positive_data_acceptance"]
        options = ["--max-examples=40", "--no-color", "--generation-database=none", "--report=har"]
        where = ["--report-dir", str(tmp_path / "report")]
        words = [*command, *checks, *options, *where]
        run = subprocess.run(words, check=False, capture_output=True, text=True, timeout=280, cwd=tmp_path)
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
        assert server.score() == 401, "it still works, and still asks for a key"
    answers = "".join(path.read_text("utf-8") for path in (tmp_path / "report").rglob("har*"))
    assert "urn:loan-default:problem" in answers
    for word in ("Traceback", "mongodb://", "site-packages", "documents.sqlite3"):
        assert word not in answers
    assert "s3cret" not in server.log.read_text()
