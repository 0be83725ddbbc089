"""Where a model comes from: a digest of the code, and words that people use."""

from pathlib import Path

import pytest

import loan_default
from loan_default.pipelines.training.provenance import digest_of_code, provenance_in_words


@pytest.fixture
def package(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "one.py").write_text("a = 1\n")
    (tmp_path / "inner" / "two.py").write_text("b = 2\n")
    return tmp_path


def test_a_model_names_the_code_that_trained_it(lab):
    provenance = lab.outcome.trained.model.provenance
    assert provenance["code_digest"] == digest_of_code(Path(loan_default.__file__).parent)


def test_what_is_no_module_does_not_count(package):
    before = digest_of_code(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "one.pyc").write_bytes(b"1")
    (package / "notes.txt").write_text("b")
    assert digest_of_code(package) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda package: (package / "one.py").write_text("a = 2\n"),
        lambda package: (package / "one.py").rename(package / "other.py"),
        lambda package: (package / "inner" / "two.py").rename(package / "two.py"),
        lambda package: (package / "empty.py").touch(),
    ],
)
def test_each_change_of_a_module_gives_another_digest(package, change):
    before = digest_of_code(package)
    change(package)
    assert digest_of_code(package) != before


def test_no_value_is_none_and_a_truth_is_yes_or_no():
    shown = provenance_in_words({"seen_until": None, "out_of_time": False, "encoder_given": True, "seed": 0})
    assert shown == {"seen until": "none", "out of time": "no", "encoder given": "yes", "seed": "0"}
