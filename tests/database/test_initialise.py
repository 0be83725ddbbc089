"""Making a database ready: everywhere what works everywhere, and the rest only where the server takes it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from bson import Int64
from pymongo.errors import OperationFailure

from loan_default.database.api_key_documents import ApiKey, KeyScope
from loan_default.database.connect import connect
from loan_default.database.documents import Champion
from loan_default.database.experiment_documents import Experiment, Mode, RunningExperiment
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import IngestionBatchRepository, RawDataLogRepository
from loan_default.database.initialise import REPOSITORIES, initialise, validator
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.repositories import ModelRepository, register_model
from loan_default.database.serving_documents import Door, Prediction
from loan_default.errors import ConfigurationError, DependencyError
from loan_default.settings import Settings

NOON = datetime(2026, 11, 23, 12, 0, 0, 123000, tzinfo=UTC)
INDEXES = [
    f"{name}: indexes"
    for name in (
        "training_data",
        "performance_metrics",
        "model_metadata",
        "raw_data_logs",
        "ingestion_batches",
        "predictions",
        "command_log",
        "decisions",
        "approvals",
        "api_keys",
        "experiments",
        "audit",
        "model_evidence",
        "monitoring",
    )
]


def log_of(event, **values):
    position = {"topic": "raw_data", "partition": 0, "offset": 0, "batch": "b", "logged_at": NOON}
    return RawDataLog(event=event, outcome=EventStatus.ACCEPTED, **{**position, **values})


@pytest.mark.slow
def test_every_store_is_made_ready_twice(database, model, metrics, snapshot):
    for days in (None, 30, 60, None):
        lines = initialise(database, log_days=days, prediction_days=days)
        assert lines[:-3] == INDEXES
        assert [line.split(":")[0] for line in lines[-3:]] == ["validators", "raw_data_logs", "predictions"]
    database["raw_data_logs"].insert_one(log_of("a").to_store())
    with pytest.raises(OperationFailure):
        database["raw_data_logs"].insert_one(log_of("b").to_store())
    register_model(database, model, metrics=[metrics], snapshot=snapshot)
    assert ModelRepository(database).move_champion(model.version, model.sha256, seen_rev=0, seen_version=None)
    assert RawDataLogRepository(database).of_batch("b") == [log_of("a")]


def test_a_store_that_cannot_says_so(embedded_database):
    cannot = "the server does not know it (code 59)"
    assert initialise(embedded_database, log_days=30)[-3:-1] == [
        f"validators: none, {cannot}; documents are checked before they are written all the same",
        f"raw_data_logs: no expiry, {cannot}; delete what is older than 30 days by a job",
    ]


class Scripted:
    """A database that answers commands as the manual of MongoDB 8.0 says, and remembers the commands."""

    def __init__(self, database, *, refuse=None, code=13):
        self.database, self.refuse, self.code = database, refuse, code
        self.validators, self.expiry = {}, {}

    def __getitem__(self, name):
        return ScriptedCollection(self.database[name])

    def command(self, command):
        name, target = next(iter(command.items()))
        if name == self.refuse:
            raise OperationFailure("no", self.code)
        return getattr(self, name)(target, command) or {"ok": 1.0}

    def create(self, collection, command):
        if collection in self.validators:
            raise OperationFailure("a collection is there already", 48)

    def collMod(self, collection, command):
        if "validator" in command:
            self.validators[collection] = command["validator"]["$jsonSchema"]
        else:
            self.expiry[collection] = command["index"]["expireAfterSeconds"]

    def createIndexes(self, collection, command):
        (index,) = command["indexes"]
        assert index["key"] == {{"raw_data_logs": "logged_at", "predictions": "scored_at"}[collection]: 1}
        if self.expiry.setdefault(collection, index["expireAfterSeconds"]) != index["expireAfterSeconds"]:
            raise OperationFailure("an equivalent index has other options", 85)

    def dropIndexes(self, collection, command):
        if self.expiry.pop(collection, None) is None:
            raise OperationFailure("index not found", 27)


class ScriptedCollection:
    def __init__(self, collection):
        self.collection = collection

    def find_one(self, condition):
        assert condition == {"$jsonSchema": {"bsonType": "object"}}

    def __getattr__(self, name):
        return getattr(self.collection, name)


@pytest.fixture
def server(embedded_database):
    return Scripted(embedded_database)


def test_a_server_gets_validators_and_expiry(server):
    assert initialise(server, log_days=30, prediction_days=60) == [
        *INDEXES,
        f"validators: of {len(INDEXES) + 1} collections",
        "raw_data_logs: expire after 30 days",
        "predictions: expire after 60 days",
    ]
    assert set(server.validators) == {line.split(":")[0] for line in INDEXES} | {"pointers"}
    assert server.expiry == {"raw_data_logs": 30 * 86_400, "predictions": 60 * 86_400}


@pytest.mark.slow
def test_a_second_time_changes_what_is_asked_for(server):
    initialise(server, log_days=30)
    for _ in range(2):
        lines = initialise(server, log_days=7)
        assert lines[-2:] == ["raw_data_logs: expire after 7 days", "predictions: no expiry"]
        assert server.expiry == {"raw_data_logs": 7 * 86_400}
    for _ in range(2):
        assert initialise(server)[-2:] == ["raw_data_logs: no expiry", "predictions: no expiry"]
        assert server.expiry == {}


@pytest.mark.parametrize(
    ("command", "reported"),
    [
        ("collMod", "validators: none, the user who is connected may not do it"),
        ("createIndexes", "raw_data_logs: no expiry, the user who is connected may not do it"),
    ],
)
def test_what_the_user_may_not_do_is_reported_and_the_rest_done(embedded_database, command, reported):
    server = Scripted(embedded_database, refuse=command)
    lines = initialise(server, log_days=30)
    assert sum(line.startswith(reported) for line in lines) == 1
    assert sum("may not do it" in line for line in lines) == 1


@pytest.mark.parametrize("command", ["create", "collMod", "createIndexes"])
def test_another_refusal_is_a_dependency_error(embedded_database, command):
    with pytest.raises(DependencyError, match="refused with code 11600"):
        initialise(Scripted(embedded_database, refuse=command, code=11600), log_days=30)


def test_old_predictions_go_at_each_call_where_no_server_deletes_them(embedded_database):
    now = datetime.now(UTC)
    predictions = PredictionRepository(embedded_database)
    for age in (1, 29, 31, 400):
        fields = {"version": "v1", "pd": 0.5, "points": 1.0, "scored_at": now - timedelta(days=age)}
        predictions.add_new([Prediction(event=f"e-{age}", **fields)])
    line = initialise(embedded_database, prediction_days=30)[-1]
    assert line.startswith("predictions: no expiry")
    assert line.endswith("delete what is older than 30 days by a job, as this call did with 2")
    assert sorted(predictions.stored([f"e-{age}/v1" for age in (1, 29, 31, 400)])) == ["e-1/v1", "e-29/v1"]
    initialise(embedded_database)
    assert predictions.find("e-29/v1") is not None


@pytest.mark.parametrize("name", ["log_days", "prediction_days"])
@pytest.mark.parametrize("days", [0, -1, 24_856])
def test_an_expiry_out_of_range_is_refused_before_anything_is_done(server, name, days):
    with pytest.raises(ConfigurationError, match=f"{name} must be from 1 to 24855"):
        initialise(server, **{name: days})
    assert server.validators == {}


def test_a_database_that_went_away_is_a_dependency_error(tmp_path):
    database = connect(Settings(home=tmp_path, mongodb_uri=None))
    database.client.close()
    with pytest.raises(DependencyError, match="Cannot "):
        initialise(database)


def _types(value):
    """The names that a server has for the type of a value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "long" if isinstance(value, Int64) or abs(value) >= 2**31 else "int"
    names = {str: "string", float: "double", list: "array", dict: "object", datetime: "date"}
    return "null" if value is None else names[type(value)]


