"""A plugin for pytest in a mutation run: which tests meet a mutant, and the quick ones first.

mutmut notes which functions each test calls, and runs only these tests on a mutant. A fixture of the session
or of a module is set up once, so without this its calls would count for the first test alone. Here they count
for every test that uses the fixture, as all of them may look at its result.
"""

import json
import os
from collections.abc import Generator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from mutmut.state import state

_hits: dict[int, set[str]] = {}
"""What the setup of a shared fixture has called, by the identity of its definition."""


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Generator[None, object, object]:
    if fixturedef.scope == "function" or not _noting():
        return (yield)
    before = set(state()._stats)
    state()._stats.clear()
    try:
        return (yield)
    finally:
        _hits.setdefault(id(fixturedef), set()).update(state()._stats)
        state()._stats.update(before)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: Any) -> None:
    """Adds the calls before mutmut notes those of the test."""
    if not _noting():
        return
    for definitions in item._fixtureinfo.name2fixturedefs.values():
        for definition in definitions:
            state()._stats.update(_hits.get(id(definition), ()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests first: most mutants end with them, and a shared fixture may train a model."""
    measured = Path("mutmut-stats.json")
    if not _noting() and measured.is_file():
        seconds = json.loads(measured.read_text(encoding="utf-8"))["duration_by_test"]
        items.sort(key=lambda item: (_shares_a_fixture(item), seconds.get(item.nodeid, 0.0)))


def _shares_a_fixture(item: Any) -> bool:
    definitions = chain.from_iterable(item._fixtureinfo.name2fixturedefs.values())
    return any(each.scope != "function" and each.baseid for each in definitions)


def _noting() -> bool:
    return os.environ.get("MUTANT_UNDER_TEST") == "stats"
