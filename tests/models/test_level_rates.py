"""Default rates of levels: what they are, that no row has its own label in its input, and what they bring."""

import doctest
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.models import level_rates as module
from loan_default.models.calibration import Calibration
from loan_default.models.classifier import HeadConfig
from loan_default.models.contrastive import ObjectiveConfig
from loan_default.models.encoder import Encoder, EncoderConfig
from loan_default.models.features import Features, Inputs, fit_features
from loan_default.models.labelled import Labelled
from loan_default.models.level_rates import LevelRates
from loan_default.models.member_training import Architecture, MemberJob, train_members, trained_classifier
from loan_default.models.model import LoanModel, load_model, mean_probability, save_model
from loan_default.models.pretraining import pretrain
from loan_default.models.schedules import FitConfig

SCHEMA = schema_from_dict(
    {
        "name": "levels",
        "columns": {
            "amount": {"kind": "numerical"},
            "purpose": {"kind": "categorical", "categories": ["car", "house"]},
            "employer": {"kind": "categorical", "open": True, "nullable": True, "buckets": 8},
        },
    }
)


def looked_up(rates: LevelRates, positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """The rate of each row and column."""
    found: NDArray[np.float32] = rates.rates[torch.from_numpy(positions) + rates.offset].numpy()
    return found


def test_the_examples() -> None:
    assert doctest.testmod(module).failed == 0


rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans(), st.integers(1, 5)), min_size=2, max_size=40
)


@settings(deadline=None)
@given(drawn=rows, seed=st.integers(0, 5), data=st.data())
def test_no_row_has_its_own_label_in_its_input(drawn, seed, data) -> None:
    levels = np.array([each[:2] for each in drawn], dtype=np.int64)
    labels = np.array([each[2] for each in drawn], dtype=np.float32)
    weights = np.array([each[3] for each in drawn], dtype=np.float64)
    row = data.draw(st.integers(0, len(drawn) - 1))
    other = labels.copy()
    other[row] = 1 - other[row]
    rates = LevelRates([3, 5], 8)
    before = looked_up(rates, rates.learn(levels, labels, weights, seed=seed))
    after = looked_up(rates, rates.learn(levels, other, weights, seed=seed))
    np.testing.assert_array_equal(after[row], before[row])


def test_rates_are_log_odds_shrunk_as_their_spread_demands() -> None:
    """Against plain loops, with weights."""
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 6, (400, 1))
    labels = (generator.random(400) < 0.1 + 0.1 * levels[:, 0]).astype(np.float32)
    weights = generator.uniform(0.5, 2, 400)
    rates = LevelRates([5], 8)
    rates.learn(levels, labels, weights, seed=0)
    counts = weights / weights.mean()
    average = (counts * labels).sum() / counts.sum()
    n = [counts[levels[:, 0] == level].sum() for level in range(1, 6)]
    bad = [(counts * labels)[levels[:, 0] == level].sum() for level in range(1, 6)]
    spread = sum(rows * (b / rows - average) ** 2 for rows, b in zip(n, bad, strict=True))
    variance = average * (1 - average)
    between = (spread - 4 * variance) / (sum(n) - sum(rows**2 for rows in n) / sum(n))
    added = variance / between
    assert added > 2
    for level in range(1, 6):
        shrunk = (bad[level - 1] + added * average) / (n[level - 1] + added)
        expected = math.log(shrunk / (1 - shrunk)) - math.log(average / (1 - average))
        assert rates.rates[level] == pytest.approx(expected, abs=1e-5)
    assert rates.rates[0] == 0


def test_rows_count_by_their_weights() -> None:
    generator = np.random.default_rng(0)
    levels = generator.integers(1, 6, (300, 1))
    labels = (generator.random(300) < 0.1 + 0.1 * levels[:, 0]).astype(np.float32)
    plain, doubled = LevelRates([5], 8), LevelRates([5], 8)
    plain.learn(levels, labels, np.where(labels > 0, 2.0, 1.0), seed=0)
    doubled.learn(levels, labels, None, seed=0)
    assert not torch.allclose(plain.rates[:6], doubled.rates[:6])
    plain.learn(levels, labels, np.full(300, 7.0), seed=0)
    torch.testing.assert_close(plain.rates, doubled.rates)


def test_added_rows_come_near_what_the_levels_were_drawn_with() -> None:
    """Rates from a beta distribution with a + b = 30 are best shrunk by 30 rows."""
    generator = np.random.default_rng(2)
    levels = np.repeat(np.arange(1, 1001), 20)[:, None]
    rate = generator.beta(6, 24, 1001)
    labels = (generator.random(20_000) < rate[levels[:, 0]]).astype(np.float32)
    rates = LevelRates([1000], 8)
    rates.learn(levels, labels, None, seed=0)
    found = 1 / (1 + np.exp(-(rates.rates[1:1001].numpy() + math.log(labels.mean() / (1 - labels.mean())))))
    bad = np.bincount(levels[:, 0], labels, 1001)[1:]
    slope = np.polyfit(bad / 20, found, 1)[0]  # 20 / (20 + added)
    assert 20 / slope - 20 == pytest.approx(30, abs=8)


