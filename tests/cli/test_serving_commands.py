"""`loan-default serve` as a person types it."""

import pytest


def test_without_a_model_it_says_how_to_get_one(shell):
    code, _, errors = shell("serve")
    assert code == 2
    assert "train" in errors


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_is_not_opened_to_other_machines_without_a_key(shell, host):
    code, _, errors = shell("serve", "--host", host)
    assert code == 2
    assert "loan-default keys add" in errors
