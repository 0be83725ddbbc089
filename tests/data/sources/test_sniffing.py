"""How files are written: found out from the content, asked where in doubt, compared with a schema."""

import pytest

from loan_default.data.schema.file_format import Compression, Container, FileFormat
from loan_default.data.sources.format_words import describe_format
from loan_default.data.sources.sniffing import detect_format
from loan_default.data.sources.table_files import read_columns, read_frame
from loan_default.errors import UnclearFileError

ROWS = [["1", "Zürich", "12.5"], ["2", "Genève", "7.25"], ["3", "Köln", "1250.75"]]


def write(folder, content, name="loans.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(delimiter=",", *, title="", footer="", end="\n", rows=ROWS):
    lines = [["id", "town", "rate"], *rows]
    return title + end.join(delimiter.join(line) for line in lines) + end + footer


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", "^", "~"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_delimiter_in_every_encoding_gives_the_same_rows(tmp_path, delimiter, encoding):
    path = write(tmp_path, table(delimiter).encode(encoding))
    raw = read_frame(path)
    assert raw.frame.columns.tolist() == ["id", "town", "rate"]
    assert raw.frame.to_numpy().tolist() == ROWS
    assert raw.rejects.empty


def test_a_file_without_a_header_is_a_question_with_its_options(tmp_path):
    path = write(tmp_path, "1,2\n3,4\n")
    with pytest.raises(UnclearFileError, match=r"--header none.*--header first"):
        detect_format(path)
    form = detect_format(path, header=False)
    assert read_columns(path, form=form) == ["column_1", "column_2"]
    assert read_frame(path, form=form).frame.index.tolist() == [0, 1]


def test_two_delimiters_that_are_equally_good_are_a_question(tmp_path):
    with pytest.raises(UnclearFileError, match=r"commas.*semicolons|semicolons.*commas"):
        detect_format(write(tmp_path, "a,b;c\n" + "x,y;z\n" * 9))


def test_titles_and_totals_are_no_rows_and_totals_are_counted(tmp_path):
    path = write(tmp_path, table(title="Loans of the bank\n\n", footer="\nTotal: 3 loans\n3 rows selected\n"))
    form = detect_format(path)
    raw = read_frame(path, form=form)
    assert (form.skip, form.footer) == (2, True)
    assert raw.frame["id"].tolist() == ["1", "2", "3"]
    assert raw.rejects.empty
    assert raw.footer_lines == 2


def test_a_last_row_that_is_cut_off_is_no_footer(tmp_path):
    raw = read_frame(write(tmp_path, table(footer="4,Ba")))
    assert raw.footer_lines == 0
    assert raw.rejects["text"].tolist() == ["4,Ba"]


def test_a_format_is_said_in_words():
    form = FileFormat(
        encoding="cp1252", delimiter=";", skip=1, footer=True, decimal=",", compression=Compression.GZIP
    )
    assert describe_format(form) == (
        "CSV in Windows-1252, gzipped, fields separated by semicolons, 1 title line above the header, "
        "a footer, decimal commas"
    )
    assert describe_format(FileFormat(container=Container.PARQUET)) == "Parquet"
