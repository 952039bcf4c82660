"""Packed text is unpacked in every form that scripts use, and a bomb costs no more than the limit."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import zlib

import brotli
import pytest
import zstandard

from bytecap.files.code import bounded_decoding, bounded_decompressors
from bytecap.files.code.bounded_decoding import FUNCTIONS
from bytecap.files.code.bounded_decompressors import CannotDecode

TEXT = b"print('a source of some length')\n" * 40
RAW = [{"id": lzma.FILTER_LZMA2}]
PACKED = {
    "lzma.decompress": (lzma.compress(TEXT), {}),
    "zlib.decompress": (zlib.compress(TEXT), {}),
    "gzip.decompress": (gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:]), {}),
    "bz2.decompress": (bz2.compress(TEXT), {}),
    "brotli.decompress": (brotli.compress(TEXT), {}),
    "zstandard.decompress": (zstandard.compress(TEXT), {}),
    "base64.b85decode": (base64.b85encode(TEXT), {}),
    "base64.a85decode": (base64.a85encode(TEXT), {}),
    "base64.b64decode": (base64.b64encode(TEXT), {}),
    "bytes.fromhex": (TEXT.hex(), {}),
    "codecs.decode": (zlib.compress(TEXT), {"encoding": "zlib"}),
}
BOMB = b"\0" * (17 << 20)
BOMBS = {
    "lzma.decompress": lzma.compress(BOMB, preset=0),
    "zlib.decompress": zlib.compress(BOMB, 1),
    "gzip.decompress": gzip.compress(BOMB, 1),
    "bz2.decompress": bz2.compress(BOMB, 1),
    "brotli.decompress": brotli.compress(BOMB, quality=1),
    "zstandard.decompress": zstandard.compress(BOMB, 1),
}


@pytest.mark.parametrize("name", PACKED)
def test_every_packing_is_taken_apart(name):
    data, options = PACKED[name]
    assert FUNCTIONS[name](data, **options) == TEXT


def test_raw_lzma_is_taken_apart():
    assert FUNCTIONS["lzma.decompress"](lzma.compress(TEXT, lzma.FORMAT_RAW, filters=RAW), 3, None, RAW) == TEXT


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name):
    with pytest.raises(CannotDecode, match="16 MiB"):
        FUNCTIONS[name](BOMBS[name])


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("data", [b"", b"x", b"\xfd7zXZ\0" * 9])
def test_damaged_data_are_refused_or_empty(name, data):
    try:
        assert FUNCTIONS[name](data) == b""
    except CannotDecode as error:
        assert str(error)


def test_a_large_dictionary_is_refused():
    with pytest.raises(CannotDecode, match="dictionary"):
        bounded_decompressors.decompress_lzma(b"x", lzma.FORMAT_RAW, None, [{"id": 33, "dict_size": 1 << 30}])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("join_texts", ("x" * 9999, ["y" * 9999] * 4000)),
        ("replace_text", ("a" * 99999, "a", "b" * 9999)),
        ("make_bytes", (1 << 40,)),
        ("make_range", (1 << 40,)),
        ("translate_text", ("aa", {97: "b" * 99})),
    ],
)
def test_methods_that_grow_are_bounded(name, arguments):
    with pytest.raises(CannotDecode):
        getattr(bounded_decoding, name)(*arguments)
