"""Whether a file of a folder holds the validation data word for word: a binary file, a tokenizer, a text that is read.

Asked only where the data are given.

Strategy: the data are cut into blocks of 32 bytes, in the form in which they are given (a shard's tokens, or a
text's bytes), and every place of a file's unpacked content is held against the beginnings of all blocks. A run of 64
bytes or more contains a whole block wherever it starts, so none is missed; runs are then followed to both sides.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from ..files.code.side_files import TOKENIZER
from .blob_kinds import Blob, read_blob
from .blob_tokenizers import hidden_texts
from .findings import Finding, Level, Rule
from .folder import SubmissionFolder

RULES = (
    Rule(
        "blob-text",
        (Level.FINDING,),
        "With --data: a binary file, a tokenizer or a text that is read holds a run of the data word for word.",
    ),
)
BLOCK = 32
SHORTEST_RUN = 64  # bytes
MOST_DATA_BYTES = 256 << 20
MOST_TEXT_BYTES = 64 << 20
MOST_PLACES = 20_000  # of one file, looked at closer
SHARD_HEADER = 1024


def text_findings(
    folder: SubmissionFolder, blobs: tuple[Blob, ...], data: str, read: Collection[str] = ()
) -> list[Finding]:
    """A finding for each file that holds a run of the data; data that are no single file are not searched for.

    `read` are files that the code reads: texts among them, and tokenizers, are looked through as well.
    """
    path = Path(data)
    if not path.is_file():
        return []
    wanted = read_wanted(path)
    findings = []
    for name in [blob.name for blob in blobs if blob.kind not in ("picture", "pointer")] + _texts(folder, blobs, read):
        file = folder.get(name)
        if file is None:
            continue
        content = read_blob(folder, file)[1] or folder.read_bytes(name)
        content += b"\0" + hidden_texts(content) if content.lstrip()[:1] in (b"{", b"[") else b""
        length, place, source = longest_run(content, wanted)
        if length >= SHORTEST_RUN:
            text = f"{length:,} bytes from byte {place:,} of its content are bytes {source:,} on of the validation data"
            values = {"bytes": length, "place": place, "source": source}
            findings.append(Finding("blob-text", Level.FINDING, text, name, values))
    return findings


def _texts(folder: SubmissionFolder, blobs: tuple[Blob, ...], read: Collection[str]) -> list[str]:
    known = {blob.name for blob in blobs}
    return [
        file.name
        for file in folder.files
        if file.kind == "file" and file.name not in known and file.suffix != ".py" and file.bytes <= MOST_TEXT_BYTES
        if file.name in read or TOKENIZER.search(file.name.rpartition("/")[2])
    ]


def read_wanted(path: Path) -> bytes:
    """The bytes of the data: of a shard its tokens, of anything else all."""
    from ..runtime.shards import is_shard

    with path.open("rb") as file:
        data = file.read(MOST_DATA_BYTES)
    return data[SHARD_HEADER:] if is_shard(data[:SHARD_HEADER]) else data


def longest_run(content: bytes, wanted: bytes) -> tuple[int, int, int]:
    """(bytes, place in the content, place in the data) of the longest run with a whole block in it; zeros for none."""
    blocks = len(wanted) // BLOCK
    if blocks == 0 or len(content) < BLOCK:
        return 0, 0, 0
    starts = np.frombuffer(wanted, "<u8", blocks * BLOCK // 8).reshape(blocks, -1)
    varied = np.flatnonzero((starts != starts[:, :1]).any(1))  # one word again and again stands everywhere
    keys, first = np.unique(starts[varied, 0], return_index=True)
    sources = varied[first]
    best, end = (0, 0, 0), -1
    for place, key in _places(content, keys):
        if place < end and best[0] >= SHORTEST_RUN:
            continue  # within a run that was followed
        run = _followed(content, wanted, place, int(sources[key]) * BLOCK)
        if run[0] > best[0]:
            best, end = run, run[1] + run[0]
    return best


def _places(content: bytes, keys: np.ndarray) -> list[tuple[int, int]]:
    """Places of the content, in order, where the beginning of a block stands, and which of `keys` it is."""
    found: list[tuple[int, int]] = []
    for shift in range(8):
        words = np.frombuffer(content, "<u8", (len(content) - shift) // 8, shift)
        index = np.minimum(np.searchsorted(keys, words), len(keys) - 1)
        hits = np.flatnonzero(keys[index] == words)[:MOST_PLACES] if len(keys) else np.zeros(0, np.int64)
        found += [(int(hit) * 8 + shift, int(index[hit])) for hit in hits]
    return sorted(found)[:MOST_PLACES]


def _followed(content: bytes, wanted: bytes, place: int, source: int) -> tuple[int, int, int]:
    """The run through a pair of places, to both sides."""
    one, other = np.frombuffer(content, np.uint8), np.frombuffer(wanted, np.uint8)
    after = _equal(one[place:], other[source:])
    before = _equal(one[:place][::-1], other[:source][::-1])
    return after + before, place - before, source - before


def _equal(one: np.ndarray, other: np.ndarray) -> int:
    """How many numbers are equal from the beginning."""
    length, step = min(len(one), len(other)), 4096
    for start in range(0, length, step):
        stop = min(start + step, length)
        differs = np.flatnonzero(one[start:stop] != other[start:stop])
        if len(differs):
            return start + int(differs[0])
    return length
