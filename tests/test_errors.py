"""The exception tree: a caller learns from the type what to do, and a hint names what was probably meant."""

import pytest

from loan_default.errors import (
    ArtifactError,
    ConfigurationError,
    DataError,
    DependencyError,
    LoanDefaultError,
    did_you_mean,
)


@pytest.mark.parametrize(
    ("error", "builtin", "is_retried"),
    [
        (DataError, ValueError, False),
        (ConfigurationError, ValueError, False),
        (DependencyError, ConnectionError, True),
        (ArtifactError, LoanDefaultError, False),
    ],
)
def test_each_error_is_of_the_tree_and_of_the_builtin_that_decides_about_a_retry(error, builtin, is_retried):
    assert issubclass(error, LoanDefaultError)
    assert issubclass(error, builtin)
    assert issubclass(error, ConnectionError) is is_retried


def test_each_error_has_a_headline_of_its_own():
    errors = (LoanDefaultError, DataError, ConfigurationError, DependencyError, ArtifactError)
    assert len({error.headline for error in errors}) == len(errors)


def test_the_closest_known_name_is_suggested_and_a_far_one_is_not():
    assert did_you_mean("agee", ["income", "age"]) == " Did you mean 'age'?"
    assert did_you_mean("xyz", ["income", "age"]) == ""
    assert did_you_mean("pd", ["ID", "PD", "Pd"]) == " Did you mean 'PD'?"
    assert did_you_mean("age", iter(())) == ""
