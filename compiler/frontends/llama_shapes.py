"""Tensor shapes of a gated decoder: what they tell of its hyperparameters, and whether they fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .llama_family import HeadNorms
from .llama_hyperparameters import Hyperparameters
from .llama_names import ATTENTION_GATE, CONVOLUTION, HEAD_NORMS, INNER_NORMS, MAPS, NORMS, OUTPUT_BIAS, TAPS, Naming
from .llama_states import shapes_of_mixer
from .misfit import misfit

Tensors = Mapping[str, np.ndarray]


def infer_from_shapes(tensors: Tensors, naming: Naming) -> dict[str, Any]:
    """What the tensors' shapes tell, and the rows of the maps of queries and keys; a name is absent
    where none tells it.
    """
    placed = {place: tensors[name].shape for name in tensors if (place := naming.place(name)) is not None}

    def first(part: str, axis: int, rank: int) -> int:
        stored = naming.parts.get(part)
        shapes = (shape for (_, name, kind), shape in placed.items() if (name, kind) == (stored, "weight"))
        return next((shape[axis] for shape in shapes if len(shape) == rank), 0)

    table = tensors[naming.table].shape if naming.table in tensors and tensors[naming.table].ndim == 2 else (0, 0)
    queries, keys = first("output", 1, 2), first("key", 0, 2)
    found = {
        "vocab_size": table[0],
        "hidden_size": table[1],
        "num_hidden_layers": max(layer for layer, _, _ in placed) + 1 if placed else 0,
        "intermediate_size": first("down", 1, 2),
        "query_rows": queries,
        "key_rows": (keys - queries) // 2 if naming.parts["key"] == naming.parts["query"] else keys,
        "conv_L_cache": first(TAPS, 2, 3),
    }
    shapes: dict[str, Any] = {name: value for name, value in found.items() if value > 0}
    if TAPS in naming.parts:
        shapes["conv_layers"] = sorted({layer for layer, name, _ in placed if name == naming.parts[TAPS]})
    head = tensors.get(naming.head)
    if head is None:
        shapes["tie_word_embeddings"] = True
    elif naming.table in tensors and not np.array_equal(head, tensors[naming.table]):
        shapes["tie_word_embeddings"] = False
    return shapes


def varied_shapes(tensors: Tensors, naming: Naming, layers: int, width: object) -> dict[str, Any]:
    """What the shapes of layers that differ tell, one by one; nothing where they lack a map. width : of a head, where
    no gain of one tells it
    """

    def of(layer: int, part: str) -> tuple[int, ...]:
        name = naming.stored(layer, part)
        return tensors[name].shape if name in tensors and tensors[name].ndim == 2 else (0, 0)

    gain = tensors.get(naming.stored(0, "query_norm")) if "query_norm" in naming.parts else None
    head = len(gain) if gain is not None and gain.ndim == 1 else width if isinstance(width, int) else 0
    queries = [of(layer, "output")[1] for layer in range(layers)]
    keys = [(of(layer, "key")[0] - rows) // 2 for layer, rows in enumerate(queries)]
    widths = [of(layer, "down")[1] for layer in range(layers)]
    if head < 1 or min(*queries, *keys, *widths) < head:
        return {}
    found = {"query_rows": queries[0], "key_rows": keys[0], "intermediate_size": widths[0], "layer_widths": widths}
    lists = {"layer_heads": [rows // head for rows in queries], "layer_key_heads": [rows // head for rows in keys]}
    return {**found, **lists, "head_dim": head}


def expected_shapes(h: Hyperparameters, naming: Naming, tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """Stored name and shape of every tensor; biases stand in every layer when they stand in one."""
    present = {place[1:] for name in tensors if (place := naming.place(name)) is not None}
    shapes = _single_shapes(h, naming, tensors)
    for layer in range(h.num_hidden_layers):
        parts = [part for part in naming.parts if part in parts_of_layer(h, layer)]
        heights = map_heights(h, layer)
        columns = {"output": heights["query"], "down": heights["up"]}
        for part in (part for part in MAPS if part in parts):
            height = sum(heights[each] for each in naming.together(part))
            shapes[naming.stored(layer, part)] = (height, columns.get(part, h.hidden_size))
            if (naming.parts[part], "bias") in present:
                shapes[naming.stored(layer, part, "bias")] = (height,)
        for part, shape in norm_shapes(h, naming).items():
            if part in parts:
                shapes[naming.stored(layer, part)] = shape
            if part in parts and h.traits.layer_norms and (naming.parts[part], "bias") in present:
                shapes[naming.stored(layer, part, "bias")] = shape
        if layer in h.mixer_layers:
            shapes |= shapes_of_mixer(naming.mixer(layer), h.mixer, tensors)
        if TAPS in parts:
            shapes[naming.stored(layer, TAPS)] = (h.hidden_size, 1, h.conv_L_cache)
            if (naming.parts[TAPS], "bias") in present:
                shapes[naming.stored(layer, TAPS, "bias")] = (h.hidden_size,)
    return shapes


def _single_shapes(h: Hyperparameters, naming: Naming, tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors outside the layers."""
    d = h.hidden_size
    of = {"table": (h.vocab_size, d), "head": (h.vocab_size, d), "head_map": (d, d)}
    singles = {each: name for each, name in naming.singles().items() if each != "head" or not h.tie_word_embeddings}
    shapes = {name: of.get(each, (d,)) for each, name in singles.items()}
    for each, name in naming.singles().items():
        bias = bias_of(name)
        if bias in tensors and (each in ("head", "head_map") or (each != "table" and h.traits.layer_norms)):
            shapes[bias] = (h.vocab_size if each == "head" else d,)
    return shapes


def bias_of(weight: str) -> str:
    """The name of the bias beside a weight."""
    return weight.removesuffix(".weight") + ".bias"


def map_heights(h: Hyperparameters, layer: int) -> dict[str, int]:
    """By map of a layer, how many rows it has."""
    d, hidden = h.hidden_size, h.width(layer)
    queries, keys = (heads * h.head_dim for heads in h.heads(layer))
    rows = {"query": queries, "key": keys, "value": keys, "output": d, "gate": hidden, "up": hidden, "down": d}
    return rows | dict.fromkeys(CONVOLUTION, d) | {ATTENTION_GATE: queries}


def parts_of_layer(h: Hyperparameters, layer: int) -> set[str]:
    """The parts that a layer has, where its family has them."""
    attention = {"query", ATTENTION_GATE, "key", "value", "output", "attention_inner_norm", *HEAD_NORMS}
    without = attention if layer in (*h.conv_layers, *h.state_layers) else {*CONVOLUTION, TAPS}
    if layer == 0 and h.traits.bare_first:
        without = without | {"attention_norm"}
    return {*MAPS, *NORMS, *INNER_NORMS, *HEAD_NORMS, TAPS} - without


def norm_shapes(h: Hyperparameters, naming: Naming) -> dict[str, tuple[int, ...]]:
    """By norm of a layer, the shape of its gains."""
    shapes = {part: (h.hidden_size,) for part in NORMS} | {"mlp_inner_norm": (h.intermediate_size,)}
    shapes["attention_inner_norm"] = (h.queries,)
    counts = {"query_norm": h.num_attention_heads, "key_norm": h.num_key_value_heads}
    for part, heads in counts.items():
        kinds = {HeadNorms.EACH: (h.head_dim,), HeadNorms.OWN: (heads, h.head_dim)}
        shapes[part] = kinds.get(h.traits.head_norms, (heads * h.head_dim,))
    return {part: shape for part, shape in shapes.items() if part in naming.parts}


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
