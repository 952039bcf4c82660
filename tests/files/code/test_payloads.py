"""Source that a script executes is found however it is packed, without running anything; what is not is said."""

from __future__ import annotations

import base64
import lzma
import re
import time
import zlib

import pytest

from bytecap.files.code.closure import code_closure
from bytecap.files.code.references import Kind
from bytecap.files.code.source_room import DiskRoom

INNER = "import tables\nprint(tables.N, 'a source that is long enough to be packed')\n"
B85 = base64.b85encode(lzma.compress(INNER.encode())).decode()
HALF = len(B85) // 2
B64 = base64.b64encode(zlib.compress(INNER.encode())).decode()
XORED = [byte ^ 23 for byte in INNER.encode()]
PAYLOADS = {
    "aliases": f"import lzma as L,base64 as B\nexec(L.decompress(B.b85decode('{B85}')))",
    "from imports": f"from lzma import decompress as d\nfrom base64 import b85decode as b\nexec(d(b('{B85}')))",
    "variable": f"import lzma,base64\ns='{B85}'\ns=base64.b85decode(s)\ns=lzma.decompress(s)\nexec(s.decode())",
    "compile": f"import lzma,base64\n"
    f"c=compile(lzma.decompress(base64.b85decode('{B85}')),'x','exec')\nexec(c,globals())",
    "joined list": f"import lzma,base64\np=['{B85[:HALF]}']\np.append('{B85[HALF:]}')\n"
    "exec(lzma.decompress(base64.b85decode(''.join(p))))",
    "adjacent strings": f"import lzma,base64\nexec(lzma.decompress(base64.b85decode('{B85[:HALF]}'\n'{B85[HALF:]}')))",
    "sum": f"import zlib,base64\na='{B64[:9]}'\na+='{B64[9:]}'\nexec(zlib.decompress(base64.b64decode(a)))",
    "reversed": f"import zlib,base64\nexec(zlib.decompress(base64.b64decode('{B64[::-1]}'[::-1])))",
    "replaced": "import zlib,base64\n"
    f"exec(zlib.decompress(base64.b64decode('{B64.replace('A', '.')}'.replace('.','A'))))",
    "hex": f"import zlib\nexec(zlib.decompress(bytes.fromhex('{zlib.compress(INNER.encode()).hex()}')))",
    "hexlify": f"import binascii\nexec(binascii.unhexlify('{INNER.encode().hex()}'))",
    "codecs": f"import codecs\nexec(codecs.decode({zlib.compress(INNER.encode())!r},'zlib'))",
    "xor": f"exec(bytes(byte ^ 23 for byte in {XORED}).decode())",
    "loop": f"s=''\nfor c in {XORED}:\n    s+=chr(c ^ 23)\nexec(s)",
    "map": f"exec(''.join(map(chr, {list(INNER.encode())})))",
    "own function": "import zlib,base64\ndef u(x):\n    y=base64.b64decode(x)\n    return zlib.decompress(y)\n"
    f"exec(u('{B64}'))",
    "lambda": f"u=lambda x:__import__('zlib').decompress(__import__('base64').b64decode(x))\nexec(u('{B64}'))",
    "executing function": "import zlib,base64\ndef run(n,x):\n    exec(zlib.decompress(base64.b64decode(x)))\n"
    f"run('a','{B64}')",
    "alias of exec": f"import zlib,base64\ne=exec\ne(zlib.decompress(base64.b64decode('{B64}')))",
    "builtins": f"import builtins,zlib,base64\nbuiltins.exec(zlib.decompress(base64.b64decode('{B64}')))",
    "getattr": f"import zlib,base64\nexec(getattr(zlib,'decompress')(base64.b64decode('{B64}')))",
    "constant by getattr": "import lzma,base64\nexec(lzma.decompress(base64.b64decode("
    f"'{base64.b64encode(lzma.compress(INNER.encode(), lzma.FORMAT_ALONE)).decode()}'),"
    "getattr(lzma,'FORMAT_ALONE')))",
    "path by getattr": "import zlib,base64\nfrom pathlib import Path\n"
    f"exec(zlib.decompress(base64.b64decode('{B64}'+getattr(Path('/a/b'),'name')[1:])))",
    "decompressor": f"import zlib,base64\nd=zlib.decompressobj()\nexec(d.decompress(base64.b64decode('{B64}')))",
    "own tail": "import zlib,base64\nexec(zlib.decompress(base64.b64decode(open(__file__).read().split('#'+'@')[1])))\n"
    f"#@{B64}",
    "in main": f"import zlib,base64\ndef main():\n    exec(zlib.decompress(base64.b64decode('{B64}')))\nmain()",
    "in try": "try:\n    import brotlicffi as z\nexcept ImportError:\n    import zlib as z\n"
    f"import base64\nexec(z.decompress(base64.b64decode('{B64}')))",
    "timed": f"import timeit,zlib,base64\ntimeit.timeit(zlib.decompress(base64.b64decode('{B64}')).decode(),number=1)",
    "profiled": f"import cProfile,zlib,base64\ncProfile.run(zlib.decompress(base64.b64decode('{B64}')))",
    "interpreter": "import code,zlib,base64\n"
    f"code.InteractiveInterpreter().runsource(zlib.decompress(base64.b64decode('{B64}')).decode(),'x','exec')",
    "python -c": f"import subprocess,sys\nsubprocess.run([sys.executable,'-c',{INNER!r}])",
}


