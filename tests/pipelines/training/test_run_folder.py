"""The folder of a run: what goes when a new one begins, what stays when one goes on."""

from dataclasses import replace
from pathlib import Path

import pytest

from loan_default.errors import ConfigurationError
from loan_default.pipelines.training.run_folder import (
    FORMER_REPORT,
    drop_former_report,
    has_run,
    open_folder,
)


def test_a_new_run_keeps_the_former_results_until_it_has_its_own(lab, tmp_path):
    plan = lab.outcome.plan
    resumed = replace(plan, options=lab.with_options(resume=True))
    open_folder(plan, tmp_path)
    results = ["model.pth", "model.pth.sha256", "encoder.pth", "encoder.pth.sha256"]
    states = ["checkpoints/member-1.ckpt", "checkpoints/.a.12.tmp"]
    for name in [*results, *states, "report.html"]:
        (tmp_path / name).write_text(name)
    scoring = tmp_path / ".scores.csv.12.tmp"
    scoring.mkdir()
    open_folder(resumed, tmp_path)
    assert [(tmp_path / name).exists() for name in [*states, "report.html"]] == [True, False, True]
    assert not (tmp_path / FORMER_REPORT).exists()
    open_folder(plan, tmp_path)
    assert [(tmp_path / name).read_text() for name in results] == results
    assert not [name for name in states if (tmp_path / name).exists()]
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / FORMER_REPORT).read_text() == "report.html"
    assert scoring.exists()  # a scoring into this folder may be running


def test_the_former_report_stays_while_runs_end_without_one_of_their_own(lab, tmp_path):
    (tmp_path / "report.html").write_text("of the good model")
    for _ in range(2):  # the second new run finds what the first, which was killed, has left
        open_folder(lab.outcome.plan, tmp_path)
        assert (tmp_path / FORMER_REPORT).read_text() == "of the good model"
    (tmp_path / "report.html").write_text("of this run")
    drop_former_report(tmp_path)
    drop_former_report(tmp_path)
    assert [path.name for path in tmp_path.glob("*.html")] == ["report.html"]


def test_a_resumed_run_that_begins_anew_takes_no_former_report_for_its_own(lab, tmp_path):
    (tmp_path / "report.html").write_text("of another run")
    assert not has_run(tmp_path)
    open_folder(replace(lab.outcome.plan, options=lab.with_options(resume=True)), tmp_path)
    assert has_run(tmp_path)
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / FORMER_REPORT).exists()


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
