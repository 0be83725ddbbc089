"""The packages of the image that scores: they are pinned, few, and enough for what runs in it."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docker" / "serving-packages.txt"
KEPT_OUT = {"torch", "apache-airflow", "pyarrow", "scikit-learn", "matplotlib", "lightgbm"}
"""The large ones, none of which a score needs."""

ALONE = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    absent = frozenset({absent!r})

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.absent:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def listed() -> set[str]:
    lines = (line.partition("#")[0].strip() for line in LIST.read_text("utf-8").splitlines())
    return {canonicalize_name(line) for line in lines if line}


def with_dependencies(names: set[str]) -> set[str]:
    """Distributions with all that they need, without extras."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        for text in distribution(name).requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                left.append(canonicalize_name(needed.name))
    return found


@pytest.fixture(scope="module")
def image() -> set[str]:
    try:
        return with_dependencies(listed())
    except PackageNotFoundError as missing:
        pytest.skip(f"the extra `serving` must be installed, however: {missing} is not")


@pytest.fixture(scope="module")
def absent(image: set[str]) -> list[str]:
    """Top-level modules that are installed here and would not be in the image."""
    return sorted(
        module
        for module, owners in packages_distributions().items()
        if module != "loan_default" and not {canonicalize_name(owner) for owner in owners} & image
    )


def run(absent: list[str], program: str) -> subprocess.CompletedProcess[str]:
    code = ALONE.format(absent=absent) + program
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def test_what_is_large_and_needed_by_no_score_stays_out(image, absent):
    assert not image & KEPT_OUT
    assert {"torch", "pyarrow", "sklearn", "matplotlib"} <= set(absent)


def test_each_package_is_pinned_and_declared(image):
    pins = {
        canonicalize_name(name)
        for name in re.findall(
            r"^([A-Za-z0-9_.-]+)(?:\[\w+\])?==", (ROOT / "requirements.txt").read_text(), re.MULTILINE
        )
    }
    assert image <= pins
    declared = set(map(canonicalize_name, re.findall(r'^    "([A-Za-z0-9_-]+)', _pyproject(), re.MULTILINE)))
    assert listed() - {"crc32c"} <= declared, "crc32c comes with kafka-python"


def _pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text("utf-8")


def test_a_forbidden_module_is_absent_there(absent):
    done = run(absent, "import torch")
    assert "No module named 'torch'" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["score", "serve"])
def test_its_commands_start_on_these_packages_alone(absent, command):
    done = run(
        absent,
        f"sys.argv = ['loan-default', '{command}', '--help']\nfrom loan_default.cli.main import main\nmain()",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert command in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "module",
    [
        "loan_default.cli.main",
        "loan_default.serving.stream_scoring",
        "loan_default.serving.scorer",
        "loan_default.kafka.open_broker",
        "loan_default.database.connect",
    ],
)
def test_what_scores_is_imported_on_these_packages_alone(absent, module):
    done = run(absent, f"import {module}")
    assert done.returncode == 0, done.stderr[-2000:]
