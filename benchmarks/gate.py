"""How often the gate and a live experiment are wrong, and what they find: simulated models of known skill.

    python -m benchmarks.gate                      # all figures, about 4 minutes
    python -m benchmarks.gate --draws 200          # fewer draws, in less than a minute

Both models score the same people by normal scores, of which the larger part is shared. `error` is the share
of draws in which the challenger is called better (or as good) although it is not; `power` the share in which
it is and is called so. Ranges are 95 % (Wilson).
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.special import expit, ndtri

from loan_default.evaluation.delong import PairedAuc, paired_auc
from loan_default.evaluation.gate_checks import level_of
from loan_default.evaluation.live_comparison import (
    FEWEST_OUTCOMES,
    Conclusion,
    Scores,
    compare_pairs,
    conclusion_of,
    share_of,
)
from loan_default.thresholds import DEFAULT_THRESHOLDS

AUC, BAD_RATE, SHARED = 0.75, 0.22, 0.9
"""Skill of the champion, default rate, and correlation of the scores of both models within a class."""
DAYS, DAILY = 60, 150
"""Looks at a live experiment, and outcomes that become known before each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured share."""

    what: str
    rows: int
    lead: float
    share: float
    low: float
    high: float
    draws: int


def sample(
    rows: int, lead: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, and the PDs of a challenger and of a champion whose true AUCs differ by `lead`."""
    y = (generator.random(rows) < BAD_RATE).astype(float)
    common = generator.normal(size=rows)
    pds = []
    for auc in (AUC + lead, AUC):
        distance = np.sqrt(2) * ndtri(auc)
        own = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * generator.normal(size=rows)
        score = own + distance * y
        # The posterior of these scores: calibrated by construction.
        pds.append(expit(distance * (score - distance / 2) + np.log(BAD_RATE / (1 - BAD_RATE))))
    return y, pds[0], pds[1]


def gate_figures(draws: int) -> Iterator[Figure]:
    """Errors and power of the rule of the lead, and of a lead above 0 alone, which it replaces."""
    margin = DEFAULT_THRESHOLDS.maximum_auc_loss
    for rows in (600, 2_000, 5_000):
        for lead in (-0.009, 0.0, 0.01):
            generator = np.random.default_rng(rows)
            found = [paired_auc(*sample(rows, lead, generator)) for _ in range(draws)]
            for what, passed in (
                ("a lead of 0 or more, as before", [each.lead >= 0 for each in found]),
                ("better", [_above(each, 0.0) for each in found]),
                ("as good", [each.lead >= 0 and _above(each, -margin) for each in found]),
            ):
                yield _figure(what, rows, lead, passed)


def repeated_figures(draws: int) -> Iterator[Figure]:
    """Thirty equal challengers one after the other on rows of their own: does the champion ever fall?"""
    tried, rows = 30, 2_000
    generator = np.random.default_rng(1)
    leads = [paired_auc(*sample(rows, 0.0, generator)) for _ in range(draws * 3)]
    naive, counted = [], []
    for _ in range(draws):
        chosen = [leads[index] for index in generator.integers(0, len(leads), tried)]
        naive.append(any(_above(each, 0.0) for each in chosen))
        counted.append(any(_above(each, 0.0, number) for number, each in enumerate(chosen, start=1)))
    yield _figure(f"{tried} models, each by the interval of the first", rows, 0.0, naive)
    yield _figure(f"{tried} models, as the gate counts them", rows, 0.0, counted)


def live_figures(draws: int) -> Iterator[Figure]:
    """A shadow experiment looked at daily, until it has a winner or the days are over."""
    for lead in (0.0, 0.01, 0.02):
        generator = np.random.default_rng(7)
        ever, once = [], []
        for _ in range(draws):
            y, new, old = sample(DAYS * DAILY, lead, generator)
            won, naive = False, False
            for rows in range(DAILY, DAYS * DAILY + 1, DAILY):
                champion, challenger = (Scores(pds=pds[:rows], outcomes=y[:rows]) for pds in (old, new))
                naive = naive or _apart(paired_auc(y[:rows], new[:rows], old[:rows]))
                if not won and min(champion.bads, champion.goods) >= FEWEST_OUTCOMES:
                    measures = compare_pairs(champion, challenger, cutoff=0.2)
                    won = conclusion_of(measures) is not Conclusion.INCONCLUSIVE
                if won and naive:
                    break
            ever.append(won)
            once.append(naive)
        yield _figure(f"{DAYS} daily looks by the interval of one look", DAYS * DAILY, lead, once)
        yield _figure(f"{DAYS} daily looks by the interval of all looks", DAYS * DAILY, lead, ever)


def _above(paired: PairedAuc, threshold: float, comparisons: int = 1) -> bool:
    return paired.interval(level_of(comparisons))[0] > threshold


def _apart(paired: PairedAuc) -> bool:
    low, high = paired.interval(0.95)
    return low > 0 or high < 0


def _figure(what: str, rows: int, lead: float, passed: list[bool]) -> Figure:
    found = share_of(sum(passed), len(passed))
    return Figure(
        what=what, rows=rows, lead=lead, share=found.value, low=found.low, high=found.high, draws=len(passed)
    )


def main() -> None:
    """Measure and print a table; `--out` keeps it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1_000, help="draws of each figure, default 1000")
    parser.add_argument("--live-draws", type=int, default=300, help="draws of live experiments, default 300")
    parser.add_argument("--out", type=Path, help="JSON file. Default: none.")
    options = parser.parse_args()
    figures = []
    print("| what | rows | true lead | passes | 95 % |\n|---|---|---|---|---|")
    for each in chain(
        gate_figures(options.draws), repeated_figures(options.draws), live_figures(options.live_draws)
    ):
        figures.append(each)
        print(
            f"| {each.what} | {each.rows:,} | {each.lead:+.3f} | {each.share:.1%} | {each.low:.1%} to "
            f"{each.high:.1%} |",
            flush=True,
        )
    if options.out is not None:
        options.out.write_text(json.dumps([asdict(each) for each in figures], indent=2))


if __name__ == "__main__":
    main()
