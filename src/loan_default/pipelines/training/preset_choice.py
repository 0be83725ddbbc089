"""The preset of a training: fitted to its rows, with what the person asked for put over it."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from loan_default.choices import OBJECTIVES, Choice
from loan_default.models.model import PretrainedEncoder
from loan_default.models.presets import Preset, preset_for
from loan_default.pipelines.training.training_options import TrainingOptions


def choose_preset(
    options: TrainingOptions,
    *,
    labels: NDArray[np.floating],
    unlabelled: int,
    encoder: PretrainedEncoder | None,
) -> tuple[Preset, list[Choice]]:
    """The preset, and what was decided automatically with it.

    Args:
        labels: of the training rows `(rows,)`.
        unlabelled: rows that pretraining may see and whose outcome stays unknown.
        encoder: what the options name to start from.
    """
    bads = int(labels.sum())
    preset = preset_for(
        options.preset,
        rows=len(labels),
        unlabelled=unlabelled,
        rarer_outcomes=min(bads, len(labels) - bads),
    )
    preset = _with_options(preset, options, encoder)
    choices = [Choice(what="preset", value=preset.name, reason=f"costs {preset.cost} on the bundled data")]
    if preset.pretraining_weight and options.train:
        reason = f"{len(labels):,} training rows have a label, {unlabelled:,} rows have none"
        choices.append(Choice(what="loss", value="cross entropy and that of pretraining", reason=reason))
    return preset, choices


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
        learned = encoder.provenance.get("objective")
        if options.objective is None and learned in OBJECTIVES:
            preset = replace(preset, objective=replace(preset.objective, objective=learned))
    elif not options.pretrain:
        preset = replace(preset, pretraining_weight=0.0)
    return preset
