"""Accounts of Airflow's UI and API, under its FAB auth manager: `python -m loan_default.airflow.accounts`.

| account | may |
|---|---|
| `admin` | everything |
| `viewer` | look |
| `commands` | start runs and pause DAGs: what `loan-default commands` does |

Their passwords are AIRFLOW_ADMIN_PASSWORD, AIRFLOW_VIEWER_PASSWORD and AIRFLOW_COMMANDS_PASSWORD, variables
or files of the folder that LOAN_DEFAULT_SECRETS names. A second run gives the accounts the current passwords.
"""

import sys
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from loan_default.settings import secrets_folder

ROLES = {"admin": "Admin", "viewer": "Viewer", "commands": "Commands"}
"""Account -> role; the role `Commands` is made here, the others come with Airflow."""
_COMMANDS = [("can_read", "DAGs"), ("can_edit", "DAGs"), ("can_read", "DAG Runs"), ("can_create", "DAG Runs")]


class Passwords(BaseSettings):
    """The passwords of the accounts; all must be given."""

    model_config = SettingsConfigDict(env_prefix="AIRFLOW_", frozen=True, hide_input_in_errors=True)

    admin_password: SecretStr
    viewer_password: SecretStr
    commands_password: SecretStr


def make_accounts(security: Any, passwords: Passwords) -> list[str]:
    """Make the accounts, or give existing ones these passwords and roles; returns a line about each.

    Args:
        security: FAB's security manager.
    """
    security.bulk_sync_roles([{"role": "Commands", "perms": _COMMANDS}])
    lines = []
    for name, role_name in ROLES.items():
        password = getattr(passwords, f"{name}_password").get_secret_value()
        role, known = security.find_role(role_name), security.find_user(username=name)
        if known is None:
            user = security.add_user(
                username=name,
                first_name=name,
                last_name="loan-default",
                email=f"{name}@loan-default.invalid",
                role=role,
                password=password,
            )
            if not user:
                raise RuntimeError(f"FAB must make the account, however: {name!r} was refused. See its log.")
        else:
            known.roles = [role]
            if not (security.update_user(known) and security.reset_password(known.id, password)):
                raise RuntimeError(
                    f"FAB must change the account, however: {name!r} was refused. See its log."
                )
        lines.append(f"account {name}: {'made' if known is None else 'was there'}, role {role_name}")
    return lines


def main() -> None:
    """Make the accounts in the database of this environment's Airflow."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import (  # noqa: PLC0415 (reads Airflow's settings)
        get_application_builder,
    )

    passwords = Passwords(_secrets_dir=secrets_folder())
    with get_application_builder() as builder:
        for line in make_accounts(builder.sm, passwords):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
