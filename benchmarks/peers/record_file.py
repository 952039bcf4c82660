"""The file of the challenge's final record: codes grouped by role, rows sorted by likeness, ZPAQ a
group (pull request 1855).

Strategy: as published. Seven groups of codes in a fixed order, layers of a role one after another, each
matrix column by column; the rest (steps, corrections, float16 tensors, names and shapes) is a
torch.save under brotli. In three roles the rows are first put in a chain of nearest neighbours, so that
the context mixer meets like after like; the uint16 orders are a stream of their own. File: "PGRP", u32
count, u32 lengths, the streams; integers little-endian.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .external_codec import compress_brotli, compress_bytes, decompress_bytes
from .peer import UnsuitableModel

MAGIC = b"PGRP"
ROLES = ("tok_emb", "attn.c_k", "attn.c_q", "attn.c_v", "attn.proj", "mlp.fc", "mlp.proj")
SORTED_ROLES = ("tok_emb", "attn.c_q", "mlp.fc")


def encode_file(
    codes: Mapping[str, Tensor], rest: Mapping[str, Tensor], kinds: Mapping[str, str], *, zpaq: bool
) -> bytes:
    """The file of int8 `codes` [rows, columns] by weight name and the `rest`, any tensors; `kinds` are
    strings of the caller's.

    UnsuitableModel for codes of a weight that belongs to no role.
    """
    names = _names_by_role(codes)
    groups, orders = [], []
    for role in ROLES:
        parts = []
        for name in names[role]:
            matrix = codes[name].numpy()
            if role in SORTED_ROLES:
                orders.append(chain_of_rows(matrix))
                matrix = matrix[orders[-1]]
            parts.append(matrix.T.tobytes())
        groups.append(compress_bytes(b"".join(parts), zpaq=zpaq))
    buffer = io.BytesIO()
    torch.save(
        {"w": dict(rest), "m": dict(kinds), "s": {name: list(tensor.shape) for name, tensor in codes.items()}}, buffer
    )
    permutations = b"".join(order.astype("<u2").tobytes() for order in orders)
    streams = [*groups, compress_brotli(buffer.getvalue()), compress_brotli(permutations)]
    return MAGIC + struct.pack(f"<I{len(streams)}I", len(streams), *map(len, streams)) + b"".join(streams)


def decode_file(data: bytes) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, str]]:
    """Codes, rest and kinds of a file's bytes."""
    streams = _streams(data)
    content = torch.load(io.BytesIO(decompress_bytes(streams[-2])), weights_only=True)
    orders = np.frombuffer(decompress_bytes(streams[-1]), "<u2").astype(np.int64)
    shapes, codes = content["s"], {}
    names = _names_by_role(shapes)
    for role, stream in zip(ROLES, streams, strict=False):
        symbols, place = np.frombuffer(decompress_bytes(stream), np.int8), 0
        for name in names[role]:
            rows, columns = shapes[name]
            matrix = symbols[place : place + rows * columns].reshape(columns, rows).T
            place += rows * columns
            if role in SORTED_ROLES:
                matrix, orders = matrix[orders[:rows].argsort()], orders[rows:]
            codes[name] = torch.from_numpy(matrix.copy())
    return {name: codes[name] for name in shapes}, content["w"], content["m"]


def chain_of_rows(codes: np.ndarray) -> np.ndarray:
    """Order [rows] that starts at row 0 and goes on to the nearest row by L1 distance that is still
    left, the first of equals.
    """
    rows = torch.from_numpy(codes).float()
    distance = torch.cdist(rows, rows, p=1).numpy()  # sums of integers far below 2**24: exact
    order = np.zeros(len(codes), dtype=np.int64)
    for place in range(1, len(codes)):
        distance[:, order[place - 1]] = np.inf
        order[place] = distance[order[place - 1]].argmin()
    return order


def _streams(data: bytes) -> list[bytes]:
    count = struct.unpack_from("<I", data, len(MAGIC))[0]
    place = len(MAGIC) + 4 * (count + 1)
    streams = []
    for length in struct.unpack_from(f"<{count}I", data, len(MAGIC) + 4):
        streams.append(data[place : place + length])
        place += length
    return streams


def _names_by_role(weights: Mapping[str, object]) -> dict[str, list[str]]:
    """Weight names of each role, layers in order of number."""
    groups: dict[str, list[str]] = {role: [] for role in ROLES}
    for name in sorted(weights, key=lambda n: [int(part) for part in re.findall(r"\d+", n)]):
        role = next((r for r in ROLES if f"{r}.weight" in name), None)
        if role is None:
            raise UnsuitableModel(f"{name} has none of the roles {', '.join(ROLES)}")
        groups[role].append(name)
    return groups
