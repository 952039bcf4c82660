"""What data files are as a whole: how many tokens or bytes, and their digest, whatever part of them is scored.

Strategy: sizes come from headers and the file system, so they cost nothing; the digest reads everything and is taken
only when somebody asks, once. It is of the content: of shards the ids without headers, of texts the bytes, in order,
decompressed; so that the same data in more files, or compressed, are the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from .data_files import BLOCK_BYTES, STANDARD_INPUT, Content, expand_data, inspect_data
from .opened_data import opened
from .shards import ShardLayout, shard_layout, size_by_header

DIGITS = 16  # of a digest in a sentence


class DataContent:
    """The whole of some data files.

    paths : the files, patterns expanded
    vocabulary_size : int or None     of the model that reads them; tells bare numbers from shards
    whole : bool                      everything is read anyway; else sizes that would take decompressing are not known
                                      (a shard's header is believed), and only `sha256` reads

    Reading raises DataError as `data_files` and `shards` do.
    """

    def __init__(
        self, data: str | Path | Sequence[str | Path], vocabulary_size: int | None, *, whole: bool = True
    ) -> None:
        self._whole = whole
        self.paths = expand_data(data)
        self.vocabulary_size = vocabulary_size
        self._files = [inspect_data(path) for path in self.paths]
        self._is_input = STANDARD_INPUT in self.paths
        self._is_shard = self._files[0].content is Content.SHARD

    @cached_property
    def tokens(self) -> int | None:
        """Tokens of all shards; None of texts."""
        return sum(layout.count for layout in self._layouts) if self._is_shard else None

    @cached_property
    def bytes(self) -> int | None:
        """Bytes of all texts, decompressed; None of shards and of standard input."""
        if self._is_shard or self._is_input or not (self._whole or all(file.plain for file in self._files)):
            return None
        return sum(self._bytes_of(file.path, file.plain) for file in self._files)

    @cached_property
    def sha256(self) -> str | None:
        """Digest of the content, hexadecimal; None of standard input, which is read once."""
        if self._is_input:
            return None
        digest = hashlib.sha256()
        wide = self._is_shard and any(layout.dtype.itemsize > 2 for layout in self._layouts)
        for number, path in enumerate(self.paths):
            with opened(path) as file:
                if self._is_shard:
                    file.read(self._layouts[number].offset)
                narrow = self._is_shard and self._layouts[number].dtype.itemsize == 2
                while block := file.read(BLOCK_BYTES):
                    digest.update(np.frombuffer(block, "<u2").astype("<u4").tobytes() if wide and narrow else block)
        return digest.hexdigest()

    def take_digest(self) -> None:
        """Read everything now, so that `describe` and `facts` have the digest."""
        _ = self.sha256

    @property
    def size_text(self) -> str:
        """`497,774 tokens`."""
        if self.tokens is not None:
            return f"{self.tokens:,} tokens"
        if self.bytes is not None:
            return f"{self.bytes:,} bytes"
        return "text from standard input" if self._is_input else "compressed text, read in part"

    def describe(self) -> str:
        """Size, and how the digest begins where it was taken."""
        digest = self.__dict__.get("sha256")
        return self.size_text + (f", sha256 {digest[:DIGITS]}…" if digest else "")

    @property
    def facts(self) -> dict[str, object]:
        """Files, tokens, bytes and digest; the last None where it was not taken."""
        return {
            "files": len(self.paths),
            "tokens": self.tokens,
            "bytes": self.bytes,
            "sha256": self.__dict__.get("sha256"),
        }

    @cached_property
    def _layouts(self) -> list[ShardLayout]:
        found = []
        for file in self._files:
            said = None if self._whole or file.plain else size_by_header(file.head)
            size = self._bytes_of(file.path, file.plain) if said is None else said
            found.append(shard_layout(file.head, size, file.path, self.vocabulary_size))
        return found

    @staticmethod
    def _bytes_of(path: str, plain: bool) -> int:
        if plain:
            return os.stat(path).st_size
        with opened(path) as file:
            return sum(len(block) for block in iter(lambda: file.read(BLOCK_BYTES), b""))
