"""New keys: their secret is in nothing that is stored, and no two are alike."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from loan_default.database.api_key_documents import KeyScope
from loan_default.errors import ConfigurationError
from loan_default.serving.api_keys import digest_of, key_of, new_key, public_part

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)


def made(owner="branch", *, scopes=(KeyScope.SCORE,), **values):
    return new_key(owner, scopes=scopes, now=NOON, **values)


def test_the_token_is_the_id_and_a_secret_of_which_only_the_digest_is_kept():
    key, token = made(scopes=[KeyScope.READ, KeyScope.SCORE, KeyScope.READ])
    identifier, _, secret = token.partition(".")
    assert identifier == key.id == public_part(token) == public_part(key.id)
    assert key.secret_digest == hashlib.sha256(secret.encode()).hexdigest() == digest_of(secret)
    assert secret not in str(key.to_store()) + repr(key) + key.model_dump_json()
    assert key.scopes == (KeyScope.READ, KeyScope.SCORE)
    assert len(secret) == 43, "256 random bits in base64"


def test_no_two_are_alike():
    tokens = [made()[1] for _ in range(200)]
    for part in (0, 1):
        assert len({token.split(".")[part] for token in tokens}) == 200


@pytest.mark.parametrize(("days", "until"), [(1, NOON + timedelta(days=1)), (0, None)])
def test_a_key_ends_after_its_days(days, until):
    assert made(days=days)[0].expires_at == until


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scopes": []}, "a key must have a scope"),
        ({"owner": " "}, "the owner of a key must have 1 to 100"),
        ({"owner": "a" * 101}, "the owner of a key must have"),
        ({"owner": "a\nb"}, "printable"),
        ({"days": -1}, "--days must be from 1 to 3650"),
        ({"days": 3651}, "--days must be"),
    ],
)
def test_what_makes_no_key_is_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        made(**arguments)


def test_any_text_has_a_digest():
    assert digest_of("\ud800") != digest_of("")


def test_a_token_that_was_made_elsewhere_is_a_key_that_never_expires():
    token = f"0123456789ab.{'s' * 43}"
    key = key_of(token, "stack", scopes=[KeyScope.SCORE, KeyScope.SCORE], now=NOON)
    assert (key.key, key.scopes, key.expires_at) == ("0123456789ab", (KeyScope.SCORE,), None)
    assert key.secret_digest == digest_of("s" * 43)


@pytest.mark.parametrize(
    "token", ["", "s3cret", f"0123456789ab.{'s' * 31}", f"0123456789AB.{'s' * 43}", f".{'s' * 43}"]
)
def test_what_is_no_token_is_refused_and_not_repeated(token):
    with pytest.raises(ConfigurationError) as refused:
        key_of(token, "stack", scopes=[KeyScope.SCORE], now=NOON)
    assert not token or token not in str(refused.value)
