"""Minified and packed scripts print what the plain ones print; what a program can see of itself stays."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bytecap.files.code.minified_source import minify_source
from bytecap.files.code.packed_source import pack_source

PROGRAMS = {
    "closures": """
def outer(width, *rest, depth=2, **options):
    '''A docstring.'''
    total: int = 0
    later: int
    def inner(step: int) -> int:
        nonlocal total
        total += step
        counted = [total + index for index in range(width) if (half := index // 2) >= 0]
        return sum(counted) + half
    for number in range(depth): inner(number)
    later = total
    return later, sorted(options), rest
print(outer(3, 1, 2, depth=4, b=1, a=2))
""",
    "scopes": """
value = 10
class Thing:
    value = 20
    pairs = [(value, other) for other in range(2)]
    def read(self): return value
    def own(self):
        value = self.value
        return [value for value in range(value)][-1], value
def make():
    global value
    value = 11
    try: raise KeyError('x')
    except KeyError as error: text = str(error)
    import os.path as paths, json
    return text, paths.basename('a/b'), json.dumps([1]), (lambda left, right=text: (left, right))(1)
print(Thing.pairs, Thing().read(), Thing().own(), make(), value)
""",
    "looks itself up": """
def show(alpha):
    beta = alpha + 1
    return sorted(locals().items()), eval('beta * 2')
def plain():
    beta = 3
    return f'{beta=} {beta!r:>4}'
print(show(1), plain())
""",
    "reads annotations": """
from __future__ import annotations
import dataclasses, typing
@dataclasses.dataclass
class Options:
    width: int = 3
    names: list[str] = dataclasses.field(default_factory=list)
class Row(typing.NamedTuple):
    left: int
    right: int = 4
print(Options(), Row(1), Row._fields)
""",
    "matching": """
def kind(thing):
    match thing:
        case {'a': first, **others}: return first, others
        case [first, *others]: return first, others
        case str() as words: return words.upper()
    return None
print([kind(thing) for thing in ({'a': 1, 'b': 2}, [1, 2, 3], 'x', 5)])
""",
    "strings": r'''
text = 'a = b # c'
lines = """first = 1
    second"""
print(text, lines, f"{text + ' - x'} {{ }} {len(text):>{5 + 1}}", b"\x00 = ", r"\d = ", 'it''s', -1 ** - 2, not 1)
if text:
    pass
else:
    """nothing"""
for _ in ():
    "a statement that does nothing"
print(1 if text else 2, [x for x in range(3) if x is not None], lambda: 0 or 1 and 2) if 0 else print(1_000, 1.5e3, .5)
''',
    "own documentation": '''
"""How to run me."""
def f():
    "What f does."
print(__doc__, f.__doc__)
''',
    "statements": """
async def wait():
    async with lock: pass
def decorated(function): return function
@decorated
@decorated
def f(): return 1
class Empty: pass
while True:
    if f() == 1:
        number = 3
        del number
        break
else: print('no')
with open(__file__) as source, open(__file__) as again: print(bool(source.read()), bool(again.read(1)))
try:
    assert f() == 2, 'two'
except (AssertionError, ValueError) as problem: print(problem)
finally: print('end', __name__, Empty.__name__)
""",
}


def output(folder: Path, text: str) -> str:
    script = folder / "program.py"
    script.write_text(text, encoding="utf-8")
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_packed_program_prints_the_same(name, tmp_path):
    plain = PROGRAMS[name]
    minified, packed = minify_source(plain), pack_source(plain)
    assert len(minified) < len(plain)
    assert len(minify_source(minified)) == len(minified)
    wanted = output(tmp_path, plain)
    assert output(tmp_path, minified) == wanted
    assert output(tmp_path, packed) == wanted


def test_a_long_program_is_packed_and_runs(tmp_path):
    source = Path(ast.__file__).read_text(encoding="utf-8") + "\nprint(unparse(parse('a+b')), len(__file__) > 0)\n"
    packed = pack_source(source)
    assert packed.isascii() and len(packed) < len(pack_source(source, minify=False)) < len(source) / 3
    assert "LZMA" not in packed and packed == pack_source(source)
    assert output(tmp_path, packed).endswith("a + b True\n")


def test_a_short_program_stays_as_it_is():
    assert pack_source("print(1)\n") == "print(1)"


def test_a_program_for_a_newer_python_is_packed_unminified(tmp_path):
    packed = pack_source("print(1) # é\nfrom a import (b" + "b" * 5000 + "\n")
    assert "zlib" in packed
    with pytest.raises(SyntaxError):
        minify_source("x = (\n")


def test_local_names_become_short_and_parameters_stay():
    text = minify_source("def double(number):\n    doubled = number * 2\n    return doubled\n")
    assert text == "def double(number):a=number*2;return a"


def test_numba_types_of_local_names_stay():
    text = minify_source(
        "@njit(locals={'total': int64})\ndef f(x):\n    total = x\n    other = total\n    return other\n"
    )
    assert "total=x" in text and "other" not in text


def test_annotations_of_kernels_stay():
    kernel = "@triton.jit\ndef k(x, BLOCK: tl.constexpr):\n    pass\ndef g(x: int) -> int:\n    return x\n"
    text = minify_source(kernel)
    assert "BLOCK:tl.constexpr" in text and "def g(x):" in text
