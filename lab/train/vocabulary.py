"""A smaller vocabulary for a model that is trained already: drop pieces, keep the rows of the others,
retune the token tables.

Strategy: a byte-pair piece is made by merging two others, so only pieces that no kept piece is made of
can go; the least frequent of these goes first, and its occurrences count for its two halves from then
on. Bytes, special pieces and single characters stay, so every text stays encodable. The .model file is
edited as what it is, a protocol buffer whose field 1 holds the pieces in order. Source of the retuning:
ReTok, arXiv:2410.04335 (token tables first, the trunk frozen).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import sentencepiece

from ...compiler.model.model import Model
from ...compiler.model.structure import token_tables
from ...errors import DataError
from ...files.output import write_output
from ...format.program.operations import Embed, Linear, RmsNorm
from ...runtime.tokenizers import SentencepieceTokenizer

PIECES, SELF_TEST = 1, 4  # fields of sentencepiece's ModelProto
BYTES_OF_WIRE_TYPE = {1: 8, 5: 4}


def kept_pieces(tokenizer: SentencepieceTokenizer, documents: Iterable[str], size: int) -> np.ndarray:
    """Ids of the `size` pieces to keep, ascending, int64 [size]; usefulness is counted on the documents.

    Raises DataError for a size that leaves no room for what must stay, or that is no smaller than the vocabulary.
    """
    pieces = {tokenizer.piece(token): token for token in range(tokenizer.vocabulary_size)}
    plain = {
        piece: token
        for piece, token in pieces.items()
        if len(piece) > 1 and not tokenizer.is_byte(token) and not tokenizer.is_boundary(token)
    }
    fixed = tokenizer.vocabulary_size - len(plain)
    if not fixed <= size < tokenizer.vocabulary_size:
        raise DataError(
            f"{tokenizer.source}: a pruned vocabulary has at least {fixed:,} pieces and fewer than "
            f"{tokenizer.vocabulary_size:,}, not {size:,}"
        )
    counts = Counter(token for document in documents for token in tokenizer.encode_document(document))
    halves = {piece: found for piece in plain if (found := _merged_of(piece, pieces)) is not None}
    return np.array(_without_least_used(plain, pieces, halves, counts, tokenizer.vocabulary_size - size), np.int64)


def _without_least_used(
    plain: Mapping[str, int],
    pieces: Mapping[str, int],
    halves: Mapping[str, tuple[str, str]],
    counts: Counter[int],
    drop: int,
) -> list[int]:
    """The ids that stay when `drop` pieces go one after the other."""
    uses = Counter(half for pair in halves.values() for half in set(pair))
    waiting = [(counts[token], -token, piece) for piece, token in plain.items() if not uses[piece]]
    heapq.heapify(waiting)
    kept = set(pieces.values())
    while drop and waiting:
        count, token, piece = heapq.heappop(waiting)
        token = -token
        if count != counts[token]:  # it has been given occurrences since
            heapq.heappush(waiting, (counts[token], -token, piece))
            continue
        kept.discard(token)
        drop -= 1
        pair = halves.get(piece, ())
        for half in pair:
            counts[pieces[half]] += count
        for half in set(pair):
            uses[half] -= 1
            if not uses[half] and half in plain:
                heapq.heappush(waiting, (counts[pieces[half]], -pieces[half], half))
    return sorted(kept)


def _merged_of(piece: str, pieces: Mapping[str, int]) -> tuple[str, str] | None:
    """The two pieces whose merge makes this one, or None when merging never arrives at it; merges go by
    the order of ids.
    """
    parts = list(piece)
    while len(parts) > 2:
        known = [(pieces[a + b], place) for place, (a, b) in enumerate(pairwise(parts)) if a + b in pieces]
        if not known:
            return None
        _, place = min(known)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 and all(part in pieces for part in parts) else None


def write_pruned_tokenizer(source: Path, kept: np.ndarray, path: Path) -> Path:
    """Write the .model file with the pieces `kept` (ids, ascending) alone; their new ids are 0, 1, ...

    Raises DataError when the source is not a sentencepiece model, OutputError when the file exists.
    """
    data, chosen, parts, token = source.read_bytes(), set(kept.tolist()), [], 0
    SentencepieceTokenizer.load(source)
    for field, content in _fields(data):
        if field == PIECES:
            if token in chosen:
                parts.append(content)
            token += 1
        elif field != SELF_TEST:  # samples of the old vocabulary's tokens
            parts.append(content)
    pruned = b"".join(parts)
    sentencepiece.SentencePieceProcessor(model_proto=pruned)
    write_output(path, pruned, force=False)
    return path


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, whole encoding) of each field of a protocol buffer that sentencepiece has read already."""
    offset = 0
    while offset < len(data):
        start = offset
        key, offset = _varint(data, offset)
        wire_type = key & 7
        if wire_type == 2:
            length, offset = _varint(data, offset)
            offset += length
        elif wire_type == 0:
            _, offset = _varint(data, offset)
        else:
            offset += BYTES_OF_WIRE_TYPE[wire_type]
        yield key >> 3, data[start:offset]


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        value |= (byte & 0x7F) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 0x80:
            return value, offset


def prune_vocabulary(model: Model, kept: np.ndarray) -> Model:
    """The model over the kept tokens: the rows of its token tables, in the new order; everything else stays.

    Raises DataError when the boundary token or a row that there is not is among what is asked for.
    """
    boundary = np.flatnonzero(kept == model.program.boundary_token)
    if len(boundary) != 1 or kept.max() >= model.program.vocabulary_size:
        raise DataError(
            f"the kept tokens must be below {model.program.vocabulary_size:,} and hold the boundary "
            f"token {model.program.boundary_token}"
        )
    tables = token_tables(model.program)
    tensors = tuple(
        replace(t, values=np.ascontiguousarray(t.values[kept])) if i in tables else t
        for i, t in enumerate(model.tensors)
    )
    program = replace(model.program, vocabulary_size=len(kept), boundary_token=int(boundary[0]))
    known = (
        dict(model.architecture) | {"vocab_size": len(kept), "boundary_token": int(boundary[0])}
        if model.architecture
        else {}
    )
    return replace(model, program=program, tensors=tensors, architecture=known)


def retuned_tensors(model: Model) -> list[int]:
    """What a head-only retuning trains: the token tables and the linear maps between them and the trunk."""
    tables, instructions = set(token_tables(model.program)), model.program.instructions
    read = Counter(register for o in instructions for register in o.registers)
    embeds = {register for register, o in enumerate(instructions) if isinstance(o, Embed)}
    embeds |= {r for r, o in enumerate(instructions) if isinstance(o, RmsNorm) and o.x in embeds and read[r] == 1}
    readers = {o.weight for o in instructions if isinstance(o, Linear) and o.x in embeds}
    makers = {
        instructions[o.x].weight
        for o in instructions
        if isinstance(o, Linear) and o.weight in tables and isinstance(instructions[o.x], Linear)
    }
    return sorted(tables | readers | makers)
