"""The slow part of training: pretrain → train → calibrate → predict the held-out rows → a model file.

Each step goes on from its checkpoints where the run resumes.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import wraps
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from loan_default.data.datasets.row_hashing import DIGEST_VERSION
from loan_default.database.documents import model_version
from loan_default.evaluation.metrics import measure
from loan_default.models.baseline import fit_logistic
from loan_default.models.calibration import fit_platt
from loan_default.models.device import torch_threads
from loan_default.models.features import features_to_dict
from loan_default.models.fitting import Fitted, Progress, StateDict
from loan_default.models.member_training import (
    Architecture,
    Labelled,
    MemberJob,
    train_members,
    trained_classifier,
)
from loan_default.models.model import (
    LoanModel,
    PretrainedEncoder,
    mean_probability,
    save_encoder,
    save_model,
)
from loan_default.models.pretraining import Pretrained, pretrain
from loan_default.models.reference import reference_of
from loan_default.pipelines.training.preparation import Stopwatch, TrainingPlan

P = ParamSpec("P")
R = TypeVar("R")

LIBRARIES = ("torch", "numpy", "pandas", "scikit-learn", "pyarrow")
"""Their versions decide the result and are recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A model, how it came about, and what it says about each labelled row that it did not learn from."""

    model: LoanModel
    path: Path
    sha256: str
    pretrained: Pretrained | None
    members: tuple[Fitted, ...]
    validation: "Predictions"
    test: "Predictions"
    started_at: datetime
    seconds: Mapping[str, float]
    """Stage -> wall-clock seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """PDs `(n,)` of one split."""

    y: NDArray[np.float64]
    calibrated: NDArray[np.float64]
    raw: NDArray[np.float64]
    baseline: NDArray[np.float64]
    """Of logistic regression."""


def with_threads_of_run(
    work: Callable[Concatenate[TrainingPlan, P], R],
) -> Callable[Concatenate[TrainingPlan, P], R]:
    """Make a function of a prepared run compute on as many threads as were decided for that run.

    After each call torch computes on as many as before.
    """

    @wraps(work)
    def working(plan: TrainingPlan, /, *arguments: P.args, **named: P.kwargs) -> R:
        with torch_threads(plan.compute.threads):
            return work(plan, *arguments, **named)

    return working


@with_threads_of_run
def pretrain_encoder(
    plan: TrainingPlan,
    *,
    out: Path,
    watch: Stopwatch,
    report: Callable[[Progress], None],
    before_write: Callable[[], None] = lambda: None,
) -> tuple[Pretrained, Path]:
    """Pretrain on the training rows and unlabelled ones; returns the weights and the encoder file.

    No weight is fitted on test or validation rows: the figures on them shall be those of new applications.
    The validation rows say which epoch is the best.

    Args:
        before_write: called before the encoder file is written; what it raises ends the run.
    """
    split, preset = plan.split, plan.preset
    frame = plan.dataset.frame
    rows = plan.features.transform(frame.iloc[plan.pretraining])
    watch.start("pretrain", f"{preset.objective.objective}, {len(rows):,} rows, no labels")
    torch.manual_seed(plan.options.seed)
    architecture = _architecture(plan)
    pretrained = pretrain(
        architecture.new_encoder(),
        rows,
        plan.features.transform(frame.iloc[split.validation]),
        objective=preset.objective,
        config=preset.pretraining,
        seed=plan.options.seed,
        device=plan.compute.device,
        fingerprint=_fingerprint(plan, "pretraining", asdict(preset.pretraining), asdict(preset.objective)),
        checkpoint=out / "checkpoints" / "pretraining.ckpt",
        resume=plan.options.resume,
        report=report,
    )
    path = out / "encoder.pth"
    encoder = PretrainedEncoder(
        schema=plan.schema,
        features=plan.features,
        config=preset.encoder,
        state=pretrained.state,
        provenance=provenance_of(plan) | {"pretraining_epochs": preset.pretraining.epochs},
    )
    before_write()
    save_encoder(path, encoder)
    return pretrained, path