def _accepts(schema, document):
    """A validator of the part of `$jsonSchema` that the validators use."""
    assert set(schema) == {"bsonType", "required", "properties"}
    allowed = {name: rule["bsonType"] for name, rule in schema["properties"].items()}
    return all(name in document for name in schema["required"]) and all(
        _types(value) in (allowed[name] if isinstance(allowed[name], list) else [allowed[name]])
        for name, value in document.items()
    )


def test_validators_take_what_the_repositories_write_and_nothing_half(
    embedded_database, model, metrics, snapshot
):
    documents = [model, metrics, snapshot, Champion(version="v", digest="ab" * 32, rev=2**40), log_of("a")]
    for document in documents:
        schema = validator(type(document))
        stored = document.to_store()
        assert _accepts(schema, stored)
        assert json.loads(json.dumps(schema)) == schema, "plain values alone"
        for name in schema["required"]:
            assert not _accepts(schema, {key: value for key, value in stored.items() if key != name})
            assert not _accepts(schema, {**stored, name: True if stored[name] is not True else "true"})


def test_the_validator_of_pointers_takes_each_of_them_and_nothing_else(server):
    initialise(server)
    either = server.validators["pointers"]["anyOf"]
    pointers = [
        Champion(version="v", digest="ab" * 32, rev=1),
        RunningExperiment(experiment="x", rev=1),
        RunningExperiment(experiment=None, rev=2),
    ]
    for pointer in pointers:
        assert sum(_accepts(schema, pointer.to_store()) for schema in either) == 1
    assert not any(_accepts(schema, {"_id": "champion", "version": "v"}) for schema in either)


def test_documents_about_scores_pass_their_validators():
    now = datetime.now(UTC)
    kept = Prediction(event="e", version="v", pd=0.5, points=500.25, scored_at=now)
    whole = kept.model_copy(
        update={"application": "a", "digest": "ab" * 32, "door": Door.HTTP, "latency_seconds": 0.5}
    )
    key = ApiKey(
        key="0" * 12,
        secret_digest="ab" * 32,
        scopes=(KeyScope.SCORE,),
        owner="a",
        created_at=now,
        expires_at=None,
    )
    experiment = Experiment(
        experiment="x",
        champion="v",
        challenger="w",
        challenger_digest="ab" * 32,
        mode=Mode.SHARE,
        share=1,
        started_at=now,
        started_by="a",
    )
    ended = experiment.model_copy(update={"ended_at": now, "ended_by": "b", "share": 0.5})
    for document in (kept, whole, key, key.model_copy(update={"revoked_at": now}), experiment, ended):
        assert _accepts(validator(type(document)), document.to_store())


def test_every_repository_has_a_validator():
    for repository in REPOSITORIES:
        schema = validator(repository.kind)
        assert schema["required"][0] == "_id"
        assert set(schema["required"]) <= set(schema["properties"])
        assert repository.kind.id_field not in schema["properties"]
    assert validator(IngestionBatchRepository.kind)["properties"]["ranges"] == {"bsonType": ["array"]}
