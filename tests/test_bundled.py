"""The bundled schema and data: in a checkout, and in an environment that has nothing but the wheel."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from loan_default.bundled import BUNDLED_DATA, BUNDLED_SCHEMA, bundled_root

ROOT = Path(__file__).resolve().parents[1]
BUILT_FROM = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "src", "config", "data")
QUICKLY = ("--pretrain", "--train", "--preset", "fast", "--epochs", "1", "--pretraining-epochs", "1")


def test_a_checkout_has_them_at_its_top():
    assert BUNDLED_DATA == ROOT / "data" / "credit_card" / "credit_card.csv.gz"
    assert BUNDLED_SCHEMA == ROOT / "config" / "schemas" / "credit_card.toml"
    assert BUNDLED_DATA.is_file()
    assert BUNDLED_SCHEMA.is_file()


def test_an_installed_package_has_its_own(tmp_path):
    package = tmp_path / "site-packages" / "loan_default"
    (package / "_bundled").mkdir(parents=True)
    assert bundled_root(package) == package / "_bundled"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as an index would get it, without a network."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in BUILT_FROM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder / name)
    uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", "dist", cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the pins of this one, and the package from its wheel."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    uv("venv", "--python", sys.executable, str(folder), cwd=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    # Of the packages of this environment, an editable one is not found by a path file.
    (site / "pins.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    uv("pip", "install", "--no-deps", "--python", str(folder / "bin/python"), str(wheel), cwd=folder.parent)
    return folder / "bin"


def uv(*words: str, cwd: Path) -> None:
    subprocess.run([str(Path(sys.executable).with_name("uv")), "--offline", *words], cwd=cwd, check=True)


@pytest.mark.slow
def test_a_wheel_has_all_that_the_package_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "loan_default").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"loan_default/py.typed", "loan_default/airflow/dags/model_training.py"} <= sources
    assert sources <= names
    top = [
        path
        for folder in ("config/policies", "config/schemas", "data/credit_card")
        for path in (ROOT / folder).iterdir()
    ]
    assert {f"loan_default/_bundled/{path.relative_to(ROOT)}" for path in top} <= names


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_wheel_works_in_an_empty_folder(installed, tmp_path):
    def run(program: str, *words: str) -> str:
        process = subprocess.run(
            [str(installed / program), *words],
            cwd=tmp_path,
            env={"PATH": os.defpath, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, (words, process.stdout, process.stderr)
        return process.stdout

    where = run("python", "-c", "from loan_default.bundled import BUNDLED_DATA as b; print(b)").strip()
    assert where.startswith(str(installed.parent)), "the package under test is the installed one"
    run("loan-default", "train", *QUICKLY, "--members", "1")
    made = tmp_path / "runs" / "credit_card"
    assert {path.name for path in made.iterdir()} >= {"model.pth", "report.html", "schema.toml"}
    run("loan-default", "ingest", "--rows", "100")
    assert list((tmp_path / "runs" / "training_store").rglob("*.parquet"))
    assert "credit" in run("loan-default", "schema", where, "--target", "default.payment.next.month")
    run("loan-default", "score", "--data", where, "--out", "scores.csv")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 30_001
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {
        "runs",
        "scores.csv",
    }
