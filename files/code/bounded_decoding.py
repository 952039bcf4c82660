"""What packed text is made of, taken apart in bounded memory: base encodings, text methods, paths, and compressors.

Strategy: an allow list by the names that scripts use. Every function here is pure and refuses, with
`CannotDecode` and a reason, what would be larger than `MAX_DECODED_BYTES`; decompressors stand in
`bounded_decompressors`. Nothing else can be called by an evaluated script.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import lzma
import os.path
import re
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from .bounded_decompressors import (
    MAX_DECODED_BYTES,
    CannotDecode,
    decompress_brotli,
    decompress_bz2,
    decompress_gzip,
    decompress_lzma,
    decompress_zlib,
    decompress_zstd,
)

MAX_ITEMS = 1 << 20  # of a list: each takes some 40 bytes
MAX_STRIPPED = 256  # characters that `strip` takes off: it looks through all of them for every one
ENCODINGS = set(  # others take quadratic time
    "utf8 utf_8 utf_8_sig ascii us_ascii latin1 latin_1 l1 iso8859_1 iso_8859_1 cp1252 utf16 utf_16 utf_16_le "
    "utf_16_be utf32 utf_32 unicode_escape raw_unicode_escape hex base64 rot13 rot_13 zlib zip bz2".split()
)


def decode_by_codec(data: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """`codecs.decode` for text encodings and Python's binary codecs."""
    name = _known_encoding(encoding)
    bounded = {"zlib": decompress_zlib, "zip": decompress_zlib, "bz2": decompress_bz2}
    if name in bounded:
        return bounded[name](data)
    return codecs.decode(data, encoding, errors)


def _known_encoding(encoding: str) -> str:
    name = encoding.lower().replace("-", "_").removesuffix("_codec")
    if name not in ENCODINGS:
        raise CannotDecode(f"the encoding {encoding[:40]}")
    return name


