"""What the driver's errors become: a DependencyError, a reason for a refusal, or what they were."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    InvalidOperation,
    NetworkTimeout,
    OperationFailure,
)

from loan_default.database.driver_errors import database_errors, refusal
from loan_default.errors import DependencyError


def raising(error):
    def call():
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OperationFailure("quotes a document", 121), "Cannot read things: the server refused with code 121."),
        (
            OperationFailure("no", 18),
            "Cannot read things: the server refused with code 18. Check the user name, the password",
        ),
        (
            AutoReconnect("db:27017: closed (configured timeouts: 10 s), Timeout: 10s"),
            "Cannot read things: AutoReconnect: db:27017: closed. Check that the server runs, and MONGODB_",
        ),
        (NetworkTimeout("slow"), "Cannot read things: NetworkTimeout: slow. Check that the server runs"),
        (InvalidOperation("it was closed"), "Cannot read things: InvalidOperation: it was closed."),
    ],
)
def test_an_error_of_the_driver_is_a_dependency_error(error, message):
    with pytest.raises(DependencyError) as caught, database_errors("read things"):
        raise error
    assert str(caught.value).startswith(message)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [DuplicateKeyError("taken", 11000), BulkWriteError({}), KeyError("ours")])
def test_a_taken_key_and_errors_of_others_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, database_errors("write things"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationFailure("is there", 85), None),
        (OperationFailure("no such command", 59), "the server does not know it (code 59)"),
        (OperationFailure("no", 13), "the user who is connected may not do it"),
        (NotImplementedError(), "the database does not know it"),
    ],
)
def test_a_refusal_has_a_reason(error, reason):
    assert refusal(raising(error), fine=85) == reason


def test_what_is_done_is_no_refusal():
    assert refusal(lambda: {"ok": 1}) is None


def test_a_refusal_for_another_reason_is_raised():
    with pytest.raises(OperationFailure):
        refusal(raising(OperationFailure("is there", 85)))
    assert refusal(raising(OperationFailure("bad", 2)), unknown=frozenset({2})) is not None
