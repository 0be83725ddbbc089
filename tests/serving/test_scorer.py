"""The scorer beside the model of torch that it is the same as."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from serving.conftest import Saved

from loan_default.data.schema.records import RecordError
from loan_default.errors import ArtifactError
from loan_default.models.model import LoanModel
from loan_default.serving.scorer import FEW_RECORDS, Scorer, load_scorer


@pytest.fixture
def scorer(saved: Saved, model: LoanModel) -> Scorer:
    return load_scorer(saved.path, version=model.version, sha256=saved.sha256, cache=saved.path.parent)


def pds_of(scorer: Scorer, records: list[dict[str, Any]]) -> np.ndarray:
    canonical = scorer.read(records)
    assert not [each for each in canonical if isinstance(each, RecordError)]
    return scorer.score([each for each in canonical if not isinstance(each, RecordError)])


def test_records_get_the_pds_of_their_frame(
    scorer: Scorer, model: LoanModel, frame: pd.DataFrame, records: list[dict[str, Any]]
) -> None:
    expected = model.predict_pd(frame)
    assert expected.std() > 0.02
    np.testing.assert_allclose(pds_of(scorer, records), expected, atol=1e-6, rtol=0)
    for count in (1, FEW_RECORDS, FEW_RECORDS + 1):
        np.testing.assert_allclose(pds_of(scorer, records[:count]), expected[:count], atol=1e-6, rtol=0)


def test_it_names_what_it_scores_by(scorer: Scorer, saved: Saved, model: LoanModel) -> None:
    assert (scorer.version, scorer.digest, scorer.schema) == (model.version, saved.sha256, model.schema)


@pytest.mark.parametrize("count", [1, FEW_RECORDS + 1])
def test_a_record_that_breaks_the_schema_of_the_model_is_refused_and_its_neighbours_are_read(
    scorer: Scorer, records: list[dict[str, Any]], count: int
) -> None:
    bad = {**records[0], "income": True, "planet": "Mars"}
    read = scorer.read([*records[:count], bad, *records[:count]])
    assert [isinstance(each, RecordError) for each in read] == [False] * count + [True] + [False] * count
    error = read[count]
    assert isinstance(error, RecordError)
    assert error.rules == ("income: must be a number", "fields must be columns of the schema")


def test_the_target_is_not_needed(scorer: Scorer, records: list[dict[str, Any]]) -> None:
    without = [{name: value for name, value in each.items() if name != "bad"} for each in records[:20]]
    np.testing.assert_array_equal(pds_of(scorer, without), pds_of(scorer, records[:20]))


def test_no_records_have_no_pds(scorer: Scorer) -> None:
    assert scorer.read([]) == []
    assert scorer.score([]).shape == (0,)


def test_the_share_below_a_pd_is_that_of_the_population(scorer: Scorer) -> None:
    """The PDs of the population are 200 evenly spaced ones from .01 to .6."""
    for pd_ in (0.07, 0.128, 0.3, 0.5):
        assert scorer.share_below(pd_) == pytest.approx((pd_ - 0.01) / 0.59, abs=0.02)
    assert scorer.share_below(0.0) == 0
    assert scorer.share_below(1.0) == 1


def test_another_digest_is_refused(saved: Saved, model: LoanModel) -> None:
    with pytest.raises(ArtifactError, match="recorded digest"):
        load_scorer(saved.path, version=model.version, sha256="0" * 64, cache=saved.path.parent)
