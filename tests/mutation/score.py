"""Which mutants are tested, and what their results say of all."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KILLED = {"killed", "timeout", "segfault"}
"""What mutmut calls a mutant that the tests noticed; one that no test reaches has survived."""
NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Score:
    """How many mutants the tests noticed."""

    mutants: int
    killed: int

    @property
    def share(self) -> float:
        return self.killed / self.mutants

    @property
    def low(self) -> float:
        """Lower end of Wilson's 95 % interval."""
        return self._middle() - self._half_width()

    @property
    def high(self) -> float:
        """Upper end of Wilson's 95 % interval."""
        return self._middle() + self._half_width()

    def _middle(self) -> float:
        return (self.share + NORMAL_95**2 / (2 * self.mutants)) / (1 + NORMAL_95**2 / self.mutants)

    def _half_width(self) -> float:
        spread = self.share * (1 - self.share) / self.mutants + NORMAL_95**2 / (4 * self.mutants**2)
        return NORMAL_95 * math.sqrt(spread) / (1 + NORMAL_95**2 / self.mutants)


def sampled(names: Sequence[str], *, size: int, seed: int) -> list[str]:
    """`size` of the names, each as likely as any other; all where there are fewer."""
    if len(names) <= size:
        return list(names)
    return sorted(random.Random(seed).sample(sorted(names), size))


def scores_by_folder(statuses: Mapping[str, str]) -> dict[str, Score]:
    """The score of each folder of the package and of `all`, from the status of each mutant by its name."""
    by_folder: dict[str, list[str]] = {}
    for name, status in statuses.items():
        by_folder.setdefault(name.split(".")[1], []).append(status)
    by_folder = dict(sorted(by_folder.items())) | {"all": list(statuses.values())}
    return {
        folder: Score(mutants=len(found), killed=sum(status in KILLED for status in found))
        for folder, found in by_folder.items()
    }
