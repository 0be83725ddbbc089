"""Keys: wrong, expired, revoked and scopeless ones are refused; rotation needs no restart (S14)."""

import pytest
from serving_setup import key_of
from starlette.requests import Request

from loan_default.database.api_key_documents import KeyScope
from loan_default.errors import DependencyError
from loan_default.serving.http.access import LOCAL, Access
from loan_default.serving.http.problems import Problem

ID = {
    name: f"{number:012x}"
    for number, name in enumerate(("good", "late", "soon", "gone", "reader", "boss", "old", "new", "only"))
}
"""Name -> id of its key."""
KEYS = (
    key_of(ID["good"]),
    key_of(ID["late"], days=-1),
    key_of(ID["soon"], days=1),
    key_of(ID["gone"], revoked=True),
    key_of(ID["reader"], scopes=("read",)),
    key_of(ID["boss"], scopes=("admin",)),
)


def request_of(authorization=None):
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    return Request({"type": "http", "headers": headers})


@pytest.fixture
def access():
    access = Access(lambda: KEYS, open_locally=False)
    access.refresh()
    return access


@pytest.mark.parametrize("name", ["good", "soon", "boss"])
def test_a_valid_key_with_the_scope_names_its_caller(access, name):
    assert access.check(request_of(f"Bearer {ID[name]}.s3cret"), KeyScope.SCORE) == ID[name]


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        f"Bearer {ID['good']}",
        f"Bearer {ID['good']}.",
        f"Bearer {ID['good']}.wrong",
        "Bearer unknown.s3cret",
        "Bearer unknown.",
        f"Bearer {ID['gone']}.s3cret",
        f"Bearer {ID['late']}.s3cret",
        f"Basic {ID['good']}.s3cret",
        f"Bearer {ID['good']}.s3cret.more",
        "Bearer \xff\xfe.\xfd",
        "Bearer {'$ne':null}.s3cret",
    ],
)
def test_anything_else_is_401_and_shows_nothing(access, header):
    with pytest.raises(Problem) as problem:
        access.check(request_of(header), KeyScope.SCORE)
    assert problem.value.status == 401
    assert problem.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert "s3cret" not in problem.value.detail


def test_a_key_without_the_scope_is_403(access):
    with pytest.raises(Problem) as problem:
        access.check(request_of(f"Bearer {ID['reader']}.s3cret"), KeyScope.SCORE, KeyScope.OUTCOME)
    assert problem.value.status == 403
    assert (
        access.check(request_of(f"Bearer {ID['reader']}.s3cret"), KeyScope.SCORE, KeyScope.READ)
        == ID["reader"]
    )


def test_keys_are_rotated_without_a_restart_and_outlive_the_store():
    known = [key_of(ID["old"])]
    access = Access(lambda: known, open_locally=False)
    access.refresh()
    known.append(key_of(ID["new"], "other"))
    access.refresh()
    assert access.check(request_of(f"Bearer {ID['old']}.s3cret"), KeyScope.SCORE) == ID["old"]
    assert access.check(request_of(f"Bearer {ID['new']}.other"), KeyScope.SCORE) == ID["new"]
    known[0] = key_of(ID["old"], revoked=True)
    access.refresh()
    with pytest.raises(Problem):
        access.check(request_of(f"Bearer {ID['old']}.s3cret"), KeyScope.SCORE)

    def away():
        raise DependencyError("away")

    access._load = away  # as if the store had gone
    access.refresh()
    assert access.check(request_of(f"Bearer {ID['new']}.other"), KeyScope.SCORE) == ID["new"]


def test_a_server_without_keys_is_open_only_where_it_is_local_and_never_opens_again():
    local, reachable = Access(list, open_locally=True), Access(list, open_locally=False)
    local.load()
    reachable.load()
    assert local.check(request_of(), KeyScope.ADMIN) == LOCAL
    with pytest.raises(Problem):
        reachable.check(request_of(), KeyScope.SCORE)
    known = [key_of(ID["only"])]
    access = Access(lambda: known, open_locally=True)
    access.refresh()
    known.clear()
    access.refresh()
    with pytest.raises(Problem):
        access.check(request_of(), KeyScope.SCORE)


def test_a_server_whose_keys_could_not_be_read_is_open_to_nobody():
    def away():
        raise DependencyError("away")

    access = Access(away, open_locally=True)
    with pytest.raises(DependencyError):
        access.load()
    access.refresh()
    assert not access.is_open
    with pytest.raises(Problem):
        access.check(request_of(), KeyScope.SCORE)
