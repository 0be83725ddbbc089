"""ARFF: every value as it was written, and no row lost that cannot be split."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loan_default.data.schema.file_format import Container, FileFormat
from loan_default.data.sources.arff_files import arff_names, is_arff, iter_arff
from loan_default.data.sources.sniffing import detect_format
from loan_default.data.sources.table_files import read_columns, read_frame
from loan_default.errors import DataError

HEADER = """% Loans of a bank
@RELATION 'home loans'

@Attribute amount NUMERIC
@attribute 'the purpose' {'debt, other', "O'Neil", car}
@ATTRIBUTE "opened on" DATE "yyyy-MM-dd"
@attribute outcome{good,bad}
@DATA
"""
NAMES = ["amount", "the purpose", "opened on", "outcome"]


def write(folder, text, *, encoding="utf-8"):
    path = folder / "loans.arff"
    path.write_bytes(text.encode(encoding))
    return path


def rows_of(folder, data, header=HEADER):
    raw = read_frame(write(folder, header + data))
    assert raw.rejects.empty
    return raw.frame.to_numpy().tolist()


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("1.5,car,2018-07-05,good", ["1.5", "car", "2018-07-05", "good"]),
        ("1, 'debt, other' ,\"2018-07-05\",no", ["1", "debt, other", "2018-07-05", "no"]),
        ("1,'a \"b\" c',\"d 'e' f\",no", ["1", 'a "b" c', "d 'e' f", "no"]),
        (r"""1,'it\'s',"say \"x\"",no""", ["1", "it's", 'say "x"', "no"]),
        ('1,\'it\'\'s\',"say ""x""",no', ["1", "it's", 'say "x"', "no"]),
        (r"1,'15\% \\ a\tb','\u00e9',no", ["1", "15% \\ a\tb", "é", "no"]),
        ("?,?,'?',?", ["", "", "?", ""]),
        ("1,'','',no", ["1", "", "", "no"]),
        ("1,,O'Neil,C:\\new", ["1", "", "O'Neil", "C:\\new"]),
        ("1,15%,'5 % off',no % a remark, with a comma", ["1", "15%", "5 % off", "no"]),
        ("1,home loan,'x',no\t% it's so", ["1", "home loan", "x", "no"]),
        ("1 'debt, other'\t? no", ["1", "debt, other", "", "no"]),
    ],
)
def test_values_stand_with_and_without_quotes(tmp_path, line, cells):
    assert rows_of(tmp_path, f"{line}\n") == [cells]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_lines_end_and_are_encoded_in_any_way(tmp_path, end, encoding):
    text = f"{HEADER}1,Köln,?,good\n\n% an end\n2,'Zürich, Bern',?,bad".replace("\n", end)
    raw = read_frame(write(tmp_path, text, encoding=encoding))
    assert raw.frame.columns.tolist() == NAMES
    assert raw.frame.to_numpy().tolist() == [["1", "Köln", "", "good"], ["2", "Zürich, Bern", "", "bad"]]
    assert raw.rejects.empty


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2,3", "a row must have 4 fields, however: 3 fields"),
        ("1,2,3,4,5", "a row must have 4 fields, however: 5 fields"),
        ("1", "a row must have 4 fields, however: 1 field"),
        ("1,'2,3,4", "a quoted value must end, however"),
        ("1,'2'x,3,4", "must end at a delimiter, however"),
        ("{0 1, 3 bad}", "a row must give a value to each attribute, however: sparse"),
    ],
)
def test_rows_that_cannot_be_split_are_kept_beside_the_others(tmp_path, line, reason):
    raw = read_frame(write(tmp_path, f"{HEADER}1,car,?,good\n{line}\n2,car,?,bad\n"))
    assert raw.frame.index.tolist() == [0, 2]
    assert raw.rejects[["row", "text"]].to_numpy().tolist() == [[1, line]]
    assert reason in raw.rejects["reason"].item()


