"""Metrics on accepted rows and on all, and facts that lack a figure."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from loan_default.errors import DataError
from loan_default.evaluation.metrics import measure
from loan_default.evaluation.reject_metrics import (
    COMPARED,
    RejectBand,
    RejectFacts,
    RejectMetric,
    WithRejects,
    compare,
)

METRICS = tuple(
    RejectMetric(
        name=name,
        accepted_only=0.7,
        augmented=0.7,
        difference=0.0,
        low=-0.01,
        high=0.01,
        accepted_only_on_all=0.8,
        augmented_on_all=0.8,
    )
    for name in COMPARED
)
BAND = RejectBand(low=0.0, high=1.0, accepted=9, default_rate=0.1, rejects=3, inferred_rate=0.13)
FACTS = RejectFacts(
    rows=300,
    held_out=60,
    mean_pd=0.4,
    accepted_mean_pd=0.2,
    method="parcelling",
    factor=1.3,
    inferred_rate=0.5,
    bands=(BAND,),
    metrics=METRICS,
)
"""Of an inference that has every figure; other tests show it."""


def table(*, rows: int = 400, copies: int = 100, better: float = 0.0) -> WithRejects:
    """PDs of two models, of which the second knows more of the outcomes, or nothing more."""
    generator = np.random.default_rng(0)
    n = rows + copies
    y = (generator.random(n) < 0.3).astype(np.float64)
    one = np.clip(0.3 + 0.2 * (y - 0.3) + 0.2 * generator.normal(size=n), 0.01, 0.99)
    other = np.clip(one + better * (y - 0.3) + 0.001 * generator.normal(size=n), 0.01, 0.99)
    return WithRejects(y=y, weights=generator.random(n) + 0.5, accepted_only=one, augmented=other, rows=rows)


@pytest.mark.slow
def test_metrics_are_those_of_the_rows_with_their_weights():
    made = table()
    found = {each.name: each for each in compare(made, seed=1)}
    assert list(found) == list(COMPARED)
    known = slice(made.rows)
    on_accepted = measure(made.y[known], made.augmented[known], weights=made.weights[known])
    on_all = measure(made.y, made.accepted_only, weights=made.weights)
    for name, each in found.items():
        assert each.augmented == pytest.approx(getattr(on_accepted, name))
        assert each.accepted_only_on_all == pytest.approx(getattr(on_all, name))
        assert each.difference == pytest.approx(each.augmented - each.accepted_only)


@pytest.mark.slow
def test_the_difference_is_shown_only_where_there_is_one():
    same, more = (compare(table(better=better), seed=1) for better in (0.0, 0.3))
    assert all(each.low <= 0 <= each.high for each in same)
    assert more[0].low > 0


@pytest.mark.slow
def test_outcomes_of_rejects_decide_nothing_on_accepted_rows():
    made = table()
    turned = np.concatenate([made.y[: made.rows], 1 - made.y[made.rows :]])
    before, after = compare(made, seed=1), compare(replace(made, y=turned), seed=1)
    for one, other in zip(before, after, strict=True):
        assert (one.augmented, one.low, one.high) == (other.augmented, other.low, other.high)
        assert one.augmented_on_all != other.augmented_on_all


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ({"metrics": METRICS[1:]}, "auc"),
        ({"bands": ()}, "bands"),
        ({"inferred_rate": None}, "inferred_rate"),
        ({"factor": None}, "factor"),
    ],
)
def test_an_inference_without_a_figure_is_refused_also_when_it_is_read_back(lacking, named):
    with pytest.raises(DataError, match=f"must have every figure, however: missing=.*{named}"):
        replace(FACTS, **lacking)
    adapter = TypeAdapter(RejectFacts)
    content = adapter.dump_python(FACTS, mode="json")
    assert adapter.validate_python(content) == FACTS
    stored = {name: [] if value == () else value for name, value in lacking.items() if name != "metrics"}
    if stored:
        with pytest.raises(ValidationError, match=named):
            adapter.validate_python(content | stored)


def test_nothing_inferred_needs_no_metrics():
    facts = RejectFacts(rows=3, held_out=0, mean_pd=0.4, accepted_mean_pd=0.2, method="none")
    assert facts.metrics == ()
