"""Ways around the reader that somebody who knows it would take: names looked up, files that run by themselves."""

from __future__ import annotations

import pytest
from submission_folders import write_folder

from bytecap.submissions.code import judge_code
from bytecap.submissions.folder import open_folder

FETCH = "import urllib.request\nurllib.request.urlopen('http://a')\n"
NETWORK, PROGRAM = "code-network", "code-external-program"
HIDDEN = {
    "the top of a dotted import": (
        {"train_gpt.py": "getattr(getattr(__import__('urllib.request'), 'request'), 'urlopen')('http://a')\n"},
        {NETWORK: "uses the network: urllib.request.urlopen"},
    ),
    "__getattribute__": (
        {"train_gpt.py": "import os\nos.__getattribute__('sys' + 'tem')('curl http://a')\n"},
        {PROGRAM: "starts the program curl"},
    ),
    "object.__getattribute__": (
        {"train_gpt.py": "import os\nobject.__getattribute__(os, 'system')('curl http://a')\n"},
        {PROGRAM: "starts the program curl"},
    ),
    "a static method": (
        {"train_gpt.py": "import os\nclass C:\n    run = staticmethod(os.system)\nC.run('curl http://a')\n"},
        {PROGRAM: "starts the program curl"},
    ),
    "the C library": (
        {"train_gpt.py": "import ctypes\nctypes.CDLL(None).system(b'curl http://a')\n"},
        {PROGRAM: "starts the program curl"},
    ),
    "the C library by its name": (
        {"train_gpt.py": "import ctypes\nlibc = ctypes.CDLL('libc.so.6')\nlibc.system(b'curl http://a')\n"},
        {PROGRAM: "starts the program curl"},
    ),
    "the C library, looked for": (
        {
            "train_gpt.py": "from ctypes import CDLL\nfrom ctypes.util import find_library\n"
            "CDLL(find_library('c')).popen(b'curl http://a', b'r')\n"
        },
        {PROGRAM: "starts the program curl"},
    ),
    "a computed command of the C library": (
        {"train_gpt.py": "import ctypes, sys\nctypes.CDLL(None).system(sys.argv[1])\n"},
        {"code-computed": "starts a computed command (the C library.system)"},
    ),
    "a site folder": (
        {
            "train_gpt.py": "import os, site\nsite.addsitedir(os.path.dirname(__file__))\n",
            "a.pth": "parts\nimport os; os.system('curl http://a')\n",
        },
        {"code-second-file": "a.pth, 44 bytes, is executed as source and counts", PROGRAM: "starts the program curl"},
    ),
    "sitecustomize": (
        {"train_gpt.py": "x = 1\n", "sitecustomize.py": FETCH},
        {"code-local-module": "sitecustomize.py, 57 bytes, is imported and counts", NETWORK: "uses the network: "},
    ),
    "conftest": (
        {"train_gpt.py": "import pytest\npytest.main([])\n", "conftest.py": FETCH},
        {"code-local-module": "conftest.py, 57 bytes, is imported and counts", NETWORK: "uses the network: "},
    ),
    "a start's own file": (
        {"train_gpt.py": "import os\nos.environ['PYTHONSTARTUP'] = 'start.txt'\n", "start.txt": FETCH},
        {"code-second-file": "start.txt, 57 bytes, is executed as source and counts", NETWORK: "uses the network: "},
    ),
    "a library before all others": (
        {"train_gpt.py": "import os\nos.environ['LD_PRELOAD'] = './a.so'\n", "a.so": b"\x7fELF" + bytes(60)},
        {"code-library": "a.so, 64 bytes, is loaded as a library and counts"},
    ),
    "a computed start": (
        {"train_gpt.py": "import os, sys\nos.environ['BASH_ENV'] = sys.argv[1]\n"},
        {"code-computed": "sets BASH_ENV to a computed text"},
    ),
    "an import hook that is added": (
        {"train_gpt.py": "import sys\nsys.meta_path += [Finder()]\n"},
        {"code-unread-payload": "runs code that could not be followed: an import hook of its own (sys.meta_path)"},
    ),
    "an import hook in place of another": (
        {"train_gpt.py": "import sys\nsys.path_hooks[0] = finder\n"},
        {"code-unread-payload": "runs code that could not be followed: an import hook of its own (sys.path_hooks)"},
    ),
    "a builtin that is replaced": (
        {"train_gpt.py": "import builtins\nbuiltins.__dict__['open'] = other\n"},
        {"code-unread-payload": "runs code that could not be followed: builtins.open is replaced"},
    ),
    "content of a repository": (
        {"train_gpt.py": "import subprocess\nsubprocess.check_output(['git', 'show', 'HEAD~1:w.bin'])\n"},
        {PROGRAM: "starts the program git show"},
    ),
    "standard input": (
        {"train_gpt.py": "import sys\nx = sys.stdin.buffer.read()\n"},
        {"code-computed-file": "opens files by computed names, which are not known: standard input"},
    ),
    "files of a folder, one by one": (
        {"train_gpt.py": "import os\nd = os.path.dirname(__file__)\nopen(os.path.join(d, os.listdir(d)[0]))\n"},
        {"code-computed-file": "opens files by computed names, which are not known: open"},
    ),
}
ACCUSING = {NETWORK, PROGRAM, "code-computed", "code-second-file", "code-local-module", "code-library"}
INNOCENT = {
    "another library": "import ctypes\nctypes.CDLL('libcuda.so').cuInit(0)\n",
    "sizes of the C library": "import ctypes\nctypes.CDLL(None).malloc_trim(0)\n",
    "the platform": "import platform\nif platform.system() == 'Linux':\n    x = 1\n",
    "a static method": "class C:\n    @staticmethod\n    def run(x): return x\n    go = staticmethod(len)\nC.run(1)\n",
    "the environment": "import os\nos.environ['A'] = '1'\nos.environ['LD_PRELOAD'] = 'libtcmalloc.so.4'\n",
    "a dotted import": "x = __import__('os.path').path.join('a', 'b')\n",
    "a site folder without import lines": "import os, site\nsite.addsitedir(os.path.dirname(__file__))\n",
}


@pytest.mark.parametrize("way", HIDDEN)
def test_what_is_hidden_is_said(way, tmp_path):
    files, expected = HIDDEN[way]
    _, findings = judge_code(open_folder(write_folder(tmp_path / "folder", files)))
    said = [(finding.rule, finding.text) for finding in findings]
    for rule, text in expected.items():
        assert any(each == rule and told.startswith(text) for each, told in said), said


@pytest.mark.parametrize("case", INNOCENT)
def test_the_innocent_are_not_accused(case, tmp_path):
    files = {"train_gpt.py": INNOCENT[case], "a.pth": "parts\n"}
    _, findings = judge_code(open_folder(write_folder(tmp_path / "folder", files)))
    assert [finding for finding in findings if finding.rule in ACCUSING] == []
