"""Three ways to run the kernels: numba where it can be imported, else C where there is a compiler, else plain Python.

Strategy: the text of the kernels (packing/kernels/) is executed as Python, and numba compiles what that defines; or it
is rewritten line by line as C, which a compiler makes a library of; or it runs as it is, on lists. Each way computes
the same whole numbers. What cannot be had (no numba, no compiler, no folder to write into) leads to the next way.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

KERNELS = ""  # the packer writes the text here
C_HEAD = """#include<iso646.h>
#define L long long
#define min(a,b)((a)<(b)?(a):(b))
#define max(a,b)((a)>(b)?(a):(b))
#define abs llabs
L llabs(L);"""

Call = Callable[[str, list[np.ndarray], int], None]


def choose_way(ways: str = "numba c python") -> tuple[Call, str]:
    """The first way that is there, as a function of a kernel's name, its int64 arrays (some of which it writes) and its
    number; and its name. ImportError when none of the ways asked for is there.
    """
    for way in ways.split():
        try:
            return WAYS[way](), way
        except Exception:
            continue
    raise ImportError(ways)


def run_by_numba() -> Call:
    """Compiled by numba."""
    from numba import njit

    functions = run_text()
    for name in re.findall(r"def (\w+)", KERNELS):
        functions[name] = njit(nogil=True)(functions[name])
    return lambda name, arrays, count: functions[name](*arrays, count)


def run_as_c() -> Call:
    """Compiled into a library in a folder that is gone when it is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        source, built = folder + "/k.c", folder + "/k.so"
        with open(source, "w") as file:
            file.write(c_text(KERNELS))
        compiler = next(filter(shutil.which, ["cc", "gcc", "clang"]))
        subprocess.run([compiler, "-O3", "-shared", "-fPIC", source, "-o", built], check=True, capture_output=True)
        library = ctypes.CDLL(built)
    return lambda name, arrays, count: getattr(library, name)(
        *(ctypes.c_void_p(array.ctypes.data) for array in arrays), ctypes.c_longlong(count)
    )


def run_as_python() -> Call:
    """As it stands, on lists, whose elements are found faster than those of arrays."""
    functions = run_text()

    def call(name: str, arrays: list[np.ndarray], count: int) -> None:
        lists = [array.tolist() for array in arrays]
        functions[name](*lists, count)
        for array, changed in zip(arrays, lists, strict=True):
            array[:] = changed

    return call


def run_text() -> dict[str, Any]:
    """What the text of the kernels defines."""
    functions: dict[str, Any] = {}
    exec(KERNELS, functions)
    return functions


WAYS = {"numba": run_by_numba, "c": run_as_c, "python": run_as_python}


def c_text(kernels: str) -> str:
    """The kernels as C: braces for levels, a type for every name, one sign for a whole division."""
    lines, depth = [C_HEAD], 0
    for function in kernels.split("def ")[1:]:
        head, body = function.split(":\n", 1)
        name, parameters = head[:-1].split("(")
        names = parameters.split(",")
        own = set(re.findall(r"(?m)^ +(?:for )?([a-z]+)(?:[-+*/<>&|^]*=| in)", body)) - set(names)
        typed = ",".join(("L*restrict " if each.isupper() else "L ") + each for each in names)
        lines.append(f"{'' if name[0] == 'k' else 'static '}L {name}({typed}){{L {','.join(sorted(own)) or '_'};")
        for line in [*body.splitlines(), ""]:
            code = line.lstrip()
            level = max(1, len(line) - len(code)) if code else 0
            lines.append("}" * (depth - level))
            depth = level
            code = re.sub(r"^for (.) in range\((.*)\):", r"for(\1=0;\1<\2;\1++){", code.replace("//", "/"))
            code = re.sub(r"^(if|while) (.*):", r"\1(\2){", code).replace("else:", "else{")
            lines.append(code if code[-1:] in "{" else code + ";")
    return "\n".join(lines)
