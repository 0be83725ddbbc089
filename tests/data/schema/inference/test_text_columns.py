"""Columns of categories: how many levels they have, and which of them are categories."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tomlkit

from loan_default.data.schema.column import Kind
from loan_default.data.schema.frames import RawFrame, validate
from loan_default.data.schema.inference.findings import Severity
from loan_default.data.schema.inference.infer import Inference, infer_frame_schema
from loan_default.data.schema.inference.levels import read_levels
from loan_default.data.schema.language import Schema
from loan_default.data.schema.schema_files import dump_schema, schema_from_dict


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([9] * 3, "3 categories"),
        ([1] * 60, "60 levels, none frequent enough to be a category: all are hashed into 2 buckets"),
        (
            [9] + [1] * 60,
            "61 levels: 1 is frequent enough to be a category, the other 60 are hashed into 2 buckets",
        ),
        (
            [9] * 60 + [1],
            "61 levels: 60 are frequent enough to be categories, the other one is hashed into 1 bucket",
        ),
    ],
)
def test_levels_are_counted_with_what_becomes_of_them(rows, words):
    counts = pd.Series(rows, index=pd.Index([f"level {n}" for n in range(len(rows))], dtype="str"))
    assert read_levels("x", counts).in_words == words


# Words for "no value" that may be a category --------------------------------------------------------------


def inferred(values: list[str]) -> tuple[Inference, pd.DataFrame]:
    """The inference of a file with this column x, and its rows."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": values}).astype("str")
    frame["bad"] = (rng.random(len(frame)) < 0.3).astype(int).astype("str")
    frame["debt"] = pd.Series(rng.normal(50, 9, len(frame))).map("{:.2f}".format).to_numpy()
    return infer_frame_schema(RawFrame(frame=frame), name="f", source="f", target="bad"), frame


def findings(inference: Inference) -> list[tuple[Severity, str]]:
    return [(each.severity, each.message) for each in inference.findings if each.column == "x"]


def canonical(frame: pd.DataFrame, schema: Schema) -> pd.Series:
    """The column x by the schema; no row may be rejected."""
    accepted = validate(RawFrame(frame=frame), schema, labelled=True).accepted
    assert len(accepted) == len(frame)
    return accepted["x"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("levels", "word", "severity"),
    [
        (("guarantor", "co-applicant"), "none", Severity.WARNING),
        (("Bürge", "Mitantragsteller"), "None", Severity.WARNING),
        (("DE", "FR", "PL"), "NA", Severity.WARNING),
        (("own", "rent", "mortgage"), "NA", Severity.NOTE),
        (("own", "rent"), "null", Severity.NOTE),
        (("own", "rent"), "N/A", Severity.NOTE),
    ],
)
def test_a_level_that_reads_as_missing_is_reported_with_the_line_that_keeps_it(levels, word, severity):
    inference, frame = inferred([*levels * 20, *[word] * 30])
    assert canonical(frame, inference.schema).isna().sum() == 30
    ((level, message),) = findings(inference)
    assert level is severity
    assert message.startswith(f"{word!r} (30 rows) is read as missing. To keep it as a category, let ")
    (line,) = re.findall(r"(categories = \[.*\]) be the line of \[columns\.x\]", message)
    text = dump_schema(inference.schema)
    (old,) = re.findall("^categories = .*$", text, flags=re.MULTILINE)
    kept = schema_from_dict(tomlkit.parse(text.replace(old, line)).unwrap())
    assert canonical(frame, kept).tolist() == frame["x"].tolist()


@pytest.mark.slow
def test_without_room_for_the_whole_line_the_category_to_add_is_named():
    inference, _ = inferred([*[f"level {row % 40}" for row in range(200)], *["none"] * 9, *["NULL"] * 8])
    ((severity, message),) = findings(inference)
    assert severity is Severity.WARNING
    assert message.startswith("'none' (9 rows), 'NULL' (8 rows) are read as missing.")
    assert message.endswith("To keep one as a category, add it to the categories of [columns.x]")


