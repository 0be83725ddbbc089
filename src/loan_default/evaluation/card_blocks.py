"""What the sections of a model card are made of: the same blocks become HTML and Markdown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from loan_default.evaluation import formats
from loan_default.evaluation.statements import Tone


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A finding with its tone."""

    tone: Tone
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of texts; columns after the first `texts` ones are numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    texts: int = 1
    """Leading columns that are text; the others are aligned as numbers."""
    long: bool = False
    """Whether a page lets it scroll."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart; Markdown shows its description."""

    title: str
    caption: str
    svg: str


Block = Text | Note | Table | Chart


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A section of the documents."""

    anchor: str
    title: str
    intro: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def blocks_for_page(blocks: Sequence[Block]) -> list[dict[str, object]]:
    """Blocks with the kind of each by name, which the template chooses by."""
    named: list[dict[str, object]] = []
    for block in blocks:
        if isinstance(block, Table):
            marks = ["" if at < block.texts else "figure" for at in range(len(block.columns))]
            named.append({"kind": "table", "block": block, "marks": marks})
        elif isinstance(block, Note):
            named.append({"kind": "note", "block": block})
        elif isinstance(block, Chart):
            named.append({"kind": "chart", "block": block, "svg": Markup(block.svg)})  # noqa: S704
        else:
            named.append({"kind": "text", "block": block})
    return named


def as_markdown(title: str, lines: Sequence[str], sections: Sequence[Section]) -> str:
    """The document as Markdown; what could be read as markup is escaped."""
    parts = [f"# {_escaped(title)}", *(_escaped(line) for line in lines)]
    for number, section in enumerate(sections, start=1):
        parts += [f"## {number}. {_escaped(section.title)}", _escaped(section.intro)]
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return _escaped(block.text)
    if isinstance(block, Note):
        return f"- **{block.tone}:** {_escaped(block.text)}"
    if isinstance(block, Chart):
        return f"*Chart: {_escaped(block.title)}. {_escaped(block.caption)}*"
    head = "| " + " | ".join(_cell(column) for column in block.columns) + " |"
    marks = ["---" if at < block.texts else "---:" for at in range(len(block.columns))]
    rows = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in block.rows]
    return "\n".join([_escaped(block.caption), "", head, "| " + " | ".join(marks) + " |", *rows])


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return _escaped(text) or formats.NOTHING
