"""Scoring a file: every row is scored or in the quarantine, in order, and files are whole or absent."""

import csv
import gzip
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import torch
from damaged_tables import check_refusal, tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.frames import validate
from loan_default.data.sources.sniffing import format_for
from loan_default.data.sources.table_files import iter_frames, read_frame
from loan_default.errors import ConfigurationError, DataError, LoanDefaultError
from loan_default.evaluation.metrics import score_points
from loan_default.models.device import torch_threads
from loan_default.models.model import load_model
from loan_default.pipelines.scoring import file_scoring as scoring
from loan_default.pipelines.scoring.file_scoring import (
    check_paths,
    quarantine_beside,
    score_file,
    scoring_threads,
)


@pytest.fixture(scope="module")
def model(lab):
    return load_model(lab.outcome.out / "model.pth")


@pytest.fixture
def score(model, tmp_path):
    """Scores rows by way of a file; returns what became of them, and the scores."""

    def run(raw: pd.DataFrame, *, source: str = "new.csv", out: str = "scores.csv"):
        data = tmp_path / source
        raw.to_parquet(data) if source.endswith(".parquet") else raw.to_csv(data, index=False)
        path = tmp_path / out
        scored = score_file(
            model, data, out=path, quarantine=quarantine_beside(path), report=lambda rows: None
        )
        scores = pd.read_parquet(path) if out.endswith(".parquet") else pd.read_csv(path)
        return scored, scores

    return run


@pytest.mark.slow
@pytest.mark.parametrize("out", ["scores.csv", "scores.csv.gz", "scores.parquet"])
@pytest.mark.parametrize("source", ["new.csv", "new.csv.gz", "new.parquet"])
def test_scores_are_those_of_the_model_in_the_order_of_the_file(
    score, model, sound_applications, tmp_path, source, out
):
    scored, scores = score(sound_applications, source=source, out=out)
    raw = next(iter_frames(tmp_path / source))
    expected = model.predict_pd(validate(raw, model.schema, labelled=False).accepted)
    assert scores.columns.tolist() == ["id", "pd", "score", "model_version", "row"]
    assert scores["id"].tolist() == sound_applications["id"].tolist()
    np.testing.assert_allclose(scores["pd"], expected, rtol=1e-6)
    np.testing.assert_allclose(scores["score"], score_points(expected), atol=0.0051)
    assert scores["model_version"].unique().tolist() == [model.version]
    assert (scored.rows_read, scored.rows_scored, scored.rows_quarantined) == (300, 300, 0)
    assert scored.mean_pd == pytest.approx(expected.mean())
    assert scored.quarantine is None
    assert {path.name for path in tmp_path.iterdir()} == {source, out}


def test_broken_rows_go_to_the_quarantine_with_reasons_and_every_row_is_somewhere(
    score, sound_applications, tmp_path
):
    raw = sound_applications
    raw.loc[[4, 200], "purpose"] = "boat"  # the list of purposes is closed
    raw.loc[4, "income"] = "-1"
    raw.loc[7, "debt"] = ""  # must not be missing
    raw.loc[8, ["income", "ratio"]] = ["NaN", ""]  # may be
    raw.loc[9, "city"] = "Atlantis"  # the list of cities is open
    scored, scores = score(raw)
    assert (scored.rows_read, scored.rows_scored, scored.rows_quarantined) == (300, 297, 3)
    quarantine = pd.read_csv(scored.quarantine)
    assert scored.quarantine == tmp_path / "scores.quarantine.csv"
    assert quarantine["row"].tolist() == [4, 7, 200]
    assert "income: must be at least 0, however: '-1'; purpose: must be one of" in quarantine["reason"][0]
    assert quarantine["id"].tolist() == raw["id"].iloc[[4, 7, 200]].tolist()
    assert scores["id"].tolist() == raw["id"].drop([4, 7, 200]).tolist()
    assert scored.reasons == {
        "purpose: must be one of car, house, study": 2,
        "income: must be at least 0": 1,
        "debt: must not be missing": 1,
    }


