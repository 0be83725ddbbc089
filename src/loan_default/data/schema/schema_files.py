"""Schemas in TOML files and as plain values: they are read, checked and written.

    schema = load_schema(Path("config/schemas/credit_card.toml"))
    Path("mine.toml").write_text(dump_schema(schema))

`language` says which keys a file may have.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from loan_default.data.schema.column import KEYS_OF_KIND, MARK_KEYS, SHARED_KEYS, Column, Kind, column_to_dict
from loan_default.data.schema.file_format import FileFormat, format_from_dict, format_to_dict
from loan_default.data.schema.language import Schema
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
    if schema.format is not None:
        parts.append(tomlkit.dumps({"format": format_to_dict(schema.format)}))
    parts += [
        _comment(notes.get(column.name, "")) + _column_to_toml(column, schema.format)
        for column in schema.columns
    ]
    return "\n".join(parts)


def table_heading(name: str) -> str:
    """The heading of a column's table in a schema file: `[columns.income]`."""
    return f"[columns.{name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)}]"


def schema_from_dict(raw: Mapping[str, Any], *, where: str = "schema") -> Schema:
    """Build a schema from plain values, such as those of `schema_to_dict`.

    Raises:
        DataError: an unknown key, a wrong type or a contradiction; the message names the column.
    """
    for key in raw.keys() - set(_SCHEMA_KEYS):
        hint = did_you_mean(key, _SCHEMA_KEYS)
        raise DataError(f"{where}: keys must be {', '.join(_SCHEMA_KEYS)}, however: {key!r}.{hint}")
    form = format_from_dict(raw["format"], where=where) if "format" in raw else None
    columns = raw.get("columns")
    if not isinstance(columns, Mapping) or not columns:
        raise DataError(f"{where}: [columns.…] tables must be there, however: columns={columns!r}")
    return Schema(
        name=str(raw.get("name", "schema")),
        description=str(raw.get("description", "")),
        columns=tuple(_column_from_dict(str(name), table, form, where) for name, table in columns.items()),
        format=form,
    )


def _comment(note: str) -> str:
    # A control character in a comment makes the whole file unreadable as TOML.
    comment = ""
    for line in note.splitlines():
        printable = "".join(each if each.isprintable() else " " for each in line)
        comment += f"# {printable}\n"
    return comment


def _column_to_toml(column: Column, form: FileFormat | None) -> str:
    table = tomlkit.table()
    for key, value in column_to_dict(column, form).items():
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


_BARE_KEY = re.compile("[A-Za-z0-9_-]+")
_SCHEMA_KEYS = ("name", "description", "format", "columns")
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
    "capped": (bool,),
    "group": (bool,),
    "categories": (list,),
    "labels": (dict,),
    "aliases": (dict,),
    "open": (bool,),
    "buckets": (int,),
    "positive": (list, str, int),
    "negative": (list, str, int),
    "unknown": (list,),
    "rejected": (list,),
    "excluded": (list,),
    "missing": (list,),
    "known_after_decision": (bool,),
    "actionable": (bool,),
    "monotonic": (str,),
    "reason": (str,),
    "format": (str,),
    "decimal": (str,),
    "thousands": (str,),
    "first_year": (int,),
    "derive": (str,),
}


def _column_from_dict(name: str, table: Any, form: FileFormat | None, where: str) -> Column:
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
    allowed = {*SHARED_KEYS, *KEYS_OF_KIND[kind]}
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
    if form is not None:
        inherited = {key: getattr(form, key) for key in MARK_KEYS if key in allowed}
        values = inherited | values
    if kind is Kind.TARGET:
        values |= _target_values(values, where)
    return Column(name=name, kind=kind, **values)


def _target_values(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The first spelling of each outcome, and the others as aliases of it."""
    named: dict[str, Any] = {}
    aliases: dict[str, str] = {}
    for key in ("positive", "negative"):
        if key not in values:
            continue
        if not values[key]:
            raise DataError(f"{where}: {key} must name a value, however: none")
        named[key], *others = values[key]
        aliases |= dict.fromkeys(others, named[key])
    return named | {"aliases": aliases}


def _parse_setting(key: str, value: Any, where: str) -> Any:
    expected = _TYPES[key]
    fits = isinstance(value, expected) and (bool in expected or not isinstance(value, bool))
    if not fits:
        raise DataError(f"{where}: {key} must be {expected[-1].__name__}, however: {value!r}")
    if key == "special":
        return tuple(_parse_number(item, f"{where}: special") for item in value)
    if key in ("positive", "negative"):
        return tuple(str(item) for item in (value if isinstance(value, list) else [value]))
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    if isinstance(value, dict):
        return {str(left): str(right) for left, right in value.items()}
    return value


def _parse_number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where} must hold numbers, however: {value!r}")
    return value
