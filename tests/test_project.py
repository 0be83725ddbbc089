"""The facts about the project: versions, interpreters and tools agree wherever they stand."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from pre_commit.clientlib import load_config

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def yaml_of(name: str) -> Any:
    return yaml.safe_load(text_of(name))


def test_one_version_stands_wherever_a_version_is_named(project):
    version = project["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\] - (.+)$", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    chart = yaml_of("kubernetes/chart/Chart.yaml")
    assert headings[0][0] == version
    assert (chart["version"], chart["appVersion"]) == (version, version)
    assert yaml_of("kubernetes/airflow-values.yaml")["defaultAirflowTag"] == version
    assert set(re.findall(r"loan-default:(\d[\w.]*)", text_of("kubernetes/README.md"))) == {version}
    assert f"| {version.rpartition('.')[0]} | yes |" in text_of("SECURITY.md")


def test_the_changelog_is_dated_from_the_newest_version_to_the_oldest():
    headings = re.findall(r"^## \[(.+?)\] - (.+)$", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    numbers = [tuple(map(int, version.split("."))) for version, _ in headings]
    assert numbers == sorted(numbers, reverse=True)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in headings[1:])
    assert re.fullmatch(r"Unreleased|\d{4}-\d\d-\d\d", headings[0][1])


def test_the_interpreters_that_are_promised_are_those_that_are_tested(project):
    promised = SpecifierSet(project["project"]["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}" in promised] == list(PYTHONS)
    classifiers = project["project"]["classifiers"]
    assert tuple(re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))) == PYTHONS
    jobs = yaml_of(".github/workflows/ci.yml")["jobs"]
    (whole,) = versions_set_up(jobs["test"])
    assert (whole, *jobs["check"]["strategy"]["matrix"]["python"]) == PYTHONS
    assert project["tool"]["mypy"]["python_version"] == whole
    assert project["tool"]["ruff"]["target-version"] == f"py{whole.replace('.', '')}"


def versions_set_up(job: dict[str, Any]) -> list[str]:
    return [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]


def test_jobs_and_documents_name_targets_that_the_makefile_has():
    targets = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), flags=re.MULTILINE))
    callers = (".github/workflows/ci.yml", ".ci/run", "CONTRIBUTING.md", "README.md")
    call = re.compile(r"(?:^|`|run: |exec )make ([a-z-]+)", flags=re.MULTILINE)
    named = {target for name in callers for target in call.findall(text_of(name))}
    assert {"check", "test", "coverage"} <= named <= targets


def test_hooks_call_the_tools_of_the_environment_as_make_does():
    config = load_config(
        str(ROOT / ".pre-commit-config.yaml")
    )  # refuses keys and values that it does not know
    (repository,) = config["repos"]
    assert repository["repo"] == "local"  # versions stand in requirements.txt alone
    called = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in repository["hooks"]}
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", text_of("Makefile"), flags=re.MULTILINE)
    assert lint is not None
    assert called == set(re.findall(r"\$\(BIN\)/([\w-]+)", lint.group(1)))


def test_what_github_reads_is_well_formed():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert {form.stem for form in forms} == {"bug", "config", "idea"}
    for form in forms:
        if form.stem == "config":
            continue
        read = yaml.safe_load(form.read_text("utf-8"))
        ids = [field["id"] for field in read["body"]]
        assert read["name"]
        assert read["description"]
        assert len(ids) == len(set(ids)) > 1
        assert all(field["attributes"]["label"] for field in read["body"])
    updates = {
        each["package-ecosystem"]: each["directory"] for each in yaml_of(".github/dependabot.yml")["updates"]
    }
    assert updates == {"pip": "/", "docker": "/docker", "github-actions": "/"}
    assert (ROOT / "docker" / "Dockerfile").exists()


def test_the_markers_that_are_named_are_those_that_pytest_knows(project):
    known = {marker.partition(":")[0] for marker in project["tool"]["pytest"]["ini_options"]["markers"]}
    fast = re.search(r'^FAST := "?(.*?)"?$', text_of("Makefile"), flags=re.MULTILINE)
    assert fast is not None
    assert set(re.findall(r"not (\w+)", fast.group(1))) == known
    assert fast.group(1) in text_of("CONTRIBUTING.md")
