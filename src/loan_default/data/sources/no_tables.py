"""Files that are no tables, refused by what they are: none, a folder, a document, a damaged container."""

from pathlib import Path

from loan_default.errors import DataError


def check_file(path: Path) -> None:
    """Raise DataError where there is no such file."""
    if path.is_dir():
        raise DataError(f"the data must be a file, however: {path} is a directory. Name one file in it.")
    if not path.exists():
        raise DataError(f"the data file must exist, however: {path} was not found. Check the path.")


def check_no_document(head: str, path: Path) -> None:
    """Raise DataError where text is a document of another kind, or JSON that is one list."""
    start = head[:2000].lower()
    kinds = {
        "%pdf": "PDF",
        "{\\rtf": "RTF",
        "<!doctype": "HTML",
        "<html": "HTML",
        "<table": "HTML",
        "<?xml": "XML",
    }
    for beginning, kind in kinds.items():
        if start.startswith(beginning):
            raise DataError(f"a data file must be a table, however: {path.name} is {kind}. Export it as CSV.")
    if start.startswith("[") and head.rstrip().endswith(("]", "}", ",")) and "{" in start[:50]:
        raise DataError(
            f"JSON must have one object a line, however: {path.name} is one list. Write it as JSON lines."
        )


def check_promise(path: Path) -> None:
    """Refuse a file of one column whose name promises something else: it is damaged rather than a table."""
    for suffix in (".parquet", ".feather", ".xlsx", ".xlsb", ".ods", ".gz", ".zip"):
        if path.name.lower().endswith(suffix):
            raise DataError(
                f"the data file must be readable as what its name says, or be a table, however: {path.name} "
                f"is neither {suffix} nor a table of text"
            )
