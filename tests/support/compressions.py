"""Every compression that files of checkpoints have, by its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib

import brotli
import zstandard

COMPRESSIONS = {
    "zlib": lambda data: zlib.compress(data, 9),
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor(level=22).compress,
    "brotli": brotli.compress,
}
