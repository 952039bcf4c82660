"""What a script needs beside imports: second files, processes, compiled sources, side files; and what is missing."""

from __future__ import annotations

import pytest

from bytecap.files.code.closure import code_closure
from bytecap.files.code.references import Kind
from bytecap.files.code.source_room import DiskRoom

HERE = "from pathlib import Path\nhere = Path(__file__).resolve().parent\n"
FOUND = {
    "exec of a second file": ("exec(open('second.py').read())", {"second.py": "import third", "third.py": ""}),
    "path of a second file": (f"{HERE}exec((here / 'second.py').read_text())", {"second.py": ""}),
    "with": ("with open('second.py') as file:\n    exec(compile(file.read(), 'x', 'exec'))", {"second.py": ""}),
    "replaced name": ("exec(open(__file__.replace('main', 'second')).read())", {"second.py": ""}),
    "run_path": ("import runpy\nrunpy.run_path('second.py')", {"second.py": ""}),
    "spec": ("import importlib.util as u\nu.spec_from_file_location('a', 'lib/a.py')", {"lib/a.py": ""}),
    "import path": (f"import sys\n{HERE}sys.path.insert(0, str(here / 'lib'))\nimport a", {"lib/a.py": ""}),
    "module process": (
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-m', 'p.tool'])",
        {"p/__init__.py": "", "p/tool.py": "from . import other", "p/other.py": ""},
    ),
    "package process": ("import os\nos.system('python3 -m p')", {"p/__init__.py": "", "p/__main__.py": ""}),
    "script process": ("import os\nos.system('cd x && FOO=1 python -u second.py > log')", {"second.py": ""}),
    "torchrun": ("import os\nos.execvp('torchrun', ['torchrun', '--n=8', 'second.py'])", {"second.py": ""}),
    "launcher module": (
        "import subprocess\nsubprocess.run('python -m torch.distributed.run second.py'.split())",
        {"second.py": ""},
    ),
    "shell": ("import subprocess\nsubprocess.run(['bash', '-c', 'python second.py'])", {"second.py": ""}),
    "helper that loads": (
        "import importlib.util as u\nfrom pathlib import Path\n"
        "def load(name):\n    return u.spec_from_file_location('x', Path(__file__).parent / name)\n"
        "def main():\n    load('second.py')\n    load(name='third.py')\nmain()",
        {"second.py": "", "third.py": ""},
    ),
    "helper that starts": (
        "import subprocess, sys\ndef run(*words, check=True):\n    subprocess.run(words, check=check)\n"
        "def start(script):\n    subprocess.Popen([sys.executable, script])\nstart('second.py')",
        {"second.py": ""},
    ),
    "compiler": (
        f"import subprocess\n{HERE}subprocess.run(['g++', str(here / 'k.cpp'), '-o', 'k.so'])",
        {"k.cpp": '#include "k.h"\n#include <math.h>\n', "k.h": ""},
    ),
    "extension": (
        "from torch.utils.cpp_extension import load\nload(name='k', sources=['k.cpp', 'k.cu'])",
        {"k.cpp": "", "k.cu": ""},
    ),
    "library": ("import ctypes\nctypes.CDLL('./k.so')", {"k.so": b"\x7fELF"}),
    "side file": ("import numpy as np\nnp.load('prefix.npz')", {"prefix.npz": b"x"}),
    "side file of a class": (
        "import json\nclass H:\n    table = 'table.json'\nh = H()\njson.load(open(h.table))",
        {"table.json": "{}"},
    ),
    "script of another name": (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-X', 'dev', 'helper'])",
        {"helper": "import third", "third.py": ""},
    ),
    "started text": ("import os, sys\nos.execv(sys.executable, [sys.executable, 'helper.txt'])", {"helper.txt": ""}),
    "started folder": ("import subprocess\nsubprocess.run(['python', 'app'])", {"app/__main__.py": ""}),
    "run folder": ("import runpy\nrunpy.run_path('app')", {"app/__main__.py": ""}),
    "started archive": ("import os\nos.system('python3 app.pyz')", {"app.pyz": b"PK\0\0"}),
    "launched text": ("import os\nos.system('torchrun --nproc 8 helper > log.txt')", {"helper": ""}),
    "input of Python": ("import os\nos.system('python3 < helper.txt')", {"helper.txt": "import third", "third.py": ""}),
    "piped into Python": ("import os\nos.system('cat helper.txt | python3')", {"helper.txt": ""}),
    "shell script": ("import subprocess\nsubprocess.run(['bash', 'run.sh'])", {"run.sh": "python a.py\n", "a.py": ""}),
    "shell text": ("import os\nos.system('sh run.txt')", {"run.txt": "python a.py\n", "a.py": ""}),
    "sourced text": ("import os\nos.system('. ./run.txt && true')", {"run.txt": "python a.py\n", "a.py": ""}),
    "program of the folder": ("import os\nos.system('./run')", {"run": "#!/bin/sh\npython a.py\n", "a.py": ""}),
    "name in a module's table": (
        "import sys\nsys.modules['importlib'].import_module('a')\n"
        "__builtins__.__dict__['ex' + 'ec'](open('b.txt').read())",
        {"a.py": "", "b.txt": "x = 1"},
    ),
    "builtins": (
        "import builtins as b\nb.open('a.txt')\nvars(b)['exec'](b.open('b.txt').read())",
        {"a.txt": "", "b.txt": "x = 1"},
    ),
    "terminal": ("import pty\npty.spawn(['python', 'a.py'])", {"a.py": ""}),
    "file of a program": ("import os\nos.system('xz -dk table.xz')", {"table.xz": b"\xfd"}),
    "texts": (
        "a, b = open('weights.txt').read(), open('notes.md').read()\nopen('model.log')",
        {"weights.txt": "x", "notes.md": "x", "model.log": "x"},
    ),
    "picture": ("from PIL import Image\nImage.open('figure.png')", {"figure.png": b"\x89PNG"}),
    "database": ("import sqlite3\nsqlite3.connect('table.db')", {"table.db": b"SQLite"}),
    "end of a path": ("import sys\nopen(f'{sys.argv[1]}/prefix.xz', 'rb')", {"prefix.xz": b"x"}),
}


