"""Options that name several values are read as they are shown, through a shell."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.errors import ConfigurationError
from loan_default.option_lists import option_text, parse_list


def test_values_stand_between_commas_and_in_quotes_where_they_have_one():
    assert parse_list("Charged Off, Default", option="--bad") == ("Charged Off", "Default")
    assert parse_list('"Late, 30 days",Default', option="--bad") == ("Late, 30 days", "Default")
    assert option_text("--bad", ["Charged Off", "Default"]) == '--bad "Charged Off,Default"'
    assert option_text("--bad", ["no"]) == "--bad no"


@pytest.mark.parametrize("text", ["", " ", "a,,b", ",", '"a', "a,a"])
def test_what_is_no_list_is_refused_by_the_name_of_the_option(text):
    with pytest.raises(ConfigurationError, match=r"^--good must"):
        parse_list(text, option="--good")


@given(st.lists(st.text("ab ,\"'$`\\!", min_size=1).map(str.strip).filter(bool), min_size=1, unique=True))
def test_an_option_is_read_back_as_a_shell_passes_it(values):
    option, text = shlex.split(option_text("--bad", values))
    assert option == "--bad"
    assert parse_list(text, option=option) == tuple(values)
