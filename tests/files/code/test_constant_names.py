"""What a script computes out of constants is computed, what it changes on the way is not taken for what it was, and
what cannot be computed but decides what is executed, imported or opened is said."""

from __future__ import annotations

import base64
import time
import zlib

import pytest

from bytecap.files.code.bounded_decompressors import CannotDecode
from bytecap.files.code.bounded_formatting import format_percent, format_text, format_value
from bytecap.files.code.bounded_functions import FUNCTIONS, TEXT_METHODS
from bytecap.files.code.closure import code_closure
from bytecap.files.code.references import Kind
from bytecap.files.code.source_room import DiskRoom

DOUBTS = {Kind.UNREADABLE, Kind.COMPUTED, Kind.COMPUTED_FILE}
TEXT = "import hidden"
PACKED = base64.b64encode(zlib.compress(b"import hidden  # a line of some length\n")).decode()
NUMBER = int.from_bytes(TEXT.encode(), "big")
# each imports the module `hidden`, and nothing else of the folder
COMPUTED = {
    "eval": f"eval('ex' + 'ec')('{TEXT}')",
    "eval of a name": f"f = eval('cexe'[::-1])\nf('{TEXT}')",
    "eval of an import": "eval(\"__import__('hid' + 'den')\")",
    "function of eval": f"def f(x):\n    return eval(x)\nf('exec')('{TEXT}')",
    "getattr": f"import builtins\ngetattr(builtins, 'ex' + 'ec')('{TEXT}')",
    "globals": f"globals()['__builtins__'].__dict__['exec']('{TEXT}')",
    "own globals": f"f = exec\nglobals()['f']('{TEXT}')",
    "globals.get": f"f = exec\nglobals().get('f')('{TEXT}')",
    "set global": "globals()['g'] = 'hidden'\n__import__(g)",
    "locals": f"f = exec\nlocals()['f']('{TEXT}')",
    "vars": f"f = exec\nvars()['f']('{TEXT}')",
    "this module": f"import sys\nf = exec\ngetattr(sys.modules[__name__], 'f')('{TEXT}')",
    "function's globals": f"def f(): pass\nf.__globals__['__builtins__'].exec('{TEXT}')",
    "frame": f"import sys\nsys._getframe().f_globals['__builtins__'].exec('{TEXT}')",
    "frame's builtins": f"import sys\nsys._getframe().f_builtins['exec']('{TEXT}')",
    "loader": "__loader__.load_module('hidden')",
    "attrgetter": f"import operator\noperator.attrgetter('exec')(__builtins__)('{TEXT}')",
    "itemgetter": "import operator\n__import__(operator.itemgetter(1)(['a', 'hidden']))",
    "f-string": "m = 'den'\n__import__(f'hid{m:s}')",
    "f-string of a character": "exec(f'{0x69:c}mport hidden')",
    "f-string of a conversion": "exec(f'{1!r};import hidden')",
    "percent": "__import__('hid%3s' % 'den')",
    "percent of names": "__import__('hid%(a)s' % {'a': 'den'})",
    "format": "__import__('{1}{0}'.format('den', 'hid'))",
    "format of items": "__import__('{0[0]}{0[1]}'.format(['hid', 'den']))",
    "format of names": "__import__('{b}{a}'.format(a='den', b='hid'))",
    "format_map": "__import__('{b}{a}'.format_map(dict(a='den', b='hid')))",
    "template": "import string\n__import__(string.Template('hid$a').substitute(a='den'))",
    "format function": "exec(format(105, 'c') + 'mport hidden')",
    "join of characters": "__import__(''.join(map(chr, [104, 105, 100, 100, 101, 110])))",
    "reversal": "__import__('neddih'[::-1])",
    "method of str": "__import__(str.join('', ['hid', 'den']))",
    "method of bytes": f"exec(bytes.decode({TEXT.encode()!r}))",
    "__add__": "__import__('hid'.__add__('den'))",
    "casefold": "__import__('HIDDEN'.casefold())",
    "padding": "__import__('hidden'.zfill(3).ljust(3))",
    "tabs": "exec('import\\thidden'.expandtabs(1))",
    "rot13": "import codecs\nexec(codecs.encode('vzcbeg uvqqra', 'rot13'))",
    "number": f"exec(({NUMBER}).to_bytes(13, 'big'))",
    "digits": f"exec(int.to_bytes(int('{NUMBER:x}', 16), 13, 'big').decode())",
    "power": "exec(chr(3 * 5 * 7 ** 1) + 'mport hidden')",
    "struct": f"import struct\nexec(struct.pack('13B', *{TEXT.encode()!r}))",
    "array": f"import array\nexec(array.array('B', {list(TEXT.encode())}).tobytes())",
    "numpy": f"import numpy as np\nexec(np.array({list(TEXT.encode())}, dtype=np.uint8).tobytes())",
    "json": f"import json\nexec(json.loads('[\"{TEXT}\"]')[0])",
    "literal": f"import ast\nexec(ast.literal_eval('\"{TEXT}\"'))",
    "plain substitution": "import re\nexec(re.sub('X', '', 'imXport hidXden'))",
    "quoting": "import urllib.parse\nexec(urllib.parse.unquote('import%20hidden'))",
    "entities": "import html\nexec(html.unescape('import&#32;hidden'))",
    "docstring": f"'''{TEXT}'''\nexec(__doc__)",
    "function's docstring": f"def f():\n    '''{TEXT}'''\nexec(f.__doc__)",
    "function's name": "def hidden(): pass\n__import__(hidden.__name__)",
    "reduce": "import functools\nexec(functools.reduce(lambda a, b: a + b, ['import ', 'hidden']))",
    "filter": "__import__(''.join(filter(str.isalpha, 'hi1dd2en')))",
    "chain": "import itertools\nexec(''.join(itertools.chain(['import '], ['hidden'])))",
    "next": "__import__(next(iter(['hidden'])))",
    "dict comprehension": "d = {k: v for k, v in [('a', 'hidden')]}\n__import__(d['a'])",
    "dict in a dict": "d = {**{'a': 'hidden'}}\n__import__(d['a'])",
    "starred": "__import__(*['hidden'])",
    "named": "__import__(**{'name': 'hidden'})",
    "set item": "b = list('import hiddex')\nb[12] = 'n'\nexec(''.join(b))",
    "set byte": "b = bytearray(b'import hiddex')\nb[12] = 110\nexec(bytes(b))",
    "set key": f"d = {{}}\nd['a'] = '{TEXT}'\nexec(d['a'])",
    "update": f"d = {{}}\nd.update(a='{TEXT}')\nexec(d['a'])",
    "insert": "b = ['hidden']\nb.insert(0, 'import ')\nexec(''.join(b))",
    "reverse": "b = list('neddih')\nb.reverse()\n__import__(''.join(b))",
    "another name of a list": f"p = ['import other']\nq = p\nq[0] = '{TEXT}'\nexec(p[0])",
    "while": "s, i = '', 0\nwhile i < 6:\n    s += 'hidden'[i]\n    i += 1\n__import__(s)",
    "loop in a function": "def g():\n    s = ''\n    for c in 'hidden':\n        s += c\n    return s\n__import__(g())",
    "branch in a function": "def g(x):\n    if x:\n        return 'hidden'\n    return 'os'\n__import__(g(1))",
    "map of exec": f"list(map(exec, ['{TEXT}']))",
    "partial": f"import functools\nfunctools.partial(exec, '{TEXT}')()",
    "comprehension of exec": f"[exec(x) for x in ['{TEXT}']]",
    "thread": f"import threading\nthreading.Thread(target=exec, args=('{TEXT}',)).start()",
    "executor": f"from concurrent.futures import ThreadPoolExecutor as T\nT().submit(exec, '{TEXT}')",
    "at exit": f"import atexit\natexit.register(exec, '{TEXT}')",
    "callback": f"def f(g, x):\n    g(x)\nf(exec, '{TEXT}')",
    "class": f"class A:\n    run = exec\nA.run('{TEXT}')",
    "interpreter": f"import ctypes\nctypes.pythonapi.PyRun_SimpleString({TEXT.encode()!r})",
    "executed alias": f"exec('f = exec')\nf('{TEXT}')",
    "executed function": "exec('def f(): return \"hidden\"')\n__import__(f())",
    "names of executed text": "a = 'hid'\nexec(\"__import__(a + 'den')\")",
    "names given to executed text": "exec(\"__import__(a + 'den')\", {'a': 'hid'})",
    "packed": f"exec(__import__('zl' + 'ib').decompress(__import__('base' + '64').b64decode('{PACKED}')))",
    "resolve": "import pkgutil\npkgutil.resolve_name('hidden:N')",
    "locate": "import pydoc\npydoc.locate('hidden.N')",
}
# each may import `hidden` or what nobody knows, and a reader that forgets nothing would take it for `other`
CHANGED = {
    "unknown item": "import sys\np = ['import other']\np.append(sys.argv[1])\nexec(''.join(p))",
    "unknown place": "import sys\np = ['import other']\np[0] = sys.argv[1]\nexec(''.join(p))",
    "function that appends": "p = ['import other']\ndef add():\n    p.append('')\nadd()\nexec(''.join(p))",
    "function that appends to its argument": "p = ['import other']\ndef f(q):\n    q.append('')\nf(p)\nexec(p[0])",
    "method that appends": "p = ['a']\nclass A:\n    def f(self, q):\n        q.append('')\nA().f(p)\nexec(p[0])",
    "global": "s = 'import other'\ndef f():\n    global s\n    s = 'import hidden'\nf()\nexec(s)",
    "global of a call": "s = 'a'\ndef g():\n    global s\n    s = 'b'\ndef f():\n    g()\nf()\nexec(s)",
    "pop": "p = ['import hidden', 'import other']\nx = p.pop()\nexec(p[-1])",
    "del": "p = ['import other', 'import hidden']\ndel p[0]\nexec(p[0])",
    "shuffle": "import random\np = ['import other', 'import hidden']\nrandom.shuffle(p)\nexec(p[0])",
    "swap": "p = ['import other', 'import hidden']\np[0], p[1] = p[1], p[0]\nexec(p[0])",
    "slice": "p = ['import other']\np[:] = ['import hidden']\nexec(p[0])",
    "for": "import sys\ns = 'import other'\nfor x in sys.argv:\n    s = x\nexec(s)",
    "while": "s = 'import other'\nwhile input():\n    s = input()\nexec(s)",
    "later turn": "ms = ['other', 'hidden']\ni = 0\nwhile input():\n    __import__(ms[i])\n    i += 1",
    "lambda's parameter": "import sys\nx = 'import other'\nf = lambda x: exec(x)\nf(sys.argv[1])",
    "comprehension's name": "import sys\nx = 'import other'\n[exec(x) for x in sys.argv]",
    "second next": "p = (m for m in ['import other', 'import hidden'])\nnext(p)\nexec(next(p))",
    "zip of one iterator": "exec(''.join(a for a, b in zip(*[iter('iXmXpXoXrXtX ')] * 2)))",
    "unknown before": "s = input()\nif s:\n    s = 'import other'\nexec(s)",
}
EITHER = {
    "if": "import sys\ns = 'import hidden'\nif sys.argv:\n    s = 'import other'\nexec(s)",
    "else": "import sys\nif sys.argv:\n    s = 'import hidden'\nelse:\n    s = 'import other'\nexec(s)",
    "try": "try:\n    s = 'import hidden'\nexcept Exception:\n    s = 'import other'\nexec(s)",
    "match": "import sys\nmatch sys.argv[1]:\n    case 'a':\n        s = 'hidden'\n    case _:\n        s = 'other'\n"
    "__import__(s)",
    "expression": "import sys\n__import__('other' if sys.argv else 'hidden')",
    "name in an expression": "import sys\nm = 'other' if sys.argv[1] == 'a' else 'hidden'\n__import__(m)",
    "function": "import sys\nf = print\nif sys.argv:\n    f = exec\nf('import hidden, other')",
}
SAID = {
    "eval": ("import sys\neval(sys.argv[1])", "eval, its text is computed"),
    "getattr": (
        "import builtins, sys\ngetattr(builtins, sys.argv[1])('x')",
        "a function of builtins by a computed name",
    ),
    "getattr kept": ("import os, sys\nf = getattr(os, sys.argv[1])\nf('x')", "a function of os by a computed name"),
    "globals": ("import sys\nglobals()[sys.argv[1]]('x')", "a function of globals() by a computed name"),
    "modules": ("import sys\nsys.modules[sys.argv[1]].f('x')", "a function of sys.modules by a computed name"),
    "value": ("import sys\nsys.excepthook = exec", "exec is used as a value"),
    "dict": ("import sys\nd = {'a': exec}\nd[sys.argv[1]]('x')", "exec is used as a value"),
    "decorator": ("@exec\n@str\nclass A: pass", "exec is used as a value"),
    "handed on": ("import torch\ntorch.compile(exec)", "exec is handed on to compile"),
    "map": ("import sys\nlist(map(exec, sys.argv))", "exec is handed on to map"),
    "methodcaller": ("import operator\noperator.methodcaller('exec', 'x')(__builtins__)", "called by name"),
    "reflection": ("().__class__.__base__.__subclasses__()[99]()", "reflection"),
    "import hook": ("import sys\nsys.meta_path.append(object())", "import hook"),
    "replaced": ("import builtins\nbuiltins.__import__ = len", "builtins.__import__ is replaced"),
    "replaced by setattr": ("import builtins\nsetattr(builtins, 'open', len)", "builtins.open is replaced"),
    "console": ("import code\ncode.InteractiveConsole().push('import hidden')", "code.InteractiveConsole"),
    "file": ("import sys\nopen(sys.argv[1])", "open"),
    "array file": ("import sys, numpy\nnumpy.load(sys.argv[1])", "numpy.load"),
    "regular expression": ("import re\nexec(re.sub('X.', '', 'imX.port'))", "regular expression"),
}
INNOCENT = {
    "evaluation mode": "import torch\nmodel = torch.nn.Linear(1, 1)\nmodel.eval()\nmodel.train()\n",
    "attribute by name": "import torch, sys\ndtype = getattr(torch, sys.argv[1])\nx = torch.zeros(1, dtype=dtype)\n",
    "own method by name": "class A:\n    def run(self, n):\n        return getattr(self, n)()\nA().run('x')\n",
    "dispatch": "class A:\n    pass\nkinds = {'a': A}\nkinds['a']()\nisinstance(1, int)\n",
    "registry": "class A:\n    pass\nfor kind in A.__subclasses__():\n    print(kind)\n",
    "map": "xs = list(map(int, '1 2'.split()))\nys = sorted(map(str, xs), key=len)\n",
    "log": "import builtins\nbuiltins.print = lambda *words: None\n",
    "present": "import importlib.util\nif importlib.util.find_spec('flash_attn') is not None:\n    import flash_attn\n",
    "distributed": "import torch.distributed as d\nd.init_process_group('nccl')\nd.all_reduce(1)\nd.barrier()\n",
    "configuration": "config = {k: v for k, v in globals().items() if isinstance(v, (int, float))}\n",
    "global variable": "n = 0\ndef f():\n    global n\n    n += 1\nf()\nprint(n)\n",
}


