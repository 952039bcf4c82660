"""Python source as a syntax tree, also where it is written for a newer Python than the one that runs us.

Strategy: `ast` first. Where it refuses, `newer_python` rewrites what only later versions know, line by
line in its place, and `ast` reads the rewritten text; only what is refused then, too, is no Python.
A source is bytes of unknown origin: what is too long or too deep is refused with a reason before or
instead of exhausting memory.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from dataclasses import dataclass, replace

from .newer_python import NewerSyntax, restore_texts, rewrite_newer_syntax

MAX_SOURCE_BYTES = 32 << 20
MAX_CODE_BYTES = 512 << 10  # outside string literals and comments: the parser takes about 600 bytes of memory for each
LITERAL_OR_COMMENT = re.compile(
    rb"'''(?:\\[\s\S]|[^\\])*?'''|\"\"\"(?:\\[\s\S]|[^\\])*?\"\"\""
    rb"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|#[^\n]*"
)
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class UnreadableSource(Exception):
    """The bytes are no Python of any known version, or they were `not_read`: too much of it, or no text at all; `line`
    is 0 where none can be named.
    """

    def __init__(self, reason: str, line: int = 0, *, not_read: bool = False) -> None:
        self.reason, self.line, self.not_read = reason, line, not_read
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class PythonSource:
    """A parsed source.

    tree : ast.Module                with the line numbers of the source
    text : str                       decoded, without a byte order mark
    newer : tuple[NewerSyntax, ...]  what this interpreter does not know, in order of lines
    bom : bool                       whether it began with a UTF-8 byte order mark
    code_bytes : int                 of it outside string literals and comments, which is what reading it costs
    """

    tree: ast.Module
    text: str
    newer: tuple[NewerSyntax, ...] = ()
    bom: bool = False
    code_bytes: int = 0


def read_python(data: bytes | str) -> PythonSource:
    """Parse a source; raises UnreadableSource with the line where it ends being Python."""
    text, bom = _decoded(data) if isinstance(data, bytes) else (data, False)
    encoded = text.encode("utf-8", "surrogatepass")
    code_bytes = len(LITERAL_OR_COMMENT.sub(b"", encoded))
    if code_bytes > MAX_CODE_BYTES:
        raise UnreadableSource(
            f"{len(encoded):,} bytes, more than {MAX_CODE_BYTES:,} of them code: too much to be read", not_read=True
        )
    if "\0" in text:
        raise UnreadableSource("holds a zero byte, which Python refuses", text[: text.index("\0")].count("\n") + 1)
    try:
        return PythonSource(_parsed(text), text, (), bom, code_bytes)
    except SyntaxError as error:
        return replace(_read_newer(text, bom, error), code_bytes=code_bytes)


def _read_newer(text: str, bom: bool, refusal: SyntaxError) -> PythonSource:
    try:
        rewritten, newer = rewrite_newer_syntax(text)
    except (RecursionError, MemoryError) as error:
        raise UnreadableSource("is nested too deeply to be read", not_read=True) from error
    if not newer:
        raise UnreadableSource(refusal.msg, refusal.lineno or 0) from refusal
    try:
        tree = _parsed(rewritten)
    except SyntaxError as error:
        raise UnreadableSource(error.msg, error.lineno or 0) from error
    try:
        return PythonSource(restore_texts(tree), text, tuple(newer), bom)
    except RecursionError as error:
        raise UnreadableSource("is nested too deeply to be read", not_read=True) from error


def _parsed(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarnings about other people's string escapes
            return ast.parse(text)
    except (RecursionError, MemoryError) as error:
        raise UnreadableSource("is nested too deeply to be read", not_read=True) from error
    except (ValueError, OverflowError) as error:
        raise UnreadableSource(str(error)) from error


def _decoded(data: bytes) -> tuple[str, bool]:
    """Text and whether it had a byte order mark, by the rules of Python itself (mark, coding cookie, UTF-8)."""
    if len(data) > MAX_SOURCE_BYTES:
        raise UnreadableSource(f"{len(data):,} bytes: too much to be read", not_read=True)
    if data.startswith(UTF16_MARKS):
        raise UnreadableSource("is UTF-16, which Python does not read", 1)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        raise UnreadableSource(str(error), 1) from error
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        line = data[: getattr(error, "start", 0)].count(b"\n") + 1
        raise UnreadableSource(f"holds bytes that are not {encoding}", line) from error
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding == "utf-8-sig"
