"""The import closure on small source trees, and that Python itself loads no local file outside it."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib

import pytest

from bytecap.errors import DataError
from bytecap.files.code_files import closure_notes, counted_files, script_closure


def tree(folder, files: dict[str, str]):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def closure(folder, *scripts: str) -> list[str]:
    return [
        path.relative_to(folder.resolve()).as_posix()
        for path in counted_files(script_closure([folder / script for script in scripts]))
    ]


CASES = {
    "alone": ({"main.py": "import os, numpy\n", "other.py": ""}, ["main.py"], []),
    "plain": ({"main.py": "import b, a\n", "a.py": "", "b.py": ""}, ["main.py"], ["a.py", "b.py"]),
    "chain": ({"main.py": "import a\n", "a.py": "import b\n", "b.py": "import a\n"}, ["main.py"], ["a.py", "b.py"]),
    "back to the script": ({"main.py": "import a\n", "a.py": "import main\n"}, ["main.py"], ["a.py"]),
    "package": (
        {"main.py": "import p.q.r\n", "p/__init__.py": "", "p/q/__init__.py": "", "p/q/r.py": "", "p/s.py": ""},
        ["main.py"],
        ["p/__init__.py", "p/q/__init__.py", "p/q/r.py"],
    ),
    "from package": (
        {"main.py": "from p import m, value\n", "p/__init__.py": "value = 1\n", "p/m.py": ""},
        ["main.py"],
        ["p/__init__.py", "p/m.py"],
    ),
    "from module": (
        {"main.py": "from p.m import value\n", "p/__init__.py": "", "p/m.py": "value = 1\n"},
        ["main.py"],
        ["p/__init__.py", "p/m.py"],
    ),
    "namespace": (
        {"main.py": "import p.m\nfrom n import k\n", "p/m.py": "", "n/k.py": ""},
        ["main.py"],
        ["n/k.py", "p/m.py"],
    ),
    "package before module": (
        {"main.py": "import p\n", "p.py": "", "p/__init__.py": ""},
        ["main.py"],
        ["p/__init__.py"],
    ),
    "module before namespace": ({"main.py": "import p\n", "p.py": "", "p/m.py": ""}, ["main.py"], ["p.py"]),
    "shadows the library": ({"main.py": "import secrets\n", "secrets.py": ""}, ["main.py"], ["secrets.py"]),
    "built in wins": ({"main.py": "import sys\n", "sys.py": ""}, ["main.py"], []),
    "relative": (
        {
            "main.py": "import p.a.b\n",
            "p/__init__.py": "",
            "p/c.py": "",
            "p/a/__init__.py": "",
            "p/a/b.py": "from . import d\nfrom ..c import x\nfrom .e import y\n",
            "p/a/d.py": "",
            "p/a/e.py": "y = 1\n",
        },
        ["main.py"],
        ["p/__init__.py", "p/a/__init__.py", "p/a/b.py", "p/a/d.py", "p/a/e.py", "p/c.py"],
    ),
    "star": (
        {
            "main.py": "from p import *\n",
            "p/__init__.py": "__all__ = ['m', 'value']\nvalue = 1\n",
            "p/m.py": "",
            "p/n.py": "",
        },
        ["main.py"],
        ["p/__init__.py", "p/m.py"],
    ),
    "hidden places": (
        {
            "main.py": "def f():\n    import a\nif 0:\n    import b\n"
            "try:\n    import c\nexcept ImportError:\n    pass\n",
            "a.py": "",
            "b.py": "",
            "c.py": "",
        },
        ["main.py"],
        ["a.py", "b.py", "c.py"],
    ),
    "by name": (
        {
            "main.py": "import importlib\nimportlib.import_module('p.a')\n__import__('b')\nx = 'c'\n__import__(x)\n",
            "p/a.py": "import_module('.d', __package__)\n",
            "p/d.py": "",
            "b.py": "",
            "c.py": "",
        },
        ["main.py"],
        ["b.py", "c.py", "p/a.py", "p/d.py"],
    ),
    "package script": (
        {"p/__init__.py": "", "p/main.py": "from . import a\nimport p.b\n", "p/a.py": "", "p/b.py": ""},
        ["p/main.py"],
        ["p/__init__.py", "p/a.py", "p/b.py"],
    ),
    "two scripts": (
        {"b.py": "import c\n", "a.py": "import c\nimport b\n", "c.py": ""},
        ["b.py", "a.py", "b.py"],
        ["c.py"],
    ),
    "not python": ({"run.sh": "python main.py\n", "kernel.cu": "import nothing;\n"}, ["run.sh", "kernel.cu"], []),
    "compiled": (
        {
            "main.py": "import fast, old\n",
            "fast.cpython-311-x86_64-linux-gnu.so": "",
            "fast.abi3.so": "",
            "faster.so": "",
            "old.pyc": "",
        },
        ["main.py"],
        ["fast.abi3.so", "fast.cpython-311-x86_64-linux-gnu.so", "old.pyc"],
    ),
    "odd names": (
        {"main.py": "__import__('../x')\n__import__('')\n__import__('...')\n__import__(1)\n", "x.py": ""},
        ["main.py"],
        [],
    ),
    "coding and escapes": (
        {"main.py": "# -*- coding: utf-8 -*-\nx = '\\d é'\nimport a\n", "a.py": ""},
        ["main.py"],
        ["a.py"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_closure(name, tmp_path):
    files, scripts, imported = CASES[name]
    expected = [*dict.fromkeys(scripts), *imported]
    found = closure(tree(tmp_path, files), *scripts)
    assert found == expected


RUNNABLE = [
    "plain",
    "chain",
    "package",
    "from package",
    "from module",
    "namespace",
    "package before module",
    "module before namespace",
    "star",
    "hidden places",
    "shadows the library",
]


@pytest.mark.parametrize("name", RUNNABLE)
def test_python_loads_nothing_outside_the_closure(name, tmp_path):
    files, scripts, _ = CASES[name]
    tree(tmp_path, files)
    watch = (
        "import json, runpy, sys\nsys.path.insert(0, sys.argv[1])\nrunpy.run_path(sys.argv[2], run_name='__main__')\n"
    )
    watch += (
        "paths = [getattr(module, '__file__', None) or '' for module in list(sys.modules.values())]\n"
        "print(json.dumps([path for path in paths if path.startswith(sys.argv[1])]))\n"
    )
    command = [sys.executable, "-B", "-c", watch, str(tmp_path), str(tmp_path / scripts[0])]
    loaded = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert loaded and set(loaded) <= {str(path) for path in counted_files(script_closure([tmp_path / scripts[0]]))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (\n", r"a\.py is not valid Python \(line 1"),
        ("x = 1\n\0", r"a\.py is not valid Python"),
        ("-" * 100_000 + "1", r"a\.py is not valid Python"),
    ],
)
def test_code_that_does_not_parse_is_named(text, message, tmp_path):
    tree(tmp_path, {"main.py": "import a\n", "a.py": text})
    with pytest.raises(DataError, match=message):
        script_closure([tmp_path / "main.py"])


@pytest.mark.parametrize("name", ["missing.py", "."])
def test_a_missing_script_is_named(name, tmp_path):
    with pytest.raises(DataError, match="is not a file"):
        script_closure([tmp_path / name])


def test_one_file_under_two_names_counts_once(tmp_path):
    tree(tmp_path, {"main.py": "import a\n", "a.py": ""})
    (tmp_path / "link.py").symlink_to(tmp_path / "main.py")
    assert closure(tmp_path, "link.py", "main.py") == ["main.py", "a.py"]


def test_what_was_assumed_or_not_counted_is_said_by_name(tmp_path):
    packed = zlib.compress(b"import tables, bytecap, lost\n" * 3)
    script = f"import zlib, sys, subprocess, sentencepiece as spm\nexec(zlib.decompress({packed!r}))\n"
    script += "spm.SentencePieceProcessor(model_file='t.model')\nopen(sys.argv[1] + '/prefix.xz')\n"
    script += "subprocess.run(['lrzip'])\nexec(input())\nprint(t'{script}')\n"
    files = {"main.py": script, "tables.py": "", "t.model": "x" * 9, "prefix.xz": "x" * 7}
    found = script_closure([tree(tmp_path, files) / "main.py"])
    notes = closure_notes(found)
    assert closure(tmp_path, "main.py") == ["main.py", "prefix.xz", "tables.py"]
    wanted = [
        "main.py:2 runs 87 bytes of source packed with zlib, which were followed",
        "assumed: prefix.xz, of whose path main.py:4 tells only the end",
        "not counted: t.model, 9 bytes (tokenizer: ",
        "main.py: payload, line 1 imports bytecap, the decoder, not counted here",
        "main.py: payload, line 1 imports lost, which is not here",
        "needs Python 3.14",
        "main.py:5 starts the program lrzip",
        "main.py:6 runs code that could not be followed: exec",
    ]
    assert [any(note.startswith(text) for note in notes) for text in wanted] == [True] * len(wanted)
    assert len(notes) == len(wanted)


def test_plain_code_has_no_notes(tmp_path):
    assert closure_notes(script_closure([tree(tmp_path, {"main.py": "import a\n", "a.py": ""}) / "main.py"])) == []
