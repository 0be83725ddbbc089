"""Changes the code in small ways with mutmut, runs the fast tests that reach each change, and prints a score.

PYTHONPATH=tests python -m mutation                    a random sample of 400 mutants
PYTHONPATH=tests python -m mutation --all              all of them: many hours on two cores
PYTHONPATH=tests python -m mutation --seed 2 --size 100
PYTHONPATH=tests python -m mutation --only 'loan_default.data.*'
PYTHONPATH=tests python -m mutation --resume           go on with a run that was stopped

What is mutated, what is not and why stands in pyproject.toml under `tool.mutmut`. Run it in the repository's
root. The mutated copy of the tree is kept in `mutants/`, and `mutmut show NAME` prints one mutant.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from mutmut import __main__ as mutmut
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.stats import status_by_exit_code

from mutation.score import Score, sampled, scores_by_folder

COPIED = Path("mutants")
GOAL = 0.85


def main(words: Sequence[str]) -> int:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m mutation", description=description)
    parser.add_argument("--all", action="store_true", help="test every mutant; default: a sample")
    parser.add_argument("--size", type=int, default=400, help="mutants in the sample; default 400")
    parser.add_argument("--seed", type=int, default=1, help="of the sample; default 1")
    parser.add_argument("--only", default="*", help="pattern of mutants' names; default '*'")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: one for each core")
    parser.add_argument("--resume", action="store_true", help="test only what has no result yet")
    options = parser.parse_args(words)
    names = [name for name in _generate(options.workers) if fnmatchcase(name, options.only)]
    if not names:
        parser.error(f"--only must match a mutant, however: {options.only!r} matches none")
    chosen = names if options.all else sampled(names, size=options.size, seed=options.seed)
    print(f"{len(chosen):,} of {len(names):,} mutants are tested", flush=True)
    before = _results()
    open_ = [name for name in chosen if before[name] is None] if options.resume else chosen
    if open_ and not _test(open_, options.workers):
        return 1
    results = _results()
    if untested := sum(results[name] is None for name in chosen):
        print(f"\n{untested:,} mutants were not tested: there is no score. Go on with --resume.")
        return 1
    statuses = {name: status_by_exit_code[results[name]] for name in chosen}
    for name, status in statuses.items():
        if status != "killed":
            print(f"{status:>12}  {name}")
    _print_scores(scores_by_folder(statuses))
    return 0


def _generate(workers: int) -> list[str]:
    """The names of all mutants, written into the copied tree first; files that did not change are kept."""
    set_mutant_under_test("mutant_generation")
    COPIED.mkdir(exist_ok=True)
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    mutmut.create_mutants(workers)
    return sorted(_results())


def _results() -> dict[str, int | None]:
    """The exit code of the tests on each mutant, by its name; None = not tested."""
    mutants, _ = mutmut.collect_source_file_mutation_data(mutant_names=())
    return {name: code for _, name, code in mutants}


def _test(names: Sequence[str], workers: int) -> bool:
    """Whether mutmut came to its end."""
    environment = dict(os.environ)
    environment.pop("MUTANT_UNDER_TEST", None)
    environment["PYTHONPATH"] = str(Path("tests").absolute())  # of the plugin that pytest loads first
    environment["OMP_NUM_THREADS"] = "1"  # the workers have the cores already
    command = [str(Path(sys.executable).with_name("mutmut")), "run", "--max-children", str(workers), *names]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def _print_scores(scores: dict[str, Score]) -> None:
    print("\nfolder       mutants   killed    score   95 % interval")
    for folder, score in scores.items():
        row = f"{folder:<12} {score.mutants:>7,}  {score.killed:>7,}  {score.share:>7.1%}"
        print(f"{row}   {score.low:.1%} to {score.high:.1%}")
    print(f"\nThe goal of {GOAL:.0%} is {'reached' if scores['all'].share >= GOAL else 'missed'}.")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
