"""Training as a use case: from a file to a calibrated, registered model with its evidence.

    read → split → features → pretrain → train → calibrate → evaluate → a model file

Nothing slow begins before everything that can be checked has been. What a run makes lies in one folder;
`resume` goes on from the checkpoints there.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from loan_default.data.cleaning import duplicate_groups
from loan_default.data.schema import Schema
from loan_default.data.splits import Split, split_out_of_time, split_rows
from loan_default.database.documents import model_version
from loan_default.errors import ConfigurationError, DataError
from loan_default.evaluation.metrics import measure
from loan_default.models.baseline import fit_logistic
from loan_default.models.calibration import fit_platt
from loan_default.models.contrastive import Objective
from loan_default.models.device import Compute, DeviceName, choose_compute, usable_cores
from loan_default.models.features import Features, features_to_dict, fit_features
from loan_default.models.fitting import Fitted, Progress, StateDict
from loan_default.models.model import (
    LoanModel,
    PretrainedEncoder,
    load_encoder,
    mean_probability,
    save_encoder,
    save_model,
)
from loan_default.models.presets import Preset, PresetName, preset_for
from loan_default.models.pretraining import Pretrained, pretrain
from loan_default.models.reference import reference_of
from loan_default.models.training import Architecture, Labelled, MemberJob, train_members
from loan_default.pipelines.dataset import Dataset, SchemaChoice, choose_schema, load_dataset

LIBRARIES = ("torch", "numpy", "pandas", "scikit-learn", "pyarrow")
"""Their versions decide the result and are recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingOptions:
    """What a person can choose for a run; None = as the preset says."""

    data: Path
    schema: Path | None = None
    target: str | None = None
    pretrain: bool = True
    train: bool = True
    encoder: Path | None = None
    """A pretrained encoder to start from, instead of pretraining."""
    preset: PresetName = "default"
    epochs: int | None = None
    pretraining_epochs: int | None = None
    members: int | None = None
    objective: Objective | None = None
    out_of_time: bool = False
    """Test on the latest applications instead of random ones."""
    seed: int = 0
    device: DeviceName = "auto"
    resume: bool = False

    def __post_init__(self) -> None:
        if not self.pretrain and not self.train:
            raise ConfigurationError(
                "a run must do something, however: neither --pretrain nor --train is given. For both, type "
                "train.py --pretrain --train"
            )
        if self.encoder is not None and self.pretrain:
            raise ConfigurationError(
                "--encoder must come without --pretrain, however: both are given. Leave --pretrain out to "
                f"start from {self.encoder.name}."
            )
        for name in ("epochs", "pretraining_epochs", "members"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"--{name.replace('_', '-')} must be at least 1, however: {value}")
        if self.seed < 0:
            raise ConfigurationError(f"--seed must not be negative, however: {self.seed}")


class Listener(Protocol):
    """Who is told how a run goes."""

    def stage(self, name: str, detail: str) -> None:
        """A stage begins; `detail` says what was decided for it."""

    def prepared(self, prepared: "Prepared", out: Path) -> None:
        """Everything is decided, the inputs lie in the folder `out`, and nothing slow has begun."""

    def progress(self, progress: Progress) -> None:
        """A sign of life of a long stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """All that is known before anything slow begins."""

    options: TrainingOptions
    choice: SchemaChoice
    dataset: Dataset
    split: Split
    features: Features
    preset: Preset
    compute: Compute
    encoder: PretrainedEncoder | None

    @property
    def schema(self) -> Schema:
        """The schema of the data."""
        return self.dataset.schema

    def labelled(self, positions: NDArray[np.int64]) -> Labelled:
        """Inputs and labels of some rows."""
        rows = self.dataset.frame.iloc[positions]
        assert self.schema.target is not None
        labels = rows[self.schema.target.name].to_numpy(dtype=np.float32)
        return Labelled(inputs=self.features.transform(rows), labels=labels)


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


class Stopwatch:
    """Seconds by stage, announced as they begin."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._current: tuple[str, float] | None = None
        self.seconds: dict[str, float] = {}

    def start(self, name: str, detail: str) -> None:
        """End the current stage and begin the next."""
        self.stop()
        self._current = (name, time.monotonic())
        self._listener.stage(name, detail)

    def stop(self) -> None:
        """End the current stage."""
        if self._current is not None:
            name, since = self._current
            self.seconds[name] = time.monotonic() - since
            self._current = None


