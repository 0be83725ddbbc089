"""The page on the columns of a file: readable without scripts, and safe whatever the file holds."""

import pandas as pd

from loan_default.data.schema.frames import RawFrame
from loan_default.data.schema.inference.infer import infer_frame_schema
from loan_default.evaluation.pages import render_schema_page

ATTACK = "<script>alert(1)</script>"


def page_of(**columns: list[str]) -> str:
    raw = RawFrame(frame=pd.DataFrame(columns, dtype="str"))
    inference = infer_frame_schema(raw, name="loans", source="loans.csv", target=None)
    return render_schema_page(inference, source="loans.csv", written="CSV in UTF-8")


def test_each_column_stands_there_with_its_values_before_and_after():
    page = page_of(rate=["14.50%", "9.25%", "7.00%"] * 20, home=["OWN", "RENT"] * 30, empty=[""] * 60)
    for words in ("loans.csv", "CSV in UTF-8", "14.50%", "14.5", "numerical, percent", "OWN", "left out"):
        assert words in page
    columns = page[page.index("columns-title") :]
    assert columns.index(">rate<") < columns.index(">home<") < columns.index(">empty<")


def test_values_of_the_file_are_text():
    page = page_of(purpose=[ATTACK, "car"] * 30, income=[str(number) for number in range(60)])
    assert ATTACK not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
