"""The notebook: its stored text and outputs, and the metrics that a new run comes to.

`KEEP_OUTPUTS=1 pytest tests/test_notebook.py` (`make notebook`) stores the outputs of the run in the file.
"""

import ast
import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "loan_default_prediction.ipynb"
LARGEST = 300_000
"""Bytes of the file, outputs included: a repository keeps every version of it."""
LIBRARIES = {"IPython", "numpy", "pandas", "torch"}
"""Libraries that it may import beside the package and the standard library."""
ABSOLUTE = re.compile(r"(?<![\w.:<\\/-])(/[\w.+-]+/[\w.+-]|~/|[A-Z]:\\)")


@pytest.fixture(scope="module")
def stored() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: NotebookNode) -> list[str]:
    """Collect what the outputs show, without addresses on the web."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    shown = [output.get("text", "") for output in outputs]
    shown += [str(data) for output in outputs for data in output.get("data", {}).values()]
    return [re.sub(r"https?://\S+", "", text) for text in shown]


def key_metrics(notebook: NotebookNode) -> dict[str, float]:
    """Read what the last cell prints."""
    (output,) = code_cells(notebook)[-1].outputs
    metrics: dict[str, float] = json.loads(output.text)
    return metrics


def assert_fit_to_keep(notebook: NotebookNode) -> None:
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert len(nbformat.writes(notebook).encode()) < LARGEST
    for text in texts(notebook):
        assert not ABSOLUTE.search(text), text[:2000]
        assert not re.search(r" at 0x[0-9a-f]{6,}", text), "an address in memory is another one in each run"
        assert not any(str(path) in text for path in (ROOT, Path.home(), sys.prefix))


def test_its_code_is_valid_and_uses_nothing_private(stored):
    names, modules = [], []
    for cell in code_cells(stored):
        tree = ast.parse(cell.source)
        compile(tree, f"cell {cell.id}", "exec")
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                modules.append(node.module)
                names += [*(alias.name for alias in node.names), *(node.module or "").split(".")]
            elif isinstance(node, ast.Attribute):
                names.append(node.attr)
    known = {"loan_default"} | LIBRARIES | sys.stdlib_module_names
    assert {module.split(".")[0] for module in modules} <= known
    assert not [name for name in names if name.startswith("_")]


def test_the_stored_outputs_are_whole_small_and_free_of_paths(stored):
    cells = code_cells(stored)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert_fit_to_keep(stored)
    assert NOTEBOOK.stat().st_size < LARGEST
    assert sum("image/svg+xml" in output.get("data", {}) for cell in cells for output in cell.outputs) == 3


def test_the_package_has_each_name_that_a_cell_imports(stored):
    for cell in code_cells(stored):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("loan_default"):
                exec(compile(ast.Module([node], []), cell.source, "exec"), {})


@pytest.mark.parametrize("text", ["/home/me/model.pth", "in '/tmp/x'", "~/model.pth", r"C:\models"])
def test_an_absolute_path_is_noticed(text):
    assert ABSOLUTE.search(text)


@pytest.mark.parametrize("text", ["runs/notebook/model.pth", "</td></tr>", "<br/>", "1/2/3", "rows/s"])
def test_other_slashes_are_no_paths(text):
    assert not ABSOLUTE.search(text)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a minute on two free cores
def test_it_runs_to_the_end_and_comes_to_the_stored_metrics(stored, tmp_path, monkeypatch):
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))  # a person's own files are not touched
    folder = tmp_path / "work"
    folder.mkdir()
    copy = Path(shutil.copy(NOTEBOOK, folder))
    notebook = nbformat.read(copy, as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=900,
        record_timing=False,
        coalesce_streams=True,  # where a stream is cut depends on timing
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()

    metrics = key_metrics(notebook)
    assert metrics["rows"] == 30_000
    assert 0.76 < metrics["auc"] < 0.80
    assert 0.72 < metrics["auc_logistic"] < metrics["auc"]
    assert 0.40 < metrics["ks"] < 0.48
    assert 0.12 < metrics["brier"] < 0.14
    assert metrics["mean_pd"] == pytest.approx(metrics["default_rate"], abs=0.02)
    assert (metrics["scored"], metrics["quarantined"]) == (999, 1)
    assert_fit_to_keep(notebook)
    assert (folder / "runs" / "notebook" / "model.pth.sha256").exists()
    assert {path.name for path in folder.iterdir()} == {copy.name, "runs"}
    if os.environ.get("KEEP_OUTPUTS"):
        nbformat.write(notebook, NOTEBOOK)
    else:  # other processors round otherwise
        assert metrics == pytest.approx(key_metrics(stored), abs=0.02)
