"""The thresholds: one source, from which the settings and what deploys them derive."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import loan_default.settings
from loan_default.errors import ConfigurationError
from loan_default.settings import Settings, load_settings
from loan_default.thresholds import DEFAULT_THRESHOLDS, Thresholds

ROOT = Path(__file__).parents[1]
NAMES = [field.name for field in fields(Thresholds)]
CHANGED = {
    "minimum_rows": "40",
    "minimum_auc": "0.7",
    "minimum_ks": "0.3",
    "maximum_brier": "0.2",
    "maximum_calibration_error": "0.01",
    "minimum_lead": "-0.02",
    "minimum_bads": "5",
    "minimum_coverage": "0.5",
    "maximum_auc_loss": "0.02",
    "maximum_brier_loss": "0.005",
    "maximum_calibration_shift": "0.2",
    "minimum_calibration_slope": "0.8",
    "maximum_calibration_slope": "1.25",
    "minimum_segment_rows": "300",
    "maximum_segment_gap": "0.1",
    "maximum_score_psi": "0.1",
    "maximum_column_psi": "0.15",
    "maximum_falls": "0.05",
    "maximum_mean_pd_change": "0.02",
    "maximum_approval_change": "0.05",
}


def variable_of(name: str) -> str:
    return f"LOAN_DEFAULT_{name.upper()}"


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(variable_of(name), raising=False)


def test_settings_have_the_defaults_of_the_thresholds():
    assert load_settings().thresholds == DEFAULT_THRESHOLDS == Thresholds()


def test_each_threshold_can_be_set(monkeypatch):
    assert set(CHANGED) == set(NAMES)
    for name, value in CHANGED.items():
        monkeypatch.setenv(variable_of(name), value)
    thresholds = load_settings().thresholds
    for name, value in CHANGED.items():
        assert getattr(thresholds, name) == float(value) != getattr(DEFAULT_THRESHOLDS, name)


@pytest.mark.parametrize("name", NAMES)
def test_settings_refuse_what_the_thresholds_refuse(monkeypatch, name):
    accepted = {True: 0, False: 0}
    for value in (-2, -1, -0.5, 0, 0.5, 1, 2):
        if type(getattr(DEFAULT_THRESHOLDS, name)) is int and value != int(value):
            continue
        monkeypatch.setenv(variable_of(name), str(value))
        assert takes(load_settings) == takes(lambda value=value: Thresholds(**{name: value}))
        accepted[takes(load_settings)] += 1
    assert all(accepted.values()), "the values lie on one side of the bounds: the test shows nothing"


def takes(make) -> bool:
    try:
        make()
    except ConfigurationError:
        return False
    return True


def test_the_table_of_the_settings_states_the_defaults():
    table = loan_default.settings.__doc__
    assert table is not None
    stated = {}
    for row in re.findall(r"^\| (`LOAN_DEFAULT_M[AI][XN]IMUM_.*?) \| (.*?) \|", table, flags=re.MULTILINE):
        names, values = re.findall(r"`(\w+)`", row[0]), row[1].split(", ")
        stated |= dict(zip(names, map(float, values), strict=True))
    assert stated == {variable_of(name): getattr(DEFAULT_THRESHOLDS, name) for name in NAMES}


def test_the_compose_file_passes_each_threshold_on_and_sets_none():
    environment = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["x-environment"]
    for name in map(variable_of, NAMES):
        assert environment[name] == f"${{{name}:-}}"


def test_no_setting_beside_the_thresholds_looks_like_one():
    assert [name for name in Settings.model_fields if re.match("minimum_|maximum_", name)] == NAMES
