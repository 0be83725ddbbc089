"""Listeners of a training: what they are called with, and one that writes structured log lines."""

from pathlib import Path
from typing import Protocol

import structlog

from loan_default.models.fitting import Progress
from loan_default.pipelines.training.plan import TrainingPlan

log = structlog.get_logger()


class Listener(Protocol):
    """Follows a run: it is called when a stage begins, when the plan is made, and on progress."""

    def stage(self, name: str, detail: str) -> None:
        """A stage begins; `detail` says what was decided for it."""

    def planned(self, plan: TrainingPlan, out: Path, *, kept_schema: Path | None) -> None:
        """Everything is decided, the inputs lie in the folder `out`, and nothing slow has begun.

        `kept_schema` is the name that another schema which lay there was given.
        """

    def progress(self, progress: Progress) -> None:
        """A long stage has advanced; called several times a second."""


class LogListener:
    """One structured line for each stage, plan and epoch: counts, never values of the data."""

    def stage(self, name: str, detail: str) -> None:
        """Log that the stage has begun."""
        log.info("stage_started", stage=name, detail=detail)

    def planned(self, plan: TrainingPlan, out: Path, *, kept_schema: Path | None) -> None:  # noqa: ARG002
        """Log the counts of rows and the choices of the plan."""
        split = plan.split
        log.info(
            "training_planned",
            rows=len(plan.dataset.frame),
            train=len(split.train),
            validation=len(split.validation),
            test=len(split.test),
            unlabelled=len(split.unlabelled),
            folder=str(out),
            **{choice.what: str(choice.value) for choice in plan.choices},
        )

    def progress(self, progress: Progress) -> None:
        """Log an epoch that has ended; progress within an epoch is for terminals."""
        if progress.last is not None:
            log.info(
                "epoch_finished",
                stage=progress.stage,
                epoch=progress.last.epoch,
                epochs=progress.epochs,
                score=None if progress.last.score is None else round(progress.last.score, 5),
                rows_per_second=round(progress.last.rows_per_second),
                **{name: round(loss, 5) for name, loss in progress.last.losses.items()},
            )