def follow(folder, script, files=("hidden.py", "other.py")):
    (folder / "main.py").write_text(script)
    for name in files:
        (folder / name).write_text("N = 1\n")
    return code_closure(DiskRoom([folder / "main.py"]), [(folder / "main.py").as_posix()])


def counted(closure):
    return [file.path.rsplit("/", 1)[1] for file in closure.counted]


def doubts(closure):
    return [item.name for _, item in closure.named if item.kind in DOUBTS] + [item.label for item in closure.unread]


@pytest.mark.parametrize("name", COMPUTED)
def test_what_constants_tell_is_followed(name, tmp_path):
    closure = follow(tmp_path, COMPUTED[name])
    assert (counted(closure), doubts(closure)) == (["main.py", "hidden.py"], [])


@pytest.mark.parametrize("name", CHANGED)
def test_what_changes_on_the_way_is_said(name, tmp_path):
    closure = follow(tmp_path, CHANGED[name])
    assert doubts(closure)


@pytest.mark.parametrize("name", EITHER)
def test_both_values_of_a_branch_are_followed(name, tmp_path):
    closure = follow(tmp_path, EITHER[name])
    assert counted(closure) == ["main.py", "hidden.py", "other.py"]


@pytest.mark.parametrize("name", SAID)
def test_what_constants_do_not_tell_is_said(name, tmp_path):
    script, words = SAID[name]
    closure = follow(tmp_path, script)
    assert [name for name in doubts(closure) if words in name]
    assert counted(closure) == ["main.py"]


