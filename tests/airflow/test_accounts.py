"""Accounts in the database of a genuine Airflow: made once, and given the passwords of now."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from werkzeug.security import check_password_hash

from loan_default.airflow.accounts import ROLES

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of an Airflow whose tables are there."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    variables = others | {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__AUTH_MANAGER": FAB,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "LOAN_DEFAULT_SECRETS": str(tmp_path / "secrets"),
    }
    (tmp_path / "secrets").mkdir()
    subprocess.run(
        [str(Path(sys.executable).with_name("airflow")), "db", "migrate"],
        env=variables,
        check=True,
        capture_output=True,
    )
    return variables


def make(environ: dict[str, str], **passwords: str) -> subprocess.CompletedProcess[str]:
    for name, password in passwords.items():
        (Path(environ["LOAN_DEFAULT_SECRETS"]) / f"AIRFLOW_{name.upper()}_PASSWORD").write_text(password)
    command = [sys.executable, "-m", "loan_default.airflow.accounts"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_accounts_are_made_once_and_get_the_passwords_of_now(environ):
    refused = make(environ, admin="s3cret-a")
    assert refused.returncode != 0
    assert "viewer_password" in refused.stderr
    assert "s3cret" not in refused.stdout + refused.stderr

    for password, status in (("s3cret-1", "made"), ("s3cret-2", "was there")):
        done = make(environ, **{name: f"{password}-{name}" for name in ROLES})
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("account")]
        assert lines == [f"account {name}: {status}, role {role}" for name, role in ROLES.items()]
        assert "s3cret" not in done.stdout + done.stderr

    database = sqlite3.connect(Path(environ["AIRFLOW_HOME"]) / "airflow.db")
    hashes = dict(database.execute("SELECT username, password FROM ab_user"))
    assert set(hashes) == set(ROLES)
    for name, stored in hashes.items():
        assert check_password_hash(stored, f"s3cret-2-{name}")
        assert not check_password_hash(stored, f"s3cret-1-{name}")
    allowed = set(
        database.execute(
            "SELECT p.name, v.name FROM ab_role r"
            " JOIN ab_permission_view_role pvr ON pvr.role_id = r.id"
            " JOIN ab_permission_view pv ON pv.id = pvr.permission_view_id"
            " JOIN ab_permission p ON p.id = pv.permission_id"
            " JOIN ab_view_menu v ON v.id = pv.view_menu_id WHERE r.name = 'Commands'"
        )
    )
    database.close()
    assert ("can_create", "DAG Runs") in allowed
    assert not {each for each in allowed if each[0] == "can_delete" or "Connection" in each[1]}
