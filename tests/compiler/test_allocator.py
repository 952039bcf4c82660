"""Memory that is freed stays for the time of a stage, is of use to all threads, and is given back behind it and around
other work within it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bytecap import one_heap
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


HEAPS = """
import ctypes, sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import numpy as np
from bytecap.cli import main
from bytecap.compiler.allocator import freed_memory_kept

def heaps(path):
    library = ctypes.CDLL(None)
    library.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(library.fopen(path.encode(), b"w"))
    library.malloc_info(0, file)
    library.fclose(file)
    return open(path).read().count("<heap nr=")

def work(arguments=None):
    together = Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: (together.wait(), np.ones(1 << 15), together.wait()), range(4)))
    print(heaps(sys.argv[2]) > before)
    return 0

before = heaps(sys.argv[2])
if sys.argv[1] == "command":
    main.run = work
    main.main()
elif sys.argv[1] == "stage":
    work = freed_memory_kept()(work)
work()
"""


@pytest.mark.parametrize(("when", "more"), [("command", False), ("stage", False), ("without", True)])
def test_threads_of_commands_and_stages_take_no_heaps_of_their_own(when: str, more: bool, tmp_path: Path) -> None:
    how = [sys.executable, "-c", HEAPS, when, str(tmp_path / "heaps.xml")]
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    run = subprocess.run(how, capture_output=True, text=True, check=False, env=usual)
    assert platform.libc_ver()[0] != "glibc" or run.stdout.split() == [str(more)], run.stdout + run.stderr


def test_a_stage_takes_each_page_once() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert platform.libc_ver()[0] != "glibc" or run.stdout.split() == ["True", "True", "True"], run.stdout + run.stderr


def test_pages_between_blocks_that_are_left_are_given_back_before_and_behind() -> None:
    run = subprocess.run([sys.executable, "-c", AROUND], capture_output=True, text=True, check=False)
    assert platform.libc_ver()[0] != "glibc" or run.stdout.split() == ["True", "True", "True"], run.stdout + run.stderr


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(one_heap.ctypes, "CDLL", None)
    with allocator.freed_memory_kept(), allocator.freed_memory_given_back():
        pass
