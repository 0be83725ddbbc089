"""Initialise a database: indexes everywhere; validators and expiry where the server knows them.

Asking for them shows whether it does: servers that are not MongoDB report its version all the same.
A second call changes nothing, except what it asks for differently.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from pymongo.errors import OperationFailure

from loan_default.database.audit_repository import AuditRepository
from loan_default.database.connect import LONG_CALL_SECONDS, Database, Document
from loan_default.database.control_repositories import CommandRepository, DecisionRepository
from loan_default.database.documents import Champion
from loan_default.database.driver_errors import UNKNOWN, database_errors, refusal
from loan_default.database.evidence_documents import EvidenceRepository
from loan_default.database.experiment_documents import RunningExperiment
from loan_default.database.gate_repositories import ApprovalRepository
from loan_default.database.ingestion_repositories import (
    IngestionBatchRepository,
    RawDataLogRepository,
)
from loan_default.database.monitoring_repository import MonitoringRepository
from loan_default.database.prediction_repository import PredictionRepository
from loan_default.database.repositories import (
    POINTERS,
    MetricsRepository,
    ModelRepository,
    TrainingDataRepository,
)
from loan_default.database.serving_repositories import ApiKeyRepository, ExperimentRepository
from loan_default.database.stored_document import StoredDocument
from loan_default.errors import ConfigurationError

REPOSITORIES = (
    TrainingDataRepository,
    MetricsRepository,
    ModelRepository,
    RawDataLogRepository,
    IngestionBatchRepository,
    PredictionRepository,
    CommandRepository,
    DecisionRepository,
    ApprovalRepository,
    ApiKeyRepository,
    ExperimentRepository,
    AuditRepository,
    EvidenceRepository,
    MonitoringRepository,
)
POINTER_KINDS: tuple[type[StoredDocument], ...] = (Champion, RunningExperiment)
"""The documents of `pointers`."""
LONGEST_EXPIRY = timedelta(seconds=2**31 - 1)
"""The longest expiry that a server takes."""

_EXPIRY = "expiry"
_LOGS = RawDataLogRepository.collection
_BAD_VALUE = 2
_INDEX_NOT_FOUND = 27
_NAMESPACE_EXISTS = 48
_INDEX_OPTIONS_CONFLICT = 85
_BSON_TYPES = {
    "string": {"string"},
    "boolean": {"bool"},
    "integer": {"int", "long"},
    "number": {"int", "long", "double"},
    "array": {"array"},
    "object": {"object"},
    "null": {"null"},
}


def initialise(
    database: Database, *, log_days: int | None = None, prediction_days: int | None = None
) -> list[str]:
    """Initialise the collections of this database; return what was done and what its server cannot do.

    Args:
        log_days: the server deletes documents of `raw_data_logs` after so many days; None = never. It must be
            longer than the topics keep records, since an event whose document is gone counts as new.
        prediction_days: the same of `predictions`; a server that cannot does it at each call of this alone.

    Raises:
        ConfigurationError: a number of days is out of range.
        DependencyError: the database does not answer, or does not let this user make indexes.
    """
    for name, days in (("log_days", log_days), ("prediction_days", prediction_days)):
        if days is not None and not 1 <= days <= LONGEST_EXPIRY.days:
            raise ConfigurationError(
                f"{name} must be from 1 to {LONGEST_EXPIRY.days}, however: {name}={days}. "
                "Leave it out to keep the documents."
            )
    return [
        *_make_indexes(database),
        *_migrate(database),
        _make_validators(database),
        _set_expiry(database, log_days, collection=_LOGS, field="logged_at"),
        _expire_predictions(database, prediction_days),
    ]


def validator(kind: type[StoredDocument]) -> Document:
    """Return the JSON schema, as servers read it, of the required fields and types of a class of documents.

    It stops what comes from elsewhere; documents of ours are checked in full before they are written.
    """
    schema = kind.model_json_schema()
    types = {
        name: {"bsonType": sorted(_bson_types(field, schema.get("$defs", {})))}
        for name, field in schema["properties"].items()
        if name != kind.id_field
    }
    required = [name for name in schema["required"] if name != kind.id_field]
    return {
        "bsonType": "object",
        "required": ["_id", *required],
        "properties": {"_id": {"bsonType": "string"}, **types},
    }


def _make_indexes(database: Database) -> Iterator[str]:
    for repository in REPOSITORIES:
        repository(database).ensure_indexes()
        yield f"{repository.collection}: indexes"


def _migrate(database: Database) -> Iterator[str]:
    """Rewrite what earlier releases stored otherwise."""
    if moved := PredictionRepository(database).migrate():
        yield f"{PredictionRepository.collection}: {moved} of release 0.1 have ids of event and version now"


def _make_validators(database: Database) -> str:
    schemas = {each.collection: validator(each.kind) for each in REPOSITORIES}
    schemas[POINTERS] = {"anyOf": [validator(kind) for kind in POINTER_KINDS]}
    look = partial(database[POINTERS].find_one, {"$jsonSchema": {"bsonType": "object"}})
    create = partial(database.command, {"create": POINTERS})
    with database_errors("make validators", seconds=LONG_CALL_SECONDS):
        # Asked first, as a server may keep a validator that it cannot apply, and then refuse every document.
        refused = refusal(look, unknown=UNKNOWN | {_BAD_VALUE}) or refusal(create, fine=_NAMESPACE_EXISTS)
        for collection, schema in schemas.items():
            rule = {"collMod": collection, "validator": {"$jsonSchema": schema}}
            refused = refused or refusal(partial(database.command, rule))
    if refused:
        return f"validators: none, {refused}; documents are checked before they are written all the same"
    return f"validators: of {len(schemas)} collections"


def _expire_predictions(database: Database, days: int | None) -> str:
    """Let the server delete old predictions; where it cannot, delete those that are old now."""
    name = PredictionRepository.collection
    line = _set_expiry(database, days, collection=name, field="scored_at")
    if days is None or line.startswith(f"{name}: expire"):
        return line
    dropped = PredictionRepository(database).drop_before(datetime.now(UTC) - timedelta(days=days))
    return f"{line}, as this call did with {dropped}"


def _set_expiry(database: Database, days: int | None, *, collection: str, field: str) -> str:
    with database_errors(f"set the expiry of {collection}", seconds=LONG_CALL_SECONDS):
        if days is None:  # what an earlier call asked for must not go on deleting
            drop = {"dropIndexes": collection, "index": _EXPIRY}
            refused = refusal(partial(database.command, drop), fine=_INDEX_NOT_FOUND)
            return f"{collection}: no expiry" + (f", {refused}" if refused else "")
        index = {"name": _EXPIRY, "expireAfterSeconds": days * 86_400}
        create = {"createIndexes": collection, "indexes": [{"key": {field: 1}, **index}]}
        try:
            refused = refusal(partial(database.command, create))
        except OperationFailure as error:
            if error.code != _INDEX_OPTIONS_CONFLICT:
                raise
            refused = refusal(partial(database.command, {"collMod": collection, "index": index}))
    if refused:
        return f"{collection}: no expiry, {refused}; delete what is older than {days} days by a job"
    return f"{collection}: expire after {days} days"


def _bson_types(field: Document, definitions: Document) -> set[str]:
    """Return the BSON types of a field of pydantic's JSON schema."""
    if "$ref" in field:
        field = definitions[field["$ref"].rpartition("/")[2]]
    if "anyOf" in field:
        return {name for each in field["anyOf"] for name in _bson_types(each, definitions)}
    if field.get("format") == "date-time":
        return {"date"}
    return _BSON_TYPES[field["type"]]