def prepare(
    options: TrainingOptions, *, watch: Stopwatch, environ: Mapping[str, str] = os.environ
) -> Prepared:
    """Read, check and split the data and fit the features: everything that can fail because of the input.

    Raises:
        DataError: the file, its schema, its labels or its columns cannot give a model.
        ConfigurationError: options contradict each other or the machine.
        ArtifactError: the encoder file was refused.
    """
    # The number of members does not depend on the rows, and a wrong device should not wait for them.
    members = options.members or preset_for(options.preset, rows=0).members
    compute = choose_compute(options.device, members=members, environ=environ, cores=usable_cores())
    encoder = load_encoder(options.encoder) if options.encoder is not None else None
    watch.start("read", options.data.name)
    choice = choose_schema(options.data, schema=options.schema, target=options.target)
    if choice.schema.target is None:
        raise DataError(
            f"a schema for training must have a target column, however: {choice.schema.name} has none."
        )
    dataset = load_dataset(options.data, choice.schema)
    watch.start("split", "out of time" if options.out_of_time else "stratified")
    split_by = split_out_of_time if options.out_of_time else split_rows
    groups = duplicate_groups(dataset.frame, dataset.schema)
    split = split_by(dataset.frame, dataset.schema, groups=groups, seed=options.seed)
    watch.start("features", f"fitted on {len(split.train):,} training rows")
    if encoder is None:
        features = fit_features(dataset.frame.iloc[split.train], dataset.schema)
    else:
        features = encoder.features
        _check_columns(features, dataset.schema)
    preset = preset_for(options.preset, rows=len(split.train), unlabelled=len(split.unlabelled))
    preset = _with_options(preset, options, encoder)
    return Prepared(
        options=options,
        choice=choice,
        dataset=dataset,
        split=split,
        features=features,
        preset=preset,
        compute=compute,
        encoder=encoder,
    )


def pretrain_encoder(
    prepared: Prepared, *, out: Path, watch: Stopwatch, report: Callable[[Progress], None]
) -> tuple[Pretrained, Path]:
    """Pretrain on the training rows and the unlabelled ones; returns the weights and the encoder file.

    The test and validation rows are left out: the figures on them shall be those of new applications.
    """
    split, preset = prepared.split, prepared.preset
    frame = prepared.dataset.frame
    rows = prepared.features.transform(frame.iloc[np.concatenate([split.train, split.unlabelled])])
    watch.start("pretrain", f"{preset.objective.objective}, {len(rows):,} rows, no labels")
    torch.set_num_threads(prepared.compute.threads)
    torch.manual_seed(prepared.options.seed)
    architecture = _architecture(prepared)
    pretrained = pretrain(
        architecture.new_encoder(),
        rows,
        prepared.features.transform(frame.iloc[split.validation]),
        objective=preset.objective,
        config=preset.pretraining,
        seed=prepared.options.seed,
        device=prepared.compute.device,
        fingerprint=_fingerprint(
            prepared, "pretraining", asdict(preset.pretraining), asdict(preset.objective)
        ),
        checkpoint=out / "checkpoints" / "pretraining.ckpt",
        resume=prepared.options.resume,
        report=report,
    )
    path = out / "encoder.pth"
    encoder = PretrainedEncoder(
        schema=prepared.schema,
        features=prepared.features,
        config=preset.encoder,
        state=pretrained.state,
        provenance=provenance_of(prepared),
    )
    save_encoder(path, encoder)
    return pretrained, path


