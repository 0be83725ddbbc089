"""The evidence of a training as it is stored."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.evidence_documents import EvidenceRepository, ModelEvidence
from loan_default.errors import DataError

EVIDENCE = ModelEvidence(
    version="v1",
    sha256="ab" * 32,
    computed_at=datetime(2026, 11, 30, tzinfo=UTC),
    figures={"bands": [[0.1 + 0.2, 3], [None, 4]], "rows": {"test": 6_000}},
)


def holds_list_of_lists(value):
    if isinstance(value, dict):
        return any(holds_list_of_lists(each) for each in value.values())
    if isinstance(value, list):
        return any(isinstance(each, list) or holds_list_of_lists(each) for each in value)
    return False


def test_what_is_stored_has_no_list_within_a_list_and_is_read_as_it_was(tmp_path):
    assert holds_list_of_lists(EVIDENCE.figures)
    assert not holds_list_of_lists(EVIDENCE.to_store())
    with closing(EmbeddedDatabase(tmp_path / "documents.sqlite3")) as database:
        repository = EvidenceRepository(database)
        repository.ensure_indexes()
        repository.add(EVIDENCE)
        assert repository.get("v1") == EVIDENCE


def test_figures_that_are_no_json_are_named_without_them():
    with pytest.raises(DataError, match="figures must be JSON") as caught:
        ModelEvidence.from_store({**EVIDENCE.to_store(), "figures": {"json": "{secret"}})
    assert "secret" not in str(caught.value)