def test_a_level_that_no_row_had_and_no_level_at_all_have_the_average() -> None:
    rates = LevelRates([3], 8)
    levels = np.array([[0]] * 20 + [[1]] * 20 + [[2]] * 20)
    rates.learn(levels, np.array([1.0, 0.0] * 10 + [1.0] * 20 + [0.0] * 20, dtype=np.float32), None, seed=0)
    rate = rates.rates[:4].tolist()
    assert rate[0] == rate[3] == 0
    assert rate[1] > 0 > rate[2]
    assert not rates(torch.tensor([[0], [3]])).any()


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_rows_of_one_outcome_have_no_rates(label: float) -> None:
    rates = LevelRates([3], 8)
    rates.learn(np.array([[1], [2], [3]]), np.full(3, label, dtype=np.float32), None, seed=0)
    assert not rates.rates.any()


@pytest.mark.slow
def test_random_labels_are_not_found_in_the_rates_that_training_rows_get() -> None:
    """The classic leak: with their own labels the rates of rare levels rank the rows that made them."""
    generator = np.random.default_rng(1)
    levels = generator.integers(1, 1001, (4000, 1))
    own, leaks = [], []
    error = math.sqrt(4001 / (12 * 4000**2 * 0.3 * 0.7))
    for seed in range(12):
        labels = (generator.random(4000) < 0.3).astype(np.float32)
        rates = LevelRates([1000], 8)
        positions = rates.learn(levels, labels, None, seed=seed)
        own.append(roc_auc_score(labels, looked_up(rates, positions)[:, 0]))
        leaks.append(roc_auc_score(labels, looked_up(rates, levels)[:, 0]))
    # Levels that spread by chance as much as they would with effects are not shrunk to nothing.
    assert max(leaks) > 0.5 + 10 * error
    # Without a row's own label the others of its level have a little less of it than the average.
    assert max(own) < 0.5 + 3 * error
    assert min(own) > 0.5 - 8 * error


def test_only_the_token_of_the_column_has_the_rate() -> None:
    encoder = Encoder([np.array([-1.0, 1.0])], [3, 4, 5], EncoderConfig(n_layers=1, width=16), [0, 0, 2])
    assert encoder.level_rates is not None
    encoder.level_rates.rates[1] = 0.7
    codes = torch.tensor([[1, 2, 3, 1], [1, 2, 3, 0], [1, 2, 3, 2]])
    tokens = encoder.embed(torch.zeros(3, 1), codes)
    added = tokens[0] - tokens[1]
    torch.testing.assert_close(added[3], 2.1 * encoder.level_rates.weight[0])
    assert not added[:3].any()
    assert torch.equal(tokens[1], tokens[2])
    assert torch.equal(encoder.embed(torch.zeros(1, 1), codes[:1, :3])[0], tokens[1])  # pretraining


