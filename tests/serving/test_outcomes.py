"""Outcomes are read by the schema that is set, else by the target of the model, else by the bundled one."""

from datetime import UTC, datetime

import pytest

from loan_default.bundled import BUNDLED_SCHEMA
from loan_default.data.datasets.store_parts import APPLICATION, StoredEvent, write_part
from loan_default.data.schema.schema_files import load_schema
from loan_default.serving.outcomes import outcomes_of

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    """An application whose two possible targets differ."""
    values = {"bad": 1.0, load_schema(BUNDLED_SCHEMA).target.name: 0.0}
    rows = [StoredEvent("e-1", APPLICATION, "a-1", NOW, values)]
    write_part(tmp_path, topic="processed_data", partition=0, first=0, next=1, rows=rows)
    return tmp_path


@pytest.mark.parametrize(
    ("version", "schema", "outcome"),
    [(None, None, 1.0), (None, BUNDLED_SCHEMA, 0.0), ("a model without evidence", None, 0.0)],
)
def test_the_schema_that_is_set_comes_before_the_model(lab, store, version, schema, outcome):
    found = outcomes_of(lab.database, ["a-1"], version=version or lab.version, store=store, schema=schema)
    assert found == {"a-1": outcome}
