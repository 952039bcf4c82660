"""Memory that is freed stays for the time of a stage, and is given back behind it and around other work within it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from bytecap.compiler import allocator

# in a process of its own: how an allocator behaves depends on all that was allocated before
PROGRAM = """
import resource
import numpy as np
from contextlib import nullcontext
from bytecap.compiler.allocator import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        arrays = [np.ones(1 << 18) for _ in range(20)]  # 2 MiB each
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1])

usual, before = faults(), resident()
with freed_memory_kept():
    faults()
    print(usual > 20 * faults(), resident() - before > 5000, end=" ")
print(resident() - before < 2000)
"""

AROUND = """
import numpy as np
from bytecap.compiler.allocator import freed_memory_given_back, freed_memory_kept

def resident():
    return int(open("/proc/self/statm").read().split()[1])

def scattered():
    arrays = [np.ones(1 << 15) for _ in range(400)]  # 256 KiB each, 100 MiB in all
    kept = arrays[::50]
    del arrays
    return kept

with freed_memory_kept():
    kept, high = scattered(), resident()
    with freed_memory_given_back():
        entered = resident()
        more, again = scattered(), resident()
    print(high - entered > 15000, again - entered > 15000, again - resident() > 15000)
"""


def test_a_stage_takes_each_page_once() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert platform.libc_ver()[0] != "glibc" or run.stdout.split() == ["True", "True", "True"], run.stdout + run.stderr


def test_pages_between_blocks_that_are_left_are_given_back_before_and_behind() -> None:
    run = subprocess.run([sys.executable, "-c", AROUND], capture_output=True, text=True, check=False)
    assert platform.libc_ver()[0] != "glibc" or run.stdout.split() == ["True", "True", "True"], run.stdout + run.stderr


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(allocator.ctypes, "CDLL", None)
    with allocator.freed_memory_kept(), allocator.freed_memory_given_back():
        pass
