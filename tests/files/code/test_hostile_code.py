"""Sources that want their reader to work or to remember without end: each is read in seconds and in bounded memory."""

from __future__ import annotations

import time
import zlib

import pytest

from bytecap.files.code.closure import code_closure
from bytecap.files.code.source_room import DiskRoom

BOMB = f"zlib.decompress({zlib.compress(b'#' * (15 << 20), 9)!r})"
DEEP = zlib.compress(b"a=b" + b"+d" * 250_000)
HOSTILE = {
    "bombs": {"main.py": "import zlib\n" + f"exec({BOMB})\n" * 9},
    "bomb of code": {"main.py": f"import zlib\nexec(zlib.decompress({DEEP!r}))\n"},
    "doubling": {"main.py": "a = 'x'\nb = [1]\n" + "a = a + a\nb = b + b\n" * 60 + "exec(a)\n"},
    "strip": {"main.py": "a = 'a' * 9000000\nb = 'b' * 9000000 + 'a'\nexec(a.strip(b))\nexec(a.replace('a', b))\n"},
    "parts": {"main.py": "exec(''.join(('a' * 9000000).split('a')))\n"},
    "quadratic encoding": {"main.py": "exec((b'a-' + b'b' * 4000000).decode('punycode'))\n"},
    "long list": {"main.py": "exec(''.join(sorted(chr(x) for x in list(range(10**12)))))\n"},
    "loops in loops": {
        "main.py": "".join(f"{' ' * n}for x{n} in range(90):\n" for n in range(6)) + " " * 6 + "y = 1\n"
    },
    "calls itself": {"main.py": "def f(x):\n    exec(x)\n    f(x)\n    f(x)\n" + "f('y = 1')\n" * 99},
    "returns itself": {"main.py": "def f(x):\n    return f(x) + f(x)\nexec(f('a'))\n" * 20},
    "executes itself": {"main.py": "exec(open(__file__).read())\n" * 99},
    "circle": {"main.py": "exec(open('b.py').read())\n", "b.py": "exec(open('main.py').read())\nimport main\n"},
    "includes in a circle": {"main.py": "import os\nos.system('g++ a.cpp')\n", "a.cpp": '#include "a.cpp"\n' * 9999},
    "long chain of calls": {"main.py": "exec(a" + ".b()" * 3000 + ")\n"},
    "nested calls": {"main.py": "exec(" + "f(" * 180 + "1" + ")" * 180 + ")\n"},
    "nested strings": {"main.py": "x = " + 'f"{' * 90 + "1" + '}"' * 90 + "\n"},
    "deep tree": {"main.py": "x = " + "-" * 90_000 + "1)\n"},
    "open quotes": {"main.py": "'''" * 30_000},
    "odd paths": {
        "main.py": "open('../' * 9999)\nopen('\\0')\nexec(open('/etc/hostname\\n').read())\nopen('a' * 99999)\n"
    },
    "odd imports": {"main.py": "import importlib as i\ni.import_module('.' * 999 + 'x')\ni.import_module('a..b')\n"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_source_is_read_in_time(name, tmp_path):
    for file, text in HOSTILE[name].items():
        (tmp_path / file).write_text(text)
    started = time.process_time()
    closure = code_closure(DiskRoom([tmp_path / "main.py"]), [(tmp_path / "main.py").as_posix()])
    assert time.process_time() - started < 10
    assert closure.code_bytes >= (tmp_path / "main.py").stat().st_size
