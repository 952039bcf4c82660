"""Functions of Python and of its library that a script computes names and texts with, on constants, in bounded work.

Strategy: a table by full name beside that of `bounded_decoding`, which holds the decoders. Every function is pure
(or changes a list, a dict or a bytearray that the script made), looks at the size of what it would make first, and
refuses with `CannotDecode`. Regular expressions are not run: they can take any time.
"""

from __future__ import annotations

import ast
import html
import json
import operator
import struct
import urllib.parse
from collections.abc import Callable
from typing import Any

from .bounded_decoding import MAX_ITEMS, decode_by_codec, encode_text, listed, make_bytes
from .bounded_decompressors import MAX_DECODED_BYTES, CannotDecode
from .bounded_formatting import fill_template, format_by_map, format_percent, format_text, format_value

MAX_LITERAL = 1 << 20  # characters of a text that is parsed as a value
MAX_BITS = 1 << 20  # of a number
STRUCT_TYPES = frozenset("@=<>!xcbBhHiIlLqQs0123456789 ")
TYPE_CODES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "l": 8, "L": 8, "q": 8, "Q": 8}
BYTE_TYPES = {"uint8", "int8", "u1", "i1", "B", "b"}
REGULAR = frozenset("\\.^$*+?{}[]|()")


def _short(text: Any) -> Any:
    if len(text) > MAX_LITERAL:
        raise CannotDecode(f"more than {MAX_LITERAL >> 20} MiB to parse")
    return text


def power(base: Any, exponent: Any, modulus: Any = None) -> Any:
    """`pow(base, exponent, modulus)` of numbers that do not grow too long."""
    if modulus is None and isinstance(base, int) and isinstance(exponent, int):
        if base.bit_length() * max(exponent, 0) > MAX_BITS:
            raise CannotDecode("a number that is too large")
    return pow(base, exponent, modulus)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple | dict | set | frozenset):
        raise CannotDecode("the text of an object")
    return repr(value)


def _to_bytes(value: int, length: int = 1, byteorder: str = "big", *, signed: bool = False) -> bytes:
    if not 0 <= length <= MAX_DECODED_BYTES:
        raise CannotDecode("a length that is too large")
    return value.to_bytes(length, byteorder, signed=signed)  # type: ignore[arg-type]


def _pack(layout: str, *values: Any) -> bytes:
    if not set(layout) <= STRUCT_TYPES or len(layout) > 64 or struct.calcsize(layout) > MAX_DECODED_BYTES:
        raise CannotDecode("a structure that is not known")
    return struct.pack(layout, *values)


def _unpack(layout: str, data: bytes) -> list[Any]:
    if not set(layout) <= STRUCT_TYPES or len(layout) > 64 or len(data) > MAX_ITEMS:
        raise CannotDecode("a structure that is not known")
    return list(struct.unpack(layout, data))


def _array(code: str, values: Any = b"") -> bytes:
    """`array.array(code, values)`, which stands for its bytes."""
    if isinstance(values, bytes | bytearray):
        return bytes(values)
    size = TYPE_CODES[code]
    return b"".join(int(value).to_bytes(size, "little", signed=code.islower()) for value in listed(values))


def _numpy_bytes(values: Any, dtype: Any = None) -> bytes:
    """`numpy.array(values, dtype="uint8")`, which stands for its bytes; other types are not known here."""
    if dtype not in BYTE_TYPES:
        raise CannotDecode("an array of another type than bytes")
    return bytes(value % 256 for value in listed(values))


def _substitute(pattern: Any, new: Any, text: Any, count: int = 0) -> Any:
    if set(pattern) & REGULAR or "\\" in new or not pattern:
        raise CannotDecode("a regular expression")
    if text.count(pattern) * len(new) + len(text) > MAX_DECODED_BYTES:
        raise CannotDecode("a replacement that is too long")
    return text.replace(pattern, new, count or -1)


def _chained(*values: Any) -> list[Any]:
    items = [item for value in values for item in listed(value)]
    return listed(items)


def _one_or_none(values: Any = ()) -> list[Any]:
    """A set, whose order is told only where it has one item."""
    items = list(dict.fromkeys(listed(values)))
    if len(items) > 1:
        raise CannotDecode("an order that is not told")
    return items