def write(folder, files):
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)


def follow(folder, files, script="main.py"):
    write(folder, files)
    return code_closure(DiskRoom([folder / script]), [(folder / script).as_posix()])


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_read_and_its_imports_are_files(name, tmp_path):
    closure = follow(tmp_path, {"main.py": PAYLOADS[name], "tables.py": "N = 1\n"})
    assert [item.text.strip() for item in closure.payloads] == [INNER.strip()]
    assert [file.path.rsplit("/", 1)[1] for file in closure.counted] == ["main.py", "tables.py"]
    assert closure.counted[1].place == "main.py: payload, line 1"
    assert not [reference for _, reference in closure.named if reference.kind is Kind.UNREADABLE]


def test_payloads_in_payloads_have_layers_and_an_end(tmp_path):
    source = INNER
    for _ in range(12):
        packed = base64.b85encode(zlib.compress(source.encode())).decode()
        source = f"import zlib, base64\nexec(zlib.decompress(base64.b85decode('{packed}')))\n"
    closure = follow(tmp_path, {"main.py": source})
    assert sorted(item.layer for item in closure.payloads) == list(range(1, 9))
    assert "more than 8 payloads" in closure.unread[0].reason


UNREADABLE = {
    "input": ("import sys\nexec(sys.stdin.read())", "computed"),
    "network": ("import urllib.request as u\nexec(u.urlopen('http://a').read())", "computed"),
    "marshal": ("import marshal\nexec(marshal.loads(b'x'))", "code object"),
    "damaged": (
        f"import zlib,base64\nexec(zlib.decompress(base64.b64decode('{B64[:40]}AAAA')))",
        "zlib|ends early|payload",
    ),
    "no such file": ("exec(open('lost.py').read())", "lost.py"),
    "bomb": (f"import zlib\nexec(zlib.decompress({zlib.compress(b'#' * (17 << 20), 9)!r}))", "16 MiB"),
    "long loop": ("exec(''.join(chr(x % 99) for x in range(10**9)))", "range|computation|computed"),
    "repetition": ("exec('x=1;' * 10**9)", "repetition|computed"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_followed_is_said(name, tmp_path):
    script, reason = UNREADABLE[name]
    started = time.perf_counter()
    closure = follow(tmp_path, {"main.py": script})
    said = " ".join([reference.name for _, reference in closure.named] + [item.label for item in closure.unread])
    assert re.search(reason, said)
    assert time.perf_counter() - started < 10


def test_a_function_that_makes_modules_provides_them(tmp_path):
    script = (
        "import sys, types\n"
        "def install(name, source):\n"
        "    module = types.ModuleType(name)\n"
        "    sys.modules[name] = module\n"
        "    exec(source, module.__dict__)\n"
        "install('made.inside', 'import tables\\n')\n"
        "import made.inside, made.outside\n"
    )
    closure = follow(tmp_path, {"main.py": script, "tables.py": ""})
    assert [item.name for item in closure.missing] == ["made.outside"]
    assert len(closure.counted) == 2
    assert not [reference for _, reference in closure.named if reference.kind is Kind.UNREADABLE]
