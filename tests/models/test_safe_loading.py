"""Nothing under src/ unpickles: read off the syntax, so that no path is missed."""

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

import loan_default

SOURCE = Path(loan_default.__file__).parent
PICKLERS = {"pickle", "cPickle", "_pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    "torch.export.load",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "torch.hub.load",
    "torch.serialization.add_safe_globals",
    "pandas.read_pickle",
    "pd.read_pickle",
    "eval",
    "exec",
}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def unsafe(tree: ast.AST) -> list[str]:
    """What a module does that could run code from a file."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            names = []
            name, options = dotted(node.func), {keyword.arg: keyword.value for keyword in node.keywords}
            if name in FORBIDDEN_CALLS or name.endswith(".read_pickle"):
                found.append(f"{node.lineno}: {name}")
            if name in ("torch.load", "torch.serialization.load"):
                value = options.get("weights_only")
                if not (isinstance(value, ast.Constant) and value.value is True):
                    found.append(f"{node.lineno}: {name} without weights_only=True")
            pickles = options.get("allow_pickle", ast.Constant(value=False))
            if not (isinstance(pickles, ast.Constant) and pickles.value is False):
                found.append(f"{node.lineno}: allow_pickle")
        else:
            continue
        loaders = ("torch.load", "torch.jit.load", "torch.export.load")
        found += [
            f"{node.lineno}: import of {name}"
            for name in names
            if name.split(".")[0] in PICKLERS or name in loaders
        ]
    return found


@pytest.mark.slow
def test_no_module_can_run_code_from_a_file() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 40
    problems = {str(file.relative_to(SOURCE)): unsafe(ast.parse(file.read_text())) for file in files}
    assert {name: found for name, found in problems.items() if found} == {}


@pytest.mark.slow
def test_the_loads_that_are_there_are_seen() -> None:
    calls = [
        node
        for file in (SOURCE / "models").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and dotted(node.func) == "torch.load"
    ]
    assert len(calls) >= 3, "model files, checkpoints and weights between processes"


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib as j",
        "from dill import load",
        "from torch import load",
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.load('x', weights_only=flag)",
        "import torch\ntorch.jit.load('x')",
        "import torch\ntorch.export.load('x')",
        "import pandas as pd\npd.read_pickle('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
        "eval('1')",
    ],
)
def test_the_check_can_fail(code: str) -> None:
    assert unsafe(ast.parse(code))


def test_torch_is_not_one_with_a_known_hole() -> None:
    assert tuple(map(int, version("torch").split("+")[0].split(".")[:2])) > (2, 10)
