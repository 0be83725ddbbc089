"""Presets: sizes and schedules for three answers to "how much time is a better model worth?".

The costs are those of the bundled 30,000 accounts on two cores, pretraining included; `benchmarks/presets.py`
measures them.
"""

from dataclasses import dataclass, replace

from loan_default.choices import PRESETS, PresetName
from loan_default.models.classifier import HeadConfig
from loan_default.models.contrastive import ObjectiveConfig
from loan_default.models.encoder import EncoderConfig
from loan_default.models.fitting import FitConfig

FEW_ROWS = 5_000
"""Labelled rows below which a preset trains more carefully: a head on [CLS] alone, and small steps."""


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

    @property
    def fine_tuning(self) -> FitConfig:
        """Training from a pretrained encoder: its blocks move at the rate of pretraining at most."""
        rate = self.pretraining.learning_rate / self.training.learning_rate
        return replace(self.training, encoder_rate=min(1.0, rate))


def preset_for(name: PresetName, *, rows: int, unlabelled: int = 0) -> Preset:
    """The preset, its epochs and batches fitted to the numbers of labelled and of further training rows.

    Large sets need fewer passes: the epochs are such that about half a million rows are seen, a quarter of a
    million in pretraining, within bounds.
    """
    if name not in PRESETS:
        raise ValueError(f"preset must be one of {PRESETS}, however: preset={name!r}")
    few = rows < FEW_ROWS
    training = FitConfig(
        epochs=min(24, max(8, round(500_000 / max(1, rows)))),
        learning_rate=1e-3 if few else 3e-3,
        batch_size=_batch(rows),
        patience=5,
    )
    head = HeadConfig(reads="cls" if few else "all")
    pretraining = FitConfig(
        epochs=min(10, max(3, round(250_000 / max(1, rows + unlabelled)))),
        learning_rate=1e-3,
        batch_size=_batch(rows + unlabelled),
        patience=0,
        weight_decay=1e-5,
    )
    default = Preset(
        name="default",
        cost="about 4 minutes",
        encoder=EncoderConfig(),
        head=head,
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
            head=replace(head, predictors=4, hidden=128),
            members=1,
            pretraining=replace(pretraining, epochs=3),
            training=replace(training, epochs=min(8, training.epochs), patience=3),
        )
    if name == "best":
        return replace(
            default,
            name="best",
            cost="about 15 minutes, an estimate",
            head=replace(head, predictors=16),
            members=6,
            pretraining=replace(pretraining, epochs=3 * pretraining.epochs),
            training=replace(training, patience=8),
        )
    return default


def _batch(rows: int) -> int:
    """Rows a step: at least eight steps an epoch, where there are so many rows."""
    return max(16, min(512 if rows < 100_000 else 1_024, rows // 8))