def decode_bytes(data: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """`data.decode(...)` by a known encoding."""
    _known_encoding(encoding)
    return data.decode(encoding, errors)


def encode_text(text: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """`text.encode(...)` by a known encoding."""
    _known_encoding(encoding)
    return text.encode(encoding, errors)


def listed(values: Any) -> list[Any]:
    """`list(values)`, bounded."""
    if isinstance(values, str | bytes | bytearray | list | tuple | dict | range) and len(values) > MAX_ITEMS:
        raise CannotDecode("a list that is too long")
    return list(values)


def join_texts(separator: Any, parts: Any) -> Any:
    """`separator.join(parts)`, bounded."""
    parts = listed(parts)
    if sum(len(part) + len(separator) for part in parts) > MAX_DECODED_BYTES:
        raise CannotDecode("a join that is too long")
    return separator.join(parts)


def replace_text(text: Any, old: Any, new: Any, count: int = -1) -> Any:
    """`text.replace(old, new)`, bounded."""
    if len(text) + (len(text) + 1) * len(new) // max(len(old), 1) > 4 * MAX_DECODED_BYTES:
        occurrences = text.count(old)
        if len(text) + occurrences * len(new) > MAX_DECODED_BYTES:
            raise CannotDecode("a replacement that is too long")
    return text.replace(old, new, count)


def translate_text(text: Any, table: Any, delete: bytes = b"") -> Any:
    """`text.translate(table)` with a table whose entries are single characters."""
    if isinstance(text, str):
        if any(isinstance(value, str) and len(value) > 8 for value in getattr(table, "values", lambda: ())()):
            raise CannotDecode("a translation that is too long")
        return text.translate(table)
    return text.translate(table, delete)


def make_bytes(value: Any = b"", encoding: str | None = None, errors: str = "strict") -> bytes:
    """`bytes(...)`, bounded."""
    if isinstance(value, str):
        return encode_text(value, encoding or "utf-8", errors)
    if isinstance(value, int):
        if not 0 <= value <= MAX_DECODED_BYTES:
            raise CannotDecode("a length that is too large")
        return bytes(value)
    return bytes(value)


def make_text(value: Any = "", encoding: str | None = None, errors: str = "strict") -> str:
    """`str(...)` of texts, paths and numbers."""
    if isinstance(value, bytes | bytearray) and encoding:
        return decode_bytes(bytes(value), encoding, errors)
    if isinstance(value, str | int | float | PurePosixPath):
        return str(value)
    raise CannotDecode("the text of an object")


def make_range(*bounds: int) -> range:
    """`range(...)`, bounded."""
    numbers = range(*bounds)
    if len(numbers) > MAX_ITEMS:
        raise CannotDecode("a range that is too long")
    return numbers


def _stripping(name: str) -> Callable[..., Any]:
    def strip(text: Any, characters: Any = None) -> Any:
        if characters is not None and len(characters) > MAX_STRIPPED:
            raise CannotDecode(f"{name} of too many characters")
        return getattr(text, name)(characters)

    return strip


def _splitting(name: str) -> Callable[..., Any]:
    def split(text: Any, separator: Any = None, *more: Any) -> Any:
        if len(text) > MAX_ITEMS and (not separator or text.count(separator) > MAX_ITEMS):
            raise CannotDecode(f"{name} into too many parts")
        return getattr(text, name)(*(() if name == "splitlines" else (separator, *more)))

    return split


def packing_name(function: str) -> str:
    """The word of the field for a decoding function: "base85" for "base64.b85decode"."""
    module, _, name = function.rpartition(".")
    digits = "".join(character for character in name if character.isdigit())
    return f"base{digits}" if module == "base64" and digits else (module or name).rpartition(".")[2]


def _method(name: str) -> Callable[..., Any]:
    return lambda value, *arguments: getattr(value, name)(*arguments)


PACKING_MODULES = (
    "lzma.",
    "zlib.",
    "gzip.",
    "bz2.",
    "brotli",
    "zst",
    "pyzstd.",
    "compression.",
    "base64.",
    "binascii.",
)
BASE_DECODERS = (
    "b16decode b32decode b32hexdecode b64decode standard_b64decode urlsafe_b64decode a85decode b85decode z85decode "
    "decodebytes"
).split()
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "lzma.decompress": decompress_lzma,
    "zlib.decompress": decompress_zlib,
    "gzip.decompress": decompress_gzip,
    "bz2.decompress": decompress_bz2,
    "brotli.decompress": decompress_brotli,
    "brotlicffi.decompress": decompress_brotli,
    "zstandard.decompress": decompress_zstd,
    "zstd.decompress": decompress_zstd,
    "pyzstd.decompress": decompress_zstd,
    "compression.zstd.decompress": decompress_zstd,
    "compression.lzma.decompress": decompress_lzma,
    "compression.zlib.decompress": decompress_zlib,
    **{f"base64.{name}": getattr(base64, name) for name in BASE_DECODERS if hasattr(base64, name)},
    "binascii.unhexlify": binascii.unhexlify,
    "binascii.a2b_hex": binascii.a2b_hex,
    "binascii.a2b_base64": binascii.a2b_base64,
    "codecs.decode": decode_by_codec,
    "bytes.fromhex": bytes.fromhex,
    "bytearray.fromhex": bytes.fromhex,
    "bytes": make_bytes,
    "bytearray": make_bytes,
    "memoryview": make_bytes,
    "str": make_text,
    "str.maketrans": str.maketrans,
    "bytes.maketrans": bytes.maketrans,
    "int": int,
    "chr": chr,
    "ord": ord,
    "len": len,
    "min": min,
    "max": max,
    "sum": sum,
    "abs": abs,
    "list": listed,
    "tuple": lambda values=(): tuple(listed(values)),
    "dict": dict,
    "range": make_range,
    "reversed": lambda values: listed(values)[::-1],
    "sorted": lambda values: sorted(listed(values)),
    "zip": lambda *values: list(zip(*map(listed, values), strict=False)),
    "enumerate": lambda values, start=0: list(enumerate(listed(values), start)),
    "os.path.join": lambda *parts: str(PurePosixPath(*parts)),
    "os.path.dirname": os.path.dirname,
    "os.path.basename": os.path.basename,
    "os.path.splitext": os.path.splitext,
    "os.path.abspath": str,
    "os.path.realpath": str,
    "os.path.normpath": os.path.normpath,
    "os.path.expanduser": str,
    "os.fspath": str,
    "os.fsdecode": str,
    "pathlib.Path": PurePosixPath,
    "pathlib.PurePath": PurePosixPath,
    "pathlib.PurePosixPath": PurePosixPath,
    "shlex.quote": str,
    "textwrap.dedent": lambda text: re.sub(r"(?m)^[ \t]+", "", text),
    "io.BytesIO": make_bytes,
    "io.StringIO": str,
}
TEXT_METHODS: dict[str, Callable[..., Any]] = {
    "join": join_texts,
    "replace": replace_text,
    "translate": translate_text,
    **{
        name: _method(name)
        for name in (
            "partition rpartition removeprefix removesuffix "
            "lower upper swapcase hex startswith endswith find rfind index rindex count"
        ).split()
    },
    "decode": decode_bytes,
    "encode": encode_text,
    **{name: _stripping(name) for name in ("strip", "lstrip", "rstrip")},
    **{name: _splitting(name) for name in ("split", "rsplit", "splitlines")},
    # of objects that are bytes here
    "read": lambda text, size=-1: text if size in (-1, None) else text[:size],
    "getvalue": lambda text: text,
    "tobytes": lambda text: text,
}
PATH_METHODS: dict[str, Callable[..., Any]] = {
    name: _method(name) for name in "with_name with_suffix with_stem joinpath as_posix".split()
} | {name: lambda path, *_, **__: path for name in ("resolve", "absolute", "expanduser")}
PATH_ATTRIBUTES = {"parent", "name", "stem", "suffix", "parents", "parts"}
CONSTANTS: dict[str, Any] = {
    **{f"lzma.{name}": getattr(lzma, name) for name in dir(lzma) if name.startswith(("FORMAT_", "FILTER_", "PRESET_"))},
    "zlib.MAX_WBITS": zlib.MAX_WBITS,
    "sys.executable": "python",
    "os.sep": "/",
    "os.path.sep": "/",
}