def train_classifier(
    prepared: Prepared,
    pretrained: Pretrained | None,
    *,
    out: Path,
    watch: Stopwatch,
    report: Callable[[Progress], None],
    started_at: datetime,
) -> Trained:
    """Train the members, calibrate, predict the held-out rows and write the model file."""
    split, preset, options = prepared.split, prepared.preset, prepared.options
    train, validation = prepared.labelled(split.train), prepared.labelled(split.validation)
    start = pretrained.state if pretrained else prepared.encoder.state if prepared.encoder else None
    origin = "a pretrained encoder" if start is not None else "random weights"
    config = preset.training if start is None else preset.fine_tuning
    watch.start("train", f"{preset.members} x {preset.training.epochs} epochs at most, from {origin}")
    torch.set_num_threads(prepared.compute.threads)
    architecture = _architecture(prepared)
    jobs = [
        MemberJob(
            number=number,
            seed=options.seed * 1000 + number,
            fingerprint=_fingerprint(
                prepared, f"member {number}", asdict(config), _state_digest([start] if start else [])
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
        config=config,
        encoder_state=start,
        device=prepared.compute.device,
        processes=prepared.compute.processes,
        resume=options.resume,
        report=report,
    )
    watch.start("calibrate", f"on {len(validation.labels):,} validation rows")
    members = tuple(_member(architecture, each.state, train) for each in fitted)
    raw = mean_probability(members, validation.inputs)
    platt = fit_platt(raw, validation.labels)
    watch.start("evaluate", f"on {len(split.test):,} test rows")
    baseline = fit_logistic(prepared.features, train)

    def predictions(rows: Labelled) -> Predictions:
        probability = mean_probability(members, rows.inputs)
        return Predictions(
            y=rows.labels.astype(np.float64),
            calibrated=platt.apply(probability),
            raw=probability,
            baseline=baseline(rows.inputs),
        )

    on_validation, on_test = predictions(validation), predictions(prepared.labelled(split.test))
    weights = _state_digest([member.state_dict() for member in members])
    model = LoanModel(
        version=model_version(started_at, weights),
        schema=prepared.schema,
        architecture=architecture,
        members=members,
        calibration=platt,
        figures={
            "validation": asdict(measure(on_validation.y, on_validation.calibrated)),
            "test": asdict(measure(on_test.y, on_test.calibrated)),
        },
        reference=reference_of(
            prepared.dataset.frame.iloc[split.train], prepared.features, on_validation.calibrated
        ),
        provenance=provenance_of(prepared) | {"weights": weights},
    )
    path = out / "model.pth"
    watch.stop()
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


def check_folder(out: Path) -> None:
    """ConfigurationError where the folder of a run cannot be one."""
    taken = next((path for path in (out, *out.parents) if path.exists()), None)
    if taken is not None and not taken.is_dir():
        raise ConfigurationError(f"--out must be a folder, however: {taken} is a file. Choose another.")


def make_folder(out: Path, *, resume: bool) -> None:
    """Make the folder of a run; without `resume`, the checkpoints of an earlier run there go.

    So do the temporary files of runs that were killed while they wrote.
    """
    check_folder(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"--out must be a folder that can be written, however: {out}: {error.strerror}. Choose another."
        ) from error
    left = [*out.glob(".*.tmp"), *(out / "checkpoints").glob(".*.tmp")]
    if not resume:
        left += (out / "checkpoints").glob("*.ckpt")
    for path in left:
        path.unlink()


def provenance_of(prepared: Prepared) -> dict[str, Any]:
    """Where a model comes from: enough to make it again."""
    return {
        "data": prepared.dataset.source,
        "data_digest": prepared.dataset.digest,
        "schema_digest": prepared.schema.digest,
        "code_version": version_of("loan-default"),
        "seed": prepared.options.seed,
        "preset": prepared.preset.name,
        "python": platform.python_version(),
        **{library: version_of(library) for library in LIBRARIES},
    }


def _check_columns(features: Features, schema: Schema) -> None:
    absent = [name for name in features.names if name not in schema]
    if absent:
        raise DataError(
            "the data must have the columns that the encoder was pretrained on, however: "
            f"absent={absent[:5]}. Pretrain one on these data with --pretrain."
        )


def _with_options(preset: Preset, options: TrainingOptions, encoder: PretrainedEncoder | None) -> Preset:
    """The preset with what the person asked for put over it."""
    if options.epochs is not None:
        preset = replace(preset, training=replace(preset.training, epochs=options.epochs))
    if options.pretraining_epochs is not None:
        preset = replace(preset, pretraining=replace(preset.pretraining, epochs=options.pretraining_epochs))
    if options.members is not None:
        preset = replace(preset, members=options.members)
    if options.objective is not None:
        preset = replace(preset, objective=replace(preset.objective, objective=options.objective))
    if encoder is not None:
        preset = replace(preset, encoder=encoder.config)
    return preset


def _architecture(prepared: Prepared) -> Architecture:
    return Architecture(
        features=prepared.features, encoder=prepared.preset.encoder, head=prepared.preset.head
    )


def _member(architecture: Architecture, state: StateDict, train: Labelled) -> Any:
    member = architecture.new_classifier()
    member.load_state_dict({name: tensor.cpu() for name, tensor in state.items()})
    member.encoder.fill_unseen(torch.from_numpy(train.inputs.numerical), torch.from_numpy(train.inputs.codes))
    return member.eval()


def _fingerprint(prepared: Prepared, *parts: object) -> str:
    """Digest of all that decides the weights of a stage."""
    features = {
        key: [{name: _listed(value) for name, value in feature.items()} for feature in listed]
        for key, listed in features_to_dict(prepared.features).items()
    }
    content = {
        "data": prepared.dataset.digest,
        "train": hashlib.sha256(prepared.split.train.tobytes()).hexdigest(),
        "features": features,
        "encoder": asdict(prepared.preset.encoder),
        "head": asdict(prepared.preset.head),
        "seed": prepared.options.seed,
        "parts": parts,
    }
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
