"""Scores with their reasons over HTTP: kept before they are given, refused where the model has none."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib import resources

import numpy as np
import pytest
from models.small_boosters import random_booster
from rich.console import Console
from serving_setup import SCHEMA, record_of, small_model

from loan_default.cli.shown_reasons import print_explanation
from loan_default.data.schema.records import RecordError
from loan_default.data.sources.generator import generate
from loan_default.database.serving_documents import Door, KeptReason
from loan_default.errors import ConfigurationError
from loan_default.evaluation.metrics import score_points
from loan_default.models.freezing import frozen_model
from loan_default.models.golden_rows import GoldenRows
from loan_default.models.model import golden_rows_of
from loan_default.models.reference import reference_of
from loan_default.models.tree_training import trees_of
from loan_default.serving.answering import answer
from loan_default.serving.explained_answers import explained_where_possible
from loan_default.serving.explanations import ReasonPolicy
from loan_default.serving.lineup import Lineup
from loan_default.serving.scorer import Scorer
from loan_default.serving.stream_scoring import score_message


@pytest.fixture(scope="module", params=[False, True], ids=["networks", "with trees"])
def explaining(request):
    """A scorer that explains, as servers have it."""
    model = small_model("v3", seed=3)
    features = model.architecture.features
    rows = features.transform(generate(SCHEMA, rows=200, seed=3).frame)
    if request.param:
        booster = random_booster(np.random.default_rng(4), rows, min_data_per_group=5)
        model = replace(model, trees=trees_of(booster, numerical=2, categorical=1))
    golden: GoldenRows = golden_rows_of(model)
    frozen = frozen_model(
        replace(model, reference=reference_of(rows, features, model.calibration.apply(golden.pds))),
        golden=golden,
        digest="03" * 32,
    )
    return Scorer(frozen, frozen.network.logits)


def test_a_score_comes_with_its_reasons_and_is_kept_with_them(served, explaining):
    served.lineup[0] = Lineup(champion=explaining)
    response = served.client.post("/v1/explanations", json=record_of("p-1", debt=90, income=3))
    assert response.status_code == 200, response.text
    content = response.json()
    (canonical,) = explaining.read([record_of("p-1", debt=90, income=3)])
    (expected,) = explaining.explain([canonical], ReasonPolicy())
    assert content["pd"] == pytest.approx(float(explaining.score([canonical])[0]))
    assert [each["column"] for each in content["explanation"]["reasons"]] == [
        each.column for each in expected.reasons
    ]
    assert content["explanation"]["reference"] == expected.reference
    assert abs(content["explanation"]["gap"]) < 0.05
    (kept,) = served.shelf.predictions.values()
    assert kept.explanation.model_dump(mode="json") == content["explanation"]
    assert type(kept).from_store(kept.to_store()) == kept


def test_above_the_cutoff_a_what_if_crosses_it_or_there_is_none(served, explaining):
    served.lineup[0] = Lineup(champion=explaining)
    content = served.client.post("/v1/explanations", json=record_of("p-1", debt=90, income=3)).json()
    assert content["cutoff"] == 0.2
    (canonical,) = explaining.read([record_of("p-1", debt=90, income=3)])
    expected = explaining.hint(canonical, cutoff=0.2)
    assert content["hint"] == (None if expected is None else expected.to_dict())
    if content["pd"] <= 0.2:
        assert content["hint"] is None


class Silent:
    """A scorer that cannot explain, as one whose model keeps no applicants."""

    def __init__(self, scorer):
        self._scorer = scorer

    def __getattr__(self, name):
        return getattr(self._scorer, name)

    def explain(self, canonical, policy):
        raise ConfigurationError(f"the model must keep applicants, however: {len(canonical)}, {policy}")


def test_a_model_that_cannot_explain_is_409_and_nothing_is_kept(served, champion):
    served.lineup[0] = Lineup(champion=Silent(champion))
    response = served.client.post("/v1/explanations", json=record_of("p-1"))
    assert response.status_code == 409
    assert response.json()["type"].endswith("no-reasons")
    assert not served.shelf.predictions


def test_a_broken_application_is_422_without_its_value(served, explaining):
    served.lineup[0] = Lineup(champion=explaining)
    response = served.client.post("/v1/explanations", json=record_of("p-1", debt=918273))
    assert response.status_code == 422
    assert response.json()["errors"] == [{"field": "debt", "rule": "must be at most 100"}]
    assert "918273" not in response.text
    assert served.client.post("/v1/explanations", json=[]).status_code == 422


def test_without_a_model_it_is_503(served):
    served.lineup[0] = None
    assert served.client.post("/v1/explanations", json=record_of("p-1")).status_code == 503


def test_points_have_one_sign_on_each_way_below_zero_as_more_points_are_better(served, explaining):
    """In the answer, in what is kept of it, as a command prints it, and on the page."""
    served.lineup[0] = Lineup(champion=explaining)
    reasons = []
    for income in (1, 3, 900):
        content = served.client.post("/v1/explanations", json=record_of("p", debt=90, income=income)).json()
        reasons += content["explanation"]["reasons"]
    assert reasons
    for each in reasons:
        odds = [1.0, float(np.exp(each["contribution"]))]
        before, after = score_points([odd / (1 + odd) for odd in odds])
        assert each["points"] == pytest.approx(after - before, abs=0.051)
        assert each["points"] < 0
    kept = [each.explanation for each in served.shelf.predictions.values()]
    assert [reason.points for each in kept for reason in each.reasons] == [each["points"] for each in reasons]
    console = Console(record=True, width=200)
    for each in kept:
        print_explanation(console, each)
    shown = console.export_text()
    script = resources.files("loan_default.serving.http").joinpath("page", "page.js").read_text("utf-8")
    assert re.search(
        r"map\(\(\{ words: text, column, points \}\)[^\n]*\$\{points\.toFixed\(1\)\} points", script
    )
    for each in reasons:
        assert f" {each['points']:.1f} " in shown


def test_what_was_stored_without_the_sign_is_read_with_it():
    early = {"column": "debt", "words": "debt", "contribution": 0.5, "points": 14.4}
    assert KeptReason.model_validate(early).points == -14.4


def test_on_the_stream_a_model_without_reasons_still_answers(champion, explaining):
    explain = partial(explained_where_possible, policy=ReasonPolicy())
    for scorer, has_reasons in ((champion, True), (explaining, True), (Silent(champion), False)):
        lineup = Lineup(champion=scorer)
        records = [record_of("a"), record_of("b", debt=-1), record_of("c", debt=50)]
        answers = answer(lineup, records, event_ids=["a", "b", "c"], door=Door.STREAM, now=datetime.now(UTC))
        found = explain(lineup, answers)
        assert [isinstance(each, RecordError) for each in found] == [False, True, False]
        for each in (found[0], found[2]):
            assert (each.prediction.explanation is not None) == has_reasons
            data = json.loads(score_message(each.prediction, subject="a").value)
            assert ("explanation" in str(data)) == has_reasons
