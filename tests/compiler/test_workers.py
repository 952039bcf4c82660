"""Jobs on several threads: order, limits on the libraries' own threads, progress, errors and interrupts."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from bytecap.compiler.workers import AHEAD, iterate_jobs, meanwhile, one_thread_each, run_jobs
from bytecap.format.parallel import usable_cores


def library_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info()} | {torch.get_num_threads()}


def test_usable_cores() -> None:
    assert usable_cores() >= 1


@settings(max_examples=30)
@given(st.lists(st.integers(), max_size=12), st.integers(1, 4))
def test_results_come_in_the_order_of_the_jobs(jobs: list[int], threads: int) -> None:
    assert run_jobs(lambda job: job * 3, jobs, threads) == [job * 3 for job in jobs]


def test_order_does_not_depend_on_which_job_ends_first() -> None:
    def work(delay: float) -> float:
        time.sleep(delay)
        return delay

    delays = [0.05, 0.0, 0.02, 0.0]
    assert run_jobs(work, iter(delays), 4) == delays
    assert list(iterate_jobs(work, iter(delays), 4)) == delays


def test_results_are_there_before_the_last_job_has_ended() -> None:
    release = threading.Event()

    def work(job: int) -> int:
        if job == 2:
            release.wait(10)
        return job

    results = iterate_jobs(work, range(3), 2)
    assert [next(results), next(results)] == [0, 1]
    release.set()
    assert list(results) == [2]


def test_results_that_nobody_takes_do_not_pile_up() -> None:
    begun: list[int] = []
    results = iterate_jobs(lambda job: begun.append(job) or job, range(100), 2)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(begun) <= AHEAD * 2 + 1
    assert list(results) == list(range(1, 100)) and sorted(begun) == list(range(100))
    assert run_jobs(lambda job: job, range(100), 2) == list(range(100))


@pytest.mark.parametrize(("threads", "at_once"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_that_many_jobs_run_at_once(threads: int, at_once: int) -> None:
    running, most, changed = 0, 0, threading.Condition()

    def work(_: int) -> None:
        nonlocal running, most
        with changed:
            running += 1
            most = max(most, running)
            changed.notify_all()
            changed.wait_for(lambda: most >= at_once, timeout=20)  # a busy machine may begin the others late
        time.sleep(0.02)  # for one too many to begin
        with changed:
            running -= 1

    run_jobs(work, range(8), threads)
    assert most == at_once


def test_libraries_have_one_thread_inside_jobs_and_theirs_back_afterwards() -> None:
    before, torch_before = library_threads(), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert run_jobs(lambda _: torch.get_num_threads(), range(4), 2) == [1] * 4
        assert torch.get_num_threads() == 3
        with one_thread_each():
            assert library_threads() == {1}
        with pytest.raises(KeyError), one_thread_each():
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(torch_before)
    assert library_threads() == before


def test_a_new_thread_does_not_bring_the_cores_of_the_openmp_library_back() -> None:
    """OpenMP keeps its limit by thread; asked before torch itself sets it up in that thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        jobs = run_jobs(
            lambda _: [library["num_threads"] for library in threadpool_info() if "torch" in library["filepath"]],
            range(4),
            4,
        )
    finally:
        torch.set_num_threads(before)
    assert {count for job in jobs for count in job} <= {1}


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    random = np.random.default_rng(0)
    parts = [random.standard_normal((300, 200)).astype(np.float32) for _ in range(6)]

    def products(part: np.ndarray) -> bytes:
        return (part.T @ part).tobytes() + (torch.from_numpy(part).T @ torch.from_numpy(part)).numpy().tobytes()

    assert run_jobs(products, parts, 1) == run_jobs(products, parts, 2) == run_jobs(products, parts, 3)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_comes_out_and_cancels_what_has_not_started(error: type[BaseException]) -> None:
    started: list[int] = []

    def work(job: int) -> int:
        started.append(job)
        if job == 1:
            raise error("job 1")
        time.sleep(0.01)
        return job

    before, torch_before = threading.active_count(), torch.get_num_threads()
    with pytest.raises(error, match="job 1"):
        run_jobs(work, range(200), 2)
    assert len(started) < 20 and threading.active_count() == before and torch.get_num_threads() == torch_before


def test_an_interrupt_while_waiting_cancels_what_has_not_started() -> None:
    """Ctrl-C reaches the thread that takes the results, between two of them or while it waits."""
    started: list[int] = []

    def work(job: int) -> int:
        started.append(job)
        time.sleep(0.01)
        return job

    def take_two() -> None:
        for result in iterate_jobs(work, range(200), 2):
            if result == 1:
                raise KeyboardInterrupt

    before, torch_before = threading.active_count(), torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        take_two()
    assert 2 <= len(started) < 20 and threading.active_count() == before and torch.get_num_threads() == torch_before


def test_what_runs_meanwhile_is_done_at_the_end() -> None:
    begun, release, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        release.wait(10)
        done.append(True)

    with meanwhile(work):
        assert begun.wait(10) and not done
        release.set()
    assert done == [True]


def test_nobody_waits_for_what_runs_meanwhile_when_the_rest_fails() -> None:
    release = threading.Event()
    with pytest.raises(KeyboardInterrupt), meanwhile(lambda: release.wait(60)):
        raise KeyboardInterrupt
    release.set()
