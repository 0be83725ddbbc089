"""One application of a file as a record."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from loan_default.data.schema.schema_files import schema_from_dict
from loan_default.errors import DataError
from loan_default.pipelines.scoring.applications import read_application

SCHEMA = schema_from_dict(
    {
        "name": "rows",
        "columns": {
            "id": {"kind": "identifier"},
            "made": {"kind": "timestamp"},
            "income": {"kind": "numerical", "minimum": 0, "nullable": True},
            "purpose": {"kind": "categorical", "categories": ["car", "house"]},
            "bad": {"kind": "target"},
        },
    }
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "loans.csv"
    file.write_text(
        "id,made,income,purpose\na,2024-01-02T00:00:00Z,12.5,car\nb,2024-01-03T00:00:00Z,,house\n"
        "c,2024-01-04T00:00:00Z,-1,car\n"
    )
    return file


def test_a_row_becomes_a_canonical_record(path: Path) -> None:
    found = read_application(path, 0, schema=SCHEMA)
    assert (found["id"], found["income"], found["purpose"]) == ("a", 12.5, "car")
    assert read_application(path, 1, schema=SCHEMA)["income"] is None


def test_times_are_those_of_python(path: Path) -> None:
    born = {"kind": "date", "derive": "years_before_application"}
    schema = schema_from_dict(
        {
            "name": "born",
            "columns": {
                "made": {"kind": "timestamp"},
                "born": born,
                "purpose": {"kind": "categorical", "categories": ["car"]},
            },
        }
    )
    path.write_text("made,born,purpose\n2024-01-02T00:00:00Z,1990-05-06,car\n")
    found = read_application(path, 0, schema=schema)
    assert found["born"] == datetime(1990, 5, 6, tzinfo=UTC)
    assert type(found["made"]) is datetime


def test_rows_that_are_not_there_or_break_the_schema_are_refused_without_their_values(path: Path) -> None:
    with pytest.raises(DataError, match=r"row=3, loans.csv has 3 rows"):
        read_application(path, 3, schema=SCHEMA)
    with pytest.raises(DataError, match="row 2: income: must be at least 0") as refused:
        read_application(path, 2, schema=SCHEMA)
    assert "-1" not in str(refused.value)
