"""Presets: three answers to "how much time is a better model worth?".

The costs are those of the bundled 30,000 accounts on two cores, pretraining included; `benchmarks/presets.py`
measures them.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from loan_default.models.classifier import HeadConfig
from loan_default.models.contrastive import ObjectiveConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.fitting import FitConfig

PresetName = Literal["fast", "default", "best"]
PRESETS: tuple[str, ...] = get_args(PresetName)


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


def preset_for(name: PresetName, *, rows: int) -> Preset:
    """The preset, its epochs and batch fitted to the number of training rows.

    Large sets need fewer passes: the epochs are such that about half a million rows are seen, within bounds.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {PRESETS}, however: preset={name!r}")
    batch = 512 if rows < 100_000 else 1_024
    batch = max(16, min(batch, rows // 8))
    epochs = min(24, max(8, round(500_000 / max(1, rows))))
    training = FitConfig(epochs=epochs, learning_rate=3e-3, batch_size=batch, patience=5)
    pretraining = FitConfig(epochs=10, learning_rate=1e-3, batch_size=batch, patience=0, weight_decay=1e-5)
    default = Preset(
        name="default",
        cost="about 4 minutes",
        encoder=EncoderConfig(),
        head=HeadConfig(),
        members=2,
        objective=ObjectiveConfig(),
        pretraining=pretraining,
        training=training,
    )
    if name == "fast":
        return replace(
            default,
            name="fast",
            cost="about 1 minute",
            encoder=EncoderConfig(n_layers=3),
            head=HeadConfig(members=4, hidden=128),
            members=1,
            pretraining=replace(pretraining, epochs=3),
            training=replace(training, epochs=min(8, epochs), patience=3),
        )
    if name == "best":
        return replace(
            default,
            name="best",
            cost="about 30 minutes",
            head=HeadConfig(members=16),
            members=6,
            pretraining=replace(pretraining, epochs=30),
            training=replace(training, patience=8),
        )
    return default
