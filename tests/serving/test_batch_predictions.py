"""The batch door: what is kept of a file is what the other doors would have kept of its rows."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from serving_setup import SCHEMA, slow_scorer

from loan_default.data.schema.frames import RawFrame, validate
from loan_default.data.schema.records import records_frame, validate_record
from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.data.sources.generator import generate
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door
from loan_default.errors import DependencyError
from loan_default.serving.answering import answer
from loan_default.serving.batch_predictions import batch_keeper
from loan_default.serving.lineup import Lineup

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
DATED = schema_from_dict(
    {
        "name": "dated",
        "columns": {
            "loan": {"kind": "identifier", "nullable": True},
            "made": {"kind": "timestamp"},
            "born": {"kind": "date", "derive": "years_before_application", "nullable": True},
            "income": {"kind": "numerical", "nullable": True},
            "term": {"kind": "numerical", "integer": True},
            "grade": {"kind": "ordinal", "categories": ["low", "high"], "nullable": True},
            "default": {"kind": "target"},
        },
    }
)
RECORDS = [
    {
        "loan": "1",
        "made": "2026-01-02T03:04:05Z",
        "born": "1980-05-06",
        "income": 1.5,
        "term": 3,
        "grade": "low",
    },
    {"loan": None, "made": "2026-01-02T03:04:05.25Z", "born": None, "income": None, "term": 4, "grade": None},
    {
        "loan": "3",
        "made": "2025-12-31T22:00:00-05:00",
        "born": "1999-12-31",
        "income": -0.0,
        "term": 0,
        "grade": "high",
    },
]


@pytest.fixture
def database(tmp_path):
    database = EmbeddedDatabase(tmp_path / "documents.sqlite3")
    yield database
    database.close()


def keeper(database, scorer):
    return batch_keeper(
        PredictionRepository(database),
        file_digest="ab" * 32,
        version=scorer.version,
        digest=scorer.digest,
        schema=scorer.schema,
    )


def stored_in(database):
    kept = PredictionRepository(database)._read({})
    return {each.event: each for each in kept}


@pytest.mark.slow
@pytest.mark.parametrize("schema", [SCHEMA, DATED], ids=["plain", "dated"])
def test_a_row_is_kept_as_the_same_record_is_at_another_door(database, schema):
    scorer = slow_scorer("v1", seed=4, schema=schema)
    records = RECORDS
    if schema is SCHEMA:
        frame = generate(schema, rows=40, seed=9).frame.drop(columns=["default"])
        records = [
            {name: None if pd.isna(value) else value for name, value in row.items()}
            for row in frame.to_dict("records")
        ]
    rows = records_frame([validate_record(record, schema) for record in records], schema)
    keeper(database, scorer)(rows, scorer.model.predict_pd(rows))
    ids = [f"{'ab' * 8}-{number}" for number in range(len(records))]
    answers = answer(Lineup(champion=scorer), records, event_ids=ids, door=Door.BATCH, now=NOON)
    kept = stored_in(database)
    assert list(kept) == ids
    for each in answers:
        found = kept[each.prediction.event]
        assert found.pd == pytest.approx(each.pd, abs=1e-6)
        assert found.points == pytest.approx(each.points, abs=0.011)
        same = {"application", "version", "digest", "group", "experiment", "door", "features_digest"}
        assert found.model_dump(include=same) == each.prediction.model_dump(include=same)


def test_a_file_that_is_scored_again_is_kept_once(database):
    scorer = slow_scorer("v1", seed=4)
    rows = generate(SCHEMA, rows=10, seed=9).frame
    for _ in range(2):
        keeper(database, scorer)(rows, np.full(10, 0.5))
    assert len(stored_in(database)) == 10
    other = slow_scorer("v2", seed=5)
    keeper(database, other)(rows, np.full(10, 0.5))
    assert database["predictions"].count_documents({}) == 20


def test_rows_are_named_by_their_number_in_the_file(database):
    scorer = slow_scorer("v1", seed=4)
    rows = generate(SCHEMA, rows=10, seed=9).frame.drop(columns=["loan"]).iloc[[2, 7]]
    keeper(database, scorer)(rows, np.array([0.1, 0.2]))
    kept = stored_in(database)
    assert {each: kept[each].pd for each in kept} == {f"{'ab' * 8}-2": 0.1, f"{'ab' * 8}-7": 0.2}
    assert {each.application for each in kept.values()} == {None}


def test_a_column_that_the_file_lacks_is_missing(database):
    scorer = slow_scorer("v1", seed=4)
    rows = records_frame([validate_record({"income": None, "debt": 1, "purpose": "car"}, SCHEMA)], SCHEMA)
    digests = []
    for given in (rows, rows.drop(columns=["income", "sex"])):
        keeper(database, scorer)(given, np.array([0.5]))
        digests.append(stored_in(database)[f"{'ab' * 8}-0"].features_digest)
        database["predictions"].delete_many({})
    assert digests[0] == digests[1]


def test_a_store_that_is_away_stops_the_scoring(database):
    scorer = slow_scorer("v1", seed=4)
    database.close()
    with pytest.raises(DependencyError, match="Cannot write predictions"):
        keeper(database, scorer)(generate(SCHEMA, rows=1, seed=9).frame, np.array([0.5]))


def test_frames_of_files_have_the_same_digests(database):
    """A file's rows go through `validate`, not through `validate_record`."""
    scorer = slow_scorer("v1", seed=4)
    texts = pd.DataFrame(
        {"loan": ["a", "b"], "income": ["12.5", ""], "debt": ["3", "4.25"], "purpose": ["Car", "house"]},
        dtype="str",
    )
    records = [
        {"loan": "a", "income": 12.5, "debt": 3, "purpose": "car"},
        {"loan": "b", "income": None, "debt": 4.25, "purpose": "house"},
    ]
    accepted = validate(RawFrame(frame=texts), SCHEMA, labelled=False).accepted
    keeper(database, scorer)(accepted, scorer.model.predict_pd(accepted))
    answers = answer(Lineup(champion=scorer), records, event_ids=["a", "b"], door=Door.BATCH, now=NOON)
    found = {each.application: each.features_digest for each in stored_in(database).values()}
    assert found == {each.prediction.application: each.prediction.features_digest for each in answers}
