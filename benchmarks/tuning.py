"""Random search: settings are tried on the validation rows, and each trial is kept."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from loan_default.files import write_atomically

Settings = Mapping[str, float]
"""Parameters by the names that the library's scikit-learn class gives them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Settings and what they reached on the validation rows."""

    settings: Settings
    log_loss: float
    rounds: int
    seconds: float


def best_trial(
    proposed: Sequence[Settings], measure: Callable[[Settings], tuple[float, int]], *, kept: Path
) -> Trial:
    """The trial of least log loss among the proposed settings.

    Args:
        measure: log loss and rounds of some settings.
        kept: JSON file of the trials so far. It is written after each one, so that a kill costs one.
    """
    done = [Trial(**each) for each in json.loads(kept.read_text("utf-8"))] if kept.exists() else []
    for settings in proposed[len(done) :]:
        since = time.monotonic()
        loss, rounds = measure(settings)
        seconds = round(time.monotonic() - since, 1)
        done.append(Trial(settings=settings, log_loss=loss, rounds=rounds, seconds=seconds))
        write_atomically(kept, json.dumps([asdict(each) for each in done], indent=1).encode())
    return min(done[: len(proposed)], key=lambda trial: trial.log_loss)
