"""Layouts in which a checkpoint keeps a map and a program does not: turned, or with queries, keys and values by head.

Strategy: as with `parts`, the name says what was done, so that an artifact needs nothing else to undo it: `NAME.T` is
the transpose of NAME, and `NAME.by_kind` has the rows of all queries first, then those of all keys, then of all values,
where NAME has them head by head, and `NAME.by_kind_of_4_qvk` where it has them in 4 blocks of so many parts (q, k, v,
and g for gates).
`NAME.column` is a vector as a column, so that an operand can name one element.
`NAME.cut_from_256` are the first rows of a table padded to 256, the others of which the function never reads: they come
back as zeros; `NAME.padded_from_250` has rows of zeros after its own 250. `NAME.bank_of_4` is a matrix [n, 4 m] as it
lies in memory, read as a bank [4, n, m], and `NAME.flat` a table [n, 1, m] as [n, m]. `NAME.taps` are the
weights [width, 1, n] of a convolution as [n, width]. `NAME=OTHER` stands under both
names in the checkpoint, as a table that is the head. `BLOCK.heads.*.query` are the rows of the heads 0, 1, ... one
after the other, which the checkpoint holds one by one. All but the cut are exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import CheckpointError
from ...format.program.operations import Attention
from ...format.program.program import Program
from ..model.model import ModelTensor
from .parts import ONE, join_parts, split_bank, subtract_one, whole_name

TRANSPOSED, BY_KIND, COLUMN, FLAT, TAPS = ".T", ".by_kind", ".column", ".flat", ".taps"
ROWS = re.compile(r"(?P<whole>.+)\.(?:cut|padded)_from_(?P<rows>\d{1,9})")
BANK = re.compile(r"(?P<whole>.+)\.bank_of_\d{1,4}")
SAME, ALL_HEADS = "=", "heads.*."
BLOCKS = re.compile(r"(?P<whole>.+)\.by_kind_of_(?P<blocks>\d{1,4})_(?P<kinds>[qkvg]+)")
ONE_HEAD = re.compile(r"(?P<before>.*\d\.(?:.+\.)?[a-z_]*heads\.)(?P<head>\d{1,4})(?P<after>\.\w+\.(weight|bias))")
KINDS = 3  # queries, keys, values
OF_BLOCKS = "qkvg"  # in the order of a program: and gates


def rows_by_kind(values: np.ndarray, heads: int) -> np.ndarray:
    """[heads * 3 * d, ...] head by head, as [3 * heads * d, ...] kind by kind."""
    split = values.reshape(heads, KINDS, -1, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(0, 1)).reshape(values.shape)


def rows_by_head(values: np.ndarray, heads: int) -> np.ndarray:
    """The inverse of `rows_by_kind`."""
    split = values.reshape(KINDS, heads, -1, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(0, 1)).reshape(values.shape)


def kinds_of_blocks(name: str, values: np.ndarray, blocks: int, kinds: str) -> tuple[str, np.ndarray]:
    """Name and rows of a tensor of so many blocks, each with parts of one height of these `kinds` ("qvk"), as all
    queries, all keys, all values and all gates.
    """
    split = values.reshape(blocks, len(kinds), -1, *values.shape[1:])
    parts = [split[:, [place for place, each in enumerate(kinds) if each == kind]] for kind in OF_BLOCKS]
    rows = np.concatenate([part.reshape(-1, *values.shape[1:]) for part in parts])
    return blocks_name(name, blocks, kinds), rows


def blocks_name(name: str, blocks: int, kinds: str) -> str:
    """The name of a tensor of such blocks kind by kind."""
    return f"{name}.by_kind_of_{blocks}_{kinds}"


def rows_of_blocks(values: np.ndarray, blocks: int, kinds: str) -> np.ndarray:
    """The inverse of `kinds_of_blocks`."""
    height = len(values) // (blocks * len(kinds))
    stops = np.cumsum([blocks * height * kinds.count(kind) for kind in OF_BLOCKS[:-1]])
    parts = dict(zip(OF_BLOCKS, np.split(values, stops), strict=True))
    split = {kind: part.reshape(blocks, -1, height, *values.shape[1:]) for kind, part in parts.items()}
    each = [split[kind][:, kinds[:place].count(kind)] for place, kind in enumerate(kinds)]
    return np.ascontiguousarray(np.stack(each, 1)).reshape(values.shape)


def tensor_of_blocks(tensor: ModelTensor) -> ModelTensor:
    """The inverse of `kinds_of_blocks`; other tensors as they are."""
    match = BLOCKS.fullmatch(tensor.name)
    if match is None:
        return tensor
    return replace(
        tensor, name=match["whole"], values=rows_of_blocks(tensor.values, int(match["blocks"]), match["kinds"])
    )


def same_name(name: str, other: str) -> str:
    """The name of a tensor that the checkpoint holds twice."""
    return f"{name}{SAME}{other}"


def joined_heads(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors with those of single heads joined, head after head; CheckpointError when one is missing."""
    joined: dict[str, np.ndarray] = {}
    heads: dict[str, dict[int, np.ndarray]] = {}
    for name, values in tensors.items():
        match = ONE_HEAD.fullmatch(name)
        if match is None:
            joined[name] = values
        else:
            heads.setdefault(f"{match['before']}*{match['after']}", {})[int(match["head"])] = values
    for name, found in heads.items():
        if sorted(found) != list(range(len(found))) or len({values.shape for values in found.values()}) > 1:
            raise CheckpointError(f"the heads of {name} are {sorted(found)}; they must be 0, 1, ... and of one shape")
        joined[name] = np.concatenate([found[head] for head in range(len(found))])
    return joined


