"""How often the leak check is wrong: false alarms on random sets without a leak, and leaks that it finds.

    python -m benchmarks.leaks                    # 1,000 clean sets and 200 of each leak, of each size
    python -m benchmarks.leaks --sets 100 --seed 7

The sets of `benchmarks/leak_sets.py` are drawn anew for each seed. A rule that was looked at with one seed
shows with another one whether it holds.
"""

import argparse
from collections import Counter
from collections.abc import Callable

import numpy as np

from benchmarks.leak_sets import FAMILIES, Family, schema_of
from loan_default.data.datasets.leakage import check_leaks

NOISES = (0.0, 0.01, 0.05, 0.20)


def false_alarms(family: Family, sets: int, *, rows: int, bads: int, seed: int) -> Counter[str]:
    """How many clean sets are "stopped" and how many "warned" of, and why: column -> sets."""
    counts: Counter[str] = Counter()
    for number in range(sets):
        frame, y = family.clean(np.random.default_rng([seed, rows, bads, number]), rows=rows, bads=bads)
        found = check_leaks(frame, schema_of(frame), y)
        counts["stopped"] += bool(found.stopping)
        counts["warned"] += bool(found.leaks)
        counts.update(f"column {leak.column}" for leak in found.leaks)
    return counts


def found_leaks(
    family: Family, sets: int, *, rows: int, bads: int, noise: float, leak: str, seed: int
) -> tuple[int, int]:
    """Sets with a leak that are stopped, and those that are stopped or warned of."""
    stopped = named = 0
    for number in range(sets):
        generator = np.random.default_rng([seed, rows, bads, number, 1])
        frame, y = family.clean(generator, rows=rows, bads=bads)
        frame, y = family.with_leak(frame[[]], y, leak, noise, generator)
        found = check_leaks(frame, schema_of(frame), y)
        stopped += any(each.column == leak for each in found.stopping)
        named += any(each.column == leak for each in found.leaks)
    return stopped, named


def print_family(family: Family, sets: int, seed: int, say: Callable[[str], None]) -> None:
    """Print both tables of one family as Markdown."""
    say(f"\nFalse alarms on {sets:,} clean {family.name} sets each, seed {seed}\n")
    say("| rows | defaults | stopped | stopped or warned | by |\n|--|--|--|--|--|")
    for rows, bads in family.sizes:
        counts = false_alarms(family, sets, rows=rows, bads=bads, seed=seed)
        by = ", ".join(
            f"{name.removeprefix('column ')} {counts[name]}" for name in counts if "column" in name
        )
        stopped, warned = counts["stopped"] / sets, counts["warned"] / sets
        say(f"| {rows:,} | {bads} | {stopped:.1%} | {warned:.1%} | {by or '-'} |")
    tried = max(1, sets // 5)
    say(f"\nLeaks found in {tried:,} {family.name} sets each, seed {seed}: stopped (stopped or warned of)\n")
    say("| rows, defaults | leak | " + " | ".join(f"noise {noise:.0%}" for noise in NOISES) + " |")
    say("|--|--|" + "--|" * len(NOISES))
    for rows, bads in family.sizes:
        for leak in family.leaks:
            cells = []
            for noise in NOISES:
                stopped, named = found_leaks(
                    family, tried, rows=rows, bads=bads, noise=noise, leak=leak, seed=seed
                )
                cells.append(f"{stopped / tried:.0%} ({named / tried:.0%})")
            say(f"| {rows:,}, {bads} | {leak} | " + " | ".join(cells) + " |")


def main(say: Callable[[str], None] = print) -> None:
    """Print the tables of each family of sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for family in FAMILIES:
        print_family(family, options.sets, options.seed, say)


if __name__ == "__main__":
    main()
