"""The bundled accounts as files of a folder: each account once, and none beside a person's own files."""

import gzip

import pytest

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.schema.schema_files import load_schema
from loan_default.data.sources.folder_feed import FolderFeed
from loan_default.errors import ConfigurationError
from loan_default.pipelines.ingestion.bundled_drops import has_begun, replay_bundled, waits


def take(folder):
    """Ids of the accounts that an ingestion takes from the folder."""
    feed = FolderFeed(folder, load_schema(BUNDLED_SCHEMA), settle_seconds=0)
    taken = []
    for batch in feed.batches():
        taken += [row.data["ID"] for row in batch.rows]
        batch.done()
    assert not feed.refused
    return taken


@pytest.mark.slow
def test_the_accounts_come_in_order_and_once_whether_files_were_taken_or_not(tmp_path):
    assert (has_begun(tmp_path), waits(tmp_path)) == (False, False)
    names = [replay_bundled(tmp_path, rows=40).name for _ in range(2)]
    assert names == ["bundled-00001-00040.csv", "bundled-00041-00080.csv"]
    assert waits(tmp_path)
    taken = take(tmp_path)
    assert (has_begun(tmp_path), waits(tmp_path)) == (True, False)
    assert replay_bundled(tmp_path, rows=10).name == "bundled-00081-00090.csv"
    taken += take(tmp_path)
    assert [int(number) for number in taken] == list(range(1, 91))


@pytest.mark.slow
def test_it_ends_with_the_last_account(tmp_path):
    with gzip.open(BUNDLED_DATA, "rt") as file:
        accounts = sum(1 for _ in file) - 1
    assert replay_bundled(tmp_path, rows=accounts - 5)
    last = replay_bundled(tmp_path, rows=10)
    assert len(last.read_text().splitlines()) == 1 + 5
    assert replay_bundled(tmp_path, rows=10) is None


@pytest.mark.parametrize("place", [".", ".done", ".taken", ".refused"])
def test_a_file_of_ones_own_ends_it(tmp_path, place):
    replay_bundled(tmp_path, rows=10)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "loans.csv").touch()
    assert replay_bundled(tmp_path, rows=10) is None


def test_what_goes_with_a_file_is_no_file_of_ones_own(tmp_path):
    replay_bundled(tmp_path, rows=10)
    (tmp_path / ".refused").mkdir()
    (tmp_path / ".refused" / "bundled.reason.txt").touch()
    (tmp_path / ".hidden").touch()
    assert replay_bundled(tmp_path, rows=10) is not None


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="the folder of applications must exist"):
        replay_bundled(tmp_path / "nowhere", rows=10)