def test_rows_that_cannot_be_split_are_in_the_quarantine_as_text(model, sound_applications, tmp_path):
    data = tmp_path / "new.csv"
    lines = sound_applications.to_csv(index=False).splitlines()
    lines[3] += ",one,too,many"
    data.write_text("\n".join(lines) + "\n")
    quarantine = tmp_path / "bad" / "rows.csv"
    scored = score_file(model, data, out=tmp_path / "s.csv", quarantine=quarantine, report=lambda rows: None)
    rejected = pd.read_csv(quarantine)
    assert (scored.rows_scored, rejected["row"].tolist()) == (299, [2])
    assert rejected["raw_text"][0] == lines[3]


@pytest.mark.slow
def test_optional_columns_may_be_absent_and_others_are_ignored(score, model, sound_applications):
    raw = sound_applications.drop(columns=["id", "made", "ratio", "city", "bad"]).assign(note="x")
    scored, scores = score(raw)
    assert scored.absent == ("ratio", "city")
    assert scored.ignored == ("note",)
    assert scores.columns.tolist() == ["row", "pd", "score", "model_version"]
    assert scores["row"].tolist() == list(range(300))
    missing = sound_applications.assign(ratio="", city="")
    np.testing.assert_allclose(scores["pd"], score(missing)[1]["pd"], rtol=1e-6)


def test_the_row_number_counts_rows_of_the_file_not_of_the_output(score, sound_applications):
    raw = sound_applications.drop(columns=["id"])
    raw.loc[1, "purpose"] = "boat"
    _, scores = score(raw, out="scores.parquet")
    assert scores["row"].tolist() == [0, *range(2, 300)]


@pytest.mark.slow
def test_rows_whose_identifier_is_blank_are_found_by_their_number(model, sound_applications, tmp_path):
    columns = tuple(
        replace(each, nullable=each.nullable or each.name == "id") for each in model.schema.columns
    )
    model = replace(model, schema=replace(model.schema, columns=columns))
    raw, data, out = sound_applications, tmp_path / "new.csv", tmp_path / "scores.csv"
    raw.loc[[3, 5], "id"] = ""
    raw.loc[4, "purpose"] = "boat"
    raw.to_csv(data, index=False)
    score_file(model, data, out=out, quarantine=quarantine_beside(out), report=lambda rows: None)
    scores = pd.read_csv(out)
    assert scores["row"].tolist() == [*range(4), *range(5, 300)]
    assert scores.loc[scores["id"].isna(), "row"].tolist() == [3, 5]
    assert scores["row"].dtype == np.int64


def test_rows_are_scored_as_often_as_they_come(score, sound_applications):
    twice = pd.concat([sound_applications, sound_applications])
    _, scores = score(twice)
    assert len(scores) == 600
    np.testing.assert_allclose(scores["pd"][:300], scores["pd"][300:], rtol=1e-6)


@pytest.mark.slow
def test_the_target_in_the_file_is_not_looked_at(score, sound_applications):
    with_target = score(sound_applications.assign(bad="nonsense"))[1]
    without = score(sound_applications.drop(columns="bad"))[1]
    pd.testing.assert_frame_equal(with_target, without)


@pytest.mark.slow
def test_chunks_do_not_change_the_scores(score, sound_applications, monkeypatch):
    raw = sound_applications
    raw.loc[[3, 64, 130], "purpose"] = "boat"
    whole, scores = score(raw)
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 64)
    chunked, by_chunks = score(raw)
    pd.testing.assert_frame_equal(by_chunks, scores, rtol=1e-5)
    assert chunked.reasons == whole.reasons
    assert chunked.rows_quarantined == 3


@pytest.mark.slow
def test_broken_rows_of_some_chunks_only_stand_in_one_table(score, sound_applications, monkeypatch, tmp_path):
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 64)
    raw = sound_applications.rename(columns={"made": "reason"}).assign(row="r")
    raw.loc[150, "purpose"] = "boat"
    scored, _ = score(raw)
    quarantine = pd.read_csv(scored.quarantine)
    assert quarantine["row"].tolist() == [150]
    assert quarantine[["raw_row", "raw_reason"]].notna().all(axis=None)


