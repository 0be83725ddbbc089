"""The options of a training, and that commands, DAG parameters and Airflow's API are made of them."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import typer.main

from loan_default.airflow.rest import PARAMETERS as REST_PARAMETERS
from loan_default.choices import DEVICES, OBJECTIVES, PRESETS, PresetName
from loan_default.cli import main as cli
from loan_default.cli import model_commands
from loan_default.errors import ConfigurationError
from loan_default.kafka.control_events import CommandType
from loan_default.pipelines.training.training_options import (
    PARAMETERS,
    SCHEDULED_PARAMETERS,
    FileData,
    StoreData,
    TrainingOptions,
    flag_of,
    json_schema,
)
from loan_default.settings import Settings

RUN = {"since", "until"}
"""Of a scheduled run, not of a training."""


def test_every_option_but_the_data_is_described_once():
    assert {option.name for option in fields(TrainingOptions)} == {"data", *PARAMETERS}
    for name, parameter in PARAMETERS.items():
        default = next(option.default for option in fields(TrainingOptions) if option.name == name)
        assert parameter.default == default
        assert parameter.text.endswith(".")
        assert parameter.panel


def test_the_command_has_the_options_with_their_defaults_and_help():
    command = typer.main.get_command(cli.app).commands["train"]
    shown = {option.name.removesuffix("_"): option for option in command.params}
    assert set(shown) == {"data", "out", *PARAMETERS}
    taken = get_type_hints(model_commands.train)
    for name, parameter in PARAMETERS.items():
        option = shown[name]
        assert option.opts == [f"--{name.replace('_', '-')}"]
        assert option.help.startswith(parameter.text)
        assert (f" Default: {parameter.unset}." in option.help) == bool(parameter.unset)
        assert option.rich_help_panel == parameter.panel
        assert words_of(taken[f"{name}_" if name == "train" else name]) == parameter.names
        if name not in ("pretrain", "train"):  # a person says which of the two to do
            assert option.default == parameter.default
            can_be_turned_off = [f"--no-{name.replace('_', '-')}"] if parameter.default is True else []
            assert option.secondary_opts == can_be_turned_off


def words_of(annotation: Any) -> tuple[str, ...]:
    """The words that a type allows: those of a Literal, or of one that may be None."""
    words = [word for part in (annotation, *get_args(annotation)) for word in get_args(part)]
    return tuple(word for word in words if isinstance(word, str))


def test_the_whitelist_of_the_api_is_what_a_scheduled_run_takes():
    assert REST_PARAMETERS[CommandType.TRAIN] == set(SCHEDULED_PARAMETERS)
    scheduled = {name for name, parameter in PARAMETERS.items() if parameter.scheduled}
    assert set(SCHEDULED_PARAMETERS) == scheduled | RUN
    assert scheduled == {
        *("preset", "pretrain", "objective", "epochs", "pretraining_epochs", "members", "seed"),
        *("out_of_time", "allow_leaks", "refit", "with_trees"),
    }


def test_what_a_scheduled_run_accepts():
    assert {name: json_schema(parameter) for name, parameter in SCHEDULED_PARAMETERS.items()} == {
        "pretrain": {"type": "boolean"},
        "out_of_time": {"type": "boolean"},
        "allow_leaks": {"type": "boolean"},
        "refit": {"type": "boolean"},
        "with_trees": {"type": "boolean"},
        "preset": {"enum": [None, "fast", "default"]},
        "objective": {"enum": [None, "detection", "nt-xent", "both"]},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        **{
            name: {"type": ["null", "integer"], "minimum": 1, "maximum": 1_000}
            for name in ("epochs", "pretraining_epochs", "members")
        },
        **{name: {"type": ["null", "string"], "format": "date-time"} for name in RUN},
    }


def test_the_preset_of_the_settings_is_one_of_the_presets():
    assert Settings.model_fields["preset"].annotation == PresetName
    assert get_args(PresetName) == PRESETS == PARAMETERS["preset"].names
    assert (PARAMETERS["objective"].names, PARAMETERS["device"].names) == (OBJECTIVES, DEVICES)


@pytest.mark.slow
def test_the_options_are_imported_without_torch_or_pandas():
    code = (
        "import sys, loan_default.pipelines.training.training_options\n"
        "print(sorted({'torch', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", ["bad", "good", "known_after_decision"])
def test_lists_are_text_with_commas(name):
    options = TrainingOptions(data=FileData(Path("loans.csv")), **{name: 'Charged Off, "Late, 30 days"'})
    assert options.values(name) == ("Charged Off", "Late, 30 days")
    assert TrainingOptions(data=FileData(Path("loans.csv"))).values(name) == ()
    for text in ("", "a,,b", '"a', "a,a"):
        with pytest.raises(ConfigurationError, match=f"^{flag_of(name)} must"):
            TrainingOptions(data=FileData(Path("loans.csv")), **{name: text})


@pytest.mark.parametrize("name", ["epochs", "pretraining_epochs", "members"])
def test_counts_begin_at_one(name):
    assert getattr(TrainingOptions(data=FileData(Path("loans.csv")), **{name: 1}), name) == 1
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigurationError, match=f"^{flag} must be at least 1, however: 0"):
        TrainingOptions(data=FileData(Path("loans.csv")), **{name: 0})


def test_seeds_are_those_of_all_random_generators():
    for seed in (0, 2**32 - 1):
        assert TrainingOptions(data=FileData(Path("loans.csv")), seed=seed).seed == seed
    for seed in (-1, 2**32):
        with pytest.raises(ConfigurationError, match=f"below 2\\^32, however: {seed}"):
            TrainingOptions(data=FileData(Path("loans.csv")), seed=seed)


def test_options_that_contradict_each_other_are_refused(tmp_path):
    for works in ({"pretrain": False}, {"train": False}, {"encoder": Path("e.pth"), "pretrain": False}):
        TrainingOptions(data=StoreData(folder=tmp_path), **works)
    with pytest.raises(ConfigurationError, match="neither --pretrain nor --train"):
        TrainingOptions(data=StoreData(folder=tmp_path), pretrain=False, train=False)
    with pytest.raises(
        ConfigurationError, match=r"both are given\. Leave --pretrain out to start from e\.pth"
    ):
        TrainingOptions(data=StoreData(folder=tmp_path), encoder=Path("e.pth"))


def test_how_rows_are_split_follows_from_the_data(tmp_path):
    assert TrainingOptions(data=StoreData(folder=tmp_path)).split == "for good"
    assert TrainingOptions(data=FileData(tmp_path / "loans.csv")).split == "stratified"
    assert TrainingOptions(data=StoreData(folder=tmp_path), out_of_time=True).split == "out of time"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reject_factor": 1.3}, "--reject-factor must come with --reject-inference parcelling"),
        ({"reject_factor": 1.3, "reject_inference": "fuzzy"}, "however: --reject-inference=fuzzy"),
        (
            {"reject_factor": 0.9, "reject_inference": "parcelling"},
            "a number from 1 to 100, however: 0.9",
        ),
        ({"reject_factor": float("nan"), "reject_inference": "parcelling"}, "from 1 to 100, however: nan"),
        ({"reject_factor": 1e9, "reject_inference": "parcelling"}, "from 1 to 100, however: 1000000000.0"),
        ({"rejected": "a,,b"}, "--rejected must name values with commas"),
    ],
)
def test_reject_inference_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        TrainingOptions(data=FileData(Path("loans.csv")), **changes)


@pytest.mark.parametrize("changes", [{"rejected": "Declined"}, {"reject_inference": "fuzzy"}])
def test_the_training_store_knows_no_rejected_applications(changes):
    with pytest.raises(ConfigurationError, match="does not keep why a row has no outcome"):
        TrainingOptions(data=StoreData(folder=Path("store")), **changes)


def test_parcelling_has_a_factor_and_nothing_else_has():
    data = FileData(Path("loans.csv"))
    assert TrainingOptions(data=data, reject_inference="parcelling").factor_of_rejects == 1.3
    chosen = TrainingOptions(data=data, reject_inference="parcelling", reject_factor=2.0)
    assert (chosen.factor_of_rejects, chosen.infers_rejects) == (2.0, True)
    assert TrainingOptions(data=data, reject_inference="fuzzy").factor_of_rejects is None
    assert not TrainingOptions(data=data).infers_rejects
