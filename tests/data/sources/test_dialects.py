"""Delimiters, quotes, titles, headers and footers of text."""

import pytest

from loan_default.data.sources.cells import is_footer, is_no_value, is_number, is_time
from loan_default.data.sources.dialects import find_dialect, header_of, split_line
from loan_default.data.sources.sniffing import detect_format
from loan_default.data.sources.table_files import read_frame
from loan_default.errors import DataError


@pytest.mark.parametrize(
    ("text", "delimiter", "quote", "first"),
    [
        ("a;b;c\n1;2,5;x, y\n2;3,5;z\n", ";", '"', 0),
        ("a\tb\n1,5\t2,5\n3,5\t4,5\n", "\t", '"', 0),
        ("a,b\n'x, y',2\n'z',3\n'u, v',4\n", ",", "'", 0),
        ('a|b\n"x | y"|2\n"z"|3\n', "|", '"', 0),
        ("sep=;\na;b\n1,5;2\n", ";", '"', 0),
        ("Report, for the bank\n\na;b;c\n1;2;3\n2;3;4\n3;4;5\n", ";", '"', 1),
        ("  id   rate\n   1    2.5\n  12   13.5\n", " ", '"', 0),
        ("only\n1\n2\n", ",", '"', 0),
        ("id,town\n1,New York\n2,Bad Homburg\n", ",", '"', 0),
        ("id,note\n1,O'Neil\n2,d'Arc\n", ",", '"', 0),
    ],
)
def test_the_dialect_of_a_text(text, delimiter, quote, first):
    dialect = find_dialect(text, is_whole=True, name="loans.csv")
    assert (dialect.delimiter, dialect.quote, dialect.first) == (delimiter, quote, first)


@pytest.mark.parametrize(
    ("cells", "rows", "answer"),
    [
        (["id", "rate"], [["1", "2.5"], ["2", "3"]], True),
        (["town", "name"], [["Bern", "x"], ["Rome", "y"]], True),
        (["1", "2"], [["3", "4"]], None),
        (["A11", "6", "A34"], [["A12", "48", "A32"], ["A11", "12", "A34"]], None),
        (["A11", "1169.5"], [["A12", "48"], ["A14", "12.5"]], None),
        (["id", "2014", "2015"], [["7", "1", "2"]], True),
        (["RENT", "yes"], [["OWN", "no"], ["RENT", "no"]], None),
    ],
)
def test_whether_a_line_is_a_header(cells, rows, answer):
    assert header_of(cells, rows) is answer


@pytest.mark.parametrize(
    ("cells", "is_one"),
    [
        (["Total", "", "", "360"], True),
        (["Summe:", "1.234,5"], True),
        (["Total amount funded in policy code 1: 460296150"], True),
        (["360 rows selected."], True),
        (["------"], True),
        (["", "", "", ""], True),
        (["TRAILER", "360"], True),
        (["100021", "23772.27"], False),
        (["100021"], False),
        (["Total", "1", "2", "3"], False),
        (["4", "Ba"], False),
        (["A7", "", "", ""], False),
    ],
)
def test_what_a_footer_is(cells, is_one):
    assert is_footer(cells, 4) is is_one


@pytest.mark.parametrize(
    "cells",
    [
        ["Total Energies", "L100174", "1586.87", "", "40", "car"],
        ["Total Energies", "1586.87", "", "40", "", "0"],
        ["Total", "1586.87", "676.7", "", "40", "0"],
        ["Sum Bank", "", "", "", "40", "0"],
        ["Count", "L100174", "", "", "", ""],
        ["End", "1586.87", "3", "", "40", "0"],
        ["", "Gesamt", "car", "", "", "0"],
        ["Total Energies", "L100174", "1586"],
        ["Total Energies", "1586.87"],
    ],
)
def test_a_row_that_begins_with_a_word_for_totals_is_a_row(cells):
    assert not is_footer(cells, 6)


