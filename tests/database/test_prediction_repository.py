"""Predictions over every database: one for each event and version, found again, expired and migrated."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from pymongo.errors import AutoReconnect, OperationFailure

from loan_default.database.connect import connect
from loan_default.database.initialise import initialise
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.serving_documents import Door, Group, Prediction
from loan_default.errors import DataError, DependencyError
from loan_default.settings import Settings

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)
FORMER = {"_id": "e-1", "application": "77", "version": "v1", "pd": 0.25, "points": 512.5, "scored_at": NOON}
"""A prediction as release 0.1 stored it."""


def prediction_of(event, version="v1", **values):
    fields = {
        "digest": "ab" * 32,
        "pd": 0.25,
        "points": 512.5,
        "scored_at": NOON,
        "door": Door.HTTP,
        **values,
    }
    return Prediction(event=event, version=version, **fields)


@pytest.fixture
def predictions(database):
    repository = PredictionRepository(database)
    for _ in range(2):
        repository.ensure_indexes()
    return repository


def test_an_event_has_a_prediction_of_each_version_and_the_first_write_stays(predictions):
    first = [prediction_of("a"), prediction_of("b", application="77"), prediction_of("a", "v2", pd=0.5)]
    assert predictions.add_new(first) == 3
    again = [prediction_of("c"), prediction_of("a", pd=0.75), prediction_of("a", "v3")]
    assert predictions.add_new(again) == 2
    assert predictions.add_new([]) == 0
    found = [predictions.find(identifier) for identifier in ("a/v1", "b/v1", "a/v2", "c/v1", "a/v3", "a")]
    assert found == [*first, again[0], again[2], None]
    assert predictions.stored(["a/v1", "b/v1", "nothing"]) == {"a/v1": first[0], "b/v1": first[1]}
    assert predictions.stored([]) == {}


def test_an_answer_takes_the_place_of_a_shadow_and_of_nothing_else(predictions):
    shadow, answer = prediction_of("a", group=Group.SHADOW, experiment="x"), prediction_of("b")
    predictions.add_new([shadow, answer])
    later = [prediction_of(event, pd=0.75) for event in ("a", "b", "c")]
    predictions.replace_shadows(later)
    assert predictions.stored(["a/v1", "b/v1", "c/v1"]) == {"a/v1": later[0], "b/v1": answer}


def test_all_fields_come_back(predictions):
    whole = prediction_of(
        "a",
        application="77",
        group=Group.SHADOW,
        experiment="x",
        features_digest="cd" * 32,
        latency_seconds=0.5,
        request_digest="ef" * 32,
    )
    predictions.add_new([whole])
    assert predictions.find("a/v1") == whole


def test_predictions_are_found_by_event_application_model_and_day_and_experiment(predictions):
    midnight = NOON.replace(hour=0, microsecond=0)
    hours = [NOON - timedelta(hours=13), midnight, NOON, NOON + timedelta(hours=12)]
    stored = [
        prediction_of(f"e-{n}", application=str(n % 2), scored_at=hour, experiment="x" * (n % 3) or None)
        for n, hour in enumerate(hours)
    ]
    other = prediction_of("e-0", "v2", application="0", scored_at=NOON + timedelta(seconds=1))
    predictions.add_new([other, *reversed(stored)])
    assert predictions.of_event("e-0") == [stored[0], other]
    assert predictions.of_application("0") == [stored[0], stored[2], other]
    assert predictions.of_application("nobody") == []
    assert predictions.of_model_on("v1", date(2026, 11, 23)) == [stored[1], stored[2]]
    assert predictions.of_model_on("v2", date(2026, 11, 23)) == [other]
    assert predictions.of_model_on("v2", date(2026, 11, 24)) == []
    assert list(predictions.of_experiment("x")) == [stored[1]]


@pytest.mark.parametrize("attack", [{"$ne": None}, {"$gt": ""}, {"$in": ["a"]}])
def test_no_operator_of_a_caller_is_obeyed(predictions, attack):
    predictions.add_new([prediction_of("a", application="77", experiment="x")])
    for call in (
        lambda: predictions.of_event(attack),
        lambda: predictions.of_application(attack),
        lambda: list(predictions.stored([attack])),
        lambda: list(predictions.of_experiment(attack)),
    ):
        found = []
        with suppress(DependencyError, OperationFailure, TypeError, NotImplementedError):
            found = call()
        assert found == []


def test_old_predictions_are_deleted_where_no_server_does(predictions):
    times = [NOON - timedelta(days=days) for days in (0, 1, 2, 3)]
    predictions.add_new([prediction_of(f"e-{n}", scored_at=time) for n, time in enumerate(times)])
    assert predictions.drop_before(NOON - timedelta(days=2)) == 1
    assert predictions.drop_before(NOON - timedelta(days=2)) == 0
    assert sorted(predictions.stored([f"e-{n}/v1" for n in range(4)])) == ["e-0/v1", "e-1/v1", "e-2/v1"]


@pytest.mark.slow
def test_a_prediction_of_release_0_1_is_read_and_moves_to_its_new_id_once(database):
    former = [{**FORMER, "_id": f"e-{number}"} for number in range(5)]
    database["predictions"].insert_many([dict(each) for each in former])
    predictions = PredictionRepository(database)
    assert predictions.of_application("77") == [Prediction.from_store(each) for each in former]
    predictions.add_new([prediction_of("new"), prediction_of("e-0", "v2")])
    # A migration that was interrupted has written some under their new ids.
    predictions.add_new([Prediction.from_store(former[2])])
    lines = initialise(database)
    assert "predictions: 5 of release 0.1 have ids of event and version now" in lines
    assert not any("release 0.1" in line for line in initialise(database))
    ids = {each["_id"] for each in database["predictions"].find({})}
    assert ids == {"new/v1", "e-0/v2", *(f"e-{number}/v1" for number in range(5))}
    moved = predictions.find("e-1/v1")
    assert (moved.event, moved.application, moved.pd, moved.scored_at) == ("e-1", "77", 0.25, NOON)
    assert (moved.digest, moved.door, moved.group) == (None, None, Group.CHAMPION)


def test_release_0_1_refuses_what_it_would_misread():
    assert prediction_of("a").to_store()["schema_version"] == "2.1"
    with pytest.raises(DataError, match="written by a newer release"):
        Prediction.from_store({**prediction_of("a").to_store(), "schema_version": "3.0"})


def test_the_answer_to_an_event_is_the_first_one_and_never_a_shadow(predictions):
    later = datetime(2026, 11, 30, tzinfo=UTC)
    predictions.add_new(
        [
            prediction_of("e1", "v2", scored_at=later),
            prediction_of("e1", "v1"),
            prediction_of("e2", "v3", group=Group.SHADOW),
            prediction_of("e3", "v1", group=Group.CHALLENGER),
        ]
    )
    answers = predictions.answers_to(["e1", "e2", "e3", "e4"])
    assert {event: each.version for event, each in answers.items()} == {"e1": "v1", "e3": "v1"}
    assert predictions.answers_to([]) == {}


@pytest.mark.parametrize(
    "values", [{"pd": 1.01}, {"pd": float("nan")}, {"digest": "ab"}, {"latency_seconds": -1.0}]
)
def test_what_is_no_prediction_is_refused(values):
    with pytest.raises(ValueError, match=r"Input should|String should"):
        prediction_of("a", **values)


class LosesTheAnswer:
    """A collection whose writes succeed and whose answers are lost."""

    def __init__(self, collection):
        self.collection = collection

    def insert_many(self, *args, **values):
        self.collection.insert_many(*args, **values)
        raise AutoReconnect("connection closed")


def test_a_write_whose_answer_was_lost_is_safe_to_repeat(database, predictions):
    lost = PredictionRepository({"predictions": LosesTheAnswer(database["predictions"])})
    with pytest.raises(DependencyError):
        lost.add_new([prediction_of("e")])
    assert predictions.add_new([prediction_of("e"), prediction_of("f")]) == 1
    assert database["predictions"].count_documents({}) == 2


def test_a_database_that_went_away_is_a_dependency_error(tmp_path):
    database = connect(Settings(home=tmp_path, mongodb_uri=None))
    predictions = PredictionRepository(database)
    database.client.close()
    for call in (
        predictions.ensure_indexes,
        predictions.migrate,
        lambda: predictions.add_new([prediction_of("a")]),
        lambda: predictions.find("a"),
        lambda: predictions.of_application("a"),
        lambda: predictions.drop_before(NOON),
    ):
        with pytest.raises(DependencyError, match="Cannot "):
            call()
