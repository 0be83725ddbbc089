from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loan_default.models.schedules import FitConfig, Passes

CONFIG = FitConfig(epochs=4, learning_rate=0.05, batch_size=16, patience=0)


def test_the_rate_is_full_then_falls_to_a_twentieth() -> None:
    passes = Passes(steady=4, cooling=2, cooled=1)
    assert passes.total == 5
    assert [passes.rate(passed) for passed in (0.0, 3.999, 4.0)] == [1.0, 1.0, 1.0]
    assert passes.rate(5.0) == pytest.approx(0.525)
    assert passes.rate(6.0) == passes.rate(9.0) == pytest.approx(0.05)


@given(steady=st.integers(0, 50), cooling=st.integers(0, 20))
def test_a_rate_never_rises_again(steady: int, cooling: int) -> None:
    passes = Passes(steady=steady, cooling=cooling)
    rates = [passes.rate(step / 7) for step in range(7 * (steady + cooling) + 7)]
    assert all(0.05 <= later <= earlier <= 1 for earlier, later in pairwise(rates))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": -1}, "batch_size=-1"),
        ({"learning_rate": 0.0}, "'learning_rate': 0.0"),
        ({"clip": 0.0}, "'clip': 0.0"),
        ({"weight_decay": -1.0}, "'weight_decay': -1.0"),
        ({"ema": 1.0}, "ema=1.0"),
    ],
)
def test_a_wrong_config_is_refused_with_its_value(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=f"however: .*{says}"):
        replace(CONFIG, **options)
