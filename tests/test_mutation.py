"""How mutants are chosen and counted, and that what is to be mutated is there."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutation.score import Score, sampled, scores_by_folder
from scipy.stats import binomtest

ROOT = Path(__file__).parents[1]
NAMES = [f"loan_default.data.x_{number}" for number in range(50)]


@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_interval_is_wilsons(mutants: int, share: float) -> None:
    score = Score(mutants=mutants, killed=round(share * mutants))
    expected = binomtest(score.killed, mutants).proportion_ci(method="wilson")
    assert (score.low, score.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_a_sample_is_decided_by_its_seed() -> None:
    assert sampled(NAMES, size=20, seed=1) == sampled(NAMES[::-1], size=20, seed=1)
    assert sampled(NAMES, size=20, seed=1) != sampled(NAMES, size=20, seed=2)
    assert len(set(sampled(NAMES, size=20, seed=1))) == 20
    assert sampled(NAMES, size=50, seed=1) == sampled(NAMES, size=51, seed=1) == NAMES


def test_scores_are_counted_by_folder_and_what_no_test_reaches_has_survived() -> None:
    scores = scores_by_folder(
        {
            "loan_default.pipelines.training.steps.x_run__mutmut_1": "killed",
            "loan_default.data.splits.x_cut__mutmut_1": "timeout",
            "loan_default.data.splits.x_cut__mutmut_2": "survived",
            "loan_default.data.schema.x_load__mutmut_1": "no tests",
        }
    )
    assert list(scores) == ["data", "pipelines", "all"]
    counts = {folder: (score.killed, score.mutants) for folder, score in scores.items()}
    assert counts == {"data": (1, 3), "pipelines": (1, 1), "all": (2, 4)}


def test_whole_folders_are_mutated_and_tested() -> None:
    """A module that moves within them, or is new, is mutated without being named."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    folders = [pattern.removesuffix("/*") for pattern in settings["only_mutate"]]
    assert folders == [f"src/loan_default/{name}" for name in ("data", "evaluation", "pipelines")]
    assert settings["pytest_add_cli_args_test_selection"] == [
        folder.replace("src/loan_default", "tests") for folder in folders
    ]
    for folder in (*folders, *settings["pytest_add_cli_args_test_selection"], *settings["also_copy"]):
        assert (ROOT / folder).is_dir()
