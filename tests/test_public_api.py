"""What `import loan_default` offers, and what it leaves alone."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import loan_default


def test_all_is_sorted_and_each_name_is_there():
    assert loan_default.__all__ == sorted(loan_default.__all__)
    for name in loan_default.__all__:
        assert getattr(loan_default, name) is not None
    assert set(loan_default.__all__) <= set(dir(loan_default))


def test_each_name_is_the_one_that_its_module_defines():
    for name, module in loan_default._MODULES.items():
        value = getattr(loan_default, name)
        assert (value.__module__, value.__name__) == (f"loan_default.{module}", name)
    assert {*loan_default._MODULES, "__version__"} == set(loan_default.__all__)


def test_type_checkers_are_given_the_same_names():
    source = Path(loan_default.__file__).read_text(encoding="utf-8")
    declared = source.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    for name, module in loan_default._MODULES.items():
        imported = re.search(rf"from loan_default\.{re.escape(module)} import (\([^)]*\)|.*)", declared)
        assert imported is not None
        assert re.search(rf"\b{name}\b", imported[1]), name
    assert Path(loan_default.__file__).with_name("py.typed").exists()


def test_the_version_is_that_of_the_distribution():
    assert loan_default.__version__ == version("loan-default")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'load_modle'"):
        _ = loan_default.load_modle


@pytest.mark.slow
def test_importing_it_imports_nothing_that_is_slow():
    code = (
        "import sys, loan_default; loan_default.DataError; "
        "print([name for name in ('torch', 'pandas', 'pyarrow', 'kafka', 'pymongo') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
