"""Our model on a credit set, by the package's own functions and the default preset."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.credit_sets import CreditSet
from loan_default.choices import Objective
from loan_default.models.calibration import choose_calibration
from loan_default.models.features import Features, fit_features
from loan_default.models.fitting import Progress, StateDict
from loan_default.models.member_training import (
    Architecture,
    Labelled,
    MemberJob,
    train_members,
    trained_classifier,
)
from loan_default.models.model import mean_probability
from loan_default.models.presets import Preset, preset_for
from loan_default.models.pretraining import pretrain

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """Probabilities of one net before calibration."""

    validation: NDArray[np.float64]
    test: NDArray[np.float64]


def setup(data: CreditSet, *, rows: int) -> tuple[Features, Preset]:
    """Features fitted on all training rows, without labels, and the preset for so many labelled ones."""
    return fit_features(data.frame.iloc[data.train], data.schema), preset_for("default", rows=rows)


def pretrained_state(
    data: CreditSet, features: Features, preset: Preset, *, seed: int, objective: Objective | None = None
) -> StateDict:
    """Encoder weights after pretraining on all training rows."""
    config = preset.objective if objective is None else replace(preset.objective, objective=objective)
    architecture = Architecture(features=features, encoder=preset.encoder, head=preset.head)
    torch.manual_seed(seed)
    return pretrain(
        architecture.new_encoder(),
        features.transform(data.frame.iloc[data.train]),
        features.transform(data.frame.iloc[data.validation]),
        objective=config,
        config=preset.pretraining,
        seed=seed,
        device=CPU,
        fingerprint="",
        checkpoint=None,
        resume=False,
        on_progress=_silent,
    ).state


def train_net(
    data: CreditSet,
    train: NDArray[np.int64],
    features: Features,
    preset: Preset,
    *,
    seed: int,
    encoder: StateDict | None,
) -> Raw:
    """One net trained on some of the training rows."""
    architecture = Architecture(features=features, encoder=preset.encoder, head=preset.head)

    def rows(positions: NDArray[np.int64]) -> Labelled:
        return Labelled(inputs=features.transform(data.frame.iloc[positions]), labels=data.y[positions])

    learned, validation = rows(train), rows(data.validation)
    (fitted,) = train_members(
        architecture,
        learned,
        validation,
        jobs=[MemberJob(number=1, seed=seed, fingerprint="", checkpoint=None)],
        config=preset.training if encoder is None else preset.fine_tuning,
        encoder_state=encoder,
        device=CPU,
        processes=1,
        resume=False,
        on_progress=_silent,
    )
    net = trained_classifier(architecture, fitted.state, learned.inputs)
    return Raw(
        validation=mean_probability([net], validation.inputs),
        test=mean_probability([net], features.transform(data.frame.iloc[data.test])),
    )


def calibrated(data: CreditSet, nets: list[Raw]) -> NDArray[np.float64]:
    """PDs of the test rows of the nets' average, calibrated on the validation rows."""
    raw = np.mean([net.validation for net in nets], axis=0)
    calibration = choose_calibration(raw, data.y[data.validation]).calibration
    return calibration.apply(np.mean([net.test for net in nets], axis=0))


def _silent(progress: Progress) -> None:
    """Benchmarks report whole nets, not epochs."""
