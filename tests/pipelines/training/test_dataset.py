"""From a file to trusted rows: which schema, which rows, and that nothing is lost."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA
from loan_default.data.schema.inference.target_values import NamedOutcomes
from loan_default.data.schema.records import validate_record
from loan_default.data.schema.schema_files import load_schema, schema_from_dict
from loan_default.data.sources import table_files
from loan_default.errors import ConfigurationError, DataError
from loan_default.pipelines.training.dataset import load_dataset
from loan_default.pipelines.training.schema_choice import choose_schema
from loan_default.pipelines.training.training_options import FileData


def test_the_bundled_data_have_a_schema_whatever_their_path_is_called(monkeypatch):
    monkeypatch.chdir(BUNDLED_DATA.parent)
    for path in (BUNDLED_DATA, BUNDLED_DATA.relative_to(BUNDLED_DATA.parent)):
        choice = choose_schema(FileData(path), schema=None, target=None)
        assert choice.schema == load_schema(BUNDLED_SCHEMA)
        assert choice.origin == "read from credit_card.toml"
        assert choice.findings == ()


@pytest.mark.slow
def test_a_file_without_schema_gets_an_inferred_one_that_can_be_saved_and_read(lab, tmp_path):
    choice = choose_schema(FileData(lab.data), schema=None, target="bad")
    assert choice.origin == "inferred from loans.csv"
    assert choice.findings
    saved = tmp_path / "schema.toml"
    saved.write_text(choice.to_toml())
    assert load_schema(saved) == choice.schema
    assert "# note: " in saved.read_text()


@pytest.fixture
def reads(monkeypatch):
    """The files whose rows are read, each time that they are."""
    read, paths = table_files.iter_text, []

    def recording(path, names, rows, *, form):
        paths.append(path)
        return read(path, names, rows, form=form)

    monkeypatch.setattr(table_files, "iter_text", recording)
    return paths


@pytest.mark.slow
def test_a_file_without_a_schema_is_read_once(lab, reads, tmp_path):
    data = tmp_path / "ragged.csv"
    data.write_text(lab.data.read_text() + "too,few\n")
    choice = choose_schema(FileData(data), schema=None, target="bad")
    dataset = load_dataset(data, choice.schema, raw=choice.raw)
    assert reads == [data]
    again = load_dataset(data, choice.schema)
    pd.testing.assert_frame_equal(dataset.frame, again.frame)
    pd.testing.assert_frame_equal(dataset.quarantined, again.quarantined)
    assert (dataset.digest, dataset.rows_read, dataset.reasons) == (
        again.digest,
        again.rows_read,
        again.reasons,
    )


def test_a_file_with_a_schema_is_not_read_before_it_is_validated(lab, reads):
    choice = choose_schema(FileData(lab.data), schema=lab.schema, target=None)
    assert (choice.raw, reads) == (None, [])


def test_without_target_and_schema_the_columns_to_choose_from_are_listed(lab):
    with pytest.raises(
        ConfigurationError, match=r"--target COLUMN or --schema FILE.*columns are id, made, .*bad"
    ):
        choose_schema(FileData(lab.data), schema=None, target=None)
    with pytest.raises(DataError, match=r"must exist.*nowhere\.csv"):
        choose_schema(FileData(lab.data.with_name("nowhere.csv")), schema=None, target=None)


def test_a_target_that_the_schema_does_not_name_is_a_contradiction(lab):
    assert choose_schema(FileData(lab.data), schema=lab.schema, target="bad").schema.name == "loans"
    with pytest.raises(ConfigurationError, match=r"--target='income', loans\.toml names 'bad'"):
        choose_schema(FileData(lab.data), schema=lab.schema, target="income")


def test_every_row_is_accepted_quarantined_or_a_duplicate(lab):
    dataset = load_dataset(lab.data, load_schema(lab.schema))
    kept = set(dataset.frame.index) | set(dataset.quarantined["row"])
    assert kept == set(range(500))  # row 500 repeats row 0
    assert dataset.duplicates == 1
    assert dataset.rows_read == len(dataset.frame) + len(dataset.quarantined) + dataset.duplicates
    assert dataset.frame["bad"].isna().sum() == 20


def test_rows_that_cannot_be_split_are_counted_and_kept_as_text(lab, tmp_path):
    data = tmp_path / "ragged.csv"
    data.write_text(lab.data.read_text() + "too,few\n")
    dataset = load_dataset(data, load_schema(lab.schema))
    assert dataset.rows_read == 502
    last = dataset.quarantined.iloc[-1]
    assert (last["row"], last["raw_text"]) == (501, "too,few")
    assert dataset.reasons["a row must have 8 fields"] == 1


def test_a_file_of_broken_rows_only_says_what_breaks_them(lab, tmp_path):
    raw = lab.raw.assign(purpose="boat")
    raw.to_csv(tmp_path / "boats.csv", index=False)
    with pytest.raises(
        DataError, match=r"all 500 rows of boats.csv break it: purpose: must be one of .* \(500\)"
    ):
        load_dataset(tmp_path / "boats.csv", load_schema(lab.schema))


def test_columns_that_the_schema_does_not_know_are_named(lab, tmp_path):
    lab.raw.assign(note="x").to_csv(tmp_path / "more.csv", index=False)
    assert load_dataset(tmp_path / "more.csv", load_schema(lab.schema)).ignored_columns == ("note",)


def test_a_schema_without_target_is_no_reason_to_guess_one(lab, tmp_path):
    schema = schema_from_dict({"name": "x", "columns": {"income": {"kind": "numerical"}}})
    assert schema.target is None
    (tmp_path / "x.toml").write_text('name = "x"\n[columns.income]\nkind = "numerical"\n')
    with pytest.raises(ConfigurationError, match=r"x\.toml names None"):
        choose_schema(FileData(lab.data), schema=tmp_path / "x.toml", target="bad")


# Outcomes ----------------------------------------------------------------------------------------------


def marketplace(path: Path, *, rows: int = 400) -> Path:
    generator = np.random.default_rng(5)
    status = generator.choice(
        ["Fully Paid", "Charged Off", "Default", "Current", "In Grace Period", "Fraud", ""],
        rows,
        p=[0.5, 0.2, 0.1, 0.1, 0.04, 0.02, 0.04],
    )
    frame = pd.DataFrame({"income": generator.normal(30_000, 9_000, rows).round(2), "loan_status": status})
    frame.to_csv(path, index=False)
    return path


def test_values_that_are_no_outcome_yet_are_kept_and_counted(tmp_path):
    path = marketplace(tmp_path / "loans.csv")
    named = NamedOutcomes(bad=("Charged Off", "Default"), good=("Fully Paid",))
    choice = choose_schema(FileData(path), schema=None, target="loan_status", named=named)
    raw = pd.read_csv(path, keep_default_na=False)["loan_status"].value_counts()
    for given in (choice.raw, None):
        dataset = load_dataset(path, choice.schema, raw=given)
        assert len(dataset.frame) == 400
        assert dataset.not_known_yet == {
            name: raw[name] for name in ("Current", "In Grace Period", "", "Fraud")
        }
        assert (dataset.labels == 1).sum() == raw["Charged Off"] + raw["Default"]
        assert (dataset.labels == 0).sum() == raw["Fully Paid"]


def test_excluded_outcomes_are_quarantined_with_their_rule(tmp_path):
    path, text = marketplace(tmp_path / "loans.csv"), tmp_path / "loans.toml"
    text.write_text(
        '[columns.income]\nkind = "numerical"\n[columns.loan_status]\nkind = "target"\n'
        'positive = ["Charged Off", "Default"]\nnegative = "Fully Paid"\nexcluded = ["fraud"]\nopen = true\n'
    )
    choice = choose_schema(FileData(path), schema=text, target=None)
    dataset = load_dataset(path, choice.schema)
    frauds = int((pd.read_csv(path)["loan_status"] == "Fraud").sum())
    rule = "loan_status: must not be 'fraud', which the schema excludes"
    assert dataset.reasons == {rule: frauds}
    assert len(dataset.quarantined) == frauds
    assert set(dataset.not_known_yet) == {"Current", "In Grace Period", ""}
    records = [{"income": 1.0, "loan_status": value} for value in ("Default", "Current", None)]
    assert [validate_record(record, choice.schema)["loan_status"] for record in records] == [1.0, None, None]
    with pytest.raises(DataError, match="which the schema excludes"):
        validate_record({"income": 1.0, "loan_status": "FRAUD"}, choice.schema)
