"""Schemas in TOML files and as plain values: they are read, checked and written.

    schema = load_schema(Path("config/schemas/credit_card.toml"))
    Path("mine.toml").write_text(dump_schema(schema))

`language` says which keys a file may have.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from loan_default.data.schema.language import (
    CODED_KEYS,
    CODED_KINDS,
    NUMERICAL_KEYS,
    SHARED_KEYS,
    TARGET_KEYS,
    Column,
    Kind,
    Schema,
    column_to_dict,
)
from loan_default.errors import DataError, did_you_mean


def load_schema(path: Path) -> Schema:
    """Read the schema in a TOML file.

    Raises:
        DataError: no such file, not TOML, or not a schema.
    """
    try:
        raw = tomlkit.parse(path.read_text(encoding="utf-8")).unwrap()
    except FileNotFoundError:
        raise DataError(f"the schema file must exist, however: {path}") from None
    except OSError as error:
        raise DataError(f"the schema file must be readable, however: {path}: {error.strerror}") from error
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise DataError(f"the schema file must be TOML in UTF-8, however: {path}: {error}") from error
    return schema_from_dict(raw, where=str(path))


def dump_schema(schema: Schema, *, notes: Mapping[str, str] | None = None) -> str:
    """The TOML text of a schema; `notes` (column -> lines, "" = the schema) become comments above them."""
    notes = notes or {}
    head = {"name": schema.name} | ({"description": schema.description} if schema.description else {})
    parts = [_comment(notes.get("", "")) + tomlkit.dumps(head)]
    parts += [_comment(notes.get(column.name, "")) + _column_to_toml(column) for column in schema.columns]
    return "\n".join(parts)


def schema_from_dict(raw: Mapping[str, Any], *, where: str = "schema") -> Schema:
    """Build a schema from plain values, such as those of `schema_to_dict`.

    Raises:
        DataError: an unknown key, a wrong type or a contradiction; the message names the column.
    """
    for key in raw.keys() - {"name", "description", "columns"}:
        hint = did_you_mean(key, ["name", "description", "columns"])
        raise DataError(f"{where}: keys must be name, description, columns, however: {key!r}.{hint}")
    columns = raw.get("columns")
    if not isinstance(columns, Mapping) or not columns:
        raise DataError(f"{where}: [columns.…] tables must be there, however: columns={columns!r}")
    return Schema(
        name=str(raw.get("name", "schema")),
        description=str(raw.get("description", "")),
        columns=tuple(_column_from_dict(str(name), table, where) for name, table in columns.items()),
    )


def _comment(note: str) -> str:
    # A control character in a comment makes the whole file unreadable as TOML.
    comment = ""
    for line in note.splitlines():
        printable = "".join(each if each.isprintable() else " " for each in line)
        comment += f"# {printable}\n"
    return comment


def _column_to_toml(column: Column) -> str:
    table = tomlkit.table()
    for key, value in column_to_dict(column).items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            table[key] = inline
        else:
            table[key] = value
    columns = tomlkit.table(is_super_table=True)
    columns[column.name] = table
    document = tomlkit.document()
    document["columns"] = columns
    return tomlkit.dumps(document)


_TYPES: dict[str, tuple[type, ...]] = {
    "description": (str,),
    "unit": (str,),
    "nullable": (bool,),
    "optional": (bool,),
    "protected": (bool,),
    "integer": (bool,),
    "minimum": (int, float),
    "maximum": (int, float),
    "special": (list,),
    "categories": (list,),
    "labels": (dict,),
    "aliases": (dict,),
    "open": (bool,),
    "positive": (str, int),
    "negative": (str, int),
}


def _column_from_dict(name: str, table: Any, where: str) -> Column:
    where = f"{where}: column {name!r}"
    if not isinstance(table, Mapping):
        raise DataError(f"{where} must be a table, however: {table!r}")
    kinds = [kind.value for kind in Kind]
    try:
        kind = Kind(table.get("kind", ""))
    except ValueError:
        raise DataError(
            f"{where}: kind must be one of {kinds}, however: {table.get('kind')!r}."
            f"{did_you_mean(str(table.get('kind')), kinds)}"
        ) from None
    allowed = set(SHARED_KEYS)
    if kind is Kind.NUMERICAL:
        allowed.update(NUMERICAL_KEYS)
    if kind in CODED_KINDS:
        allowed.update(CODED_KEYS)
    if kind is Kind.TARGET:
        allowed.update(TARGET_KEYS)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key == "kind":
            continue
        if key not in allowed:
            hint = did_you_mean(key, allowed)
            raise DataError(
                f"{where}: a {kind} column must use keys of {sorted(allowed)}, however: {key!r}.{hint}"
            )
        values[key] = _parse_setting(key, value, where)
    return Column(name=name, kind=kind, **values)


def _parse_setting(key: str, value: Any, where: str) -> Any:
    expected = _TYPES[key]
    fits = isinstance(value, expected) and (bool in expected or not isinstance(value, bool))
    if not fits:
        raise DataError(f"{where}: {key} must be {expected[-1].__name__}, however: {value!r}")
    if key == "special":
        return tuple(_parse_number(item, f"{where}: special") for item in value)
    if key == "categories":
        return tuple(str(item) for item in value)
    if key in ("labels", "aliases"):
        return {str(left): str(right) for left, right in value.items()}
    return str(value) if key in TARGET_KEYS else value


def _parse_number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where} must hold numbers, however: {value!r}")
    return value