ASSUMED = {"side file of a class", "end of a path"}


def follow(folder, script, files, name="main.py"):
    for path, contents in {name: script, **files}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    return code_closure(DiskRoom([folder / name]), [(folder / name).as_posix()])


def names(files, folder):
    return {file.path.removeprefix(f"{folder.resolve().as_posix()}/") for file in files}


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found_counts(name, tmp_path):
    script, files = FOUND[name]
    closure = follow(tmp_path, script, files)
    assert names(closure.counted, tmp_path) == {"main.py", *files}
    assert closure.code_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert [file.assumed for file in closure.counted[1:]] == [name in ASSUMED] * len(files)


def test_what_a_command_only_names_or_writes_does_not_count(tmp_path):
    commands = "echo a.txt > b.txt; rm c.txt; mkdir d; torchrun --n 8 x.py; tee e.txt; nvidia-smi a.txt"
    script = f"import os\nos.system('{commands}')"
    files = dict.fromkeys(("a.txt", "b.txt", "c.txt", "e.txt"), "x")
    closure = follow(tmp_path, script, files)
    assert names(closure.counted, tmp_path) == {"main.py"}
    assert {item.name for _, item in closure.named if item.kind is Kind.STARTED_SCRIPT} == {"x.py"}


def test_a_started_archive_is_counted_and_said_to_be_unread(tmp_path):
    closure = follow(tmp_path, "import runpy\nrunpy.run_path('app.zip')", {"app.zip": b"PK\0\0" * 99})
    assert closure.code_bytes == 396 + len("import runpy\nrunpy.run_path('app.zip')")
    assert [(item.label, item.not_read) for item in closure.unread] == [("app.zip", True)]


NOT_COUNTED = {
    "tokenizer": ("import sentencepiece as s\ns.SentencePieceProcessor(model_file='t.model')", "t.model"),
    "data": ("import numpy as np\nnp.fromfile('fineweb_val_000000.bin')", "fineweb_val_000000.bin"),
    "model": ("import torch\ntorch.load('final_model.ptz')", "final_model.ptz"),
    "own output": ("open('table.npz', 'wb')\nopen('table.npz', 'rb')", "table.npz"),
    "source as text": ("len(open('other.py').read())", "other.py"),
}


@pytest.mark.parametrize("name", NOT_COUNTED)
def test_what_does_not_count_is_listed_with_its_reason(name, tmp_path):
    script, file = NOT_COUNTED[name]
    closure = follow(tmp_path, script, {file: "x = 1\n"})
    assert names(closure.counted, tmp_path) == {"main.py"}
    assert names(closure.uncounted, tmp_path) == {file}
    assert all(file.purpose.value for file in closure.uncounted)


