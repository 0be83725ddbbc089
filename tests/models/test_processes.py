"""A pool of processes: results in order, all progress passed on, one error ends it."""

from multiprocessing import active_children

import pytest
import torch
from models.counting_work import CountingWork

from loan_default.models.fitting import Progress
from loan_default.models.processes import from_bytes, run_in_processes, to_bytes


@pytest.mark.slow
def test_results_come_in_the_order_of_the_jobs_and_all_progress_is_passed_on():
    updates: list[Progress] = []
    fitted = run_in_processes(CountingWork(), [3, 1, 2], processes=2, on_progress=updates.append)
    assert [each.state["weight"].tolist() for each in fitted] == [[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    assert [len(each.history) for each in fitted] == [3, 1, 2]
    seen = sorted((update.stage, update.last.epoch) for update in updates if update.last is not None)
    assert seen == [(f"job {job}", epoch) for job in (1, 2, 3) for epoch in range(1, job + 1)]
    assert not active_children()


@pytest.mark.slow
def test_what_follows_a_job_waits_for_that_job_alone():
    updates: list[Progress] = []
    fitted = run_in_processes(
        CountingWork(),
        [60, 1],
        processes=2,
        on_progress=updates.append,
        follow_up=lambda job, found: 100 * job + len(found.history),
    )
    assert [each.state["weight"][0].item() for each in fitted] == [60.0, 1.0, 6060.0, 101.0]
    assert not active_children()


@pytest.mark.slow
def test_the_error_of_what_follows_is_raised_as_it_is_and_leaves_no_process():
    with pytest.raises(ValueError, match="job 7 is refused"):
        run_in_processes(
            CountingWork(refused=7),
            [1, 2],
            processes=2,
            on_progress=lambda update: None,
            follow_up=lambda job, found: job + 5,
        )
    assert not active_children()


@pytest.mark.slow
def test_the_error_of_a_job_is_raised_as_it_is_and_leaves_no_process():
    with pytest.raises(ValueError, match="job 2 is refused"):
        run_in_processes(CountingWork(refused=2), [1, 2], processes=2, on_progress=lambda update: None)
    assert not active_children()


def test_weights_survive_the_way_between_processes_to_the_bit():
    state = {"a": torch.rand(3, 2), "b": torch.arange(4), "c": torch.tensor([float("nan"), -0.0])}
    found = from_bytes(to_bytes(state))
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name].view(torch.uint8), tensor.view(torch.uint8))
