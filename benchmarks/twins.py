"""How often the search for near-copies is wrong: alarms on random sets without any, and planted ones found.

    python -m benchmarks.twins                     # 200 clean sets of each shape, signal and size, and power
    python -m benchmarks.twins --sets 50 --seed 7
    python -m benchmarks.twins --sets 0            # only what is found in the public credit sets

The sets of `benchmarks/twin_sets.py` are drawn anew for each seed.
"""

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.credit_sets import available, load
from benchmarks.twin_sets import SHAPES, SIGNALS, clean_set, schema_of, with_twins
from loan_default.data.datasets.twins import find_twins

SIZES = (500, 2_000, 8_000)
SHARES = (0.02, 0.05, 0.27)
JITTERS = (0.001, 0.01, 0.05)


def false_alarms(shape: str, *, sets: int, rows: int, signal: float, seed: int) -> int:
    """Clean sets in which near-copies are found."""
    alarms = 0
    for number in range(sets):
        draw = np.random.default_rng([seed, rows, number])
        frame, labels = clean_set(shape, draw, rows=rows, signal=signal)
        alarms += find_twins(frame, schema_of(frame), labels) is not None
    return alarms


def found_twins(shape: str, *, sets: int, rows: int, share: float, jitter: float, seed: int) -> list[float]:
    """Share of rows with a near-copy in each set where planted ones are found."""
    found = []
    for number in range(sets):
        draw = np.random.default_rng([seed, rows, number, 1])
        frame, labels = clean_set(shape, draw, rows=rows, signal=SIGNALS["usual"])
        frame, labels = with_twins(frame, labels, draw, share=share, jitter=jitter)
        twins = find_twins(frame, schema_of(frame), labels)
        if twins is not None:
            found.append(twins.share)
    return found


def print_public_sets(say: Callable[[str], None]) -> None:
    """Print what is found in the public sets."""
    say("| set | different rows | with a near-copy | one outcome | neighbours | AUC apart | AUC separated |")
    say("|---|---|---|---|---|---|---|")
    for name in available():
        data = load(name)
        twins = find_twins(data.frame, data.schema, data.y.astype(np.float64))
        if twins is None:
            say(f"| {name} | {len(data.frame):,} in all | none found | | | | |")
            continue
        say(
            f"| {name} | {twins.labelled:,} | {twins.rows:,} ({twins.share:.1%}) | {twins.agreement:.1%} "
            f"| {twins.ordinary:.1%} | {twins.auc_apart:.4f} | {twins.auc_straddling:.4f} |"
        )


def main(say: Callable[[str], None] = print) -> None:
    """Print the public sets, the table of false alarms, then that of planted near-copies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", type=int, default=200, help="clean sets of each kind; a tenth with copies")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print_public_sets(say)
    if options.sets < 1:
        return
    say("")
    say("| shape | signal | " + " | ".join(f"alarms at {rows:,} rows" for rows in SIZES) + " |")
    say("|---|---|" + "---|" * len(SIZES))
    total = 0
    for shape in SHAPES:
        for name, signal in SIGNALS.items():
            counts = [
                false_alarms(shape, sets=options.sets, rows=rows, signal=signal, seed=options.seed)
                for rows in SIZES
            ]
            total += sum(counts)
            say(
                f"| {shape} | {name} | " + " | ".join(f"{count} of {options.sets}" for count in counts) + " |"
            )
    every = options.sets * len(SHAPES) * len(SIGNALS) * len(SIZES)
    say(f"\nFalse alarms: {total} of {every:,}, {total / every:.2%}.\n")
    sets = max(1, options.sets // 10)
    say("| shape | rows | with a copy | " + " | ".join(f"jitter {jitter:.1%}" for jitter in JITTERS) + " |")
    say("|---|---|---|" + "---|" * len(JITTERS))
    for shape in SHAPES:
        for rows in SIZES[1:]:
            for share in SHARES:
                cells = []
                for jitter in JITTERS:
                    found = found_twins(
                        shape, sets=sets, rows=rows, share=share, jitter=jitter, seed=options.seed
                    )
                    rate = f", {np.mean(found):.1%} of rows" if found else ""
                    cells.append(f"{len(found)} of {sets}{rate}")
                say(f"| {shape} | {rows:,} | {share:.0%} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
