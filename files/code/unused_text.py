"""Text of a source that running it does not need, and that looks like data: comments, strings, names, spaces.

Strategy: what a minifier drops or shortens, whoever opens the source still has. Text for people has spaces; data are
long runs of many different letters without. Separators (`# ------`) are long and have few different letters.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from .python_source import LITERAL_OR_COMMENT, UnreadableSource, read_python
from .tree_walk import walk

RUN = re.compile(rb"[^\s]{20,}")
LONG_NAME = re.compile(rb"\b[A-Za-z_]\w{59,}")
LONGEST_CLAUSE = 80  # letters of a writing without spaces
DIFFERENT_LETTERS = 16  # of a run that may be data
ANNOTATIONS = ("annotation", "returns")
LEAST_BYTES = 4096  # of all of it; addresses and names of files come to less


@lru_cache(maxsize=16)
def unused_data_bytes(text: str) -> int:
    """Bytes of a source that look like data and that its program does not use; 0 where they are few."""
    comments: list[bytes] = []
    literals: list[bytes] = []

    def taken(match: re.Match[bytes]) -> bytes:
        part = match.group()
        (comments if part.startswith(b"#") else literals).append(part)
        return b""

    code = LITERAL_OR_COMMENT.sub(taken, text.encode("utf-8", "surrogatepass"))
    found = sum(map(_data_bytes, comments)) + sum(map(len, LONG_NAME.findall(code)))
    found += sum(len(line) - len(line.rstrip(b" \t")) for line in code.split(b"\n") if line.endswith((b"  ", b"\t")))
    if sum(map(_data_bytes, literals)) >= LEAST_BYTES:
        found += sum(map(_data_bytes, _unused_strings(text)))
    return found if found >= LEAST_BYTES else 0


def _data_bytes(text: bytes) -> int:
    return sum(len(run) for run in RUN.findall(text) if len(set(run)) >= DIFFERENT_LETTERS and not _is_script(run))


def _is_script(run: bytes) -> bool:
    """Whether a run is of a writing that has no spaces, such as Chinese: it has marks between its clauses."""
    if run.isascii():
        return False
    letters = run.decode(errors="replace")
    clauses = "".join(" " if unicodedata.category(each)[0] in "PZ" else each for each in letters).split()
    return max(map(len, clauses), default=0) < LONGEST_CLAUSE


def _unused_strings(text: str) -> Iterator[bytes]:
    """Docstrings, other strings that are statements, and those that are annotations."""
    try:
        nodes = walk(read_python(text).tree)
    except UnreadableSource:
        return
    for node in nodes:
        kept = [node.value] if isinstance(node, ast.Expr) else [getattr(node, name, None) for name in ANNOTATIONS]
        for item in kept:
            value = item.value if isinstance(item, ast.Constant) else None
            if isinstance(value, str | bytes):
                yield value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
