"""Figures of test rows that have been measured: `quality.csv` beside this file, which is kept with the code.

A set, model and seed takes minutes to hours, and its predictions are kept on the machine that made them. The
file gathers what several machines have measured, a line for each of them, with the release that it is of.
"""

import csv
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

FILE = Path(__file__).with_name("quality.csv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Metrics of one model on the test rows of one set."""

    set: str
    model: str
    seed: int
    auc: float
    ks: float
    brier: float
    log_loss: float
    slope: float | None
    auc_before: float | None
    """Before the last fit; None = it was not written down."""
    log_loss_before: float | None
    seconds: float | None
    commit: str
    """Beginning of the commit that measured it, or that first stated it."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What is measured."""
        return self.set, self.model, self.seed


def read_figures(path: Path = FILE) -> dict[tuple[str, str, int], Figures]:
    """Set, model and seed -> figures; the last line of the same counts."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        found = [_figures(row) for row in csv.DictReader(file)]
    return {each.key: each for each in found}


def add_figures(figures: Figures, path: Path = FILE) -> None:
    """Add a line; a former one of the same set, model and seed goes."""
    known = read_figures(path) | {figures.key: figures}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Figures)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(known[key]) for key in sorted(known))


def figures_table(figures: Iterable[Figures]) -> str:
    """Markdown: the mean of each model on each set, and how many seeds it is of."""
    of_model: dict[tuple[str, str], list[Figures]] = {}
    for each in figures:
        of_model.setdefault((each.set, each.model), []).append(each)
    lines = ["| set | model | seeds | AUC | KS | Brier | log loss |", "|---|---|---|---|---|---|---|"]
    for (name, model), runs in of_model.items():
        means = [sum(getattr(run, key) for run in runs) / len(runs) for key in _SHOWN]
        cells = [f"{mean:.4f}".removeprefix("0") for mean in means]
        lines.append(f"| {name} | {model} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def this_commit() -> str:
    """Beginning of the commit of this checkout; + where files have changed since."""
    root = FILE.parents[1]

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout

    changed = git("status", "--porcelain", "--untracked-files=no", "src").strip()
    return f"{git('rev-parse', '--short', 'HEAD').strip()}{'+' if changed else ''}"


_SHOWN = ("auc", "ks", "brier", "log_loss")


def _figures(row: Mapping[str, str]) -> Figures:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    return Figures(
        set=row["set"],
        model=row["model"],
        seed=int(row["seed"]),
        auc=float(row["auc"]),
        ks=float(row["ks"]),
        brier=float(row["brier"]),
        log_loss=float(row["log_loss"]),
        slope=number("slope"),
        auc_before=number("auc_before"),
        log_loss_before=number("log_loss_before"),
        seconds=number("seconds"),
        commit=row["commit"],
    )
