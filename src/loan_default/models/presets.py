"""Presets: sizes and schedules for two answers to "how much time is a better model worth?".

The costs are those of the bundled 30,000 accounts on two cores, pretraining included; `benchmarks/presets.py`
measures them.
"""

from dataclasses import dataclass, replace

from loan_default.choices import PRESETS, PresetName
from loan_default.models.classifier import HeadConfig
from loan_default.models.contrastive import ObjectiveConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.schedules import FitConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """Sizes, schedules and the number of members."""

    name: PresetName
    cost: str
    """What it takes on the bundled data with two cores."""
    encoder: EncoderConfig
    head: HeadConfig
    members: int
    """Networks that are trained and averaged."""
    objective: ObjectiveConfig
    pretraining: FitConfig
    training: FitConfig
    pretraining_weight: float
    """Weight of the losses of pretraining beside the cross entropy where training starts from a pretrained
    encoder; 0 = off."""


FEW_OUTCOMES = 200
"""Training rows of the rarer outcome below which chance moves the AUC of a fold more than training does. The
log loss is steadier, and gets worse at once where rows are learned by heart."""
UNLABELLED_PER_LABEL = 4
"""Rows without a label to each with one from which on labels are few: members learn from both at once."""


def preset_for(
    name: PresetName, *, rows: int, unlabelled: int = 0, rarer_outcomes: int = FEW_OUTCOMES
) -> Preset:
    """The preset, its batches and bounds fitted to the numbers of labelled and of further training rows.

    How many passes are made follows from progress. The bounds keep a run from going on for hours: about three
    million rows are seen at most, a quarter of a million in pretraining.

    Args:
        rarer_outcomes: training rows of the rarer outcome; by default as many as an AUC needs.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {PRESETS}, however: preset={name!r}")
    training = FitConfig(
        epochs=min(200, max(12, 3_000_000 // max(1, rows))),
        learning_rate=3e-3,
        batch_size=_batch(rows),
        patience=_patience(rows),
        measure="log loss" if rarer_outcomes < FEW_OUTCOMES else "AUC",
    )
    pretraining = FitConfig(
        epochs=min(10, max(3, round(250_000 / max(1, rows + unlabelled)))),
        learning_rate=1e-3,
        batch_size=_batch(rows + unlabelled),
        patience=0,
        weight_decay=1e-5,
    )
    default = Preset(
        name="default",
        cost="about 7 minutes",
        encoder=EncoderConfig(n_layers=3),
        head=HeadConfig(scales="tokens", hidden=128),
        members=_members(rows),
        objective=ObjectiveConfig(),
        pretraining=pretraining,
        training=training,
        pretraining_weight=1.0 if unlabelled and unlabelled >= UNLABELLED_PER_LABEL * rows else 0.0,
    )
    if name == "fast":
        return replace(
            default,
            name="fast",
            cost="about 1 minute",
            encoder=EncoderConfig(n_layers=2),
            head=HeadConfig(scales="tokens", hidden=128, predictors=4),
            members=1,
            pretraining=replace(pretraining, epochs=3),
            training=replace(training, patience=max(2, training.patience // 2)),
        )
    return default


def _members(rows: int) -> int:
    """Networks that are averaged: where rows are many, each differs less from the others and costs more."""
    return 4 if rows < 50_000 else 2


def _batch(rows: int) -> int:
    """Rows a step: at least 32 steps an epoch, where there are so many rows."""
    return max(16, min(512 if rows < 100_000 else 1_024, rows // 32))


def _patience(rows: int) -> int:
    """Passes in vain before the rate falls: small sets have short passes and noisy scores."""
    if rows < 10_000:
        return 25
    return 5 if rows < 30_000 else 3