@pytest.mark.parametrize("name", INNOCENT)
def test_what_is_common_is_not_accused(name, tmp_path):
    closure = follow(tmp_path, INNOCENT[name])
    assert doubts(closure) == []


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (format_percent, ("%999999999d", 1)),
        (format_percent, ("%.99999f", 1.0)),
        (format_percent, ("%*d", (99999999, 1))),
        (format_value, (1, "999999999d")),
        (format_text, ("{0:{1}}", 1, "99999999")),
        (format_text, ("{0.real}", 1)),
        (FUNCTIONS["pow"], (10, 10**9)),
        (FUNCTIONS["struct.pack"], ("999999999x",)),
        (FUNCTIONS["int.to_bytes"], (1, 1 << 40)),
        (FUNCTIONS["re.sub"], ("(a+)+$", "", "a" * 40 + "b")),
        (FUNCTIONS["set"], ("ab",)),
        (FUNCTIONS["json.loads"], ("[" * (2 << 20),)),
        (TEXT_METHODS["ljust"], ("a", 1 << 40)),
        (TEXT_METHODS["expandtabs"], ("\t" * 9999, 1 << 30)),
        (TEXT_METHODS["__add__"], ("a" * (9 << 20), "a" * (9 << 20))),
    ],
)
def test_what_grows_is_bounded(call, arguments):
    with pytest.raises(CannotDecode):
        call(*arguments)


