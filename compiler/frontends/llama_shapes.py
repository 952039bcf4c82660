"""Tensor shapes of a gated decoder: what they tell of its hyperparameters, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .llama_families import HeadNorms
from .llama_hyperparameters import Hyperparameters
from .llama_names import FUSED_MAPS, HEAD_NORMS, MAPS, NORMS, OUTPUT_BIAS, Naming
from .misfit import misfit

Tensors = Mapping[str, np.ndarray]


def infer_from_shapes(tensors: Tensors, naming: Naming) -> dict[str, Any]:
    """What the tensors' shapes tell, and the rows of the maps of queries and keys; a name is absent
    where none tells it.
    """
    placed = {place: tensors[name].shape for name in tensors if (place := naming.place(name)) is not None}

    def first(part: str, axis: int, rank: int) -> int:
        shapes = (shape for (_, name, kind), shape in placed.items() if (name, kind) == (naming.parts[part], "weight"))
        return next((shape[axis] for shape in shapes if len(shape) == rank), 0)

    table = tensors[naming.table].shape if naming.table in tensors and tensors[naming.table].ndim == 2 else (0, 0)
    queries, keys = first("output", 1, 2), first("key", 0, 2)
    found = {
        "vocab_size": table[0],
        "hidden_size": table[1],
        "num_hidden_layers": max(layer for layer, _, _ in placed) + 1 if placed else 0,
        "intermediate_size": first("down", 1, 2),
        "query_rows": queries,
        "key_rows": (keys - queries) // 2 if naming.parts["key"] == FUSED_MAPS["key"] else keys,
    }
    shapes: dict[str, Any] = {name: value for name, value in found.items() if value > 0}
    head = tensors.get(naming.head)
    if head is None:
        shapes["tie_word_embeddings"] = True
    elif naming.table in tensors and not np.array_equal(head, tensors[naming.table]):
        shapes["tie_word_embeddings"] = False
    return shapes


def expected_shapes(h: Hyperparameters, naming: Naming, tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """Stored name and shape of every tensor; biases stand in every layer when they stand in one."""
    d, hidden = h.hidden_size, h.intermediate_size
    rows = {"query": h.queries, "key": h.keys, "value": h.keys, "output": d, "gate": hidden, "up": hidden, "down": d}
    columns = {"output": h.queries, "down": hidden}
    present = {place[1:] for name in tensors if (place := naming.place(name)) is not None}
    shapes: dict[str, tuple[int, ...]] = {naming.table: (h.vocab_size, d), naming.norm: (d,)}
    if not h.tie_word_embeddings:
        shapes[naming.head] = (h.vocab_size, d)
    for layer in range(h.num_hidden_layers):
        for part in MAPS:
            together = [other for other in MAPS if naming.parts[other] == naming.parts[part]]
            height = sum(rows[each] for each in together)
            shapes[naming.stored(layer, part)] = (height, columns.get(part, d))
            if (naming.parts[part], "bias") in present:
                shapes[naming.stored(layer, part, "bias")] = (height,)
        for part, width in norm_widths(h, naming).items():
            shapes[naming.stored(layer, part)] = (width,)
    return shapes


def norm_widths(h: Hyperparameters, naming: Naming) -> dict[str, int]:
    """By norm of a layer, how many gains it has."""
    widths = {part: h.hidden_size for part in NORMS if part in naming.parts}
    whole = {"query_norm": h.queries, "key_norm": h.keys}
    each = h.traits.head_norms is HeadNorms.EACH
    return widths | {part: h.head_dim if each else whole[part] for part in HEAD_NORMS if part in naming.parts}


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters, naming: Naming) -> None:
    """Compare the checkpoint with the architecture; CheckpointError that lists missing, unexpected and
    misshapen tensors.
    """
    tensors = checkpoint.tensors
    expected = expected_shapes(h, naming, tensors)
    if OUTPUT_BIAS in tensors:
        expected[OUTPUT_BIAS] = (h.vocab_size,)
    copied = {naming.head} if h.tie_word_embeddings and is_copy(tensors, naming) else set()
    found = misfit(tensors, expected, surplus=copied)
    if found:
        heads = f"{h.num_attention_heads} heads, {h.num_key_value_heads} key-value heads"
        size = f"{h.num_hidden_layers} layers of width {h.hidden_size}, {heads}, MLP of {h.intermediate_size}"
        raise CheckpointError(f"{checkpoint.path} does not fit {h.family} with {size}; {found}")


def is_copy(tensors: Tensors, naming: Naming) -> bool:
    """Whether the head is stored although it is the table."""
    both = naming.table in tensors and naming.head in tensors
    return both and np.array_equal(tensors[naming.table], tensors[naming.head])
