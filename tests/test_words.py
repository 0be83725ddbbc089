"""The words of the field: code, tests and documents do not use those that only this project once knew.

A failure names file and line. Write the word on the right of `WORDS` instead; a line that needs the word on
the left, such as a value that is stored, goes into `ALLOWED` with its reason.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tests", "benchmarks", "notebooks", "docker", "kubernetes", "config", ".github")
SUFFIXES = {".py", ".md", ".html", ".css", ".toml", ".yaml", ".yml", ".sh", ".cfg", ".ipynb", ".tpl", ".txt"}

WORDS = {
    r"judg\w*": "validate, evaluate",
    r"court\w*": "evaluation",
    r"(?<!dead[-_ ])letters?": "dead-letter record",
    r"dead letters?": "dead-letter record",
    r"work(ed|s|ing)? off": "processed",
    r"dealt": "assigned",
    r"overt(ake|akes|aken|aking|ook)": "superseded",
    r"held out for good": "permanent holdout",
    r"announc\w*": "published",
    r"told": "logged, shown, passed",
    r"said": "stated, logged",
    r"news": "published",
    r"moments?": "timestamp",
    r"pace": "polling",
    r"laws?": "data-generating process",
    r"latent": "data-generating process",
    r"slices?(?!\()": "batch",
    r"pieces?": "batch",
    r"fences?": "fencing token",
    r"(?-i:Flow)": "services",
}
"""Pattern, as a whole word in text or within a name -> what the field says."""

ALLOWED = {
    r'"overtaken"': "a stored value",
    r"fences|FENCES": "the name of a collection",
    r'lap\("judge"\)|\{"judge", "log"': "the name of a stage in stored batches",
    r"letters, digits|letter-spacing": "letters of the alphabet",
    r"laws on lending|protected by law": "laws of a state",
    r"\"pieces\"|loan_default\.pieces": "a name within stored files",
    r": slice\b": "the type of Python",
}
"""Pattern of a line that may have such a word -> why."""


LENDERS_FILES = (ROOT / "tests" / "cases" / "files", ROOT / "tests" / "cases" / "more")
"""Folders of data in the words of others."""


def texts() -> Iterator[Path]:
    """Each file that people read."""
    yield from (path for path in ROOT.iterdir() if path.suffix in SUFFIXES or path.name == "Makefile")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            built = any(part.endswith((".egg-info", "_checkpoints")) for part in path.parts)
            of_lenders = path.parent in LENDERS_FILES
            if path.suffix in SUFFIXES and path.is_file() and not built and not of_lenders:
                yield path


def findings(word: str) -> list[str]:
    whole = re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.IGNORECASE)
    allowed = re.compile("|".join(ALLOWED) or r"(?!)")
    found = []
    for path in texts():
        if path.name in {Path(__file__).name, "requirements.txt", "CHANGELOG.md"}:
            continue
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if whole.search(line) and not allowed.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


@pytest.mark.parametrize("word", WORDS)
def test_the_words_are_those_of_the_field(word):
    found = findings(word)
    assert not found, f"write {WORDS[word]!r} instead:\n" + "\n".join(found)
