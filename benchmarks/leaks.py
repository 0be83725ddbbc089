"""How often the leak check is wrong: false alarms on random sets without a leak, and leaks that it finds.

    python -m benchmarks.leaks              # 1,000 sets of each kind
    python -m benchmarks.leaks --sets 100

A clean set has numbers, categories of 4 and of 200 levels, missing values at random, and features that do say
something (AUC about .7 and .8). A leak is the outcome under another name, with a share of the labels turned
round: a code, a number, and a column that is filled for most defaults only.
"""

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from loan_default.data.datasets.leakage import check_leaks
from loan_default.data.schema.column import Column, Kind
from loan_default.data.schema.language import Schema

Labels = NDArray[np.float64]
SIZES = ((300, 30), (2_000, 30), (2_000, 400), (1_000, 500))
"""(rows, defaults) of the sets."""
NOISES = (0.0, 0.01, 0.05, 0.20)
LEAKS = ("code", "number", "filled")
NUMBERS = ("plain", "gaps", "good", "better", "count", "mostly_zero")
CODES = ("few", "many", "flag")
SCHEMA = Schema(
    name="simulated",
    columns=(
        *(Column(name=name, kind=Kind.NUMERICAL, nullable=True) for name in (*NUMBERS, "number", "filled")),
        *(Column(name=name, kind=Kind.CATEGORICAL, open=True, nullable=True) for name in (*CODES, "code")),
        Column(name="bad", kind=Kind.TARGET),
    ),
)


def clean_set(generator: np.random.Generator, *, rows: int, bads: int) -> tuple[pd.DataFrame, Labels]:
    """Columns that say nothing or something of the outcome, and the outcome."""
    y = np.zeros(rows)
    y[generator.choice(rows, bads, replace=False)] = 1
    gaps = generator.random(rows) < 0.3
    frame = pd.DataFrame(
        {
            "plain": generator.normal(size=rows),
            "gaps": np.where(gaps, np.nan, generator.lognormal(size=rows)),
            "good": generator.normal(size=rows) + 0.75 * y,
            "better": generator.normal(size=rows) + 1.2 * y,
            "count": generator.poisson(1 + y).astype(float),
            "mostly_zero": np.where(generator.random(rows) < 0.8, 0.0, generator.random(rows)),
            "few": generator.choice(list("abcd"), rows),
            "many": generator.integers(0, 200, rows).astype(str),
            "flag": pd.Series(np.where(generator.random(rows) < 0.9, None, "x"), dtype="str"),
        }
    )
    return frame, y


def with_leak(
    frame: pd.DataFrame, y: Labels, leak: str, noise: float, generator: np.random.Generator
) -> tuple[pd.DataFrame, Labels]:
    """The set with one leaking column; a share of the outcomes is turned round after the leak was made."""
    n = len(y)
    columns = {
        "code": lambda: np.where(y == 1, "CHGOFF", "P I F"),
        "number": lambda: np.where(y == 1, generator.uniform(0, 10, n), generator.uniform(10, 30, n)),
        "filled": lambda: np.where((y == 1) & (generator.random(n) < 0.8), generator.random(n), np.nan),
    }
    turned = generator.random(n) < noise
    return frame.assign(**{leak: columns[leak]()}), np.where(turned, 1 - y, y)


def false_alarms(sets: int, *, rows: int, bads: int, seed: int = 0) -> tuple[int, int]:
    """Clean sets that are stopped, and those that are warned of."""
    stopped = warned = 0
    for number in range(sets):
        generator = np.random.default_rng([seed, rows, bads, number])
        found = check_leaks(*_arranged(*clean_set(generator, rows=rows, bads=bads)))
        stopped += bool(found.stopping)
        warned += bool(found.leaks)
    return stopped, warned


def found_leaks(
    sets: int, *, rows: int, bads: int, noise: float, leak: str, seed: int = 1
) -> tuple[int, int]:
    """Sets with a leak that are stopped, and those that are stopped or warned of."""
    counts: Counter[str] = Counter()
    for number in range(sets):
        generator = np.random.default_rng([seed, rows, bads, number])
        frame, y = clean_set(generator, rows=rows, bads=bads)
        found = check_leaks(*_arranged(*with_leak(frame, y, leak, noise, generator)))
        counts["stopped"] += any(each.column == leak for each in found.stopping)
        counts["named"] += any(each.column == leak for each in found.leaks)
    return counts["stopped"], counts["named"]


def _arranged(frame: pd.DataFrame, y: Labels) -> tuple[pd.DataFrame, Schema, Labels]:
    return frame, SCHEMA, y


def main(say: Callable[[str], None] = print) -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1_000)
    sets = parser.parse_args().sets
    say(f"False alarms on {sets:,} clean sets each\n\n| rows | defaults | stopped | warned |\n|--|--|--|--|")
    for rows, bads in SIZES:
        stopped, warned = false_alarms(sets, rows=rows, bads=bads)
        say(f"| {rows:,} | {bads} | {stopped / sets:.1%} | {warned / sets:.1%} |")
    tried = max(1, sets // 5)
    say(f"\nLeaks found in {tried:,} sets each, stopped (or at least warned of)\n")
    say("| rows, defaults | leak | " + " | ".join(f"noise {noise:.0%}" for noise in NOISES) + " |")
    say("|--|--|" + "--|" * len(NOISES))
    for rows, bads in SIZES:
        for leak in LEAKS:
            cells = []
            for noise in NOISES:
                stopped, named = found_leaks(tried, rows=rows, bads=bads, noise=noise, leak=leak)
                cells.append(f"{stopped / tried:.0%} ({named / tried:.0%})")
            say(f"| {rows:,}, {bads} | {leak} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