@pytest.mark.parametrize(
    "cells",
    [
        ["Grand total", "", "", "23810.5", "", "12"],
        ["", "", "Summe", "", "1.234,50", ""],
        ["Total general", "", "", "99", "", ""],
        ["Total loans:", "360"],
        ["Anzahl der Kredite: 360"],
        ["TRL", "000360", "", "", "", ""],
        ["Source: loan book of the bank", "", "", "", "", ""],
    ],
)
def test_a_line_that_says_total_above_few_sums_is_a_footer(cells):
    assert is_footer(cells, 6)


@pytest.mark.parametrize(
    ("cells", "is_one"),
    [
        (["Summe", *[""] * 6, "420 Anträge"], True),
        (["Total", "", "n = 360 loans", *[""] * 5], True),
        (["Total", "36 months", "own", *[""] * 5], False),
        (["Total", "36 months", "12 %", *[""] * 5], False),
        (["Acme", *[""] * 6, "420 loans"], False),
    ],
)
def test_a_total_may_say_what_it_counts(cells, is_one):
    assert is_footer(cells, 8) is is_one


def test_a_header_with_one_name_too_few_is_named(tmp_path):
    path = tmp_path / "loans.csv"
    path.write_text("age,bad\n" + "1,30,0\n2,40,1\n" * 5)
    with pytest.raises(DataError, match=r"names 2, and its rows have 3 fields"):
        detect_format(path)


def test_what_cells_are():
    for cell in (
        "1",
        "-2.5",
        "1.234,56",
        "$1,250",
        "14.5 %",
        "(12)",
        "1e-5",
        "1'000",
        "12 000",
        "EUR 5",
        ".5",
    ):
        assert is_number(cell), cell
    for cell in ("A11", "10+ years", "1-2-3", "x", "1.2.3.4"):
        assert not is_number(cell), cell
    assert all(map(is_time, ("2015-01-31", "31/01/2015", "1.2.2015 10:30", "2015-01-31T10:30:00Z")))
    assert all(map(is_no_value, ("", " ", "?", "NA", "n/a", "#N/A", "NULL", "-")))


def test_lines_between_blanks_keep_quoted_texts():
    assert split_line('1  "New York"   2', " ", '"') == ["1", "New York", "2"]


def test_blanks_in_a_title_do_not_make_blanks_the_delimiter_of_a_table_of_tabs(tmp_path):
    path = tmp_path / "loans.txt"
    rows = '"1"\t"Malaga, Malaga"\t"a"\t"9.5"\n'
    path.write_text(f'Loans of the bank\n"id"\t"value"\t"town"\t"rate"\n"0"\t""\t"a"\t"9.5"\n{rows * 2}')
    form = detect_format(path)
    assert (form.delimiter, form.skip) == ("\t", 1)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("'id','income','town'\n'1','12.5','Bern'\n'2','7.25','Rome'\n", ["1", "12.5", "Bern"]),
        ("'id';'income';'town'\n1;12.5;Bern\n2;7.25;Rome\n", ["1", "12.5", "Bern"]),
        ("id,income,town\n1,12.5,'Bern'\n2,7.25,'Rome'\n", ["1", "12.5", "Bern"]),
        (
            "'id','income','town'\n'1','12.5','St. John''s, x'\n'2','7','Rome'\n",
            ["1", "12.5", "St. John's, x"],
        ),
        ("id,income,town\n1,12.5,O'Hara\n2,7.25,'t Zand\n", ["1", "12.5", "O'Hara"]),
    ],
)
def test_names_and_values_in_single_quotes_are_read_without_them(tmp_path, text, first):
    path = tmp_path / "loans.csv"
    path.write_text(text, encoding="utf-8")
    raw = read_frame(path)
    assert raw.frame.columns.tolist() == ["id", "income", "town"]
    assert raw.frame.iloc[0].tolist() == first