@pytest.mark.slow
@pytest.mark.parametrize("levels", [("guarantor", "co-applicant"), ("guarantor",)])
@pytest.mark.parametrize("word", ["none", "None", "NONE"])
def test_none_beside_blanks_is_a_category_by_itself(levels, word):
    inference, frame = inferred([*levels * 20, *[word] * 30, *[""] * 7])
    read = canonical(frame, inference.schema)
    assert (int(read.isna().sum()), int((read == word).sum())) == (7, 30)
    message = (
        f"{word!r} (30 rows) is a category, as blanks (7 rows) say that there is no value; missing = "
        f'["{word}"] makes it missing'
    )
    assert findings(inference) == [(Severity.NOTE, message)]
    by_file = dump_schema(inference.schema)
    assert canonical(frame, schema_from_dict(tomlkit.parse(by_file).unwrap())).equals(read)
    missing = replace(inference.schema["x"], missing=(word,))
    others = [each if each.name != "x" else missing for each in inference.schema.columns]
    assert canonical(frame, replace(inference.schema, columns=tuple(others))).isna().sum() == 37


@pytest.mark.slow
def test_none_beside_blanks_among_many_levels_is_a_category_where_it_is_frequent():
    many = [f"level {row // 2}" for row in range(300)]
    inference, frame = inferred([*many, *["none"] * 30, *[""] * 7])
    assert canonical(frame, inference.schema).isna().sum() == 7
    inference, frame = inferred([*many, *["none"] * 2, *[""] * 7])
    assert canonical(frame, inference.schema).isna().sum() == 9
    assert "'none' (2 rows) is read as missing." in " ".join(message for _, message in findings(inference))


def test_none_among_numbers_is_missing_beside_blanks_too():
    inference, frame = inferred([*[str(row * 0.3) for row in range(50, 90)], *["none"] * 30, *[""] * 7])
    assert canonical(frame, inference.schema).isna().sum() == 37
    assert inference.schema["x"].kind is Kind.NUMERICAL


def test_a_third_answer_beside_yes_and_no_needs_a_column_that_is_no_boolean():
    inference, frame = inferred([*["yes", "no"] * 40, *["n/a"] * 20])
    ((_, message),) = findings(inference)
    assert message.endswith('add it to the categories of [columns.x], without format = "boolean"')
    column = inference.schema["x"]
    column = replace(column, categories=(*column.categories, "n/a"), format="")
    others = [each if each.name != "x" else column for each in inference.schema.columns]
    assert canonical(frame, replace(inference.schema, columns=tuple(others))).tolist() == frame["x"].tolist()


WORDS = ["unknown", "Nicht angegeben", "Non renseignée", "desconocida", "não informada", "brak danych"]
WORDS += ["neuvedeno", "(K. A.)", "n/d", "#missing", "(blank)", "<none>", "?", "--", "//", "\N{EM DASH}"]


@pytest.mark.slow
@pytest.mark.parametrize("word", WORDS)
def test_words_that_say_nothing_in_any_language_are_no_category(word):
    inference, frame = inferred([*["own", "rent"] * 40, *[word] * 20])
    assert inference.schema["x"].categories == ("own", "rent")
    assert canonical(frame, inference.schema).isna().sum() == 20
    assert findings(inference) == [(Severity.WARNING, f"read as missing: {word!r} (20 rows)")]


@pytest.mark.slow
@pytest.mark.parametrize("word", ["ND", "absent", "blank", "void", "nil", "brak", "x", "leer", "pending"])
def test_words_that_may_be_a_category_stay_one(word):
    inference, frame = inferred([*["own", "rent"] * 40, *[word] * 20])
    assert canonical(frame, inference.schema).tolist() == frame["x"].tolist()
    assert findings(inference) == []


@pytest.mark.parametrize("scale", [["*", "**", "***", "****"], ["+", "-"], ["++", "+", "-", "--"]])
def test_stars_and_signs_of_a_scale_are_its_levels(scale):
    inference, frame = inferred([*scale * 30, *["?"] * 9])
    assert set(inference.schema["x"].categories) == set(scale)
    assert canonical(frame, inference.schema).isna().sum() == 9
