"""Users and their roles: made, changed, and what a server without roles makes of them."""

import pymongo
import pytest
from pydantic import SecretStr
from pymongo.errors import OperationFailure

from loan_default.database.connect import connect
from loan_default.database.users import ROLES, make_users
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.settings import Settings

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
    assert actions["commands"] == {
        "command_log": every - {"listCollections"},
        "model_metadata": {"find"},
    }
    assert actions["scorer"].keys() < actions["api"].keys()
    for role in ("api", "scorer"):
        assert actions[role].pop("predictions") == {"find", "insert"}
        assert {action for actions_ in actions[role].values() for action in actions_} == {"find"}
        assert not {"raw_data_logs", "training_data", "command_log"} & actions[role].keys()
    assert "api_keys" not in actions["scorer"]


def test_only_users_with_a_password_are_made():
    server = Server()
    assert make_users(server, {}, name="loans") == []
    make_users(server, {"reader": SecretStr("x")}, name="loans")
    assert set(server.users) == {"reader"}


def test_a_server_without_roles_gets_users_without():
    server = Server(refuse="createRole", code=59)
    (line,) = make_users(server, {"reader": SecretStr("x")}, name="loans")
    assert line.startswith("user reader: made without a role")
    assert server.users == {"reader": {"pwd": "x", "roles": []}}
    server = Server(refuse="createUser", code=59)
    assert make_users(server, {"reader": SecretStr("x")}, name="loans") == [
        "user reader: not made, the server knows no users"
    ]


@pytest.mark.parametrize("refused", ["createRole", "createUser"])
@pytest.mark.parametrize("code", [13, 8000])
def test_a_user_without_the_right_to_make_users_gets_an_error_and_changes_nothing(refused, code):
    server = Server()
    make_users(server, {"reader": SecretStr("x")}, name="loans")
    before = dict(server.users)
    server.refuse, server.code = refused, code
    with pytest.raises(ConfigurationError, match=f"'reader': the server refused with code {code}"):
        make_users(server, {"reader": SecretStr("y")}, name="loans")
    assert server.users == before


def test_another_refusal_is_a_dependency_error():
    with pytest.raises(DependencyError, match=r"Cannot make the user reader: .* code 11600"):
        make_users(Server(refuse="createUser", code=11600), {"reader": SecretStr("x")}, name="loans")


@pytest.mark.integration
def test_a_server_lets_them_in_by_their_passwords_and_do_what_is_theirs(mongodb_uri):
    name = "users_of_a_test"
    with pymongo.MongoClient(mongodb_uri) as client:
        for prefix in ("s3cret", "n3w"):
            make_users(client[name], {u: SecretStr(f"{prefix}-{u}") for u in ROLES}, name=name)
        knows_roles = "ferretdbVersion" not in client.admin.command("buildInfo")
    (host, port), *_ = pymongo.uri_parser.parse_uri(mongodb_uri)["nodelist"]
    for user in ROLES:
        settings = {"mongodb_uri": f"mongodb://{host}:{port}/{name}", "mongodb_username": user}
        with pytest.raises(DependencyError, match="Check the user name, the password"):
            connect(Settings(**settings, mongodb_database=name, mongodb_password=f"s3cret-{user}"))
        database = connect(Settings(**settings, mongodb_database=name, mongodb_password=f"n3w-{user}"))
        for collection in ("command_log", "decisions"):
            actions = ROLES[user].get("", ()) or ROLES[user].get(collection, ())
            if knows_roles and "insert" not in actions:
                with pytest.raises(OperationFailure):
                    database[collection].insert_one({})
            else:
                database[collection].insert_one({})
        database.client.close()