def column_name(name: str) -> str:
    """The name of a vector as a column."""
    return name + COLUMN


def cut_name(name: str, rows: int) -> str:
    """The name of the first rows of a table of so many."""
    return f"{name}.cut_from_{rows}"


def padded_name(name: str, rows: int) -> str:
    """The name of a table of so many rows with more after them."""
    return f"{name}.padded_from_{rows}"


def taps_name(name: str) -> str:
    """The name of a convolution's weights tap by tap."""
    return name + TAPS


def rows_of_taps(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """The weights [width, 1, n] of a convolution in which each element has its own, as [n, width], by their name."""
    return {taps_name(name): np.ascontiguousarray(values[:, 0].T)}


def column_taps(tensor: ModelTensor) -> ModelTensor:
    """The inverse of `rows_of_taps`; other tensors as they are."""
    if not tensor.name.endswith(TAPS):
        return tensor
    values = np.ascontiguousarray(tensor.values.T)[:, None]
    return replace(tensor, name=tensor.name.removesuffix(TAPS), values=values)


def split_memory(name: str, values: np.ndarray, parts: int) -> dict[str, np.ndarray]:
    """The parts, one after the other in memory, of a matrix [n, parts * m]; each [n, m], by the names of the parts."""
    return split_bank(f"{name}.bank_of_{parts}", values.reshape(parts, len(values), -1))


def stored_name(name: str) -> str:
    """The name in the checkpoint of a tensor of the program."""
    name = whole_name(name).split(SAME)[0].removesuffix(ONE)
    one_head = ONE_HEAD.fullmatch(name)
    name = f"{one_head['before']}*{one_head['after']}" if one_head else name
    for pattern in (ROWS, BANK, BLOCKS):
        match = pattern.fullmatch(name)
        name = match["whole"] if match else name
    return name.removesuffix(COLUMN).removesuffix(FLAT).removesuffix(BY_KIND).removesuffix(TRANSPOSED)


def stored_tensors(program: Program, tensors: Sequence[ModelTensor]) -> list[ModelTensor]:
    """The tensors as the checkpoint had them: parts joined, rows by head, transposes turned back, copies twice."""
    heads = next((op.heads for op in program.instructions if isinstance(op, Attention)), 1)
    stored = [_stored(tensor, heads) for tensor in join_parts(subtract_one(tensors))]
    once = [replace(tensor, name=name) for tensor in stored for name in tensor.name.split(SAME)]
    return [each for tensor in once for each in _single_heads(tensor, heads)]


def _single_heads(tensor: ModelTensor, heads: int) -> list[ModelTensor]:
    """The inverse of `joined_heads` for one tensor."""
    if ALL_HEADS not in tensor.name:
        return [tensor]
    parts = np.split(tensor.values, heads)
    return [replace(tensor, name=tensor.name.replace("*", str(i)), values=part) for i, part in enumerate(parts)]


def _stored(tensor: ModelTensor, heads: int) -> ModelTensor:
    name, values = tensor.name, tensor.values
    rows, bank = ROWS.fullmatch(name), BANK.fullmatch(name)
    if rows:
        missing = max(int(rows["rows"]) - len(values), 0)
        padding = np.zeros((missing, *values.shape[1:]), values.dtype)
        name, values = rows["whole"], np.concatenate([values, padding])[: int(rows["rows"])]
    if bank:
        name, values = bank["whole"], values.reshape(values.shape[1], -1)
    if name.endswith(COLUMN):
        name, values = name.removesuffix(COLUMN), values.reshape(-1)
    if name.endswith(FLAT):
        name, values = name.removesuffix(FLAT), values[:, None]
    by_blocks = tensor_of_blocks(replace(tensor, name=name, values=values))
    name, values = by_blocks.name, by_blocks.values
    if name.endswith(BY_KIND):
        name, values = name.removesuffix(BY_KIND), rows_by_head(values, heads)
    if name.endswith(TRANSPOSED):
        name, values = name.removesuffix(TRANSPOSED), np.ascontiguousarray(values.T)
    return replace(tensor, name=name, values=values)