@pytest.mark.slow
def test_a_file_of_broken_rows_only_gives_a_header_and_the_quarantine(score, sound_applications):
    for out in ("scores.csv", "scores.parquet"):
        scored, scores = score(sound_applications.assign(purpose="boat"), out=out)
        assert (scored.rows_scored, scored.rows_quarantined, scored.mean_pd) == (0, 300, None)
        assert scores.columns.tolist() == ["id", "pd", "score", "model_version", "row"]
        assert scores.empty


@pytest.mark.slow
def test_a_stale_quarantine_of_an_earlier_run_goes(score, sound_applications, tmp_path):
    first, _ = score(sound_applications.assign(purpose="boat"))
    assert first.quarantine.exists()
    second, _ = score(sound_applications)
    assert second.quarantine is None
    assert not first.quarantine.exists()


def test_an_identifier_called_like_a_result_does_not_hide_it(model, sound_applications, tmp_path):
    columns = tuple(
        replace(column, name="pd") if column.name == "id" else column for column in model.schema.columns
    )
    renamed = replace(model, schema=replace(model.schema, columns=columns))
    data, out = tmp_path / "new.csv", tmp_path / "scores.csv"
    sound_applications.rename(columns={"id": "pd"}).to_csv(data, index=False)
    score_file(renamed, data, out=out, quarantine=quarantine_beside(out), report=lambda rows: None)
    scores = pd.read_csv(out)
    assert scores.columns.tolist() == ["pd_in_data", "pd", "score", "model_version", "row"]
    assert scores["pd_in_data"].tolist() == sound_applications["id"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_leaves_the_old_files_and_nothing_half(
    score, model, sound_applications, tmp_path, monkeypatch, error
):
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 64)
    broken = sound_applications.assign(purpose=["boat", *sound_applications["purpose"][1:]])
    score(broken)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def stop(rows):
        if rows > 128:
            raise error

    paths = {"out": tmp_path / "scores.csv", "quarantine": tmp_path / "scores.quarantine.csv"}
    with pytest.raises(error):
        score_file(model, tmp_path / "new.csv", report=stop, **paths)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_breaks_off_leaves_nothing(model, sound_applications, tmp_path):
    data, out = tmp_path / "new.csv.gz", tmp_path / "scores.csv"
    sound_applications.to_csv(data, index=False)
    data.write_bytes(data.read_bytes()[:-2000])
    with pytest.raises(DataError, match="readable to its end"):
        score_file(model, data, out=out, quarantine=quarantine_beside(out), report=lambda rows: None)
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv.gz"]