def _encoded(text: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    if encoding.lower().replace("-", "_") in ("rot13", "rot_13"):
        return decode_by_codec(text, encoding)
    return encode_text(text, encoding, errors)


def _added(left: Any, right: Any) -> Any:
    if not isinstance(left, int | float) and len(left) + len(right) > MAX_DECODED_BYTES:
        raise CannotDecode("a sum that is too long")
    return left + right


def _unquoted(text: str) -> str:
    return urllib.parse.unquote(_short(text))


def _substituted(text: str, values: Any = (), **named: Any) -> str:
    return fill_template(text, {**dict(values), **named})


def _padding(name: str) -> Callable[..., Any]:
    def pad(text: Any, width: int, *fill: Any) -> Any:
        if width > MAX_DECODED_BYTES:
            raise CannotDecode(f"{name} to too many characters")
        return getattr(text, name)(width, *fill)

    return pad


def _expand_tabs(text: Any, tabsize: int = 8) -> Any:
    if len(text) + text.count(b"\t" if isinstance(text, bytes) else "\t") * max(tabsize, 1) > MAX_DECODED_BYTES:
        raise CannotDecode("expandtabs to too many characters")
    return text.expandtabs(tabsize)


def _growing(name: str) -> Callable[..., Any]:
    def grow(items: Any, *arguments: Any, **named: Any) -> None:
        added = len(arguments[0]) if name in ("extend", "update") and arguments else 1
        if len(items) + added > MAX_ITEMS:
            raise CannotDecode("a list that is too long")
        getattr(items, name)(*arguments, **named)

    return grow


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "bytearray": lambda *arguments: bytearray(make_bytes(*arguments)),
    "repr": _shown,
    "ascii": lambda value: ascii(value) if _shown(value) else "",
    "format": format_value,
    "hex": hex,
    "bin": bin,
    "oct": oct,
    "divmod": divmod,
    "pow": power,
    "round": round,
    "bool": bool,
    "float": float,
    "any": lambda values: any(listed(values)),
    "all": lambda values: all(listed(values)),
    "set": _one_or_none,
    "frozenset": _one_or_none,
    "int.to_bytes": _to_bytes,
    "int.from_bytes": lambda data, byteorder="big", *, signed=False: int.from_bytes(data, byteorder, signed=signed),
    "codecs.encode": _encoded,
    "struct.pack": _pack,
    "struct.unpack": _unpack,
    "array.array": _array,
    "numpy.array": _numpy_bytes,
    "numpy.asarray": _numpy_bytes,
    "numpy.frombuffer": lambda data, dtype=None: _numpy_bytes(bytes(data), dtype),
    "json.loads": lambda text: json.loads(_short(text)),
    "ast.literal_eval": lambda text: ast.literal_eval(_short(text)),
    "re.sub": _substitute,
    "urllib.parse.unquote": _unquoted,
    "urllib.parse.unquote_plus": lambda text: _unquoted(text.replace("+", " ")),
    "html.unescape": lambda text: html.unescape(_short(text)),
    "itertools.chain": _chained,
    "itertools.chain.from_iterable": lambda values: _chained(*listed(values)),
    "operator.add": _added,
    "operator.concat": _added,
    "operator.xor": operator.xor,
    "operator.sub": operator.sub,
    "operator.getitem": operator.getitem,
    "string.Template": str,
}
TEXT_METHODS: dict[str, Callable[..., Any]] = {
    "format": format_text,
    "format_map": format_by_map,
    **dict.fromkeys(("substitute", "safe_substitute"), _substituted),
    "casefold": lambda text: text.casefold(),
    "capitalize": lambda text: text.capitalize(),
    "title": lambda text: text.title(),
    "expandtabs": _expand_tabs,
    "tolist": list,
    **{name: _padding(name) for name in ("zfill", "ljust", "rjust", "center")},
    "__add__": _added,
    "__getitem__": operator.getitem,
    "__mod__": format_percent,
    **{
        name: (lambda text, *, method=name: getattr(text, method)())
        for name in "isalpha isdigit isalnum isupper islower isspace isdecimal isnumeric isidentifier isascii".split()
    },
}
CHANGES: dict[type, dict[str, Callable[..., None]]] = {
    list: {name: _growing(name) for name in "append extend insert reverse sort remove clear pop".split()},
    dict: {name: _growing(name) for name in "update setdefault pop clear".split()},
    bytearray: {name: _growing(name) for name in "append extend insert reverse remove clear pop".split()},
}
CHANGING = {name for methods in CHANGES.values() for name in methods} | {"popitem", "__setitem__", "__delitem__"}
