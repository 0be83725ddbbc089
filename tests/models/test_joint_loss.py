from dataclasses import replace

import numpy as np
import pytest
import torch

from loan_default.choices import OBJECTIVES, Objective
from loan_default.models.contrastive import ObjectiveConfig
from loan_default.models.fitting import state_of_part
from loan_default.models.joint_loss import JointClassifier, PretrainingLoss, PretrainingRows
from loan_default.models.labelled import Labelled
from loan_default.models.member_training import Architecture

OBJECTIVE = ObjectiveConfig()
CPU = torch.device("cpu")


def of(labelled: Labelled, *, weight: float = 1.0) -> PretrainingRows:
    return PretrainingRows(inputs=labelled.inputs, objective=OBJECTIVE, weight=weight)


def test_it_is_the_classifier_with_heads_beside_it(architecture: Architecture, labelled: Labelled) -> None:
    classifier = architecture.new_classifier().eval()
    joint = JointClassifier(classifier, OBJECTIVE).eval()
    rows = torch.from_numpy(labelled.inputs.numerical[:9]), torch.from_numpy(labelled.inputs.codes[:9])
    assert torch.equal(joint(*rows), classifier(*rows))
    state = state_of_part(joint.state_dict(), "classifier")
    again = architecture.new_classifier().eval()
    again.load_state_dict(state)
    assert torch.equal(again(*rows), classifier(*rows))


def test_its_loss_teaches_the_encoder_and_not_the_head(
    architecture: Architecture, labelled: Labelled
) -> None:
    joint = JointClassifier(architecture.new_classifier(), OBJECTIVE)
    loss = PretrainingLoss(joint.pretraining_model, of(labelled), CPU)
    loss(torch.Generator().manual_seed(0)).backward()
    taught = {name for name, each in joint.named_parameters() if each.grad is not None and each.grad.any()}
    assert "classifier.encoder.blocks.0.query.weight" in taught
    assert "pretraining_model.detector" in taught
    assert all(name.split(".")[1] == "encoder" for name in taught if name.startswith("classifier."))


def test_the_weight_multiplies_it_and_the_generator_chooses(
    architecture: Architecture, labelled: Labelled
) -> None:
    joint = JointClassifier(architecture.new_classifier(), OBJECTIVE).eval()

    def loss(weight: float, seed: int) -> float:
        rows = of(labelled, weight=weight)
        of_rows = PretrainingLoss(joint.pretraining_model, rows, CPU)
        return of_rows(torch.Generator().manual_seed(seed)).item()

    assert loss(3.0, 0) == pytest.approx(3 * loss(1.0, 0))
    assert loss(1.0, 0) != loss(1.0, 1)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan])
def test_a_weight_must_be_above_0(labelled: Labelled, weight: float) -> None:
    with pytest.raises(ValueError, match="weight must be above 0, however: weight="):
        of(labelled, weight=weight)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_any_objective_will_do_and_rates_of_levels_are_not_seen(
    architecture: Architecture, labelled: Labelled, objective: Objective
) -> None:
    """A rate is learned from outcomes: what learns without them must not look at it."""
    config = ObjectiveConfig(objective=objective)
    joint = JointClassifier(architecture.new_classifier(), config).eval()
    levels = np.full((len(labelled.inputs), 1), 10**6)  # of no level: looking it up would fail
    for inputs in (labelled.inputs, replace(labelled.inputs, levels=levels)):
        rows = PretrainingRows(inputs=inputs, objective=config, weight=1.0)
        loss = PretrainingLoss(joint.pretraining_model, rows, CPU)(torch.Generator().manual_seed(0))
        assert torch.isfinite(loss)
