"""Our model on a credit set, by the package's own functions and the default preset."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.credit_sets import CreditSet
from loan_default.choices import Objective
from loan_default.models.calibration import choose_calibration
from loan_default.models.classifier import Classifier
from loan_default.models.features import Features, fit_features
from loan_default.models.fitting import Progress, StateDict
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture, MemberJob, train_members, trained_classifier
from loan_default.models.model import mean_probability
from loan_default.models.presets import Preset, preset_for
from loan_default.models.pretraining import pretrain
from loan_default.models.schedules import Passes

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """Probabilities of one net before calibration."""

    validation: NDArray[np.float64]
    test: NDArray[np.float64]
    refitted: NDArray[np.float64]
    """Of the test rows, by the net that took the same passes over training and validation rows."""


def setup(data: CreditSet, *, rows: int) -> tuple[Features, Preset]:
    """Features fitted on all training rows, without labels, and the preset for so many labelled ones."""
    preset = preset_for("default", rows=rows, rarer_outcomes=data.rarer_outcomes)
    return fit_features(data.frame.iloc[data.train], data.schema), preset


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
    """One net trained on some of the training rows, and once more with the validation rows."""
    architecture = Architecture(features=features, encoder=preset.encoder, head=preset.head)

    def rows(positions: NDArray[np.int64]) -> Labelled:
        return Labelled(inputs=features.transform(data.frame.iloc[positions]), labels=data.y[positions])

    validation, test = rows(data.validation), features.transform(data.frame.iloc[data.test])

    def fitted_on(learned: NDArray[np.int64], passes: Passes | None) -> tuple[Classifier, Passes]:
        known = rows(np.concatenate([learned, data.validation]))
        job = MemberJob(
            number=1,
            seed=seed,
            fingerprint="",
            checkpoint=None,
            learned=np.arange(len(learned)),
            scored=np.arange(len(learned), len(known.labels)),
            passes=passes,
        )
        (fitted,) = train_members(
            architecture,
            known,
            jobs=[job],
            config=preset.training,
            encoder_state=encoder,
            device=CPU,
            processes=1,
            resume=False,
            on_progress=_silent,
        )
        seen = known.inputs[np.arange(len(learned))]
        return trained_classifier(architecture, fitted.state, seen), fitted.passes

    measured, passes = fitted_on(train, None)
    refitted, _ = fitted_on(np.concatenate([train, data.validation]), passes)
    return Raw(
        validation=mean_probability([measured], validation.inputs),
        test=mean_probability([measured], test),
        refitted=mean_probability([refitted], test),
    )


def calibrated(data: CreditSet, nets: list[Raw], *, of: Literal["test", "refitted"]) -> NDArray[np.float64]:
    """PDs of the test rows of the nets' average, calibrated on the validation rows."""
    raw = np.mean([net.validation for net in nets], axis=0)
    calibration = choose_calibration(raw, data.y[data.validation]).calibration
    return calibration.apply(np.mean([getattr(net, of) for net in nets], axis=0))


def _silent(progress: Progress) -> None:
    """Benchmarks report whole nets, not epochs."""
