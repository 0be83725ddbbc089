"""JSON lines: every key a column, every value the text of a CSV file, every other line kept beside them."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.file_format import Container, FileFormat
from loan_default.data.sources import json_lines
from loan_default.data.sources.json_lines import iter_json, json_names, json_text
from loan_default.data.sources.table_files import read_columns, read_frame
from loan_default.errors import DataError

FORM = FileFormat(container=Container.JSON_LINES)


def write(folder, text, name="loans.jsonl"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a, 'b'", "a, 'b'"),
        (True, "true"),
        (False, "false"),
        (2**62 + 1, "4611686018427387905"),
        (0.1, "0.1"),
        ([1, "a"], '[1,"a"]'),
        ({"b": None}, '{"b":null}'),
    ],
)
def test_a_value_is_the_text_of_a_csv_file(value, text):
    assert json_text(value) == text


def test_keys_that_come_late_or_lie_elsewhere_are_columns_too(tmp_path):
    path = write(tmp_path, '{"id": 1, " town ": "Köln"}\n\n{"late": 2.5, "id": null}\n{"": "x"}\n')
    assert json_names(path, FORM) == ["id", " town ", "late", ""]
    assert read_columns(path) == ["id", "town", "late", "unnamed_4"]
    rows = read_frame(path).frame.to_numpy().tolist()
    assert rows == [["1", "Köln", "", ""], ["", "", "2.5", ""], ["", "", "", "x"]]


@pytest.mark.parametrize("line", ["[1]", "{", "1", '"a"', '{"id": 1} {"id": 2}', '{"id": NaN}', "id"])
def test_a_line_that_is_no_object_is_kept_beside_the_rows(tmp_path, line):
    raw = read_frame(write(tmp_path, f'{{"id": 1}}\n{line}\n{{"id": 3}}\n'))
    assert raw.frame.index.tolist() == [0, 2]
    assert raw.rejects.to_numpy().tolist() == [[1, "a row must be a JSON object", line]]


def test_rows_come_in_parts_with_their_rejects(tmp_path):
    path = write(tmp_path, '{"id": 1}\n' * 4 + "x\n" + '{"id": 2}\n')
    parts = list(iter_json(path, {"id": "id"}, 2, form=FORM))
    assert [part.frame.index.tolist() for part in parts] == [[0, 1], [2, 3], [5]]
    assert [part.rejects["row"].tolist() for part in parts] == [[], [], [4]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_other_encodings_are_read(tmp_path, encoding):
    text = '{"id": 1, "town": "Genève"}\n{"id": 2, "town": "Köln"}\n'
    raw = read_frame(write(tmp_path, text.encode(encoding)))
    assert raw.frame["town"].tolist() == ["Genève", "Köln"]


def test_a_file_without_objects_is_named(tmp_path):
    with pytest.raises(DataError, match=r"each line must be a JSON object, however: loans\.jsonl: none is"):
        json_names(write(tmp_path, "[1]\n"), FORM)


def test_each_line_is_parsed_once_for_names_and_once_for_rows(tmp_path, monkeypatch):
    path = write(tmp_path, '{"id": 1}\n' * 10)
    parsed = []
    whole = json_lines.orjson.loads
    monkeypatch.setattr(json_lines.orjson, "loads", lambda line: parsed.append(line) or whole(line))
    assert len(read_frame(path).frame) == 10
    assert len(parsed) == 20


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=6)
scalars |= st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), scalars, min_size=1), min_size=1, max_size=9))
def test_any_objects_come_back(tmp_path_factory, objects):
    lines = "".join(json.dumps(each) + "\n" for each in objects)
    raw = read_frame(write(tmp_path_factory.mktemp("json"), lines))
    assert raw.rejects.empty
    for row, each in zip(raw.frame.to_dict("records"), objects, strict=True):
        for key, text in row.items():
            value = each.get(key)
            if isinstance(value, float):
                assert math.isclose(float(text), value, rel_tol=0, abs_tol=0)
            else:
                assert text == json_text(value)


@pytest.mark.parametrize(
    "line",
    ['{"id": 1, "income": 2, "income": 3}', '{"id" : 1, "id" : 1}', '{"id": {"a": 1}, "x": ":", "id": null}'],
)
def test_a_key_that_comes_twice_says_nothing(tmp_path, line):
    raw = read_frame(
        write(tmp_path, '{"id": 1, "note": "\\"a\\": b", "in": {"id": 2, "note": 3}}\n' + line + "\n")
    )
    assert raw.frame["id"].tolist() == ["1"]
    assert raw.rejects["row"].tolist() == [1]
    assert "each key once" in raw.rejects["reason"][0]
