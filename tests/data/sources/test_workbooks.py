"""Workbooks: the one sheet with rows as text, its titles and totals passed over."""

import pytest
from workbooks import write_workbook

from loan_default.data.sources.sniffing import detect_format
from loan_default.data.sources.table_files import read_frame
from loan_default.errors import UnclearFileError

ROWS = [["Report of loans"], ["id", "town", "rate"], [1, "Bern", 2.5], [2, "Rome", 3], ["Total of all loans"]]


def test_a_sheet_reads_like_text_whatever_the_name_of_the_file(tmp_path):
    write_workbook(tmp_path / "loans.csv", {"Empty": [], "Loans": ROWS})
    raw = read_frame(tmp_path / "loans.csv")
    assert raw.frame.columns.tolist() == ["id", "town", "rate"]
    assert raw.frame.to_numpy().tolist() == [["1", "Bern", "2.5"], ["2", "Rome", "3"]]
    assert raw.footer_lines == 1


def test_two_sheets_with_rows_are_a_question(tmp_path):
    path = tmp_path / "loans.xlsx"
    write_workbook(path, {"Loans": ROWS, "Notes": [["x", "y"], [1, 2]]})
    with pytest.raises(UnclearFileError, match=r"'Loans', 'Notes'.*--sheet"):
        detect_format(path)
    assert len(read_frame(path, form=detect_format(path, sheet="Loans")).frame) == 2
