"""The members of a run: fitted on the training rows to be measured, then on all labels to be handed over."""

from dataclasses import asdict
from pathlib import Path

from loan_default.models.fitting import Fitted, OnProgress, StateDict
from loan_default.models.member_training import Architecture, Labelled, MemberJob, train_members
from loan_default.models.pretraining import Pretrained
from loan_default.models.schedules import Passes
from loan_default.pipelines.training.plan import TrainingPlan
from loan_default.pipelines.training.provenance import digest_of_weights, fingerprint_of_stage


def architecture_of(plan: TrainingPlan) -> Architecture:
    """What each member of a run is built of."""
    return Architecture(features=plan.features, encoder=plan.preset.encoder, head=plan.preset.head)


def first_weights(plan: TrainingPlan, pretrained: Pretrained | None) -> StateDict | None:
    """Weights that the encoder of each member starts with; None = random ones."""
    if pretrained is not None:
        return pretrained.state
    return plan.encoder.state if plan.encoder is not None else None


def fit_members(
    plan: TrainingPlan,
    start: StateDict | None,
    train: Labelled,
    validation: Labelled,
    *,
    out: Path,
    on_progress: OnProgress,
) -> list[Fitted]:
    """The best weights of each member on validation rows; they differ in their seeds alone."""
    jobs = [_job(plan, start, number, out=out, passes=None) for number in range(1, plan.preset.members + 1)]
    return _train(plan, start, train, validation, jobs=jobs, on_progress=on_progress)


def refit_members(
    plan: TrainingPlan,
    start: StateDict | None,
    found: list[Fitted],
    rows: Labelled,
    *,
    out: Path,
    on_progress: OnProgress,
) -> list[Fitted]:
    """Members that take the passes of those that were found, over other rows; nothing is scored."""
    jobs = [
        _job(plan, start, number, out=out, passes=each.passes) for number, each in enumerate(found, start=1)
    ]
    return _train(plan, start, rows, rows, jobs=jobs, on_progress=on_progress)


def _job(
    plan: TrainingPlan, start: StateDict | None, number: int, *, out: Path, passes: Passes | None
) -> MemberJob:
    name = f"member-{number}" if passes is None else f"refit-{number}"
    origin = digest_of_weights([start] if start else [])
    return MemberJob(
        number=number,
        seed=plan.options.seed * 1000 + number,
        fingerprint=fingerprint_of_stage(
            plan, name, asdict(plan.fitting), None if passes is None else asdict(passes), origin
        ),
        checkpoint=out / "checkpoints" / f"{name}.ckpt",
        passes=passes,
    )


def _train(
    plan: TrainingPlan,
    start: StateDict | None,
    train: Labelled,
    validation: Labelled,
    *,
    jobs: list[MemberJob],
    on_progress: OnProgress,
) -> list[Fitted]:
    return train_members(
        architecture_of(plan),
        train,
        validation,
        jobs=jobs,
        config=plan.fitting,
        encoder_state=start,
        device=plan.compute.device,
        processes=plan.compute.processes,
        resume=plan.options.resume,
        on_progress=on_progress,
    )
