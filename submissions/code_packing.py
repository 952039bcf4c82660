"""How small the counted code could be shipped: every file minified and packed together by our own packer.

Strategy: a script that is packed already is taken as the source inside it where that packs smaller. A
module beside the main script costs its text and a line that makes it importable. It is an upper limit of
what the authors could ship: the packer is one of many.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..files.code.closure_records import ClosureFile, CodeClosure
from ..files.code.minified_source import minify_source
from ..files.code.packed_source import packed_size
from ..files.code.source_room import SourceRoom
from ..files.code.unused_text import unused_data_bytes

MODULE_LINE_BYTES = 80  # of text a module: its name and the call that makes it importable
MAX_PACKED_BYTES = 4 << 20
MAX_PLAIN_BYTES = 400 << 10  # more takes a second


@dataclass(frozen=True, slots=True)
class PackedCode:
    """Bytes of one self-extracting script with all counted files, from minified and from plain text; and of the
    main script alone. Where packing does not help, or there is too much to pack, the bytes as shipped."""

    minified_bytes: int
    plain_bytes: int
    script_bytes: int


def pack_closure(room: SourceRoom, closure: CodeClosure) -> PackedCode:
    """Pack what counts."""
    files = closure.counted
    if not files or closure.code_bytes > MAX_PACKED_BYTES:
        return PackedCode(closure.code_bytes, closure.code_bytes, files[0].bytes if files else 0)
    plain = [_plain_text(room, closure, file) for file in files]
    minified = [_minified(text) for text in plain]
    extra = MODULE_LINE_BYTES * (len(files) - 1)
    shipped = closure.code_bytes
    whole = min(_packed(minified) + extra, shipped)
    unminified = min(_packed(plain) + extra, shipped) if shipped <= MAX_PLAIN_BYTES else shipped
    script = min(_packed(minified[:1]), files[0].bytes) if len(files) > 1 else whole
    return PackedCode(min(whole, unminified), unminified, script)


def _plain_text(room: SourceRoom, closure: CodeClosure, file: ClosureFile) -> str:
    """The text of a file, or of the payload that is most of it."""
    payloads = [item for item in closure.payloads if item.packing and item.place.startswith(_label(closure, file))]
    outer = [item.text for item in payloads if item.layer == 1 and item.parsed]
    if len(outer) == 1 and len(outer[0]) > file.bytes:
        return outer[0]
    try:
        return room.read(file.path).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _label(closure: CodeClosure, file: ClosureFile) -> str:
    first = next(iter(closure.files))
    return file.path.removeprefix(first.rpartition("/")[0] + "/") + ":"


def _minified(text: str) -> str:
    """A shorter text; the text as it is where what a minifier drops looks like data."""
    try:
        if unused_data_bytes(text):
            return text
        return minify_source(text, verify=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text


def _packed(texts: list[str]) -> int:
    return packed_size("\n".join(texts))
