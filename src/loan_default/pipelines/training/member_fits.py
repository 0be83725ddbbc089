"""The members of a run: fitted out of fold to be measured, then on all labels to be handed over."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loan_default.models.calibration import with_confidence_of
from loan_default.models.classifier import Classifier
from loan_default.models.fitting import Fitted, OnProgress, StateDict
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture, MemberJob, train_members
from loan_default.models.model import mean_probability
from loan_default.models.pretraining import Pretrained
from loan_default.models.reject_augmentation import Copies
from loan_default.models.schedules import Passes
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.provenance import digest_of_weights, fingerprint_of_stage


@dataclass(frozen=True, kw_only=True, slots=True)
class OutOfFold:
    """Predictions for rows by members that did not learn from them."""

    positions: NDArray[np.int64]
    """(rows,), those of the validation rows first."""
    raw: NDArray[np.float64]
    """(rows,), before calibration, with the confidence of the average of all members."""


def architecture_of(plan: TrainingPlan) -> Architecture:
    """What each member of a run is built of."""
    return Architecture(features=plan.features, encoder=plan.preset.encoder, head=plan.preset.head)


def first_weights(plan: TrainingPlan, pretrained: Pretrained | None) -> StateDict | None:
    """Weights that the encoder of each member starts with; None = random ones."""
    if pretrained is not None:
        return pretrained.state
    return plan.encoder.state if plan.encoder is not None else None


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedRejects:
    """Rejected applications that members learn from beside the labelled rows."""

    positions: NDArray[np.int64]
    """`(rejects,)` in the dataset."""
    of_member: tuple[Copies, ...]
    """With the outcomes that each member learns, one set a member."""

    def beside(
        self, rows: Labelled, learned: NDArray[np.int64], *, number: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """What a member learns: positions among the rows of `with_both_outcomes`, and how much each counts.

        Args:
            rows: the labelled ones.
            learned: positions of those that it learns.
            number: of the member, from 1.
        """
        copies = self.of_member[number - 1]
        as_good = np.where(copies.labels == 1, 0, len(self.positions))
        weights = np.ones(len(rows.labels)) if rows.weights is None else rows.weights
        return (
            np.concatenate([learned, len(rows.labels) + as_good + copies.rejects]),
            np.concatenate([weights[learned], copies.weights]),
        )

    def learned_with(self, plan: TrainingPlan, labelled: NDArray[np.int64], *, number: int) -> Labelled:
        """The rows at some positions, then the rejects as a member learns them."""
        everyone = np.arange(len(labelled))
        learned, weights = self.beside(plan.labelled(labelled), everyone, number=number)
        return replace(self.with_both_outcomes(plan, labelled)[learned], weights=weights)

    def with_both_outcomes(self, plan: TrainingPlan, labelled: NDArray[np.int64]) -> Labelled:
        """The rows at some positions, then all rejects as defaults, then all of them as none.

        Their weights are those of each job.
        """
        rows = plan.labelled(labelled)
        return Labelled(
            inputs=plan.inputs[np.concatenate([labelled, self.positions, self.positions])],
            labels=np.concatenate(
                [rows.labels, np.repeat(np.array([1, 0], np.float32), len(self.positions))]
            ),
            weights=None
            if rows.weights is None
            else np.concatenate([rows.weights, np.ones(2 * len(self.positions))]),
        )


def fit_members(
    plan: TrainingPlan,
    start: StateDict | None,
    *,
    out: Path,
    on_progress: OnProgress,
    rejects: AddedRejects | None = None,
) -> list[Fitted]:
    """The best weights of each member on its own fold; a member learns from the rows of the other folds.

    With more members than folds, members with the same fold differ in their seeds.

    Args:
        rejects: what a member learns besides; it is scored on labelled rows alone. None = nothing.
    """
    jobs = _jobs_out_of_fold(plan, start, out=out)
    return _train(plan, start, plan.measured_rows, jobs=jobs, on_progress=on_progress, rejects=rejects)


def fit_and_refit_members(
    plan: TrainingPlan, start: StateDict | None, *, out: Path, on_progress: OnProgress
) -> tuple[list[Fitted], list[Fitted]]:
    """What `fit_members` and then `refit_members` return; a member is refitted once its passes are known.

    No core waits for the last member of the first fit.
    """
    rows = plan.refit_rows
    measured = np.searchsorted(rows, plan.measured_rows)
    jobs = [
        replace(job, learned=measured[job.learned], scored=measured[job.scored])
        for job in _jobs_out_of_fold(plan, start, out=out)
    ]
    fitted = _train(
        plan,
        start,
        rows,
        jobs=jobs,
        on_progress=on_progress,
        rejects=None,
        follow_up=lambda job, found: _refit_job(plan, start, job.number, found, out=out),
    )
    return fitted[: len(jobs)], fitted[len(jobs) :]


def refit_members(
    plan: TrainingPlan,
    start: StateDict | None,
    found: list[Fitted],
    *,
    out: Path,
    on_progress: OnProgress,
    rejects: AddedRejects | None = None,
) -> list[Fitted]:
    """Members that take the passes of those that were found, over all labelled rows; nothing is scored.

    Args:
        rejects: what they learn besides; None = nothing.
    """
    jobs = [_refit_job(plan, start, number, each, out=out) for number, each in enumerate(found, start=1)]
    return _train(plan, start, plan.refit_rows, jobs=jobs, on_progress=on_progress, rejects=rejects)


def fold_of_member(plan: TrainingPlan, number: int) -> NDArray[np.int64]:
    """Positions of the rows that a member is scored on.

    Args:
        number: of the member, from 1.
    """
    return plan.folds[(number - 1) % len(plan.folds)]


def rows_learned_from(plan: TrainingPlan) -> int:
    """How many rows the members that are measured learn from together."""
    return len(plan.measured_rows if plan.preset.members > 1 else plan.split.train)


def out_of_fold(plan: TrainingPlan, members: Sequence[Classifier]) -> OutOfFold:
    """What the members predict for the rows of their own folds, with the confidence of their average."""
    rows = plan.measured_rows
    of_member = [mean_probability([member], plan.inputs[rows]) for member in members]
    average = np.mean(of_member, axis=0)
    of_fold: dict[int, list[NDArray[np.float64]]] = {}
    for index, predicted in enumerate(of_member):
        own = np.searchsorted(rows, fold_of_member(plan, index + 1))
        matched = with_confidence_of(predicted[own], member=predicted, average=average)
        of_fold.setdefault(index % len(plan.folds), []).append(matched)
    return OutOfFold(
        positions=np.concatenate([plan.folds[fold] for fold in of_fold]),
        raw=np.concatenate([np.mean(each, axis=0) for each in of_fold.values()]),
    )


def each_alone(
    plan: TrainingPlan, members: Sequence[Classifier], positions: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """What each member alone predicts for some rows `(rows,)`, with the confidence of their average."""
    of_member = [mean_probability([member], plan.inputs[positions]) for member in members]
    average = np.mean(of_member, axis=0)
    return [with_confidence_of(each, member=each, average=average) for each in of_member]


def _jobs_out_of_fold(plan: TrainingPlan, start: StateDict | None, *, out: Path) -> list[MemberJob]:
    """A job for each member; positions are among the measured rows."""
    rows = plan.measured_rows
    jobs = []
    for number in range(1, plan.preset.members + 1):
        scored = np.searchsorted(rows, fold_of_member(plan, number))
        learned = np.setdiff1d(np.arange(len(rows)), scored)
        jobs.append(_job(plan, start, number, out=out, learned=learned, scored=scored))
    return jobs


def _refit_job(
    plan: TrainingPlan, start: StateDict | None, number: int, found: Fitted, *, out: Path
) -> MemberJob:
    """The job of a member that takes the passes that were found over all labelled rows."""
    learned, none = np.arange(len(plan.refit_rows)), np.arange(0)
    return _job(plan, start, number, out=out, learned=learned, scored=none, passes=found.passes)


def _job(
    plan: TrainingPlan,
    start: StateDict | None,
    number: int,
    *,
    out: Path,
    learned: NDArray[np.int64],
    scored: NDArray[np.int64],
    passes: Passes | None = None,
) -> MemberJob:
    name = f"member-{number}" if passes is None else f"refit-{number}"
    origin = digest_of_weights([start] if start else [])
    weight = plan.preset.pretraining_weight
    beside = [(weight, asdict(plan.preset.objective))] if weight else []  # absent in older releases
    return MemberJob(
        number=number,
        seed=plan.options.seed * 1000 + number,
        fingerprint=fingerprint_of_stage(
            plan,
            name,
            asdict(plan.preset.training),
            None if passes is None else asdict(passes),
            origin,
            sha256(scored.tobytes()).hexdigest(),
            *beside,
        ),
        checkpoint=out / "checkpoints" / f"{name}.ckpt",
        learned=learned,
        scored=scored,
        passes=passes,
    )


def _train(
    plan: TrainingPlan,
    start: StateDict | None,
    positions: NDArray[np.int64],
    *,
    jobs: list[MemberJob],
    on_progress: OnProgress,
    rejects: AddedRejects | None,
    follow_up: Callable[[MemberJob, Fitted], MemberJob] | None = None,
) -> list[Fitted]:
    rows = plan.labelled(positions)
    if rejects is not None:
        jobs = [_with_rejects(job, plan, rows, rejects) for job in jobs]
        rows = rejects.with_both_outcomes(plan, positions)
    return train_members(
        architecture_of(plan),
        rows,
        jobs=jobs,
        config=plan.preset.training,
        encoder_state=start,
        pretraining=plan.pretraining_rows(),
        device=plan.compute.device,
        processes=plan.compute.processes,
        resume=plan.options.resume,
        on_progress=on_progress,
        follow_up=follow_up,
    )


def _with_rejects(job: MemberJob, plan: TrainingPlan, rows: Labelled, rejects: AddedRejects) -> MemberJob:
    """The job of a member that learns from rejects besides; its checkpoint is another one."""
    learned, weights = rejects.beside(rows, job.learned, number=job.number)
    assert job.checkpoint is not None
    return replace(
        job,
        learned=learned,
        weights=weights,
        fingerprint=fingerprint_of_stage(
            plan, job.fingerprint, *(sha256(each.tobytes()).hexdigest() for each in (learned, weights))
        ),
        checkpoint=job.checkpoint.with_name(f"rejects-{job.checkpoint.name}"),
    )