def test_bytes_of_no_character_reject_their_row_only(tmp_path):
    path = tmp_path / "loans.arff"
    path.write_bytes(f"{HEADER}1,Köln,?,good\n2,Zürich,?,good\n".encode() + b"3,K\xf6ln,?,bad\n")
    raw = read_frame(path)
    assert raw.frame["amount"].tolist() == ["1", "2"]
    assert raw.rejects["row"].tolist() == [2]
    assert "K\ufffdln" in raw.rejects["text"].item()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@relation r\n@attribute a numeric\n", "must have rows after @data"),
        ("@relation r\n@attribute\n@data\n1\n", "an attribute must have a name"),
        ("@relation r\n@attribute a numeric\n@data\n% none\n{0 1}\n", "must be dense"),
        (
            "@relation r\n@attribute a relational\n@attribute b numeric\n@end a\n@data\n'1',2\n",
            "single values",
        ),
        ("@relation r\n@attribute a numeric\n@attribute a numeric\n@data\n1,2\n", "must be distinct"),
        ("@relation r\n@attribute a numeric\n@data\n", "has a header only"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_frame(write(tmp_path, text))


def test_arff_is_known_by_its_keywords():
    assert is_arff("% a remark\n\n  @Relation r\n")
    assert is_arff("@attribute a numeric\n")
    assert not is_arff("a,b\n@relation,1\n")
    assert not is_arff("%\n" + "\n" * 100_000 + "a,b\n")  # in no time


def test_rows_come_in_parts(tmp_path):
    path = write(tmp_path, HEADER + "".join(f"{i},car,?,good\n" for i in range(7)))
    form = detect_format(path)
    assert form.container is Container.ARFF
    assert read_columns(path) == arff_names(path, form) == NAMES
    parts = list(iter_arff(path, NAMES, 3, form=form))
    assert [part.frame.index.tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6]]


# Any table -----------------------------------------------------------------------------------------------

texts = st.text(st.sampled_from([*"ab1 ,;'\"\\%?{}\n\t@", "é", "€"]), max_size=8)


def quoted(text, quote):
    controls = {"\n": "\\n", "\t": "\\t", "\\": "\\\\", quote: f"\\{quote}"}
    return quote + "".join(controls.get(character, character) for character in text) + quote


def is_plain(text):
    return re.fullmatch(r"[a-z1é€;]([a-z1é€;@]| (?!%))*", text) is not None and not text.endswith(" ")


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(
    table=st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=12),
    quotes=st.lists(st.sampled_from("'\""), min_size=36, max_size=36),
    comments=st.lists(st.booleans(), min_size=12, max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_comes_back_as_it_was_written(tmp_path_factory, table, quotes, comments, end):
    lines = ["@relation r", "@attribute a string", "@attribute 'b c' string", "@attribute d string", "@data"]
    choice = iter(quotes)
    for row, has_comment in zip(table, comments, strict=False):
        cells = [text if is_plain(text) else quoted(text, next(choice)) for text in row]
        lines.append(",".join(cells) + (" % 'a remark', \"and more" if has_comment else ""))
    path = write(tmp_path_factory.mktemp("arff"), end.join(lines) + end)
    raw = read_frame(path)
    assert raw.rejects.empty
    assert raw.frame.to_numpy().tolist() == [list(row) for row in table]


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(st.lists(st.text(st.sampled_from([*"ab1, '\"\\%?{}\t@", "é"]), max_size=12), max_size=12))
def test_every_line_is_a_row_or_a_reject(tmp_path_factory, lines):
    text = "@relation r\n@attribute a string\n@attribute b string\n@data\nx,y\n" + "\n".join(lines)
    raw = read_frame(write(tmp_path_factory.mktemp("arff"), text))
    n_lines = sum(bool(line.strip()) and not line.strip().startswith("%") for line in lines)
    assert len(raw.frame) + len(raw.rejects) == 1 + n_lines
    assert sorted([*raw.frame.index, *raw.rejects["row"]]) == list(range(1 + n_lines))


def test_a_format_of_an_earlier_schema_is_still_read(tmp_path):
    path = write(tmp_path, HEADER + "1,car,\"2018-07-05\",'good'\n")
    form = FileFormat(container=Container.ARFF, quote="'")
    assert read_frame(path, form=form).frame.iloc[0].tolist() == ["1", "car", "2018-07-05", "good"]
