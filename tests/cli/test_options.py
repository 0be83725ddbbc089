"""Options that are paths: none takes an address, which may come with a password."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import typer.main

from loan_default.cli import main as cli
from loan_default.cli.options import local_path

PASSWORD = "p455w0rd"
ADDRESSES = (f"s3://user:{PASSWORD}@host/x", f"mongodb://user:{PASSWORD}@host", f"user:{PASSWORD}@host")


def path_options(app: typer.Typer) -> Iterator[tuple[str, str, list[str]]]:
    """Command, its option, and a command line that gives an address there and is sound elsewhere."""
    for name, command in typer.main.get_command(app).commands.items():
        if command.callback is None:
            continue
        hints = inspect.signature(command.callback).parameters
        for option in command.params:
            if option.name in hints and _is_path(hints[option.name].annotation):
                line = [name]
                for each in command.params:
                    if each.required and each.name != option.name:
                        line += _given(each, "x")
                yield name, option.name, [*line, *_given(option, "ADDRESS")]


def _is_path(annotation: Any) -> bool:
    (held, *_) = get_args(annotation) or (annotation,)
    return Path in (held, *get_args(held))


def _given(option: Any, value: str) -> list[str]:
    named = option.opts[0].startswith("-")
    return [option.opts[0], value] if named else [value]


OPTIONS = list(path_options(cli.app))


def test_all_commands_with_paths_are_looked_at() -> None:
    assert {command for command, _, _ in OPTIONS} == {
        "train", "score", "schema", "doctor", "ingest", "prepare", "replay", "backup", "restore",
        "card", "explain", "drift", "evaluate", "promote",
    }  # fmt: skip
    assert len(OPTIONS) >= 14


@pytest.mark.parametrize(
    "words", [line for _, _, line in OPTIONS], ids=[f"{command}-{option}" for command, option, _ in OPTIONS]
)
def test_an_address_is_no_path(shell, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    for address in ADDRESSES:
        code, out, errors = shell(*[address if word == "ADDRESS" else word for word in words])
        assert code == 2
        assert "must be a path of this machine, not an address" in errors
        assert PASSWORD not in out + errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("group", ["list", "show", "replay"])
def test_the_schema_of_dead_letter_records_is_no_address(shell, group):
    words = ["show", "x"] if group == "show" else [group]
    code, out, errors = shell("dead-letters", *words, "--schema", ADDRESSES[0])
    assert (code, PASSWORD in out + errors) == (2, False)
    assert "must be a path of this machine, not an address" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("models", "ADDRESS"), ("score", "--data", "a.csv", "--out", "b.csv", "--model", "ADDRESS")]
)
def test_an_address_is_no_model(shell, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x\n1\n")
    for address in (*ADDRESSES, f"s3://user:{PASSWORD}@host/model.pth"):
        code, out, errors = shell(*[address if word == "ADDRESS" else word for word in words])
        assert (code, PASSWORD in out + errors) == (2, False)
        assert "not an address" in errors


@pytest.mark.parametrize("text", ["x", "store:", "/a/b.csv", "a b/c@d.csv", "C:/x.csv"])
def test_other_texts_are_paths(text: str) -> None:
    assert local_path(text) == Path(text)
