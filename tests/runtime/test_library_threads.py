"""Limits of the libraries' threads: set and restored, and the libraries looked for no more often than they come."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from bytecap.runtime import library_threads
from bytecap.runtime.library_threads import limit_library_threads


@pytest.fixture
def several():
    """Where BLAS, which numpy brings, and OpenMP, which torch does, have two threads, so that one is another number."""
    assert np.ones(1) @ np.ones(1) == torch.ones(1).sum().item()
    with threadpool_limits(2):
        yield


def threads_of(kind: str) -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == kind}


@pytest.mark.parametrize("blas_only", [False, True])
def test_a_limit_holds_within_its_context(several, blas_only: bool) -> None:
    before = threads_of("openmp")
    with limit_library_threads(1, blas_only=blas_only):
        assert threads_of("blas") == {1}
        assert threads_of("openmp") == (before if blas_only else {1})
    assert threads_of("blas") == {2} and threads_of("openmp") == before


def test_without_a_context_it_stays(several) -> None:
    limit_library_threads(1)
    assert threads_of("blas") == {1}


def test_libraries_are_looked_for_again_once_something_was_imported(monkeypatch) -> None:
    found = []

    class Counted(ThreadpoolController):
        def __init__(self) -> None:
            found.append(len(sys.modules))
            super().__init__()

    monkeypatch.setattr(library_threads, "ThreadpoolController", Counted)
    monkeypatch.setattr(library_threads, "_found", None)
    for _ in range(3):
        with limit_library_threads(1):
            pass
    assert len(found) == 1
    monkeypatch.setitem(sys.modules, "a_module_that_may_bring_a_library", ModuleType("a"))
    with limit_library_threads(1):
        pass
    assert len(found) == 2