@with_threads_of_run
def train_classifier(
    plan: TrainingPlan,
    pretrained: Pretrained | None,
    *,
    out: Path,
    watch: Stopwatch,
    report: Callable[[Progress], None],
    started_at: datetime,
    before_write: Callable[[], None] = lambda: None,
) -> Trained:
    """Train the members, calibrate, predict the held-out rows and write the model file.

    Args:
        pretrained: what the members start from; None = the given encoder, or random weights.
        started_at: time in the model's version.
        before_write: called before the model file is written; what it raises ends the run.
    """
    split, preset, options = plan.split, plan.preset, plan.options
    train, validation = plan.labelled(split.train), plan.labelled(split.validation)
    start = pretrained.state if pretrained else plan.encoder.state if plan.encoder else None
    origin = "a pretrained encoder" if plan.starts_pretrained else "random weights"
    watch.start("train", f"{preset.members} x {preset.training.epochs} epochs at most, from {origin}")
    architecture = _architecture(plan)
    jobs = [
        MemberJob(
            number=number,
            seed=options.seed * 1000 + number,
            fingerprint=_fingerprint(
                plan,
                f"member {number}",
                asdict(plan.fitting),
                _state_digest([start] if start else []),
            ),
            checkpoint=out / "checkpoints" / f"member-{number}.ckpt",
        )
        for number in range(1, preset.members + 1)
    ]
    fitted = train_members(
        architecture,
        train,
        validation,
        jobs=jobs,
        config=plan.fitting,
        encoder_state=start,
        device=plan.compute.device,
        processes=plan.compute.processes,
        resume=options.resume,
        report=report,
    )
    watch.start("calibrate", f"on {len(validation.labels):,} validation rows")
    members = tuple(trained_classifier(architecture, each.state, train.inputs) for each in fitted)
    raw = mean_probability(members, validation.inputs)
    platt = fit_platt(raw, validation.labels)
    watch.start("evaluate", f"on {len(split.test):,} test rows")
    baseline = fit_logistic(plan.features, train)

    def predictions(rows: Labelled, probability: NDArray[np.float64]) -> Predictions:
        return Predictions(
            y=rows.labels.astype(np.float64),
            calibrated=platt.apply(probability),
            raw=probability,
            baseline=baseline(rows.inputs),
        )

    test = plan.labelled(split.test)
    on_validation = predictions(validation, raw)
    on_test = predictions(test, mean_probability(members, test.inputs))
    provenance = provenance_of(plan) | {
        "epochs": plan.fitting.epochs,
        "members": preset.members,
        "weights": _state_digest([member.state_dict() for member in members]),
    }
    model = LoanModel(
        version=model_version(started_at, _digest(provenance)),
        schema=plan.schema,
        architecture=architecture,
        members=members,
        calibration=platt,
        metrics={
            "validation": asdict(measure(on_validation.y, on_validation.calibrated)),
            "test": asdict(measure(on_test.y, on_test.calibrated)),
        },
        reference=reference_of(plan.dataset.frame.iloc[split.train], plan.features, on_validation.calibrated),
        provenance=provenance,
    )
    path = out / "model.pth"
    watch.stop()
    before_write()
    return Trained(
        model=model,
        path=path,
        sha256=save_model(path, model),
        pretrained=pretrained,
        members=tuple(fitted),
        validation=on_validation,
        test=on_test,
        started_at=started_at,
        seconds=dict(watch.seconds),
    )


def provenance_of(plan: TrainingPlan) -> dict[str, Any]:
    """Where weights come from: data, schema, options, device and versions."""
    return {
        "data": plan.dataset.source,
        "data_digest": plan.dataset.digest,
        "data_digest_version": DIGEST_VERSION,
        "schema_digest": plan.schema.digest,
        "split_digest": plan.split.digest,
        "code_version": version_of("loan-default"),
        "seed": plan.options.seed,
        "out_of_time": plan.options.out_of_time,
        "split": plan.options.split,
        "split_version": plan.split_version,
        "encoder_given": plan.encoder is not None,
        "encoder_split_version": plan.encoder_split_version,
        "seen_until": None if plan.seen_until is None else plan.seen_until.isoformat(),
        "preset": plan.preset.name,
        "objective": plan.objective,
        "device": str(plan.compute.device),
        "threads": plan.compute.threads,
        "python": platform.python_version(),
        **{library: version_of(library) for library in LIBRARIES},
    }


def _architecture(plan: TrainingPlan) -> Architecture:
    return Architecture(features=plan.features, encoder=plan.preset.encoder, head=plan.preset.head)


def fingerprint_of_run(plan: TrainingPlan) -> str:
    """Digest of all that decides the weights of a run before it begins: who goes on with it must agree."""
    encoder = [_state_digest([plan.encoder.state])] if plan.encoder is not None else []
    stages = {"pretrain": plan.options.pretrain, "train": plan.options.train}
    return _fingerprint(plan, stages, asdict(plan.preset), encoder)


def _fingerprint(plan: TrainingPlan, *parts: object) -> str:
    """Digest of all that decides the weights of a stage."""
    features = {
        key: [{name: _listed(value) for name, value in feature.items()} for feature in listed]
        for key, listed in features_to_dict(plan.features).items()
    }
    content = {
        "data": plan.dataset.digest,
        "split": plan.split.digest,
        "pretraining": hashlib.sha256(plan.pretraining.tobytes()).hexdigest(),
        "features": features,
        "encoder": asdict(plan.preset.encoder),
        "head": asdict(plan.preset.head),
        "seed": plan.options.seed,
        "parts": parts,
    }
    return _digest(content)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _state_digest(states: list[StateDict]) -> str:
    content = hashlib.sha256()
    for state in states:
        for name, tensor in sorted(state.items()):
            content.update(name.encode())
            content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
