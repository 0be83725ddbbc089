"""Outcomes of rejects by both methods: weights, rates, draws, and simulations in which the truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from loan_default.errors import ConfigurationError
from loan_default.models.reject_augmentation import (
    Copies,
    Inference,
    bands_of,
    copies_of,
    inferred_rates,
    weighted_copies,
)

FUZZY = Inference(method="fuzzy")
SHARES = st.floats(0.001, 0.999)


def parcelling(factor: float) -> Inference:
    return Inference(method="parcelling", factor=factor)


@st.composite
def rejects(draw):
    """PDs, and weights or None."""
    n = draw(st.integers(1, 40))
    pds = draw(arrays(np.float64, n, elements=SHARES))
    weights = draw(st.none() | arrays(np.float64, n, elements=st.floats(0.1, 9)))
    return pds, weights


@st.composite
def accepted(draw):
    """PDs, outcomes and weights or None."""
    n = draw(st.integers(2, 80))
    pds = draw(arrays(np.float64, n, elements=SHARES))
    labels = draw(arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0])))
    return pds, labels, draw(st.none() | arrays(np.float64, n, elements=st.floats(0.1, 9)))


@pytest.mark.slow
@given(rejects(), accepted())
def test_fuzzy_copies_of_a_reject_weigh_what_it_weighs_and_default_as_its_pd_says(some, known):
    pds, weights = some
    own = np.ones(len(pds)) if weights is None else weights
    rates = inferred_rates(pds, bands_of(*known), FUZZY)
    copies = copies_of(rates, weights, FUZZY, draws=np.zeros(len(pds)))
    assert np.bincount(copies.rejects, copies.weights) == pytest.approx(own)
    bads = np.bincount(copies.rejects, copies.weights * copies.labels, len(pds))
    assert bads == pytest.approx(own * pds)
    assert (copies.weights * copies.labels).sum() / copies.weights.sum() == pytest.approx(
        np.average(pds, weights=own)
    )


def test_a_copy_without_weight_is_none():
    copies = weighted_copies(np.array([0.0, 1.0, 0.5]), None)
    assert copies.weights.min() > 0
    assert sorted(zip(copies.rejects.tolist(), copies.labels.tolist(), strict=True)) == [
        (0, 0), (1, 1), (2, 0), (2, 1),
    ]  # fmt: skip


@given(accepted())
def test_bands_hold_all_accepted_rows_and_none_is_empty(known):
    pds, labels, weights = known
    bands = bands_of(pds, labels, weights)
    assert bands.rows.sum() == len(pds)
    assert bands.rows.min() > 0
    assert (np.diff(bands.edges) > 0).all()
    assert (np.bincount(bands.of(pds), minlength=len(bands.rows)) == bands.rows).all()
    counts = np.ones(len(pds)) if weights is None else weights
    mass = np.bincount(bands.of(pds), counts)
    assert (bands.rates * mass).sum() == pytest.approx((counts * labels).sum())


def test_bands_of_many_different_pds_are_deciles():
    pds = np.random.default_rng(0).random(1000)
    assert bands_of(pds, np.ones(1000), None).rows.tolist() == pytest.approx([100] * 10, abs=1)


@given(rejects(), accepted(), st.floats(1, 4), st.floats(1, 4), st.integers(0, 9))
def test_a_higher_factor_makes_no_default_undone(some, known, one, other, seed):
    pds, weights = some
    bands, draws = bands_of(*known), np.random.default_rng(seed).random(len(pds))
    low, high = (
        copies_of(inferred_rates(pds, bands, parcelling(each)), weights, parcelling(each), draws=draws)
        for each in sorted((one, other))
    )
    assert (low.labels <= high.labels).all()
    assert len(low.rejects) == len(pds)
    assert low.weights == pytest.approx(np.ones(len(pds)) if weights is None else weights)


@pytest.mark.slow
def test_parcelling_draws_the_rate_of_each_band_and_the_same_draws_again():
    generator = np.random.default_rng(5)
    pds = generator.random(20_000) * 0.6
    bands = bands_of(pds, (generator.random(20_000) < pds).astype(float), None)
    of_rejects = generator.random(30_000) * 0.9
    inference = parcelling(1.3)
    rates = inferred_rates(of_rejects, bands, inference)
    assert rates == pytest.approx(np.minimum(1, 1.3 * bands.rates[bands.of(of_rejects)]))
    draws = np.random.default_rng(1).random(len(rates))
    copies = copies_of(rates, None, inference, draws=draws)
    for band in range(10):
        own = bands.of(of_rejects) == band
        rate, error = rates[own][0], np.sqrt(0.25 / own.sum())
        assert copies.labels[own].mean() == pytest.approx(rate, abs=4 * error)
    assert (copies_of(rates, None, inference, draws=draws).labels == copies.labels).all()


def test_a_rate_is_never_above_one():
    bands = bands_of(np.array([0.1, 0.9]), np.array([0.0, 1.0]), None)
    assert inferred_rates(np.array([0.05, 0.95]), bands, parcelling(3.0)).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("method", "factor"), [("none", None), ("fuzzy", 1.3), ("parcelling", None)])
def test_an_inference_that_makes_no_sense_is_refused(method, factor):
    with pytest.raises(ConfigurationError, match="must be fuzzy without a factor or parcelling with one"):
        Inference(method=method, factor=factor)


# Simulated applicants whose outcomes are all known ---------------------------------------------------------


class Simulation:
    """Applicants that a cut-off on an observed score accepts; of rejects the truth is known as well."""

    def __init__(self, *, unseen: float = 0.0, noise: float = 3.0) -> None:
        """Draw the applicants.

        Args:
            unseen: what rejects have more of, on the logit scale; 0 = missing at random.
            noise: what else decided of them, which has nothing to do with default; 0 = a hard cut-off.
        """
        generator, n = np.random.default_rng(7), 40_000
        self.x = generator.normal(size=(n, 2))
        self.accepted = self.x.sum(axis=1) + noise * generator.normal(size=n) < 0.5
        self.true = expit(-1.5 + self.x @ [0.8, 0.6] + unseen * ~self.accepted)
        self.y = (generator.random(n) < self.true).astype(np.float64)
        self.draws = generator.random(n)

    def fit(self, copies: Copies | None = None) -> LogisticRegression:
        """Of accepted rows, and of rejects as copies have them."""
        x, y = self.x[self.accepted], self.y[self.accepted]
        weights = np.ones(len(y))
        if copies is not None:
            x = np.concatenate([x, self.x[~self.accepted][copies.rejects]])
            y = np.concatenate([y, copies.labels])
            weights = np.concatenate([weights, copies.weights])
        return LogisticRegression(C=np.inf, tol=1e-8, max_iter=500).fit(x, y, sample_weight=weights)

    def pds(self, model: LogisticRegression, rows: np.ndarray) -> np.ndarray:
        return model.predict_proba(self.x[rows])[:, 1]

    def copies(self, model: LogisticRegression, inference: Inference) -> Copies:
        bands = bands_of(self.pds(model, self.accepted), self.y[self.accepted], None)
        rates = inferred_rates(self.pds(model, ~self.accepted), bands, inference)
        return copies_of(rates, None, inference, draws=self.draws[~self.accepted])

    def error(self, model: LogisticRegression) -> float:
        """Mean PD of rejects less their true default rate."""
        return float((self.pds(model, ~self.accepted) - self.true[~self.accepted]).mean())


@pytest.mark.slow
def test_fuzzy_augmentation_adds_nothing_that_the_model_of_the_accepted_does_not_say():
    """With the same kind of model the pseudo-outcomes solve the same equations: the fit stays what it was."""
    for unseen in (0.0, 1.0):
        simulation = Simulation(unseen=unseen)
        first = simulation.fit()
        second = simulation.fit(simulation.copies(first, FUZZY))
        assert second.coef_ == pytest.approx(first.coef_, abs=1e-4)
        assert second.intercept_ == pytest.approx(first.intercept_, abs=1e-4)


def test_where_rejects_differ_by_what_is_observed_the_accepted_say_enough_and_parcelling_overstates():
    simulation = Simulation()
    first = simulation.fit()
    second = simulation.fit(simulation.copies(first, parcelling(1.3)))
    assert abs(simulation.error(first)) < 0.02
    assert simulation.error(second) > 0.025


def test_a_hard_cut_off_leaves_no_accepted_row_like_most_rejects_and_parcelling_understates():
    """They all get the rate of the riskiest tenth of the accepted: the report warns of it."""
    simulation = Simulation(noise=0.0)
    first = simulation.fit()
    second = simulation.fit(simulation.copies(first, parcelling(1.3)))
    assert abs(simulation.error(first)) < 0.02
    assert simulation.error(second) < -0.05


def test_where_rejects_default_more_than_is_observed_parcelling_comes_nearer_but_only_by_its_assumption():
    simulation = Simulation(unseen=1.0)
    first = simulation.fit()
    errors = [
        simulation.error(simulation.fit(simulation.copies(first, parcelling(each)))) for each in (1.3, 1.6)
    ]
    assert simulation.error(first) < errors[0] < errors[1]
    assert abs(errors[1]) < 0.7 * abs(simulation.error(first))