def test_a_missing_column_is_named(score, sound_applications, tmp_path):
    with pytest.raises(DataError, match=r"column 'purpose' of the schema.*Did you mean 'purposes'"):
        score(sound_applications.rename(columns={"purpose": "purposes"}))
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(model, sound_applications, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 64)
    peaks = []
    for times in (24, 48):  # the buffers at the beginning of a file are full in both
        data = tmp_path / f"{times}.csv.gz"
        raw = pd.concat([sound_applications] * times)
        raw.loc[raw.index % 3 == 0, "purpose"] = "boat"
        raw.to_csv(data, index=False)
        del raw
        form = format_for(data, model.schema)
        out = tmp_path / "scores.csv"
        rejected = quarantine_beside(out)
        tracemalloc.start()
        score_file(model, data, form=form, out=out, quarantine=rejected, report=lambda rows: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 300_000, f"peaks of 7,200 and 14,400 rows in bytes: {peaks}"


def test_compressed_scores_are_compressed(score, sound_applications, tmp_path):
    score(sound_applications, out="scores.csv.gz")
    with gzip.open(tmp_path / "scores.csv.gz", "rt") as file:
        assert file.readline() == "id,pd,score,model_version,row\n"


def test_scores_can_be_read_by_others_as_the_umask_says(score, sound_applications, tmp_path):
    score(sound_applications.assign(purpose="boat"))
    umask = os.umask(0o022)
    os.umask(umask)
    for name in ("scores.csv", "scores.quarantine.csv"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask


def test_paths_that_cannot_be_are_refused_before_anything_is_loaded(tmp_path, sound_applications):
    data, out = tmp_path / "new.csv", tmp_path / "scores.csv"
    sound_applications.to_csv(data, index=False)
    check_paths(data, out=tmp_path / "new" / "folder" / "scores.csv", quarantine=tmp_path / "q.csv")
    with pytest.raises(ConfigurationError, match=r"--out must end in \.csv, \.csv\.gz, \.parquet"):
        check_paths(data, out=tmp_path / "scores.xlsx", quarantine=tmp_path / "q.csv")
    with pytest.raises(ConfigurationError, match=r"--quarantine must end in \.csv"):
        check_paths(data, out=out, quarantine=tmp_path / "q.parquet")
    for overwriting in ({"out": data, "quarantine": tmp_path / "q.csv"}, {"out": out, "quarantine": out}):
        with pytest.raises(ConfigurationError, match="must be three files"):
            check_paths(data, **overwriting)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigurationError, match=r"folder\.csv is a folder"):
        check_paths(data, out=tmp_path / "folder.csv", quarantine=tmp_path / "q.csv")
    with pytest.raises(ConfigurationError, match=r"new\.csv is a file"):
        check_paths(data, out=data / "scores.csv", quarantine=tmp_path / "q.csv")
    with pytest.raises(DataError, match="must exist"):
        check_paths(tmp_path / "nowhere.csv", out=out, quarantine=tmp_path / "q.csv")


def test_the_quarantine_lies_beside_the_scores(tmp_path):
    for name in ("a.csv", "a.csv.gz", "a.parquet", "a.CSV"):
        assert quarantine_beside(tmp_path / name).name == "a.quarantine.csv"


def test_no_cell_of_the_files_is_a_formula_and_numbers_stay(score, sound_applications):
    link = '=HYPERLINK("http://example.invalid","click")'
    raw = sound_applications.head(3).copy()
    raw["id"] = [link, "-7", "@SUM(A1)"]
    raw["=note"] = ["", "\t=1", "+2.5"]
    raw.loc[raw.index[1:], "purpose"] = ["-1+1", "boat"]
    raw.loc[raw.index[1:], "debt"] = ["-5", "+cmd|' /C calc'!A0"]
    scored, scores = score(raw)
    assert scores["id"].tolist() == [f"'{link}"]
    assert scored.quarantine is not None
    rejected = pd.read_csv(scored.quarantine, dtype=str, keep_default_na=False)
    assert rejected["id"].tolist() == ["-7", "'@SUM(A1)"]
    assert rejected["debt"].tolist() == ["-5", "'+cmd|' /C calc'!A0"]
    assert rejected["purpose"].tolist() == ["'-1+1", "boat"]
    assert rejected["'=note"].tolist() == ["'\t=1", "+2.5"]
    # Read again as applications, they are what they were.
    again = read_frame(scored.quarantine).frame
    columns = ["id", "debt", "purpose", "=note"]
    assert again[columns].to_numpy().tolist() == raw.iloc[1:][columns].to_numpy().tolist()


def test_threads_follow_the_environment_and_are_put_back():
    with torch_threads(3):
        with scoring_threads({"OMP_NUM_THREADS": "1"}) as threads:
            assert threads == torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3


def test_what_training_never_saw_is_scored_and_counted(model, sound_applications, tmp_path):
    lenient = tuple(
        replace(column, nullable=True, open=column.is_coded, minimum=None, maximum=None, integer=False)
        if column.is_feature
        else column
        for column in model.schema.columns
    )
    model = replace(model, schema=replace(model.schema, columns=lenient))
    raw = sound_applications.copy()
    raw.loc[[4, 200], "purpose"] = "boat"
    raw["debt"] = ""
    raw.loc[5, "income"] = "99999999"
    raw.loc[6, "income"] = "much"
    data, out = tmp_path / "new.csv", tmp_path / "scores.csv"
    raw.to_csv(data, index=False)
    scored = score_file(model, data, out=out, quarantine=quarantine_beside(out), report=lambda rows: None)
    assert (scored.rows_scored, scored.rows_quarantined) == (299, 1)
    assert scored.rows_read == scored.rows_scored + scored.rows_quarantined == len(raw)
    assert scored.unseen["debt: missing, as in no training row"] == 299
    assert scored.unseen["purpose: a category unknown to the model"] == 2
    assert scored.unseen["income: above the range of the training rows"] >= 1
    assert list(scored.unseen.values()) == sorted(scored.unseen.values(), reverse=True)
    assert pd.read_csv(out)["pd"].between(0, 1).all()


ODD_CELLS = st.sampled_from(
    ["", "?", "k.A.", "-1", "1e400", "1,5", "1.250,00", "x", "yes", "TRUE", "0", "99", "\u00a0", "12 mois"]
)


@st.composite
def files(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """Odd cells by row and column."""
    return draw(st.lists(st.tuples(st.integers(0, 39), st.integers(0, 99), ODD_CELLS), max_size=60))


@st.composite
def column_changes(draw: st.DrawFn) -> dict[str, object]:
    """How a column of a schema may differ and still suit the same model."""
    return {
        "nullable": draw(st.booleans()),
        "optional": draw(st.booleans()),
        "missing": draw(st.sampled_from([(), ("?",), ("0", "x")])),
        "open": draw(st.booleans()),
        "minimum": draw(st.sampled_from([None, 0.0])),
        "integer": draw(st.booleans()),
        "format": draw(st.sampled_from(["", "", "percent", "months", "boolean"])),
        "decimal": draw(st.sampled_from([".", ","])),
    }


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cells=files(), changes=st.lists(column_changes(), min_size=12, max_size=12))
def test_every_row_that_is_read_is_scored_or_quarantined(model, sound_applications, tmp_path, cells, changes):
    raw = sound_applications.iloc[:40].astype("str").copy()
    for row, position, cell in cells:
        raw.iloc[row, position % raw.shape[1]] = cell
    columns = [
        changed(column, changes[position % len(changes)])
        for position, column in enumerate(model.schema.columns)
    ]
    schema = replace(model.schema, columns=tuple(columns))
    data, out = tmp_path / "new.csv", tmp_path / "scores.csv"
    raw.to_csv(data, index=False)
    for old in (out, quarantine_beside(out)):
        old.unlink(missing_ok=True)
    scored = score_file(
        replace(model, schema=schema),
        data,
        out=out,
        quarantine=quarantine_beside(out),
        report=lambda rows: None,
    )
    scores = pd.read_csv(out)
    refused = pd.read_csv(scored.quarantine) if scored.quarantine else pd.DataFrame({"row": []})
    assert scored.rows_read == len(raw)
    assert (len(scores), len(refused)) == (scored.rows_scored, scored.rows_quarantined)
    assert len(scores) + len(refused) == len(raw)
    assert refused["row"].is_unique
    assert scores["pd"].between(0, 1).all()


def changed(column: Column, changes: dict[str, object]) -> Column:
    """The column with those of the changes that its kind allows."""
    if not column.is_feature:
        return column
    keys = {"nullable", "optional", "missing"}
    keys |= {"open"} if column.is_coded else {"minimum", "integer", "format", "decimal"}
    if column.kind is Kind.CATEGORICAL and not column.categories:
        keys -= {"open"}  # a closed column must list its categories
    bounds = {"minimum": None, "maximum": None} if column.kind is Kind.NUMERICAL else {}
    return replace(column, **bounds | {key: changes[key] for key in keys})


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_every_row_of_any_file_is_scored_or_in_the_quarantine_or_the_file_is_refused(model, table):
    with TemporaryDirectory() as folder:
        data, out, quarantine = Path(folder, table.name), Path(folder, "s.csv"), Path(folder, "q.csv")
        data.write_bytes(table.content)
        try:
            scored = score_file(model, data, out=out, quarantine=quarantine, report=lambda rows: None)
        except LoanDefaultError as refusal:
            check_refusal(table, refusal)
            assert {path.name for path in Path(folder).iterdir()} == {table.name}
            return
        assert "cut file" not in table.damage
        written = rows_of(out), rows_of(quarantine)
    assert (scored.rows_scored, scored.rows_quarantined) == written
    assert scored.footer_lines == 0
    assert sum(written) == scored.rows_read == table.rows


def rows_of(path: Path) -> int:
    """Rows below the header, by the reader of Python; 0 where there is no file."""
    if not path.exists():
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1