def data(*, effect: float, rows: int = 3000, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Rows of which the employer moves the log-odds of default, and the amount a little."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 300, rows)
    amount = generator.normal(size=rows)
    logit = -1 + 0.3 * amount + effect * generator.normal(size=300)[codes]
    frame = pd.DataFrame(
        {
            "amount": amount,
            "purpose": generator.choice(["car", "house"], rows),
            "employer": pd.Series([f"employer {code}" for code in codes], dtype="str"),
        }
    )
    return frame, (generator.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float32)


def trained(frame: pd.DataFrame, labels: NDArray[np.float32], *, levels: bool):
    """A network trained on the first half of the rows and stopped on a sixth, and its features."""
    cut = len(frame) // 2, len(frame) * 2 // 3
    features = fit_features(frame.iloc[: cut[0]], SCHEMA)
    if not levels:
        features = without_levels(features)
    architecture = Architecture(
        features=features,
        encoder=EncoderConfig(n_layers=1, width=16, heads=1),
        head=HeadConfig(predictors=2, hidden=32),
    )

    known = Labelled(inputs=features.transform(frame.iloc[: cut[1]]), labels=labels[: cut[1]])
    learned = np.arange(cut[0])
    (fitted,) = train_members(
        architecture,
        known,
        jobs=[
            MemberJob(
                number=1,
                seed=1,
                fingerprint="",
                checkpoint=None,
                learned=learned,
                scored=np.arange(*cut),
            )
        ],
        config=FitConfig(epochs=12, learning_rate=3e-3, batch_size=64, patience=4),
        encoder_state=architecture.new_encoder().state_dict(),
        device=torch.device("cpu"),
        processes=1,
        resume=False,
        on_progress=lambda progress: None,
    )
    member = trained_classifier(architecture, fitted.state, known[learned].inputs)

    def predict(rows: pd.DataFrame) -> NDArray[np.float64]:
        return mean_probability([member], features.transform(rows))

    return predict, slice(cut[1], None)


def without_levels(features: Features) -> Features:
    """Features as they were before levels had rates."""
    few = tuple(replace(each, levels=each.levels[:0]) for each in features.categorical)
    return replace(features, categorical=few)


@pytest.mark.slow
def test_a_network_learns_from_rates_what_it_cannot_from_buckets() -> None:
    frame, labels = data(effect=1.5)
    aucs = {}
    for levels in (True, False):
        predict, test = trained(frame, labels, levels=levels)
        aucs[levels] = roc_auc_score(labels[test], predict(frame.iloc[test]))
    assert aucs[True] > aucs[False] + 0.05, aucs


@pytest.mark.slow
def test_random_labels_give_an_auc_of_a_half() -> None:
    frame, labels = data(effect=1.5)
    labels = np.random.default_rng(3).permutation(labels)
    predict, test = trained(frame, labels, levels=True)
    shuffled = labels[test]
    error = math.sqrt((len(shuffled) + 1) / (12 * shuffled.sum() * (1 - shuffled).sum()))
    assert abs(roc_auc_score(shuffled, predict(frame.iloc[test])) - 0.5) < 4 * error


@pytest.mark.slow
def test_unseen_levels_score_near_the_average_of_the_column() -> None:
    frame, labels = data(effect=1.5)
    predict, test = trained(frame, labels, levels=True)
    seen = predict(frame.iloc[test])
    unseen = frame.iloc[test].assign(employer=[f"new {number}" for number in range(len(seen))])
    pds = predict(unseen)
    assert abs(pds.mean() - labels.mean()) < 0.05
    assert pds.std() < seen.std()
    assert pds.max() < seen.max()


def test_a_model_with_rates_is_written_and_read(tmp_path: Path) -> None:
    frame, labels = data(effect=1.5, rows=600)
    features = fit_features(frame, SCHEMA)
    architecture = Architecture(
        features=features, encoder=EncoderConfig(n_layers=1, width=16, heads=1), head=HeadConfig(hidden=16)
    )
    member = architecture.new_classifier().eval()
    assert member.encoder.level_rates is not None
    member.encoder.level_rates.learn(features.transform(frame).levels, labels, None, seed=1)
    member = trained_classifier(architecture, member.state_dict(), features.transform(frame))
    model = LoanModel(
        version="1",
        schema=SCHEMA,
        architecture=architecture,
        members=(member,),
        calibration=Calibration(slope=1.0, intercept=0.0),
        metrics={},
        reference={},
        provenance={},
    )
    save_model(tmp_path / "model.pth", model)
    loaded = load_model(tmp_path / "model.pth")
    np.testing.assert_array_equal(loaded.predict_pd(frame), model.predict_pd(frame))
    assert member.encoder.level_rates.rates.any()
    assert member.encoder.level_rates.rates.shape == (1 + len(features.categorical[1].levels),)


def test_pretraining_leaves_the_rates_at_the_average() -> None:
    frame, _ = data(effect=0, rows=300)
    features = fit_features(frame, SCHEMA)
    architecture = Architecture(
        features=features, encoder=EncoderConfig(n_layers=1, width=16, heads=1), head=HeadConfig(hidden=16)
    )
    inputs = features.transform(frame)
    assert inputs.levels.any()
    state = pretrain(
        architecture.new_encoder(),
        inputs,
        inputs,
        objective=ObjectiveConfig(),
        config=FitConfig(epochs=1, learning_rate=1e-3, batch_size=64, patience=0),
        seed=1,
        device=torch.device("cpu"),
        fingerprint="",
        checkpoint=None,
        resume=False,
        on_progress=lambda progress: None,
    ).state
    assert not state["level_rates.rates"].any()
    architecture.new_encoder().load_state_dict(state)


def test_inputs_without_many_levels_are_as_they_were() -> None:
    frame, _ = data(effect=0)
    frame["employer"] = frame["employer"].str[:10]  # employer 0 to employer 9
    features = fit_features(frame, SCHEMA)
    assert features.level_counts == [0, 0]
    inputs = features.transform(frame)
    assert inputs.levels.shape == (0, 0)
    assert inputs[:3].levels.shape == (0, 0)
    assert isinstance(inputs, Inputs)