NAMED = {
    "program": ("import subprocess\nsubprocess.check_output(['lrzip', '-q', 'x'])", Kind.PROGRAM, "lrzip"),
    "piped": ("import os\nos.popen('cat x | zstd -d')", Kind.PROGRAM, "zstd"),
    "pip": (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'brotli'])",
        Kind.NETWORK,
        "pip install brotli",
    ),
    "part of a list": (
        "import subprocess, sys\nsubprocess.run([sys.executable] + ['-m', 'pip', 'install'] + sys.argv)",
        Kind.NETWORK,
        "pip install",
    ),
    "download": ("from huggingface_hub import hf_hub_download as get\nget('a', 'b')", Kind.NETWORK, "hf_hub_download"),
    "request": ("import requests\nrequests.get('http://a')", Kind.NETWORK, "requests.get"),
    "opener": ("import urllib.request as r\nr.build_opener().open('http://a')", Kind.NETWORK, "build_opener"),
    "zoo": ("import timm\ntimm.create_model('a', pretrained=True)", Kind.NETWORK, "timm.create_model, pretrained"),
    "weights": ("from torchvision.models import vit_b_16\nvit_b_16(weights='DEFAULT')", Kind.NETWORK, "pretrained"),
    "clone": ("import os\nos.system('git clone https://a')", Kind.NETWORK, "git clone"),
    "inline": (
        "from torch.utils import cpp_extension as e\ne.load_inline('k', 'int f();')",
        Kind.INLINE_NATIVE,
        "load_inline",
    ),
    "unpickling": ("import torch\ntorch.load('a.pt', weights_only=False)", Kind.UNPICKLING, "torch.load"),
    "lost file": ("import runpy\nrunpy.run_path('lost.py')", Kind.EXECUTED_FILE, "lost.py"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_no_file_is_named_with_its_place(name, tmp_path):
    script, kind, word = NAMED[name]
    closure = follow(tmp_path, script, {})
    assert [(place, word in item.name) for place, item in closure.named if item.kind is kind] == [("main.py:2", True)]


COMPUTED = {
    "module": "import sys, importlib\nimportlib.import_module(sys.argv[1])",
    "command": "import sys, subprocess\nsubprocess.run(sys.argv[1:])",
    "program": "import sys, subprocess\nsubprocess.run([next(sys.argv), '-shared', 'k.c'])",
    "shell": "import sys, os\nos.system(sys.argv[1])",
    "library": "import sys, ctypes\nctypes.CDLL(sys.argv[1])",
    "file": "import sys, runpy\nrunpy.run_path(sys.argv[1])",
}


@pytest.mark.parametrize("name", COMPUTED)
def test_what_has_a_computed_name_is_said(name, tmp_path):
    closure = follow(tmp_path, COMPUTED[name], {})
    assert [(place, item.kind) for place, item in closure.named] == [("main.py:2", Kind.COMPUTED)]


def test_what_is_harmless_is_not_named(tmp_path):
    script = "import torch, ctypes, timm\ntorch.load('a.pt', weights_only=True)\nmodel.eval()\nctypes.CDLL(None)\n"
    script += "timm.create_model('a', pretrained=False)\nMine(pretrained=True)\nimport timeit\ntimeit.timeit(run)\n"
    closure = follow(tmp_path, script, {})
    assert closure.named == []


@pytest.mark.parametrize(
    ("script", "optional"),
    [
        ("import lost", False),
        ("if __name__ == '__main__':\n    import lost.part", False),
        ("try:\n    import lost\nexcept ImportError:\n    lost = None", True),
        ("def f():\n    import lost", True),
        ("import importlib\nimportlib.import_module('lost')", True),
    ],
)
def test_a_missing_module_is_told(script, optional, tmp_path):
    closure = follow(tmp_path, script, {})
    assert [(item.name.split(".")[0], item.optional) for item in closure.missing] == [("lost", optional)]


def test_known_names_are_not_missing(tmp_path):
    script = "import os, torch, compression.zstd, flash_attn_interface, tifffile, mine\n"
    script += "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import only_types\n"
    (tmp_path / "main.py").write_text(script)
    closure = code_closure(DiskRoom([tmp_path / "main.py"]), [(tmp_path / "main.py").as_posix()], ["mine"])
    assert closure.missing == [] and "torch" in closure.modules


def test_shell_scripts_are_followed(tmp_path):
    closure = follow(
        tmp_path,
        "# python no.py\nset -e\npip install x\ntorchrun \\\n  a.py\n",
        {"a.py": "import b", "b.py": ""},
        "run.sh",
    )
    assert names(closure.counted, tmp_path) == {"run.sh", "a.py", "b.py"}


def test_hostile_sources_end_in_time(tmp_path):
    chain = "if x == 0:\n    pass\n" + "".join(f"elif x == {number}:\n    pass\n" for number in range(2000))
    functions = "".join(f"def f{number}(): return f{number + 1}()\n" for number in range(3000))
    closure = follow(
        tmp_path, chain + functions + "import b\n", {"b.py": "a" + ".b" * 900 + "\nx = " + "f(" * 90 + ")" * 90}
    )
    assert len(closure.counted) == 2
    assert all("it computes more than is looked at" in item.reason for item in closure.unread)


def test_files_of_others_are_not_looked_at(tmp_path):
    script = "import sys, os\nsys.path.insert(0, '/usr/lib/python3')\nexec(open('/etc/passwd').read())\n"
    script += "sys.path.append(os.path.join(os.path.dirname(__file__), '..'))\nimport outside\n"
    (tmp_path / "outside.py").write_text("x = 1\n")
    closure = follow(tmp_path / "folder", script, {})
    assert names(closure.files.values(), tmp_path / "folder") == {"main.py"}
    assert [item.name for item in closure.missing] == ["outside"]


def test_a_repository_is_one_place(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "beside.py").write_text("x = 1\n")
    script = "import sys, os\nsys.path.append(os.path.join(os.path.dirname(__file__), '..'))\nimport beside\n"
    closure = follow(tmp_path, script, {}, "folder/main.py")
    assert names(closure.counted, tmp_path) == {"folder/main.py", "beside.py"}
