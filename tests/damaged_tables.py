"""Tables of the lab's schema, written in any dialect and damaged; who writes them counts their rows."""

import gzip
import io
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import applications
from hypothesis import strategies as st

from loan_default.errors import LoanDefaultError

_CITIES = ["Zürich", "Málaga", "São Paulo", "x,y", "a;b", "a|b", 'the "Hague"', "", "NA", "=1+1"]
_ODD = [
    "boat",
    "much",
    "1,5",
    "-7",
    "1e999",
    "nan",
    "a\0b",
    "\0",
    "€",
    "  ",
    "'",
    "12/31/2020",
    "true",
    "9" * 40,
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A file of rows, and what is known of it without reading it."""

    name: str
    content: bytes
    rows: int
    """Rows that were written, whole or damaged; blank lines are none."""
    damage: tuple[str, ...]
    """What is wrong with the file; () = nothing."""

    def __repr__(self) -> str:
        head = self.content[:1500] if self.name.endswith((".csv", ".jsonl")) else b"..."
        return f"Table({self.name}, rows={self.rows}, damage={self.damage}, {head!r})"


def check_refusal(table: Table, refusal: LoanDefaultError) -> None:
    """Check that only a damaged file was refused, in one line."""
    assert table.damage, f"a file without damage was refused: {refusal}"
    assert str(refusal)
    assert "\n" not in str(refusal)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables of 1 to 40 rows as text, JSON lines or Parquet."""
    raw = applications(draw(st.integers(1, 40)), seed=draw(st.integers(0, 9)))
    names, records = raw.columns.tolist(), [[str(cell) for cell in row] for row in raw.to_numpy().tolist()]
    for record in records:
        record[names.index("city")] = draw(st.sampled_from(_CITIES))
    damage: list[str] = []
    for _ in range(draw(st.integers(0, 4))):
        record = records[draw(st.integers(0, len(records) - 1))]
        at, odd = draw(st.integers(0, len(names) - 1)), draw(st.sampled_from(["", *_ODD]))
        record[at] = odd
        damage.append(f"{names[at]}={odd!r}")
    write = draw(st.sampled_from([_as_text, _as_text, _as_text, _as_json, _as_parquet]))
    return write(draw, names, records, damage)


def _as_text(draw: st.DrawFn, names: list[str], records: list[list[str]], damage: list[str]) -> Table:
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n"]))
    is_quoted = draw(st.booleans())
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    for record in records:
        if draw(st.integers(0, 9)) == 0:
            record[names.index("city")] = f"two{end}lines"
    for _ in range(draw(st.integers(0, 2))):
        record = records[draw(st.integers(0, len(records) - 1))]
        n_fields = draw(st.integers(1, len(names) + 3))
        if n_fields != len(record) and (n_fields > 1 or record[0].strip(" \0")):
            record[:] = [*record[:n_fields], *["more"] * (n_fields - len(record))]
            damage.append(f"{n_fields} fields")
    lines = [delimiter.join(_field(cell, delimiter, is_quoted) for cell in row) for row in [names, *records]]
    match draw(st.sampled_from(["", "", "unclosed", "cut"])):
        case "unclosed":
            lines[-1] = delimiter.join([*records[-1][:-1], '"open']).replace(end, " ")
            damage.append("unclosed quote")
        case "cut":
            lines[-1] = lines[-1][: draw(st.integers(1, len(lines[-1])))]
            if not lines[-1].strip(f' \0"{delimiter}'):
                lines[-1] = "1"
            damage.append("cut line")
    for at in draw(st.lists(st.integers(1, len(lines)), max_size=2)):
        lines.insert(at, "")
        damage.append("blank line")
    text = end.join(lines) + (end if draw(st.booleans()) else "")
    return _packed(draw, "new.csv", text.encode(encoding, errors="replace"), rows=len(records), damage=damage)


def _as_json(draw: st.DrawFn, names: list[str], records: list[list[str]], damage: list[str]) -> Table:
    lines, are_numbers = [], draw(st.booleans())
    for record in records:
        row: dict[str, Any] = dict(zip(names, record, strict=True))
        if are_numbers:
            row = {name: _number(cell) for name, cell in row.items()}
        match draw(st.integers(0, 19)):
            case 0:
                del row[draw(st.sampled_from(names))]
                damage.append("no key")
            case 1:
                row["more"] = [1, {"a": None}]
                damage.append("one key more")
            case 2:
                row[draw(st.sampled_from(names))] = draw(st.sampled_from([None, [], {}, True, 10**400]))
                damage.append("odd type")
        lines.append(json.dumps(row, ensure_ascii=draw(st.booleans())))
    if draw(st.integers(0, 3)) == 0:
        lines[-1] = lines[-1][: draw(st.integers(1, len(lines[-1])))]
        damage.append("cut line")
    content = "\n".join(lines).encode() + (b"\n" if draw(st.booleans()) else b"")
    return _packed(draw, "new.jsonl", content, rows=len(records), damage=damage)


def _as_parquet(draw: st.DrawFn, names: list[str], records: list[list[str]], damage: list[str]) -> Table:
    columns: dict[str, Any] = {}
    for name, cells in zip(names, zip(*records, strict=True), strict=True):
        values = [_number(cell) for cell in cells]
        is_typed = draw(st.booleans()) and all(isinstance(value, int | float | None) for value in values)
        columns[name] = [None if value is None else float(value) for value in values] if is_typed else cells
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written, row_group_size=draw(st.integers(1, 50)))
    content = written.getvalue()
    if draw(st.integers(0, 4)) == 0:
        content = content[: draw(st.integers(1, len(content) - 1))]
        damage.append("cut file")
    return Table(name="new.parquet", content=content, rows=len(records), damage=tuple(damage))


def _packed(draw: st.DrawFn, name: str, content: bytes, *, rows: int, damage: list[str]) -> Table:
    if draw(st.booleans()):
        name, content = f"{name}.gz", gzip.compress(content)
        if draw(st.integers(0, 4)) == 0:
            content = content[: draw(st.integers(1, len(content) - 1))]
            damage.append("cut file")
    return Table(name=name, content=content, rows=rows, damage=tuple(damage))


def _field(cell: str, delimiter: str, is_quoted: bool) -> str:
    if is_quoted or any(character in cell for character in f'{delimiter}"\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _number(cell: str) -> Any:
    if not cell:
        return None
    try:
        return float(cell) if abs(float(cell)) < 1e300 else cell
    except ValueError:
        return cell
