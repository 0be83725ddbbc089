"""Of many cases of one kind, some run with the fast tests and all with the others."""

from collections import Counter

import pytest

MANY_CASES = ("test_variants.py", "test_number_texts.py")
"""Files whose cases take long together: inference of a whole file, or many examples each."""
FIRST, EACH = 2, 5
"""The first cases of each test are fast, and one in so many of the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark most of many cases as slow, before the marks are looked at."""
    seen: Counter[str] = Counter()
    for item in items:
        if item.path.name in MANY_CASES:
            test = item.nodeid.partition("[")[0]
            number = seen[test]
            seen[test] += 1
            if number >= FIRST and number % EACH:
                item.add_marker(pytest.mark.slow)