@pytest.mark.parametrize("conversion", ["", "r", "s", "a"])
@pytest.mark.parametrize("specification", ["", "5", "<9", "*^9"])
@pytest.mark.parametrize("value", ["a", "\u00e9", 17, -1.5])
def test_formatting_is_python_s_own(value, specification, conversion):
    shown = {"": lambda x: x, "r": repr, "s": str, "a": ascii}[conversion](value)
    assert format_value(value, specification, conversion) == format(shown, specification)


HOSTILE = {
    "worlds": "".join(f"a{n} = 1\nif x:\n    a{n} = 2\n" for n in range(99))
    + "exec(str("
    + " + ".join(f"a{n}" for n in range(99))
    + "))\n" * 1,
    "power of powers": "a = 9\n" + "a = a ** a\n" * 60 + "exec(str(a))\n",
    "growing list": "a = [1]\n" + "a.extend(a)\n" * 60 + "exec(str(len(a)))\n",
    "endless loop": "def f():\n    while True:\n        x = 1\nexec(f())\nwhile True:\n    x = 1\n",
    "loops in loops": "def f():\n"
    + "".join(f"{' ' * 4 * (n + 1)}for x{n} in range(99):\n" for n in range(9))
    + " " * 44
    + "y = 1\nexec(f())\n",
    "eval in eval": "exec(" + "eval(" * 60 + "'1'" + ")" * 60 + ")\n",
    "executed text": "x = 'exec(x)'\nexec(x)\n",
    "format in format": "a = '{0}{0}{0}'\n" + "a = a.format(a)\n" * 60 + "exec(a)\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_computation_ends(name, tmp_path):
    started = time.process_time()
    follow(tmp_path, HOSTILE[name], ())
    assert time.process_time() - started < 10
