"""What the benchmark of the gate simulates: models of the skill that it states, calibrated and paired."""

import numpy as np
import pytest

from benchmarks.gate import AUC, BAD_RATE, gate_figures, sample
from loan_default.evaluation.delong import paired_auc
from loan_default.evaluation.metrics import calibration


@pytest.mark.slow
@pytest.mark.parametrize("lead", [0.0, 0.01, -0.009])
def test_models_have_the_skill_that_is_stated(lead):
    y, new, old = sample(200_000, lead, np.random.default_rng(0))
    found = paired_auc(y, new, old)
    assert found.old == pytest.approx(AUC, abs=0.004)
    assert found.lead == pytest.approx(lead, abs=4 * found.error)
    assert y.mean() == pytest.approx(BAD_RATE, abs=0.004)
    for pds in (new, old):
        assert calibration(y, pds) == (pytest.approx(0, abs=0.03), pytest.approx(1, abs=0.03))


@pytest.mark.slow
def test_a_lead_of_nothing_passes_more_often_than_one_that_is_certain():
    shares = {(each.what, each.rows, each.lead): each.share for each in gate_figures(40)}
    assert shares["a lead of 0 or more, as before", 600, 0.0] > 0.3
    assert shares["better", 600, 0.0] < 0.15
