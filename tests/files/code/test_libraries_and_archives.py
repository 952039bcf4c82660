"""Libraries that are loaded, zip files that are imported from, text that only a reader of the source has."""

from __future__ import annotations

import base64
import io
import random
import zipfile

import pytest
from submission_folders import write_folder

from bytecap.files.code.mounted_archives import MOST_BYTES, RoomWithArchives
from bytecap.files.code.unused_text import LEAST_BYTES, unused_data_bytes
from bytecap.submissions.code import judge_code
from bytecap.submissions.folder import open_folder
from bytecap.submissions.folder_room import ROOT, FolderRoom

LIBRARY = b"\x7fELF" + bytes(60)
FETCH = "import urllib.request\nurllib.request.urlopen('http://a')\n"


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def judged(tmp_path, script, **files):
    named = {name.replace("__", "."): contents for name, contents in files.items()}
    return judge_code(open_folder(write_folder(tmp_path / "folder", {"train_gpt.py": script, **named})))


LOADS = (
    "import ctypes\nctypes.cdll['./y.so']\n",
    "import ctypes\nctypes.cdll.LoadLibrary('./y.so')\n",
    "from ctypes import cdll as c\nx = c['y' + '.so']\n",
    "import ctypes\ngetattr(ctypes.cdll, './y.so').run()\n",
    "import ctypes\nctypes.LibraryLoader(ctypes.CDLL)['./y.so']\n",
    "import ctypes\nctypes.CDLL(name='./y.so')\n",
    "import ctypes\nctypes.pydll.LoadLibrary('./y.so')\n",
    "import _ctypes\n_ctypes.dlopen('./y.so', 1)\n",
    "from cffi import FFI\nffi = FFI()\nlib = ffi.dlopen('./y.so')\n",
    "import cffi\ncffi.FFI().dlopen('./y.so')\n",
    "import numpy as np\nnp.ctypeslib.load_library('y', '.')\n",
    "import torch\ntorch.ops.load_library('./y.so')\n",
    "import imp\nimp.load_dynamic('y', 'y.so')\n",
    "import os\nos.environ.setdefault('LD_PRELOAD', './y.so')\n",
    "import subprocess\nsubprocess.run('LD_PRELOAD=./y.so python -m x', shell=True)\n",
    "import os, subprocess\nsubprocess.run(['a'], env={**os.environ, 'LD_PRELOAD': './y.so'})\n",
    "import os, subprocess\nsubprocess.run(['a'], env=dict(os.environ, LD_AUDIT='./y.so'))\n",
)


@pytest.mark.parametrize("script", LOADS)
def test_a_library_counts_however_it_is_loaded(script, tmp_path):
    facts, findings = judged(tmp_path, script, y__so=LIBRARY)
    assert [file.name for file in facts.files if file.counts] == ["train_gpt.py", "y.so"]
    assert [finding.rule for finding in findings].count("code-library") == 1


ARCHIVE = zipped(
    {"secret.py": FETCH, "pkg/__init__.py": "from . import part\n", "pkg/part.py": FETCH, "top/a.py": FETCH}
)
IMPORTS = (
    "import sys\nsys.path.insert(0, 'm.zip')\nimport secret\n",
    "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), 'm.zip'))\nfrom pkg import part\n",
    "import sys\nsys.path = ['m.zip'] + sys.path\nimport secret\n",
    "import sys\nsys.path += ['m.zip']\nimport secret\n",
    "import sys\nsys.path[:0] = ['m.zip']\nimport secret\n",
    "import sys\nsys.path.extend(['m.zip/top'])\nimport a\n",
    "import zipimport\nzipimport.zipimporter('m.zip').load_module('secret')\n",
    "import subprocess\nsubprocess.run('PYTHONPATH=m.zip python -m secret', shell=True)\n",
    "import os, subprocess\nos.environ['PYTHONPATH'] = 'm.zip'\nsubprocess.run(['python', '-m', 'secret'])\n",
    "import os\nos.system('pip install ./m.zip')\nimport secret\n",
)


@pytest.mark.parametrize("script", IMPORTS)
def test_a_module_in_a_zip_file_is_read_and_the_file_counts(script, tmp_path):
    facts, findings = judged(tmp_path, script, m__zip=ARCHIVE)
    assert [file.name for file in facts.files if file.counts] == ["train_gpt.py", "m.zip"]
    places = [finding.place for finding in findings if finding.rule == "code-network"]
    assert any(place.startswith("m.zip/") for place in places)
    assert "code-missing-module" not in {finding.rule for finding in findings}


