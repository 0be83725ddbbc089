"""The graph beside the numpy pass over the same arrays, over all kinds of networks."""

import threading
from typing import Any

import numpy as np
import pytest
from models.test_frozen_network import VARIANTS, made_of

from loan_default.models import network_graph
from loan_default.models.features import Inputs
from loan_default.models.frozen_network import mean_probability_of
from loan_default.models.network_graph import fastest, graph_logits

ORDINARY = VARIANTS[0]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_graph_of_each_kind_of_network_gives_the_same_probabilities(variant: dict[str, Any]) -> None:
    network, _, rows = made_of(variant)
    logits = graph_logits(network)
    for count in (1, 7, 200):
        few = rows[slice(0, count)]
        found, expected = logits(few), network.logits(few)
        assert found.shape == expected.shape
        np.testing.assert_allclose(
            mean_probability_of(found), mean_probability_of(expected), atol=1e-6, rtol=0
        )


def test_threads_share_it() -> None:
    network, _, rows = made_of(ORDINARY)
    logits, failures = graph_logits(network), []
    expected = mean_probability_of(network.logits(rows))

    def ask(start: int) -> None:
        for count in range(1, 40):
            few = slice(start, start + count)
            if np.abs(mean_probability_of(logits(rows[few])) - expected[few]).max() > 1e-6:
                failures.append((start, count))

    threads = [threading.Thread(target=ask, args=[start]) for start in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra_numpy_takes_its_place(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, _, rows = made_of(ORDINARY)
    logits, reason = fastest(network)
    assert reason.startswith("ONNX Runtime")
    monkeypatch.setattr(network_graph, "find_spec", lambda name: None if name == missing else object())
    others, why = fastest(network)
    assert why == f"numpy, as {missing} cannot be imported"
    np.testing.assert_allclose(logits(rows), others(rows), atol=1e-4)


def test_no_rows_have_no_logits() -> None:
    network, _, rows = made_of(ORDINARY)
    empty: Inputs = rows[slice(0, 0)]
    assert network.probability(empty).shape == (0,)
