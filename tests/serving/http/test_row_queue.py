"""The queue: batches of what waits, first in first out, and nobody pays for a neighbour."""

import asyncio
import threading
import time

import pytest

from loan_default.serving.http.row_queue import QueueFullError, QueueTimeoutError, RowQueue


class Worker:
    """Scores numbers: each result is its job times ten; it can be held up, and -1 makes a run raise."""

    def __init__(self):
        self.runs: list[list[int]] = []
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()

    def __call__(self, jobs):
        self.entered.set()
        assert self.free.wait(10)
        self.runs.append(list(jobs))
        if -1 in jobs:
            raise ValueError("a bad row")
        return [10 * job for job in jobs]


def run(scenario, *, most_rows=16, capacity=1000, seconds=5.0):
    worker = Worker()
    queue = RowQueue(worker, name="test", most_rows=most_rows, capacity=capacity, seconds=seconds)

    async def held():
        """Holds up the worker with one job that runs."""
        worker.free.clear()
        first = queue.submit(1, rows=1)
        await asyncio.to_thread(worker.entered.wait, 10)
        return first

    result = asyncio.run(scenario(queue, worker, held))
    queue.close()
    return worker, result


def test_a_lone_job_runs_at_once_and_what_waits_runs_together_in_order():
    async def scenario(queue, worker, held):
        first = await held()
        waiting = [queue.submit(job, rows=1) for job in range(2, 12)]
        worker.free.set()
        return await asyncio.gather(first, *waiting)

    worker, results = run(scenario)
    assert results == [10 * job for job in range(1, 12)]
    assert worker.runs == [[1], list(range(2, 12))]


def test_no_run_has_more_rows_than_it_may_and_requests_are_not_split():
    async def scenario(queue, worker, held):
        await held()
        waiting = [queue.submit(job, rows=10) for job in range(3)]
        worker.free.set()
        return await asyncio.gather(*waiting)

    worker, results = run(scenario)
    assert results == [0, 10, 20]
    assert worker.runs == [[1], [0], [1], [2]]


def test_a_job_that_raises_fails_alone_and_the_next_one_works():
    async def scenario(queue, worker, held):
        await held()
        waiting = [queue.submit(job, rows=1) for job in (2, -1, 3)]
        worker.free.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        return [*results, await queue.submit(4, rows=1)]

    _, results = run(scenario)
    assert [results[0], results[2], results[3]] == [20, 30, 40]
    assert isinstance(results[1], ValueError)


def test_a_result_that_is_an_error_is_a_result():
    error = ValueError("a record's")

    async def scenario():
        queue = RowQueue(lambda jobs: [error for _ in jobs], name="errors", most_rows=1, capacity=10)
        result = await queue.submit(1, rows=1)
        queue.close()
        return result

    assert asyncio.run(scenario()) is error


def test_clients_that_have_gone_leave_the_queue_and_are_not_scored():
    async def scenario(queue, worker, held):
        first = await held()
        gone = [queue.submit(job, rows=1) for job in range(100, 300)]
        for future in gone:
            future.cancel()
        last = queue.submit(2, rows=1)
        worker.free.set()
        results = await asyncio.gather(first, last)
        return results, queue.rows

    worker, (results, rows) = run(scenario)
    assert results == [10, 20]
    assert rows == 0
    assert worker.runs == [[1], [2]]


def test_a_full_queue_refuses_and_an_idle_one_takes_any_size():
    async def scenario(queue, worker, held):
        first = await held()
        queue.submit(2, rows=3)
        with pytest.raises(QueueFullError):
            queue.submit(3, rows=1)
        worker.free.set()
        await first
        while queue.rows:
            await asyncio.sleep(0.01)
        return await queue.submit(5, rows=500)

    _, result = run(scenario, capacity=4)
    assert result == 50


@pytest.mark.slow
def test_what_has_waited_too_long_is_not_begun():
    async def scenario(queue, worker, held):
        await held()
        late = queue.submit(2, rows=1)
        await asyncio.sleep(0.1)
        worker.free.set()
        return await asyncio.gather(late, return_exceptions=True)

    worker, (result,) = run(scenario, seconds=0.05)
    assert isinstance(result, QueueTimeoutError)
    assert worker.runs == [[1]]


def test_two_hundred_requests_at_once_get_their_own_answers():
    async def scenario(queue, worker, held):
        return await asyncio.gather(*(queue.submit(job, rows=1) for job in range(200)))

    worker, results = run(scenario)
    assert results == [10 * job for job in range(200)]
    assert sum(map(len, worker.runs)) == 200
    assert max(map(len, worker.runs)) <= 16


@pytest.mark.slow
def test_the_loop_stays_free_while_a_run_computes():
    def slow(jobs):
        time.sleep(0.3)
        return jobs

    async def scenario():
        queue = RowQueue(slow, name="slow", most_rows=1, capacity=10)
        future, ticks = queue.submit(1, rows=1), 0
        while not future.done():
            await asyncio.sleep(0.005)
            ticks += 1
        queue.close()
        return ticks

    assert asyncio.run(scenario()) > 10
