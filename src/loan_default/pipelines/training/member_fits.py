"""The members of a run: fitted out of fold to be measured, then on all labels to be handed over."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loan_default.models.calibration import with_confidence_of
from loan_default.models.classifier import Classifier
from loan_default.models.fitting import Fitted, OnProgress, StateDict
from loan_default.models.member_training import Architecture, Labelled, MemberJob, train_members
from loan_default.models.model import mean_probability
from loan_default.models.pretraining import Pretrained
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


def fit_members(
    plan: TrainingPlan, start: StateDict | None, *, out: Path, on_progress: OnProgress
) -> list[Fitted]:
    """The best weights of each member on its own fold; a member learns from the rows of the other folds.

    With more members than folds, members with the same fold differ in their seeds.
    """
    rows = plan.measured_rows
    jobs = []
    for number in range(1, plan.preset.members + 1):
        scored = np.searchsorted(rows, fold_of_member(plan, number))
        learned = np.setdiff1d(np.arange(len(rows)), scored)
        jobs.append(_job(plan, start, number, out=out, learned=learned, scored=scored))
    return _train(plan, start, plan.labelled(rows), jobs=jobs, on_progress=on_progress)


def refit_members(
    plan: TrainingPlan, start: StateDict | None, found: list[Fitted], *, out: Path, on_progress: OnProgress
) -> list[Fitted]:
    """Members that take the passes of those that were found, over all labelled rows; nothing is scored."""
    rows = plan.labelled(plan.refit_rows)
    all_of_them, none = np.arange(len(rows.labels)), np.arange(0)
    jobs = [
        _job(plan, start, number, out=out, learned=all_of_them, scored=none, passes=each.passes)
        for number, each in enumerate(found, start=1)
    ]
    return _train(plan, start, rows, jobs=jobs, on_progress=on_progress)


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
        ),
        checkpoint=out / "checkpoints" / f"{name}.ckpt",
        learned=learned,
        scored=scored,
        passes=passes,
    )


def _train(
    plan: TrainingPlan,
    start: StateDict | None,
    rows: Labelled,
    *,
    jobs: list[MemberJob],
    on_progress: OnProgress,
) -> list[Fitted]:
    return train_members(
        architecture_of(plan),
        rows,
        jobs=jobs,
        config=plan.preset.training,
        encoder_state=start,
        device=plan.compute.device,
        processes=plan.compute.processes,
        resume=plan.options.resume,
        on_progress=on_progress,
    )
