"""Numba's cache may be missing, damaged or full: the kernels compute the same, and a damaged file is made again."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from bytecap.format.kernels import copy_into

MODULE = """
from bytecap.format.kernels import kernel

@kernel()
def double(x):
    return 2 * x
"""
CALL = "import sys; sys.path.insert(0, sys.argv[1]); from doubling import double; print(double(21)); "
CALL += "print(sum(double.stats.cache_hits.values()), sum(double.stats.cache_misses.values()))"
NOWHERE = "from numba.core import caching; caching.CacheImpl._locator_classes = []; "


@pytest.fixture
def module(tmp_path):
    """The folder of a module with one kernel."""
    (tmp_path / "doubling.py").write_text(MODULE)
    return tmp_path


def call(module, before=""):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(module / "cache")}
    command = [sys.executable, "-c", before + CALL, str(module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stderr == ""
    result, counts = done.stdout.splitlines()
    assert result == "42"
    hits, misses = map(int, counts.split())
    return hits, misses


def call_here(module):
    """The same in this process, by a module that is new to it."""
    spec = importlib.util.spec_from_file_location("doubling", module / "doubling.py")
    doubling = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(doubling)
    assert doubling.double(21) == 42
    stats = doubling.double.stats
    return sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


def test_a_kernel_is_compiled_once_for_all_processes(module):
    assert call(module) == (0, 1)
    assert call(module) == (1, 0)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".nbi", lambda data: data[: len(data) // 2]),
        (".nbc", lambda data: b""),
        (".nbc", lambda data: b"x" * len(data)),
    ],
)
def test_a_damaged_cache_is_made_again(module, monkeypatch, suffix, damage):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(module / "cache"))
    assert call_here(module) == (0, 1)
    (damaged,) = (module / "cache").rglob(f"*{suffix}")
    damaged.write_bytes(damage(damaged.read_bytes()))
    assert call_here(module) == (0, 1)
    assert call_here(module) == (1, 0)


def test_without_a_folder_for_the_cache_kernels_still_run(module):
    call(module, NOWHERE)
    assert not (module / "cache").exists()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_a_copy_is_what_the_slice_assignment_is(dtype):
    values, longer = np.arange(12).astype(dtype).reshape(3, 4), np.full(7, 99, dtype)
    for vector in (values[1], values[:, 2], values[0, :0]):
        into, expected = longer.copy(), longer.copy()
        copy_into(vector, into)
        expected[: vector.size] = vector
        assert np.array_equal(into, expected)


def test_kernels_that_are_not_to_be_compiled_are_an_error_with_its_way_out():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    words = [sys.executable, "-c", "import bytecap.format.kernels"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.stderr.splitlines()[-1] == (
        "bytecap.errors.BytecapError: NUMBA_DISABLE_JIT is set in the environment, and these loops do not run without "
        "being compiled; unset it"
    )
