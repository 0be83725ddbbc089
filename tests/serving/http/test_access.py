"""Keys: wrong, expired, revoked and scopeless ones are refused; rotation needs no restart (S14)."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request

from loan_default.errors import DependencyError
from loan_default.serving.http.access import LOCAL, Access, KnownKey, Scope
from loan_default.serving.http.problems import Problem


def key_of(name, secret="s3cret", *, scopes=("score",), days=None, revoked=False):
    return KnownKey(
        id=name,
        secret_digest=hashlib.sha256(secret.encode()).hexdigest(),
        scopes=frozenset(scopes),
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
        revoked=revoked,
    )


KEYS = (
    key_of("good"),
    key_of("late", days=-1),
    key_of("soon", days=1),
    key_of("gone", revoked=True),
    key_of("reader", scopes=("read",)),
    key_of("boss", scopes=("admin",)),
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
    assert access.check(request_of(f"Bearer {name}.s3cret"), Scope.SCORE) == name


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer good",
        "Bearer good.",
        "Bearer good.wrong",
        "Bearer unknown.s3cret",
        "Bearer unknown.",
        "Bearer gone.s3cret",
        "Bearer late.s3cret",
        "Basic good.s3cret",
        "Bearer good.s3cret.more",
        "Bearer \xff\xfe.\xfd",
        "Bearer {'$ne':null}.s3cret",
    ],
)
def test_anything_else_is_401_and_shows_nothing(access, header):
    with pytest.raises(Problem) as problem:
        access.check(request_of(header), Scope.SCORE)
    assert problem.value.status == 401
    assert problem.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert "s3cret" not in problem.value.detail


def test_a_key_without_the_scope_is_403(access):
    with pytest.raises(Problem) as problem:
        access.check(request_of("Bearer reader.s3cret"), Scope.SCORE, Scope.OUTCOME)
    assert problem.value.status == 403
    assert access.check(request_of("Bearer reader.s3cret"), Scope.SCORE, Scope.READ) == "reader"


def test_keys_are_rotated_without_a_restart_and_outlive_the_store():
    known = [key_of("old")]
    access = Access(lambda: known, open_locally=False)
    access.refresh()
    known.append(key_of("new", "other"))
    access.refresh()
    assert access.check(request_of("Bearer old.s3cret"), Scope.SCORE) == "old"
    assert access.check(request_of("Bearer new.other"), Scope.SCORE) == "new"
    known[0] = key_of("old", revoked=True)
    access.refresh()
    with pytest.raises(Problem):
        access.check(request_of("Bearer old.s3cret"), Scope.SCORE)

    def away():
        raise DependencyError("away")

    access._load = away
    access.refresh()
    assert access.check(request_of("Bearer new.other"), Scope.SCORE) == "new"


def test_a_server_without_keys_is_open_only_where_it_is_local_and_never_opens_again():
    assert Access(list, open_locally=True).check(request_of(), Scope.ADMIN) == LOCAL
    with pytest.raises(Problem):
        Access(list, open_locally=False).check(request_of(), Scope.SCORE)
    known = [key_of("only")]
    access = Access(lambda: known, open_locally=True)
    access.refresh()
    known.clear()
    access.refresh()
    with pytest.raises(Problem):
        access.check(request_of(), Scope.SCORE)
