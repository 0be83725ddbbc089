"""A backup, restored, is the same to the last digit, in the same kind of store and in another."""

import json
from datetime import UTC, datetime

import pytest

from loan_default.database.backup import COLLECTIONS, back_up, contents_of, restore
from loan_default.database.control_repositories import FencingToken
from loan_default.database.embedded import EmbeddedDatabase
from loan_default.database.ingestion_documents import EventStatus, RawDataLog
from loan_default.database.ingestion_repositories import Arrival, RawDataLogRepository
from loan_default.database.repositories import ModelRepository, register_model
from loan_default.errors import ConfigurationError, DataError

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def filled(database, model, metrics, snapshot):
    register_model(database, model, metrics=[metrics], snapshot=snapshot)
    ModelRepository(database).move_champion(model.version, model.sha256, seen_rev=0, seen_version=None)
    FencingToken(database=database, run="a", task="b", attempt=1).claim()
    return database


def test_what_comes_back_has_the_same_digests(filled, model, tmp_path):
    before = back_up(filled, tmp_path / "backup")
    assert set(before) == set(COLLECTIONS)
    assert {name for name, contents in before.items() if contents.documents} == {
        "training_data",
        "performance_metrics",
        "model_metadata",
        "pointers",
        "fences",
    }
    other = EmbeddedDatabase(tmp_path / "other.sqlite3")
    assert restore(other, tmp_path / "backup") == before == contents_of(filled)
    assert ModelRepository(other).newest_first() == ModelRepository(filled).newest_first()
    assert ModelRepository(other).champion().version == model.version
    other.close()


def test_nothing_is_overwritten(filled, tmp_path):
    back_up(filled, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match=r"Cannot restore: .*model_metadata.* hold documents"):
        restore(filled, tmp_path / "backup")
    with pytest.raises(ConfigurationError, match="folder is not empty"):
        back_up(filled, tmp_path / "backup")


def test_a_damaged_or_unfinished_backup_is_refused(embedded_database, tmp_path):
    folder = tmp_path / "backup"
    back_up(embedded_database, folder)
    digests = json.loads((folder / "digests.json").read_text())
    digests["pointers"]["digest"] = "f" * 64
    (folder / "digests.json").write_text(json.dumps(digests))
    with pytest.raises(DataError, match="pointers differ"):
        restore(embedded_database, folder)
    (folder / "digests.json").unlink()
    with pytest.raises(DataError, match=r"Cannot read .*digests\.json .*holds no backup"):
        restore(embedded_database, folder)


def test_positions_of_topics_that_are_gone_can_be_taken_again(database, tmp_path):
    def log(event, offset):
        position = {"topic": "raw_data", "partition": 0, "offset": offset}
        return RawDataLog(event=event, outcome=EventStatus.ACCEPTED, batch="b", logged_at=NOON, **position)

    logs = RawDataLogRepository(database)
    logs.ensure_indexes()
    logs.add_new([log("a", 0), log("b", 1), *(log(f"raw_data-0-{n}", n) for n in (2, 5, 17, 171, 18))])
    with pytest.raises(DataError, match="another event is logged there"):
        logs.add_new([log("c", 0)])
    saved = back_up(database, tmp_path / "backup")
    other = EmbeddedDatabase(tmp_path / "other.sqlite3")
    assert restore(other, tmp_path / "backup", gone="20261125T120000") == saved
    logs = RawDataLogRepository(other)
    logs.ensure_indexes()
    assert logs.add_new([log("c", 0)]).count(Arrival.NEW) == 1
    assert logs.known(["a", "b", "c"]) == {"a", "b", "c"}
    # What came without an id is named by its position, which another record may take now.
    assert logs.add_new([log("raw_data-0-17", 17)]).count(Arrival.NEW) == 1
    assert logs.add_new([log("a", 7)]).count(Arrival.DUPLICATE) == 1
    # And so again: both of that position are kept.
    saved = back_up(other, tmp_path / "second")
    other.close()
    third = EmbeddedDatabase(tmp_path / "third.sqlite3")
    assert restore(third, tmp_path / "second", gone="20261126T120000") == saved
    assert RawDataLogRepository(third).add_new([log("raw_data-0-17", 17)]).count(Arrival.NEW) == 1
    third.close()
