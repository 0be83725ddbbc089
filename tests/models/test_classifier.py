import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from loan_default.models.classifier import Classifier, HeadConfig
from loan_default.models.encoder import Encoder, EncoderConfig


def classifier_of(head: HeadConfig) -> Classifier:
    torch.manual_seed(0)
    edges = [np.array([-1.0, 0.0, 1.0])] * 2
    return Classifier(Encoder(edges, [4], EncoderConfig(n_layers=2, width=16, heads=1)), head)


@pytest.fixture
def rows() -> tuple[Tensor, Tensor]:
    numerical = torch.randn(9, 2, generator=torch.Generator().manual_seed(1))
    numerical[3, 0] = torch.nan
    return numerical, torch.arange(9)[:, None] % 4


@pytest.mark.parametrize("n_layers", [1, 3])
def test_predictors_are_k_heads_that_share_all_but_scales_and_outputs(
    n_layers: int, rows: tuple[Tensor, Tensor]
) -> None:
    model = classifier_of(HeadConfig(predictors=3, hidden=8, n_layers=n_layers)).eval()
    logits = model(*rows)
    tokens = model.encoder.embed(*rows)
    full = model.encoder.contextualise(tokens, cls_only=False)
    features = model.norm(torch.cat([full[:, :1], tokens], 1).flatten(1))
    for number in range(3):
        x = features * model.scales[number]
        for layer in model.layers:
            x = torch.relu(F.linear(x, layer.weight, layer.bias))
        alone = x @ model.weight[number] + model.bias[number]
        difference = (logits[:, number] - alone).abs().max()
        assert difference < 1e-5, (
            f"predictor {number} must be a head of its own, however: max={difference:.2e}"
        )
    assert (logits[:, 0] - logits[:, 1]).abs().max() > 1e-3, "predictors must differ from the start"


def test_scaled_tokens_are_scaled_numbers_of_which_those_of_a_token_are_alike(
    rows: tuple[Tensor, Tensor],
) -> None:
    by_token = classifier_of(HeadConfig(predictors=5, hidden=24, scales="tokens")).eval()
    by_channel = classifier_of(HeadConfig(predictors=5, hidden=24, scales="channels")).eval()
    assert by_token.scales.shape == (5, 4)
    state = by_token.state_dict()
    state["scales"] = by_token.scales.detach().repeat_interleave(16, dim=1)
    by_channel.load_state_dict(state)
    torch.testing.assert_close(by_token(*rows), by_channel(*rows))


def test_one_predictor_is_a_plain_head(rows: tuple[Tensor, Tensor]) -> None:
    model = classifier_of(HeadConfig(predictors=1, hidden=8)).eval()
    assert model(*rows).shape == (9, 1)
    assert torch.equal(model.scales, torch.ones_like(model.scales))


def test_eval_is_repeatable_and_training_is_not(rows: tuple[Tensor, Tensor]) -> None:
    model = classifier_of(HeadConfig(predictors=2, hidden=32, dropout=0.5))
    assert not torch.equal(model(*rows), model(*rows))
    model.eval()
    assert torch.equal(model(*rows), model(*rows))


def test_every_parameter_but_the_mask_learns(rows: tuple[Tensor, Tensor]) -> None:
    model = classifier_of(HeadConfig(predictors=2, hidden=8, dropout=0.0))
    model(*rows).square().sum().backward()
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == {"encoder.mask"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"predictors": 0}, "predictors=0"),
        ({"hidden": 0}, "hidden=0"),
        ({"n_layers": -2}, "n_layers=-2"),
        ({"dropout": 1.5}, r"dropout=1\.5"),
    ],
)
def test_a_wrong_config_is_refused_with_its_value(options: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=f"however: {says}"):
        HeadConfig(**options)
