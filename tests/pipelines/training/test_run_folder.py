"""The folder of a run: what goes when a new one begins, what stays when one goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from loan_default.errors import ConfigurationError
from loan_default.pipelines.training.run_folder import open_folder


def test_a_new_run_starts_without_what_the_last_one_left(lab, tmp_path):
    plan = lab.outcome.plan
    resumed = replace(plan, options=lab.with_options(resume=True))
    left = ["model.pth", "report.html", "encoder.pth", "checkpoints/member-1.ckpt", "checkpoints/.a.12.tmp"]
    (tmp_path / "checkpoints").mkdir()
    for name in left:
        (tmp_path / name).write_bytes(b"")
    scoring = tmp_path / ".scores.csv.12.tmp"
    scoring.mkdir()
    open_folder(resumed, tmp_path)
    assert [name for name in left if (tmp_path / name).exists()] == left[:-1]
    open_folder(plan, tmp_path)
    assert not [name for name in left if (tmp_path / name).exists()]
    assert scoring.exists()  # a scoring into this folder may be running


def test_an_encoder_to_start_from_stays_in_the_folder_of_the_run(lab, tmp_path):
    encoder = tmp_path / "encoder.pth"
    encoder.write_bytes(b"")
    options = lab.with_options(pretrain=False, encoder=encoder)
    open_folder(replace(lab.outcome.plan, options=options), tmp_path)
    assert encoder.exists()


def test_a_run_that_goes_on_keeps_its_time_and_is_refused_with_other_options(lab, tmp_path):
    plan = lab.outcome.plan
    began = open_folder(plan, tmp_path)
    resumed = replace(plan, options=lab.with_options(resume=True))
    assert open_folder(resumed, tmp_path) == began
    fewer = replace(resumed, preset=replace(resumed.preset, members=7))
    with pytest.raises(ConfigurationError, match="resumed with the data and options it began with"):
        open_folder(fewer, tmp_path)
    assert open_folder(plan, tmp_path) > began


def test_a_folder_that_cannot_be_made_is_one_line(lab):
    with pytest.raises(
        ConfigurationError, match="--out must be a folder that can be written, however: /proc"
    ):
        open_folder(lab.outcome.plan, Path("/proc/nowhere/run"))
