"""What became of applications that were scored, by the training store."""

from collections.abc import Collection
from pathlib import Path

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.datasets.known_outcomes import known_outcomes
from loan_default.data.schema.schema_files import load_schema
from loan_default.database.connect import Database
from loan_default.database.evidence_documents import EvidenceRepository


def outcomes_of(
    database: Database, applications: Collection[str], *, version: str, store: Path, schema: Path | None
) -> dict[str, float]:
    """Return the outcome of each application that has one: 1.0 = default, 0.0 = none.

    Args:
        version: a model that scored them.
        store: folder of the training store.
        schema: of the ingestion, where the settings name one.

    Raises:
        DataError: the schema is unusable, or a part of the store is damaged.
        DependencyError: the database is away.
    """
    target = _target(database, version, schema)
    return known_outcomes(store, target=target, only=applications)


def _target(database: Database, version: str, schema: Path | None) -> str | None:
    """Name of the column with the outcomes.

    Where no schema is set, that of the model: the bundled schema would miss the outcomes of other data.
    """
    evidence = None if schema is not None else EvidenceRepository(database).find(version)
    if evidence is not None:
        return str(evidence.figures["data"]["target"])
    target = load_schema(schema or BUNDLED_SCHEMA).target  # models of releases before 0.2 have no evidence
    return None if target is None else target.name
