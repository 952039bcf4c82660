"""The `.bin` files of llama2.c, versions 0 to 2: seven sizes, then weights, role by role over all layers.

Strategy: a file is one when its sizes are sane and give the file's length to the byte; version 0 has no
other mark. Version 2 has its matrices as int8 in groups with a float32 scale each. Tensors get the names that
llama2.c's own Python model has for them. The tables of rotations that version 0 ends with are not weights; they are
held against what the sizes say. Source: karpathy/llama2.c, export.py, run.c and runq.c.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import CheckpointError
from .configuration import META_MODEL_TYPE, Configuration
from .stored import Stored

HEADER = struct.Struct("<7i")
MAGIC = b"24ka"  # of versions 1 and 2, before the version
FLAGS = struct.Struct("<4sI7iBi")  # magic, version, sizes, whether table and head are one, numbers in a group
VERSIONS_HEADER_BYTES = 256
LARGEST_SCALE = 1e3  # of a group; where scales stand, a number beyond this shows that they stand elsewhere
MOST = 1 << 24  # of any size; above what has ever been in such a file, below what other kinds of file begin with
MOST_LAYERS = 1024  # of what is called a cut file of this kind; what else may begin so says more
ROPE_THETA = 10_000.0  # a constant of run.c
TABLE_TOLERANCE = 1e-3
Shape = tuple[int, ...]
Section = tuple[str, int, Shape]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The header. tied : whether the table is the head as well, which a negative vocabulary size denies"""

    width: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    length: int
    tied: bool

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    def norms(self) -> Iterator[Section]:
        """(name, layers, shape of one) of the gains; layers 0 for a tensor that stands once."""
        yield "attention_norm.weight", self.layers, (self.width,)
        yield "ffn_norm.weight", self.layers, (self.width,)
        yield "norm.weight", 0, (self.width,)

    def matrices(self) -> Iterator[Section]:
        """The same of the matrices, in the order of versions 1 and 2."""
        d, keys = self.width, self.kv_heads * self.head_width
        yield "tok_embeddings.weight", 0, (self.vocabulary, d)
        yield "attention.wq.weight", self.layers, (d, d)
        yield "attention.wk.weight", self.layers, (keys, d)
        yield "attention.wv.weight", self.layers, (keys, d)
        yield "attention.wo.weight", self.layers, (d, d)
        yield "feed_forward.w1.weight", self.layers, (self.hidden, d)
        yield "feed_forward.w2.weight", self.layers, (d, self.hidden)
        yield "feed_forward.w3.weight", self.layers, (self.hidden, d)
        if not self.tied:
            yield "output.weight", 0, (self.vocabulary, d)

    def sections(self) -> Iterator[Section]:
        """The same of all, in the order of version 0."""
        table, query, key, value, output, gate, down, up, *head = self.matrices()
        before, after, last = self.norms()
        yield from (table, before, query, key, value, output, after, gate, down, up, last)
        yield "freqs_cos", 0, (self.length, self.head_width // 2)
        yield "freqs_sin", 0, (self.length, self.head_width // 2)
        yield from head

    @property
    def file_bytes(self) -> int:
        return HEADER.size + 4 * _numbers(self.sections())


def _numbers(sections: Iterable[Section]) -> int:
    return sum(max(layers, 1) * math.prod(shape) for _, layers, shape in sections)


def llama2c_sizes(data: bytes | memoryview) -> Sizes | None:
    """The sizes in the header of a llama2.c file of version 0; None when the bytes are not one."""
    sizes = _sizes_in(data)
    return sizes if sizes is not None and sizes.file_bytes == len(data) else None


def _sizes_in(data: bytes | memoryview) -> Sizes | None:
    """The sizes that a header of version 0 would say."""
    if len(data) < HEADER.size:
        return None
    *numbers, vocabulary, length = HEADER.unpack_from(data)
    return _sane((*numbers, abs(vocabulary), length), tied=vocabulary > 0)


def is_llama2c(data: bytes | memoryview) -> bool:
    """Whether the bytes are those of a llama2.c file, of any version."""
    return data[: len(MAGIC)] == MAGIC or llama2c_sizes(data) is not None


def begins_llama2c(head: bytes) -> bool:
    """Whether a llama2.c file may begin so, whatever its length."""
    return head.startswith(MAGIC) or _sizes_in(head) is not None


def of_another_length(data: bytes | memoryview, length: int) -> str:
    """What a file of `length` bytes is that begins as one of version 0 does and has not the length of its sizes, in
    words; empty for any other.
    """
    sizes = _sizes_in(data)
    if sizes is None or sizes.layers > MOST_LAYERS or sizes.file_bytes == length:
        return ""
    of = f"width {sizes.width}, {sizes.layers} layers, {sizes.vocabulary:,} tokens"
    return f"it begins as llama2.c's file of version 0 does, which has {sizes.file_bytes:,} bytes for {of}"


def _sane(numbers: tuple[int, ...], tied: bool) -> Sizes | None:
    width, _, _, heads, kv_heads, _, _ = numbers
    if min(numbers) < 1 or max(numbers) > MOST or width % heads or heads % kv_heads or width // heads % 2:
        return None
    return Sizes(*numbers, tied)


def read_llama2c(data: bytes | memoryview, path: Path) -> tuple[dict[str, Stored], Configuration, tuple[str, ...]]:
    """float32 tensors by name, what the file says of the model, and what was decoded, in words. What run.c has as
    constants of its own (epsilon, activation, first token) the file does not say: it is assumed by whoever reads on.

    Raises CheckpointError for a damaged file, another version, and other rotations than run.c computes with.
    """
    notes, told = tuple[str, ...](), dict[str, object]()
    if data[: len(MAGIC)] != MAGIC:
        sizes = llama2c_sizes(data)
        if sizes is None:
            raise CheckpointError(f"{path} is not a llama2.c file")
        tensors = dict(_layers(sizes.sections(), np.frombuffer(data, "<f4", offset=HEADER.size)))
        told = _rotations(sizes, tensors.pop("freqs_cos"), tensors.pop("freqs_sin"), path)
    else:
        version, sizes, group = _flags(data, path)
        body = memoryview(data)[VERSIONS_HEADER_BYTES:]
        if version == 1:
            tensors = dict(_layers([*sizes.norms(), *sizes.matrices()], np.frombuffer(body, "<f4")))
        else:
            gains = 4 * _numbers(sizes.norms())
            tensors = dict(_layers(sizes.norms(), np.frombuffer(body[:gains], "<f4")))
            tensors |= _grouped(sizes, body[gains:], group, path)
            notes = (f"int8 in groups of {group} with their scales decoded to float32",)
    stored = {name: Stored(values, "float32") for name, values in tensors.items()}
    return stored, Configuration(_told(sizes) | told, "its llama2.c header"), notes


def _flags(data: bytes | memoryview, path: Path) -> tuple[int, Sizes, int]:
    """(version, sizes, numbers in a group) of a file with the magic number."""
    if len(data) < VERSIONS_HEADER_BYTES:
        raise CheckpointError(f"{path} is cut: a llama2.c header has {VERSIONS_HEADER_BYTES} bytes; copy it again")
    _, version, *numbers, tied, group = FLAGS.unpack_from(data)
    if version not in (1, 2):
        raise CheckpointError(f"{path} is a llama2.c file of version {version}; known are 0, 1 and 2")
    sizes = _sane(tuple(numbers), bool(tied))
    length = len(data) - VERSIONS_HEADER_BYTES
    if sizes is not None and version == 2:
        gains, count = 4 * _numbers(sizes.norms()), _numbers(sizes.matrices())
        whole = 1 <= group <= MOST and count % group == 0 and length == gains + count + 4 * (count // group)
    else:
        whole = sizes is not None and length == 4 * _numbers([*sizes.norms(), *sizes.matrices()])
    if sizes is None or not whole:
        raise CheckpointError(f"{path} is a llama2.c file whose length is not that of its sizes; copy it again")
    return version, sizes, group


def _layers(sections: Iterable[Section], values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """(name, float32 array) of tensors that stand one behind the other."""
    start = 0
    for name, layers, shape in sections:
        for each in [f"layers.{layer}.{name}" for layer in range(layers)] or [name]:
            count = math.prod(shape)
            yield each, np.array(values[start : start + count], np.float32).reshape(shape)
            start += count


def _grouped(sizes: Sizes, body: memoryview, group: int, path: Path) -> dict[str, np.ndarray]:
    """Matrices of version 2: each its integers, then its scales; in older files all integers, then all scales."""
    counts = [math.prod(shape) for _, layers, shape in sizes.matrices() for _ in range(max(layers, 1))]
    total, values = sum(counts), np.empty(sum(counts), np.float32)
    for behind in (False, True):
        at, scales_at, start, sane = 0, total, 0, True
        for count in counts:
            place = scales_at if behind else at + count
            scales = np.frombuffer(body[place : place + 4 * (count // group)], "<f4")
            sane = sane and bool(np.isfinite(scales).all() and (scales >= 0).all() and (scales < LARGEST_SCALE).all())
            codes = np.frombuffer(body[at : at + count], np.int8).reshape(-1, group)
            if not sane or count % group:
                break
            values[start : start + count] = (codes * scales[:, None]).ravel()
            at += count if behind else count + 4 * (count // group)
            scales_at, start = scales_at + 4 * (count // group), start + count
        if sane and start == total:
            return dict(_layers(sizes.matrices(), values))
    raise CheckpointError(f"{path} is a llama2.c file of version 2 whose scales are no scales; copy it again")


def _told(sizes: Sizes) -> dict[str, object]:
    return {
        "model_type": META_MODEL_TYPE,
        "hidden_size": sizes.width,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.length,
        "tie_word_embeddings": sizes.tied,
    }


def _rotations(sizes: Sizes, cosines: np.ndarray, sines: np.ndarray, path: Path) -> dict[str, object]:
    """What the tables of rotations tell: nothing where they are zeros, which stand for none.

    run.c computes the rotations anew; tables of others would be of another model.
    """
    if not cosines.any() and not sines.any():
        return {}
    r = sizes.head_width
    angles = np.arange(sizes.length)[:, None] * ROPE_THETA ** (-np.arange(0, r, 2) / r)
    if max(np.abs(cosines - np.cos(angles)).max(), np.abs(sines - np.sin(angles)).max()) > TABLE_TOLERANCE:
        raise CheckpointError(
            f"{path} has tables of rotations that are not those of base {ROPE_THETA:g}, which llama2.c computes with; "
            "give the checkpoint that it was exported from"
        )
    return {"rope_theta": ROPE_THETA}