@pytest.mark.parametrize("start", ["import runpy\nrunpy.run_path('a.bin')\n", "import os\nos.system('python a.bin')\n"])
def test_a_zip_file_that_runs_is_read_whatever_its_name(start, tmp_path):
    facts, findings = judged(tmp_path, start, a__bin=zipped({"__main__.py": FETCH}))
    assert [file.name for file in facts.files if file.counts] == ["train_gpt.py", "a.bin"]
    assert [finding.place for finding in findings if finding.rule == "code-network"] == ["a.bin/__main__.py:2"]


@pytest.mark.parametrize("data", [b"PK\x03\x04", ARCHIVE[:-20], b"", ARCHIVE.replace(b"secret.py", b"../../x.py")])
def test_a_damaged_archive_is_no_folder(data, tmp_path):
    findings = judged(tmp_path, IMPORTS[0], m__zip=data)[1]
    assert "code-missing-module" in {finding.rule for finding in findings}


def test_no_more_of_an_archive_is_unpacked_than_is_allowed(tmp_path):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("secret.py", bytes(MOST_BYTES + 1))
        archive.writestr("a.py", "x = 1\n")
    room = RoomWithArchives(FolderRoom(open_folder(write_folder(tmp_path / "folder", {"m.zip": bomb.getvalue()}))))
    assert room.mount(f"{ROOT}/m.zip") == f"{ROOT}/m.zip"
    assert room.members_of(f"{ROOT}/m.zip") == [f"{ROOT}/m.zip/a.py"]


DATA = base64.b85encode(random.Random(1).randbytes(12_000)).decode().translate({34: None, 39: None, 92: None})
HIDING = (
    '"""' + DATA + '"""\nx = __doc__\n',
    f"# {DATA}\nx = open(__file__).read()\n",
    "".join(f"# {DATA[n : n + 60]}\n" for n in range(0, len(DATA), 60)) + "import inspect, sys\n",
    f"def f():\n    '{DATA}'\nx = f.__doc__\n",
    f"'{DATA}'\nx = 1\n",
    f"def f(a: '{DATA}'): pass\n",
    "".join(f"{'abcdefgh' * 9}{n} = 1\n" for n in range(100)),
    "".join("x = 1" + " " * (n % 7 + 2) * 9 + "\n" for n in range(200)),
)


@pytest.mark.parametrize("script", HIDING)
def test_data_that_a_minifier_would_drop_are_said_and_packed(script, tmp_path):
    facts, findings = judged(tmp_path, script)
    said = [finding.values["bytes"] for finding in findings if finding.rule == "code-unused-text"]
    assert len(said) == 1 and said[0] >= LEAST_BYTES
    assert facts.packed.minified_bytes == facts.packed.plain_bytes


@pytest.mark.parametrize(
    "script",
    [
        "# a comment that is written for people, who read it and see what is meant\n" * 300,
        "# " + "-" * 118 + "\n" * 200,
        '"""Words that explain what the script does, one after the other.\n'
        + "And so on, for many lines.\n" * 400
        + '"""\n',
        f"x = '{DATA}'\n",
        "# 交叉熵仅训练路径用一个核函数完成张量反向核同样按行重算因此显存占用降低与累积级别的数值差异。\n" * 90,
        "# see https://github.com/somebody/something/pull/1234567890\n" * 40,
    ],
)
def test_words_and_what_is_used_are_no_such_data(script):
    assert unused_data_bytes(script) == 0


def test_looking_for_it_takes_time_in_proportion():
    for part in (" " * 400_000, "#" * 400_000, "'" * 400_000, "a" * 400_000):
        assert unused_data_bytes(f"x = 1{part}2\n") >= 0


def test_links_inside_are_what_they_mean(tmp_path):
    folder = write_folder(
        tmp_path / "folder",
        {"train_gpt.py": "import a\nopen('w/b.npz')\nopen('out.npz')\n", "src/a.py": "x = 1\n", "d/b.npz": bytes(99)},
    )
    (folder / "a.py").symlink_to("src/a.py")
    (folder / "w").symlink_to("d")
    (folder / "out.npz").symlink_to("/etc/hostname")
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    facts, findings = judge_code(open_folder(folder))
    assert [file.name for file in facts.files if file.counts] == ["train_gpt.py", "d/b.npz", "src/a.py"]
    assert "code-missing-module" not in {finding.rule for finding in findings}
