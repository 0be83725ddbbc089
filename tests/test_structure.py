"""The shape of the tree: names, sizes, and tests beside what they test; each exception has a reason."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "loan_default"
TESTS = ROOT / "tests"
SMALLEST, LARGEST = 30, 350
"""Lines of a module."""

SIZES = {
    "bundled": "it names two paths, and both the layers above and the wheel need them",
    "evaluation/metrics": "it holds every metric with its formula and its weights",
    "settings": "it is the one list of settings, each in its table and as a field",
    "kafka/client": "it holds all that knows the client library; `network` is the part that works around it",
    "limits": "it is one number that the sources and Kafka share",
    "pipelines/training/stopwatch": "it is one class that the stages share",
    "pipelines/training/training_options": "it is the one list of options",
}
"""Module that is smaller or larger -> why."""

WITHOUT_MODULE = {
    "airflow/test_dags": "the DAG files as Airflow parses them",
    "airflow/test_runs": "runs of whole DAGs",
    "data/schema/test_agreement": "files, records and batches beside one another",
    "data/schema/inference/test_variants": "columns in all their spellings, through inference and validation",
    "database/test_contract": "one suite over all databases",
    "database/test_races": "processes that race on a server",
    "kafka/test_contract": "one suite over both brokers",
    "kafka/test_security": "logins and rights on a genuine broker",
    "kafka/test_transactions": "what other programs commit by transactions",
    "models/test_safe_loading": "files that attack the loader",
    "pipelines/ingestion/test_killed_processes": "processes that are killed at each failpoint",
    "pipelines/promotion/test_unopposed": "all ways to promote without a comparison",
    "serving/http/test_api_by_schemathesis": "the routes against the OpenAPI document",
    "serving/http/test_canaries": "values of applications, wherever a server writes",
    "test_documentation": "the documents",
    "test_gate_benchmark": "what benchmarks/gate.py simulates",
    "test_examples": "examples.py",
    "test_generated_sets": "benchmarks/generated_sets.py",
    "test_label_draws": "benchmarks/label_draws.py",
    "test_mutation": "tests/mutation",
    "test_notebook": "the notebook",
    "test_project": "versions and tools",
    "test_public_api": "loan_default/__init__.py",
    "test_quality_benchmarks": "what benchmarks/quality_tables.py and benchmarks/calibration.py measure with",
    "test_required_servers": "tests/servers",
    "test_secrets": "the messages of all modules",
    "test_servers": "tests/servers",
    "test_structure": "the tree",
    "test_words": "the words of the tree",
}
"""Test file that mirrors no module -> what it tests."""
NOT_MIRRORED = {"cases", "docker", "integration", "kubernetes", "mutation", "servers"}
"""Folders of tests that have no folder in the package."""

TESTED_BY = {
    "data/sources/no_tables": "data/sources/test_sniffing",
    "data/sources/record_frames": "data/sources/test_json_lines",
    "data/schema/column": "data/schema/test_language",
    "pipelines/training/predictions": "pipelines/training/test_run_report",
    "pipelines/training/reject_evidence": "pipelines/training/test_reject_fits",
    "pipelines/training/monotonic_sweeps": "pipelines/training/test_run_evidence",
    "data/schema/durations": "data/schema/test_number_texts",
    "data/schema/number_columns": "data/schema/test_number_texts",
    "data/schema/number_rules": "data/schema/test_values",
    "data/schema/inference/dates": "data/schema/inference/test_variants",
    "data/schema/inference/raw_values": "data/schema/inference/test_columns",
    "data/schema/inference/lost_dates": "data/schema/inference/test_variants",
    "data/schema/inference/findings": "data/schema/inference/test_variants",
    "data/schema/inference/levels": "data/schema/inference/test_variants",
    "data/schema/inference/markers": "data/schema/inference/test_variants",
    "data/schema/inference/measurements": "data/schema/inference/test_variants",
    "data/schema/inference/no_values": "data/schema/inference/test_text_columns",
    "data/schema/inference/numbers": "data/schema/inference/test_variants",
    "data/schema/inference/times": "data/schema/inference/test_infer",
    "airflow/dags/data_ingestion": "airflow/test_dags",
    "airflow/dags/model_evaluation": "airflow/test_dags",
    "airflow/dags/model_training": "airflow/test_dags",
    "airflow/training_tasks": "airflow/test_runs",
    "choices": "models/test_device",
    "pipelines/monitoring/champion_hours": "serving/test_monitored_champion",
    "pipelines/monitoring/hour_samples": "serving/test_monitored_champion",
    "pipelines/monitoring/realised_performance": "serving/test_monitored_champion",
    "pipelines/training/reference_rows": "pipelines/training/test_stages",
    "pipelines/training/stopwatch": "pipelines/training/test_plan",
    "cli/model_commands": "cli/test_main",
    "cli/answering_models": "cli/test_serving_commands",
    "cli/registered_models": "cli/test_console",
    "cli/shown_reasons": "cli/test_prediction_commands",
    "serving/explained_answers": "serving/http/test_explanation_runs",
    "cli/scored_rows": "cli/test_console",
    "data/sources/cells": "data/sources/test_dialects",
    "data/sources/footers": "data/sources/test_sniffing",
    "data/sources/format_words": "data/sources/test_sniffing",
    "data/sources/packing": "data/sources/test_table_files",
    "database/audit_documents": "database/test_audit_repository",
    "database/api_key_documents": "database/test_serving_repositories",
    "database/control_documents": "database/test_control_repositories",
    "database/experiment_documents": "database/test_serving_repositories",
    "database/gate_documents": "database/test_gate_repositories",
    "database/serving_documents": "database/test_prediction_repository",
    "evaluation/gate_checks": "evaluation/test_gate",
    "evaluation/gate_evidence": "evaluation/test_gate",
    "evaluation/card_blocks": "evaluation/test_card_pages",
    "evaluation/card_contents": "evaluation/test_card_pages",
    "evaluation/card_governance": "evaluation/test_card_pages",
    "evaluation/card_robustness": "evaluation/test_card_pages",
    "evaluation/card_sections": "evaluation/test_card_pages",
    "evaluation/training_evidence": "pipelines/training/test_run_evidence",
    "pipelines/training/decision_evidence": "pipelines/training/test_run_evidence",
    "pipelines/governance/card_inputs": "cli/test_card_commands",
    "database/monitoring_documents": "database/test_monitoring_repository",
    "evaluation/hours_chart": "evaluation/test_drift_page",
    "evaluation/report_inputs": "evaluation/test_report",
    "failpoints": "integration/test_ingestion_faults",
    "kafka/broker": "kafka/test_contract",
    "kafka/messages": "kafka/test_contract",
    "kafka/network": "kafka/test_security",
    "kafka/open_broker": "kafka/test_security",
    "kafka/partition_log": "kafka/test_memory",
    "kafka/topics": "kafka/test_contract",
    "limits": "kafka/test_dead_letters",
    "models/categories": "models/test_features",
    "serving/wanted_models": "serving/test_live_models",
    "models/deriving": "serving/test_serving_files",
    "models/freezing": "models/test_frozen_network",
    "models/serving_file": "serving/test_serving_files",
    "models/frozen_model": "serving/test_scorer",
    "pipelines/ingestion/skipped_files": "cli/test_stream_commands",
    "serving/http/parts": "serving/http/test_score_routes",
    "serving/http/route_descriptions": "serving/http/test_openapi_document",
    "serving/http/score_contents": "serving/http/test_score_routes",
    "serving/http/score_runs": "serving/http/test_score_routes",
    "serving/http/telemetry": "serving/http/test_health_routes",
    "serving/http/what_ifs": "serving/http/test_score_routes",
    "serving/kept_predictions": "cli/test_prediction_commands",
    "pipelines/promotion/evaluation_run": "pipelines/promotion/test_comparison",
    "pipelines/promotion/stored_evidence": "pipelines/promotion/test_measuring",
    "pipelines/services": "pipelines/ingestion/test_ingestion_steps",
}
"""Module that has no test file of its name -> the one that tests it."""


def modules() -> dict[str, Path]:
    """Each module of the package by its path without the suffix, `__init__` aside."""
    files = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    return {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in files}


def files_of_tests() -> dict[str, Path]:
    return {path.relative_to(TESTS).with_suffix("").as_posix(): path for path in TESTS.rglob("test_*.py")}


def mirrored(test: str) -> str:
    """The module that a test file is named after."""
    folder, _, name = test.rpartition("/")
    return f"{folder}/{name.removeprefix('test_')}".lstrip("/")


def test_no_module_name_is_there_twice():
    names = Counter(path.stem for path in modules().values())
    assert [name for name, count in names.items() if count > 1] == []


def test_a_module_has_a_readable_size_or_a_reason():
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules().items()}
    outside = {name: count for name, count in lines.items() if not SMALLEST <= count <= LARGEST}
    assert {name: outside[name] for name in outside if name not in SIZES} == {}
    assert set(SIZES) <= set(outside), "an exception that is needed no longer"


def test_a_test_file_is_named_after_its_module_or_a_reason():
    of_none = {
        test
        for test in files_of_tests()
        if test.partition("/")[0] not in NOT_MIRRORED and mirrored(test) not in modules()
    }
    assert of_none - set(WITHOUT_MODULE) == set()
    assert set(WITHOUT_MODULE) <= of_none, "an exception that is needed no longer"


def test_each_module_has_a_test_file_or_one_that_tests_it_too():
    tested = {mirrored(test) for test in files_of_tests()}
    untested = set(modules()) - tested
    assert untested - set(TESTED_BY) == set()
    assert set(TESTED_BY) <= untested, "an exception that is needed no longer"
    assert set(TESTED_BY.values()) <= set(files_of_tests())


def test_each_folder_of_the_package_says_what_is_in_it():
    for path in PACKAGE.rglob("__init__.py"):
        assert path.read_text("utf-8").startswith('"""'), path


def test_tests_import_no_benchmark_that_needs_packages_of_the_benchmarks_alone():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    alone = _distributions(extras["benchmarks"]) - _distributions(extras["dev"])
    assert "catboost" in alone
    seen: set[str] = set()
    waiting = {name for path in files_of_tests().values() for name in _imported(path) if _is_benchmark(name)}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        imported = _imported(ROOT / f"{name.replace('.', '/')}.py")
        needed = {each for each in imported if each.partition(".")[0] in alone}
        assert not needed, f"{name} needs {needed}, and a test imports it, directly or not"
        waiting |= {each for each in imported if _is_benchmark(each)} - seen
    assert len(seen) > 10


def _distributions(requirements: list[str]) -> set[str]:
    """Names to import, as far as they follow from those of the distributions."""
    names = {re.split(r"[=<>~]", each)[0] for each in requirements}
    return {name.replace("-", "_") for name in names} | {name.partition("-")[0] for name in names}


def _is_benchmark(name: str) -> bool:
    return name.startswith("benchmarks.")


def _imported(path: Path) -> set[str]:
    """Modules that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
