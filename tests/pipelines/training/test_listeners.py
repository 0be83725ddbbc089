"""What a training without a terminal logs: counts and choices, never values of the data."""

from pathlib import Path

from structlog.testing import capture_logs

from loan_default.models.fitting import Epoch, Progress
from loan_default.pipelines.training.listeners import LogListener


def progress_of(last: Epoch | None) -> Progress:
    return Progress(stage="member 1", epoch=2, epochs=3, done_rows=600, total_rows=900, last=last)


def test_a_stage_is_logged_with_what_was_decided_for_it():
    with capture_logs() as logged:
        LogListener().stage("read", "loans.csv")
    assert logged == [{"event": "stage_started", "stage": "read", "detail": "loans.csv", "log_level": "info"}]


def test_a_plan_is_logged_as_counts_and_choices(lab):
    plan = lab.outcome.plan
    with capture_logs() as logged:
        LogListener().planned(plan, Path("run"), kept_schema=None)
    (line,) = logged
    split = plan.split
    assert line["event"] == "training_planned"
    assert line["rows"] == len(plan.dataset.frame) == 497
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    assert {name: line[name] for name in parts} == {name: len(rows) for name, rows in parts.items()}
    assert line["unlabelled"] == len(split.unlabelled) == 20
    assert line["folder"] == "run"
    for choice in plan.choices:
        assert line[choice.what] == choice.value
    assert not set(map(str, plan.dataset.frame["id"])) & set(map(str, line.values()))


def test_an_epoch_is_logged_when_it_has_ended_and_not_before():
    epoch = Epoch(epoch=2, losses={"loss": 0.1234567}, score=0.7654321, rows_per_second=1234.5)
    with capture_logs() as logged:
        LogListener().progress(progress_of(None))
        LogListener().progress(progress_of(epoch))
    assert logged == [
        {
            "event": "epoch_finished",
            "log_level": "info",
            "stage": "member 1",
            "epoch": 2,
            "epochs": 3,
            "score": 0.76543,
            "loss": 0.12346,
            "rows_per_second": 1234,
        }
    ]
