"""The scorer beside the model of torch that it is the same as."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from serving.conftest import Saved

from loan_default.data.schema.records import RecordError
from loan_default.errors import ArtifactError
from loan_default.models.model import LoanModel
from loan_default.models.serving_file import read_serving_file, write_serving_file
from loan_default.serving.scorer import FEW_RECORDS, Scorer, load_scorer


def loaded(saved: Saved, version: str) -> Scorer:
    return load_scorer(saved.path, version=version, sha256=saved.sha256, cache=saved.cache)


@pytest.fixture(scope="module")
def scorer(registered: Saved, model: LoanModel) -> Scorer:
    return loaded(registered, model.version)


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


def test_it_names_what_it_scores_by(scorer: Scorer, registered: Saved, model: LoanModel) -> None:
    assert (scorer.version, scorer.digest, scorer.schema) == (model.version, registered.sha256, model.schema)


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


def test_another_version_or_digest_than_the_registered_is_refused(
    registered: Saved, model: LoanModel
) -> None:
    with pytest.raises(ArtifactError, match="must hold the registered version"):
        loaded(registered, "20261129-120001-abcdef")
    with pytest.raises(ArtifactError, match="recorded digest"):
        loaded(registered._replace(sha256="0" * 64), model.version)


def test_weights_that_do_not_score_the_golden_rows_are_refused(saved: Saved, model: LoanModel) -> None:
    """Whoever writes such a file can write its digest as well."""
    frozen = read_serving_file(saved.serving_file, model=saved.sha256)
    others = replace(frozen, network=replace(frozen.network, last_bias=frozen.network.last_bias + 0.01))
    write_serving_file(saved.serving_file, others)
    with pytest.raises(ArtifactError, match="golden rows must have the PDs"):
        loaded(saved, model.version)


WITHOUT_TORCH = """
import sys
from pathlib import Path
from loan_default.serving.scorer import load_scorer

path, version, sha256, cache = sys.argv[1:]
scorer = load_scorer(Path(path), version=version, sha256=sha256, cache=Path(cache))
print(scorer.version, *sorted({"torch", "sklearn", "pyarrow", "pandas"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_a_process_scores_by_an_existing_serving_file_without_torch_and_pandas(
    registered: Saved, model: LoanModel
) -> None:
    arguments = [str(registered.path), model.version, registered.sha256, str(registered.cache)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [model.version], done.stderr
