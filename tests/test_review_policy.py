"""The policy profiles are complete files, and terms of loans make sense or are refused."""

import pytest

from loan_default.bundled import POLICIES
from loan_default.errors import ConfigurationError
from loan_default.review_policy import FairnessMode, LendingTerms, PolicyProfile, load_profile


def test_each_profile_can_be_read_and_the_default_is_that_of_the_united_states():
    profiles = {path.stem: load_profile(path) for path in POLICIES.glob("*.toml")}
    assert set(profiles) == {"us", "eu", "kr"}
    assert all(profile.name == name for name, profile in profiles.items())
    assert profiles["us"] == PolicyProfile()
    assert profiles["eu"].fairness_mode is FairnessMode.GATE


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "us"', "", "missing=\\['name'\\]"),
        ("minimum_group_rows = 100", "minimum_group_rows = 100\nmore = 1", "unknown=\\['more'\\]"),
        ('"monitor"', '"sometimes"', "fairness_mode must be one of"),
        ("minimum_ratio = 0.8", "minimum_ratio = 0", "minimum_ratio must be above 0"),
        ("minimum_group_rows = 100", "minimum_group_rows = 0", "minimum_group_rows must be 1 or more"),
        ("minimum_ratio", "minimum ratio", "Cannot read the policy profile"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path, old, new, message):
    text = (POLICIES / "us.toml").read_text()
    assert old in text
    (tmp_path / "us.toml").write_text(text.replace(old, new))
    with pytest.raises(ConfigurationError, match=message):
        load_profile(tmp_path / "us.toml")


def test_a_profile_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="Cannot read the policy profile none"):
        load_profile(tmp_path / "none.toml")


def test_the_break_even_is_where_margin_and_loss_are_equal():
    terms = LendingTerms(loss_given_default=0.45, margin=0.05)
    assert terms.break_even == pytest.approx(0.1)
    pd = terms.break_even
    assert (1 - pd) * terms.margin == pytest.approx(pd * terms.loss_given_default)


@pytest.mark.parametrize("values", [{"margin": 0}, {"loss_given_default": 1.1}, {"margin": -1}])
def test_terms_that_are_no_shares_are_refused(values):
    with pytest.raises(ConfigurationError, match="must be above 0 and at most 1"):
        LendingTerms(**values)
