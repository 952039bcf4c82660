"""Sources of every age parse with their lines; what is no Python, too deep or too much is refused with a reason."""

from __future__ import annotations

import ast
import time

import pytest

from bytecap.files.code.python_source import MAX_CODE_BYTES, UnreadableSource, read_python

NEWER = {
    "nested quotes": ('d = {}\nx = f"{d["a"]} and {", ".join(["b"])} {{}} {d!r:>{3}}"\n', (3, 12), "f-string"),
    "nested three times": ('x = f"{f"{f"{1 + 1}"}"}"\n', (3, 12), "f-string"),
    "backslash": ("x = f'{'\\n'.join([])}'\n", (3, 12), "f-string"),
    "lines in a string": ("x = f'{\n1 +\n2\n} {\n3}'\n", (3, 12), "f-string"),
    "joined strings": ('x = ("a"\n  f"{d["a"]}"\n  "b")\n', (3, 12), "f-string"),
    "function": ("def f[T: int, *Ts, **P](x: T) -> T:\n    return x\n", (3, 12), "type parameters"),
    "class": ("class A[\n  T](list):\n    pass\n", (3, 12), "type parameters"),
    "default": ("class A[T = int]: pass\n", (3, 13), "type parameters"),
    "alias": ("type Pair[T] = tuple[\n  T, T]\n", (3, 12), "type statement"),
    "except": ("try:\n  pass\nexcept A, B:\n  pass\n", (3, 14), "except"),
    "template": ('x = t"{d["a"]}" \'b\'\n', (3, 14), "template"),
}


@pytest.mark.parametrize("name", NEWER)
def test_newer_python_is_read_with_its_lines_and_named(name):
    text, version, word = NEWER[name]
    source = read_python(f"first = 1\n{text}import last\n".encode())
    last = source.tree.body[-1]
    assert isinstance(last, ast.Import) and last.lineno == text.count("\n") + 2
    assert {syntax.version for syntax in source.newer} in ({version}, set())  # a new interpreter reads it itself
    assert all(word in syntax.name and syntax.line >= 2 for syntax in source.newer)


def test_a_rewritten_string_keeps_its_texts_and_expressions():
    source = read_python('x = f"a{{ {d["b"]}\\n" \'c\'\n')
    strings = [node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant)]
    assert {"a{ ", "b"} <= set(strings) and any("\n" in str(text) for text in strings)


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        ("x = (\n", 1, "never closed"),
        ('x = f"{d["a"]}"\ny = (\n', 2, "never closed"),
        ("print 'x'\n", 1, "print"),
        ("x = 1\n\0", 2, "zero byte"),
        (b"\xff\xfex\0", 1, "UTF-16"),
        (b"# coding: unheard\n", 1, "unknown encoding"),
        (b"x = 1\n\n\ny = '\xe9'\n", 4, "not utf-8"),
        ("%%writefile a.py\nx = 1\n", 1, "syntax"),
        ("-" * 100_000 + "1", 0, "deep"),
        ("x" + "()" * 100_000, 0, "deep"),
        ("(" * 300, 1, "nested"),
        ("x = 1\n" * (MAX_CODE_BYTES // 6 + 1), 0, "too much"),
        ('f"{' * 3000, 1, "string|nested|syntax|expecting"),
    ],
    ids=range(13),
)
def test_what_is_no_python_is_refused_with_its_line(data, line, reason):
    started = time.perf_counter()
    with pytest.raises(UnreadableSource, match=reason) as raised:
        read_python(data)
    assert raised.value.line == line
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbfx = '\xc3\xa9'\r\n", b"# coding: latin-1\nx = '\xe9'\n", "x = 'é'\n".encode(), b"x = 'e\\xe9'\r"],
)
def test_encodings_are_read_as_python_does(data):
    source = read_python(data)
    assert source.bom == data.startswith(b"\xef\xbb\xbf")
    assert "\u00e9" in source.tree.body[0].value.value


def test_a_long_literal_is_no_code():
    assert len(read_python("x = '" + "b" * (2 * MAX_CODE_BYTES) + "'\n").tree.body) == 1
