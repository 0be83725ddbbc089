"""`loan-default keys`: a secret is printed once, and in nothing that comes after."""

import json

import pytest

from loan_default.serving.api_keys import REFRESH_SECONDS


@pytest.mark.slow
def test_it_is_stated_how_soon_servers_know(shell):
    _, _, errors = shell("keys", "add", "branch")
    _, words, _ = shell("keys", "revoke", "--help")
    assert f"within {REFRESH_SECONDS} seconds" in " ".join(errors.split())
    assert f"within {REFRESH_SECONDS} seconds" in " ".join(words.split())


@pytest.mark.slow
def test_a_key_is_added_shown_once_and_revoked(shell):
    code, token, errors = shell(
        "keys", "add", "branch 7", "--scope", "score", "--scope", "read", "--days", "30"
    )
    identifier, _, secret = token.strip().partition(".")
    assert code == 0
    assert len(secret) == 43
    assert secret not in errors
    assert f"{identifier} of branch 7, read, score, until 20" in " ".join(errors.split())
    code, listed, errors = shell("keys", "list")
    assert code == 0
    assert identifier in listed
    assert "1 key, 1 valid" in listed
    assert secret not in listed + errors
    code, out, errors = shell("keys", "revoke", token.strip())
    assert code == 0
    assert "branch 7" in out
    assert secret not in out + errors
    code, listed, _ = shell("keys", "list")
    assert "revoked 20" in listed
    assert "1 key, 0 valid" in listed


def test_json_for_programs(shell):
    _, out, _ = shell("keys", "add", "scoring job", "--days", "0", "--json")
    added = json.loads(out)
    assert added["token"].startswith(f"{added['key']}.")
    assert (added["scopes"], added["expires_at"], added["valid"]) == (["score"], None, True)
    _, out, _ = shell("keys", "list", "--json")
    assert json.loads(out) == [{name: value for name, value in added.items() if name != "token"}]
    assert "digest" not in out
    _, out, _ = shell("keys", "revoke", added["key"], "--json")
    assert json.loads(out)["valid"] is False


def test_a_wrong_command_is_one_line_without_a_secret(shell):
    for words in (("revoke", "abc.s3cret"), ("add", "a", "--scope", "root"), ("add", "a", "--days", "-1")):
        code, out, errors = shell("keys", *words)
        assert (code, out) == (2, "")
        assert "s3cret" not in errors
