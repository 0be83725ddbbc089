"""Users and their roles: made, changed, and what a server without roles makes of them."""

import pymongo
import pytest
from pydantic import SecretStr
from pymongo.errors import OperationFailure

from loan_default.database.connect import connect
from loan_default.database.users import ROLES, make_users
from loan_default.errors import DependencyError
from loan_default.settings import Settings

UNKNOWN = "the server does not know it (code 59)"
PASSWORDS = {user: SecretStr(f"s3cret-{user}") for user in ROLES}


class Server:
    """Keeps users and roles as MongoDB does, of which no genuine one may be at hand."""

    def __init__(self, *, refuse=None, code=13):
        self.refuse, self.code = refuse, code
        self.roles, self.users = {}, {}

    def command(self, command):
        name, target = next(iter(command.items()))
        if name == self.refuse:
            raise OperationFailure("no", self.code)
        kept, taken = (self.roles, 51002) if name.endswith("Role") else (self.users, 51003)
        if name.startswith("create") and target in kept:
            raise OperationFailure("is there already", taken)
        if name.startswith("update") and target not in kept:
            raise OperationFailure("is not there", 11)
        kept[target] = {key: value for key, value in command.items() if key != name}


def test_each_user_gets_a_role_of_its_own_and_a_second_time_another_password():
    server = Server()
    for prefix in ("s3cret", "n3w"):
        lines = make_users(server, {u: SecretStr(f"{prefix}-{u}") for u in ROLES}, name="loans")
        assert [line.partition(":")[0] for line in lines] == [f"user {user}" for user in ROLES]
        assert prefix not in "".join(lines)
        for user in ROLES:
            assert server.users[user] == {"pwd": f"{prefix}-{user}", "roles": [{"role": user, "db": "loans"}]}


def test_no_role_may_drop_anything_or_make_users_and_each_stays_in_its_database():
    server = Server()
    make_users(server, PASSWORDS, name="loans")
    actions = {}
    for role, body in server.roles.items():
        assert body["roles"] == []
        for privilege in body["privileges"]:
            assert privilege["resource"]["db"] == "loans"
            actions.setdefault(role, {})[privilege["resource"]["collection"]] = set(privilege["actions"])
    every = {"find", "listCollections", "listIndexes", "insert", "update", "remove", "createIndex"}
    assert actions["pipeline"] == {"": every}
    assert set(actions["reader"][""]) == {"find", "listCollections", "listIndexes"}
    assert actions["commands"] == {"command_log": every, "model_metadata": {"find"}}


def test_only_users_with_a_password_are_made():
    server = Server()
    assert make_users(server, {}, name="loans") == []
    make_users(server, {"reader": SecretStr("x")}, name="loans")
    assert set(server.users) == {"reader"}


@pytest.mark.parametrize(
    ("refused", "code", "line"),
    [
        (
            "createRole",
            59,
            f"user reader: made without a role, {UNKNOWN}: it may do all that the server allows",
        ),
        ("createUser", 13, "user reader: not made, the user who is connected may not do it"),
    ],
)
def test_what_cannot_be_done_is_said(refused, code, line):
    server = Server(refuse=refused, code=code)
    assert make_users(server, {"reader": SecretStr("x")}, name="loans") == [line]
    assert server.users == ({"reader": {"pwd": "x", "roles": []}} if refused == "createRole" else {})


def test_another_refusal_is_a_dependency_error():
    with pytest.raises(DependencyError, match="making the user reader failed: refused with code 11600"):
        make_users(Server(refuse="createUser", code=11600), {"reader": SecretStr("x")}, name="loans")


@pytest.mark.integration
def test_a_server_lets_them_in_by_their_passwords_alone(mongodb_uri):
    name = "users_of_a_test"
    with pymongo.MongoClient(mongodb_uri) as client:
        for prefix in ("s3cret", "n3w"):
            passwords = {user: SecretStr(f"{prefix}-{user}") for user in ROLES}
            lines = make_users(client[name], passwords, name=name)
            assert all("made without a role" in line for line in lines)
    (host, port), *_ = pymongo.uri_parser.parse_uri(mongodb_uri)["nodelist"]
    for user in ROLES:
        settings = {"mongodb_uri": f"mongodb://{host}:{port}/{name}", "mongodb_username": user}
        connect(Settings(**settings, mongodb_password=f"n3w-{user}")).client.close()
        with pytest.raises(DependencyError, match="Check the user name, the password"):
            connect(Settings(**settings, mongodb_password=f"s3cret-{user}"))
