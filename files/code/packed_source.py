"""A Python script that holds itself compressed: the smallest of several self-extracting forms.

Strategy: minified where the interpreter can parse the source, then LZMA2 without its container (one
filter, the default dictionary, so the reader needs no parameters beyond the filter's number) or zlib
for short scripts, as base 85 in a string literal that `exec` reads. A script packed so runs with the
same `__name__` and `__file__`; only `inspect.getsource` and numba's `cache=True` do not work in it.
"""

from __future__ import annotations

import base64
import lzma
import zlib
from itertools import product

from .minified_source import minify_source

LZMA2_READER = 'import lzma,base64\nexec(lzma.decompress(base64.b85decode("%s"),3,None,[{"id":33}]))'
ZLIB_READER = 'import zlib,base64\nexec(zlib.decompress(base64.b85decode("%s")))'
TEXT_MODELS = tuple((lc, 0, pb) for lc, pb in product((3, 4), (0, 2)))  # literal context, literal position, position
DICTIONARY_BYTES = 1 << 23  # what a reader that is told nothing takes


def pack_source(source: str, *, minify: bool = True) -> str:
    """A self-extracting script of the program `source`, in ASCII; the source itself where that is shorter.

    With `minify`, the program is minified first, and left as it is where this interpreter cannot
    parse it. The same source gives the same script.
    """
    if minify:
        try:
            source = minify_source(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    return min(_candidates(source), key=len)


def packed_size(text: str) -> int:
    """Bytes of the smallest script for a text as it is, by one model for text: a size in little time."""
    data = text.encode("utf-8", "surrogateescape")
    compressed = len(_lzma2(data, *TEXT_MODELS[0]))
    return min(len(data), len(LZMA2_READER) - 2 + -(-compressed * 5 // 4))


def _candidates(source: str) -> list[str]:
    data = source.encode()
    candidates = [LZMA2_READER % _base85(_lzma2(data, *model)) for model in TEXT_MODELS]
    return [*candidates, ZLIB_READER % _base85(zlib.compress(data, 9)), *([source] if source.isascii() else [])]


def _base85(data: bytes) -> str:
    return base64.b85encode(data).decode("ascii")


def _lzma2(data: bytes, lc: int, lp: int, pb: int) -> bytes:
    model = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": DICTIONARY_BYTES}
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[{**model, "lc": lc, "lp": lp, "pb": pb}])
