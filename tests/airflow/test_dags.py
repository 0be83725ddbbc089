"""The DAGs as files: what they import, how long they take, and what holds for each."""

import subprocess
import sys
from datetime import timedelta

import pytest

from loan_default.pipelines.training.training_options import SCHEDULED_PARAMETERS, json_schema
from loan_default.thresholds import LONGEST_WAIT_HOURS

pytestmark = pytest.mark.slow

NAMES = ("data_ingestion", "model_training", "model_evaluation")
CHAINS = {
    "data_ingestion": ["ingest_raw_data", "process_raw_data", "send_processed_data", "monitor_champion"],
    "model_training": ["prepare_training_data", "pretrain_encoder", "train_classifier", "store_model"],
    "model_evaluation": [
        "load_model",
        "evaluate_model",
        "check_thresholds",
        "ask_for_approval",
        "update_status",
    ],
}
RUNS_AT_ONCE = {"data_ingestion": 1, "model_training": 1, "model_evaluation": 8}


def test_there_are_three(dags):
    assert set(dags) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_holds_for_each(dags, name):
    dag = dags[name]
    assert dag.doc_md.startswith("# ")
    assert "loan-default" in dag.tags
    assert (dag.catchup, dag.max_active_runs) == (False, RUNS_AT_ONCE[name])
    assert dag.dagrun_timeout >= timedelta(hours=1)
    assert [task.task_id for task in dag.topological_sort()] == CHAINS[name]
    for before, after in zip(CHAINS[name], CHAINS[name][1:], strict=False):
        assert after in dag.get_task(before).downstream_task_ids
    for task in dag.tasks:
        assert task.owner == "risk"
        assert task.retries >= 2
        assert task.execution_timeout is not None
        assert task.on_failure_callback


def test_a_run_that_waits_for_a_person_ends_in_time_and_holds_up_no_other(dags):
    dag = dags["model_evaluation"]
    assert dag.dagrun_timeout > timedelta(hours=LONGEST_WAIT_HOURS)
    alone = {task.task_id for task in dag.tasks if task.max_active_tis_per_dag == 1}
    assert alone == {"load_model", "evaluate_model"}, "two runs neither choose nor measure at the same time"
    assert dag.get_task("update_status").trigger_rule == "none_failed_min_one_success"


def test_without_an_answer_the_scheduler_rejects(dags):
    task = dags["model_evaluation"].get_task("ask_for_approval")
    assert (task.options, task.defaults, task.multiple) == (["Approve", "Reject"], ["Reject"], False)
    assert list(task.params) == ["reason"]


def test_one_training_at_a_time(dags):
    pools = {task.task_id: task.pool for task in dags["model_training"].tasks}
    assert pools["pretrain_encoder"] == pools["train_classifier"] == "training"


def test_a_model_starts_its_evaluation(dags):
    (outlet,) = dags["model_training"].get_task("store_model").outlets
    assert outlet in dags["model_evaluation"].timetable.asset_condition.objects


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_parsed_quickly_and_without_torch_or_pandas(dags_folder, name):
    code = (
        "import sys, time, airflow.sdk; began = time.perf_counter()\n"
        f"import runpy; runpy.run_path({str(dags_folder / f'{name}.py')!r})\n"
        "took = time.perf_counter() - began\n"
        "heavy = {'torch', 'pandas', 'numpy', 'kafka', 'pymongo'} & set(sys.modules)\n"
        "print(took, sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    took, heavy = done.stdout.strip().splitlines()[-1].split(" ", 1)
    assert heavy == "[]"
    assert float(took) < 60, "only a hang fails here: a busy machine is slow, and speed is measured elsewhere"


def test_the_hourly_tasks_do_without_torch():
    code = "import sys; from loan_default.airflow import ingestion_tasks; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("model_training", {"epochs": 0}),
        ("model_training", {"preset": "quick"}),
        ("model_training", {"seed": -1}),
        ("model_training", {"since": 7}),
        ("data_ingestion", {"rows": "many"}),
        ("model_evaluation", {"rollback": "please"}),
    ],
)
def test_bad_parameters_are_refused(dags, name, params):
    from airflow.sdk.exceptions import ParamValidationError

    ((parameter, value),) = params.items()
    with pytest.raises(ParamValidationError):
        dags[name].params[parameter] = value


def test_the_parameters_of_the_dag_are_those_of_a_scheduled_run(dags):
    params = dags["model_training"].params
    assert set(params) == set(SCHEDULED_PARAMETERS)
    for name, parameter in SCHEDULED_PARAMETERS.items():
        param = params.get_param(name)
        assert param.value == parameter.default
        assert param.description.startswith(parameter.text)
        assert {key: param.schema[key] for key in json_schema(parameter)} == json_schema(parameter)
