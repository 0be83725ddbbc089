"""The plan of a training: the data read, checked and split, the features fitted, and every choice made.

All that can fail because of the input or the options fails here, before anything slow begins.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.choices import Choice
from loan_default.data.datasets.folds import folds_of
from loan_default.data.datasets.leakage import LeakCheck
from loan_default.data.datasets.row_hashing import DIGEST_VERSION
from loan_default.data.datasets.splits import SPLIT_VERSION, Split
from loan_default.data.datasets.twins import Twins
from loan_default.data.schema.file_format import FileFormat
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.format_words import describe_format
from loan_default.data.sources.sniffing import format_for
from loan_default.errors import DataError
from loan_default.models.device import Compute, choose_compute, usable_cores
from loan_default.models.features import Features, Inputs, fit_features
from loan_default.models.joint_loss import PretrainingRows
from loan_default.models.labelled import Labelled
from loan_default.models.model import PretrainedEncoder, load_encoder
from loan_default.models.presets import Preset, preset_for
from loan_default.models.tree_training import import_lightgbm
from loan_default.pipelines.training.dataset import Dataset, load_dataset, load_snapshot, load_store
from loan_default.pipelines.training.leak_questions import checked_leaks
from loan_default.pipelines.training.preset_choice import choose_preset
from loan_default.pipelines.training.reject_rows import RejectSplit, reject_choice, split_rejects
from loan_default.pipelines.training.row_splits import (
    SPLITS,
    split_dataset,
    twin_choice,
    unlabelled_to_pretrain_on,
)
from loan_default.pipelines.training.schema_choice import SchemaChoice, choose_schema
from loan_default.pipelines.training.stopwatch import Stopwatch
from loan_default.pipelines.training.training_options import (
    HEADERS,
    PERMANENT_HOLDOUT,
    FileData,
    StoreData,
    TrainingOptions,
    read_delimiter,
    read_encoding,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan:
    """All that is known before anything slow begins."""

    options: TrainingOptions
    schema_choice: SchemaChoice
    dataset: Dataset
    split: Split
    folds: tuple[NDArray[np.int64], ...]
    """Positions of the rows that members are scored on, the validation rows first; a member learns from the
    training and validation rows of the other folds."""
    pretraining: NDArray[np.int64]
    """Positions of the rows to pretrain on: the training rows, and unlabelled ones that neither are nor can
    become copies of validation or test rows."""
    features: Features
    inputs: Inputs
    """All rows of the dataset as the network sees them: they are transformed once a run."""
    preset: Preset
    compute: Compute
    encoder: PretrainedEncoder | None
    """The pretrained encoder that the options name."""
    leaks: LeakCheck
    """What each column says of the outcome by itself."""
    choices: tuple[Choice, ...]
    """What was decided automatically."""
    twins: Twins | None = None
    """Near-copies among the labelled rows; None = none were found."""
    rejects: RejectSplit | None = None
    """Rejected applications; None = the data name none."""

    @property
    def schema(self) -> Schema:
        """The schema of the data."""
        return self.dataset.schema

    @property
    def seen_until(self) -> datetime | None:
        """Time of the latest row that the model or its encoder learned from; None = not known."""
        column = self.schema.timestamp
        if column is None:
            return None
        seen = np.concatenate([self.measured_rows, self.pretraining])
        if self.options.refit:
            seen = np.concatenate([seen, self.refit_rows])
        if self.rejects is not None and self.options.infers_rejects:
            seen = np.concatenate([seen, self.rejects.all if self.options.refit else self.rejects.learned])
        latest: pd.Timestamp = self.dataset.frame[column.name].iloc[seen].max()
        if pd.isna(latest):
            return None
        if self.encoder is None:
            return latest.to_pydatetime()
        end, then = self.encoder.provenance.get("seen_until"), self.encoder.schema.timestamp
        if end is None or then is None or then.name != column.name:
            return None
        return max(latest, pd.Timestamp(str(end))).to_pydatetime()

    @property
    def split_version(self) -> int | None:
        """Version of the permanent holdout that the rows were split by; None = by another split."""
        return SPLIT_VERSION if self.options.split == PERMANENT_HOLDOUT else None

    @property
    def encoder_split_version(self) -> int | None:
        """Version of the permanent holdout that the encoder was pretrained without; None = not known."""
        if self.encoder is None or self.encoder.provenance.get("split") != PERMANENT_HOLDOUT:
            return None
        if self.encoder.schema.comparison_digest != self.schema.comparison_digest:
            return None  # another schema makes other rows test rows
        version: int | None = self.encoder.provenance.get("split_version")
        return version

    @property
    def starts_pretrained(self) -> bool:
        """Whether training starts from a pretrained encoder, of this run or a given one."""
        return self.options.pretrain or self.encoder is not None

    @property
    def objective(self) -> str:
        """What the encoder is or was pretrained with; "none" = training starts from random weights."""
        if self.encoder is not None:
            return str(self.encoder.provenance.get("objective", "not known"))
        return self.preset.objective.objective if self.options.pretrain else "none"

    @property
    def measured_rows(self) -> NDArray[np.int64]:
        """Positions of the training and validation rows: what the model that is measured learns from."""
        return np.sort(np.concatenate([self.split.train, self.split.validation]))

    @property
    def straddling(self) -> NDArray[np.bool_]:
        """Which test rows have a near-copy among the training and validation rows."""
        if self.twins is None:
            return np.zeros(len(self.split.test), bool)
        return self.twins.with_copies_in(self.split.test, self.measured_rows)

    @property
    def refit_rows(self) -> NDArray[np.int64]:
        """Positions of all rows with a label, without a permanent holdout: what the last fit learns from."""
        if self.options.split == PERMANENT_HOLDOUT:
            return self.measured_rows
        return np.sort(np.concatenate([self.measured_rows, self.split.test]))

    def pretraining_rows(self) -> PretrainingRows | None:
        """What goes on pretraining the members while they train; None = nothing."""
        if not self.preset.pretraining_weight:
            return None
        return PretrainingRows(
            inputs=self.inputs[self.pretraining],
            objective=self.preset.objective,
            weight=self.preset.pretraining_weight,
        )

    def labelled(self, positions: NDArray[np.int64]) -> Labelled:
        """Inputs and labels of the rows at some positions."""
        weights = self.dataset.weights
        return Labelled(
            inputs=self.inputs[positions],
            labels=self.dataset.labels[positions].astype(np.float32),
            weights=None if weights is None else weights[positions],
        )


def plan_training(
    options: TrainingOptions, *, watch: Stopwatch, environ: Mapping[str, str] = os.environ
) -> TrainingPlan:
    """Read, check and split the data and fit the features: everything that can fail because of the input.

    Raises:
        DataError: the file, its schema, its labels or its columns cannot give a model.
        ConfigurationError: options contradict each other or the machine, or a library is missing.
        ArtifactError: the encoder file was refused.
    """
    if options.with_trees:
        import_lightgbm()  # a missing library should not wait for the networks
    # More members than without rows are never trained, and a wrong device should not wait for the rows.
    members = options.members or preset_for(options.preset, rows=0).members
    compute = choose_compute(options.device, members=members, environ=environ, cores=usable_cores())
    encoder = load_encoder(options.encoder) if options.encoder is not None else None
    form = find_format(options)
    written = f": {describe_format(form)}" if form is not None else ""
    watch.start("read", f"{options.data.name}{written}")
    named = NamedOutcomes(
        bad=options.values("bad"), good=options.values("good"), rejected=options.values("rejected")
    )
    schema_choice = choose_schema(
        options.data,
        schema=options.schema,
        target=options.target,
        named=named or None,
        too_late=options.values("known_after_decision"),
        form=form,
    )
    if schema_choice.schema.target is None:
        raise DataError(
            f"a schema for training must have a target column, however: {schema_choice.schema.name} has none."
        )
    dataset = _load(options.data, schema_choice)
    inferred = schema_choice.raw is not None
    schema_choice = replace(schema_choice, raw=None)  # the rows as they were in the file are not needed again
    watch.start("split", SPLITS[options.split])
    rows = split_dataset(options, dataset)
    split = rows.split
    rejects = split_rejects(options, dataset, rows)
    leaks = checked_leaks(options, dataset, split, inferred=inferred)
    unlabelled = unlabelled_to_pretrain_on(options, dataset, rows)
    if rejects is not None:
        unlabelled = unlabelled[~np.isin(unlabelled, rejects.held_out)]
    pretraining = np.concatenate([split.train, unlabelled])
    # Rows without a label show where the values lie; how fine bins can be follows from those with one.
    fitted_on = pretraining if options.pretrain else split.train
    watch.start("features", f"fitted on {len(fitted_on):,} training rows")
    # Rejected applications get an outcome: they are not learned from beside those with one, but with them.
    rejected = rejects.learned if rejects is not None and options.infers_rejects else np.arange(0)
    preset, preset_choices = choose_preset(
        options,
        labels=dataset.labels[split.train],
        unlabelled=len(np.setdiff1d(unlabelled, rejected)),
        encoder=encoder,
    )
    choices = [
        *preset_choices,
        *compute.choices,
        *twin_choice(rows.twins),
        *reject_choice(options, rejects),
    ]
    if encoder is None:
        features = fit_features(
            dataset.frame.iloc[fitted_on], dataset.schema, labelled=np.isin(fitted_on, split.train)
        )
    else:
        features = encoder.features
        _check_columns(encoder, dataset.schema)
        origin = _check_origin(encoder, dataset, split, options)
        choices.append(Choice(what="encoder", value=str(options.encoder), reason=origin))
    return TrainingPlan(
        options=options,
        schema_choice=schema_choice,
        dataset=dataset,
        split=split,
        folds=folds_of(split, dataset.labels, groups=rows.groups, seed=options.seed),
        pretraining=pretraining,
        features=features,
        inputs=features.transform(dataset.frame),
        preset=preset,
        compute=compute,
        encoder=encoder,
        leaks=leaks,
        choices=tuple(choices),
        twins=rows.twins,
        rejects=rejects,
    )


def find_format(options: TrainingOptions) -> FileFormat | None:
    """How the file of the data is written; None = the training store.

    Raises:
        DataError, UnclearFileError: as `format_for`, or the schema that is named is unusable.
    """
    if isinstance(options.data, StoreData):
        return None
    schema = load_schema(options.schema) if options.schema is not None else None
    return format_for(
        options.data.path,
        schema,
        header=HEADERS[options.header],
        sheet=options.sheet or "",
        delimiter=read_delimiter(options.delimiter),
        encoding=read_encoding(options.encoding),
    )


def _load(data: FileData | StoreData, choice: SchemaChoice) -> Dataset:
    if isinstance(data, FileData):
        return load_dataset(data.path, choice.schema, form=choice.form, raw=choice.raw)
    days = data.maturity_days
    if data.snapshot is not None:
        return load_snapshot(data.folder, choice.schema, data.snapshot, maturity_days=days)
    return load_store(data.folder, choice.schema, maturity_days=days, now=datetime.now(UTC))


def _check_columns(encoder: PretrainedEncoder, schema: Schema) -> None:
    allowed = {column.name: column.kind for column in schema.features}
    names = encoder.features.names
    refused = [name for name in names if allowed.get(name) is not encoder.schema[name].kind]
    if refused:
        raise DataError(
            "the data must have the columns that the encoder was pretrained on, as features of the same "
            f"kind, however: {refused[:5]} are absent, protected or of another kind. Pretrain one on these "
            "data with --pretrain."
        )


def _check_origin(
    encoder: PretrainedEncoder, dataset: Dataset, split: Split, options: TrainingOptions
) -> str:
    """Where an encoder comes from, in words; one that has seen test rows of this run is refused."""
    origin = encoder.provenance
    if origin.get("data_digest_version", 1) != DIGEST_VERSION:
        return "pretrained by another release; whether it saw rows of this test is not known"
    if origin.get("data_digest") != dataset.digest:
        return "pretrained on other data; whether it saw rows of this test is not known"
    if origin.get("split_digest") != split.digest:
        decides = ("seed", "out_of_time", "schema_digest")
        now = {
            "seed": options.seed,
            "out_of_time": options.out_of_time,
            "schema_digest": dataset.schema.digest,
        }
        others = [f"{name} {str(origin.get(name))[:12]}, now {str(now[name])[:12]}" for name in decides]
        raise DataError(
            "an encoder must have been pretrained on the same split of the same data, or it has seen rows of "
            f"the test, however: then {'; then '.join(others)}. Use the same options and schema, or pretrain "
            "anew."
        )
    return "pretrained on the training rows of the same split"
