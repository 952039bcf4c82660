"""Which way the kernels are run: the first that is there, whatever is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from bytecap.packing.kernel_text import kernel_text
from bytecap.packing.loader import kernel_ways


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    monkeypatch.setattr(kernel_ways, "KERNELS", kernel_text([1]))


def missing(monkeypatch, what, folder):
    if what == "numba":
        monkeypatch.setitem(sys.modules, "numba", None)
    if what == "compiler":
        monkeypatch.setattr(shutil, "which", lambda name: None)
    if what == "writable folder":
        monkeypatch.setattr(tempfile, "tempdir", "/nonexistent/folder")
    if what == "working compiler":
        (folder / "cc").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (folder / "cc").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ([], "numba"),
        (["numba"], "c"),
        (["numba", "compiler"], "python"),
        (["numba", "working compiler"], "python"),
        (["numba", "writable folder"], "python"),
    ],
)
def test_what_is_missing_leads_to_the_next_way(monkeypatch, tmp_path, what, expected):
    for each in what:
        missing(monkeypatch, each, tmp_path)
    assert kernel_ways.choose_way()[1] == expected


def test_no_way_left_is_told(monkeypatch, tmp_path):
    missing(monkeypatch, "numba", tmp_path)
    with pytest.raises(ImportError, match="numba"):
        kernel_ways.choose_way("numba")


def test_nothing_stays_of_a_compiled_library(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    call, _ = kernel_ways.choose_way("c")
    assert list(tmp_path.iterdir()) == []
    call("k1", [np.zeros(1, np.int64)] * 8, 0)


def test_the_c_has_no_warnings_but_about_parentheses(tmp_path):
    source = tmp_path / "kernels.c"
    source.write_text(kernel_ways.c_text(kernel_text([1, 2, 3])), encoding="utf-8")
    flags = ["-Wall", "-Wextra", "-Werror", "-Wno-parentheses", "-Wno-unused-variable", "-fsyntax-only"]
    subprocess.run(["cc", *flags, str(source)], check=True)
