"""Hyperparameters and tensor shapes of the Llama family: what tells each of them, and whether the tensors fit.

Strategy: a hyperparameter comes from the caller, else from the shapes, else from the configuration,
else from what the code of its model type assumes; the record keeps which. What changes the function and
none of them tells is asked for. Names are those of Hugging Face's config.json, whichever file they came
from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .architecture_file import Parameter, checked_parameters
from .llama_configuration import EVALUATED_LENGTH, read_configuration
from .llama_names import HEAD_NORMS, MAPS, NORMS, Naming
from .misfit import misfit

FRONTEND_NAME = "llama"
MAX_LAYERS = 1024
SHAPES, CALLER = "shapes", "architecture"  # who told, where no file did
PARAMETERS = {
    "vocab_size": Parameter(int, least=1),
    "num_hidden_layers": Parameter(int, least=1, most=MAX_LAYERS),
    "hidden_size": Parameter(int, least=1),
    "intermediate_size": Parameter(int, least=1),
    "num_attention_heads": Parameter(int, least=1),
    "num_key_value_heads": Parameter(int, least=1),
    "head_dim": Parameter(int, least=2),
    "tie_word_embeddings": Parameter(bool),
    "rope_theta": Parameter(float, least=1),
    "rms_norm_eps": Parameter(float, least=1e-30),
    "hidden_act": Parameter(str, choices=("silu", "gelu")),
    "sliding_window": Parameter(int, least=0),  # 0: none
    "sliding_layers": Parameter(list),  # those whose attention has the window
    "seq_len": Parameter(int, least=1, most=1 << 20),
    "boundary_token": Parameter(int, least=0),
}
NOT_OF_THE_FUNCTION = {"seq_len": EVALUATED_LENGTH, "boundary_token": 0}


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One architecture of the family, complete and consistent; see PARAMETERS."""

    vocab_size: int
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    tie_word_embeddings: bool
    rope_theta: float
    rms_norm_eps: float
    hidden_act: str
    sliding_window: int
    sliding_layers: list[int]
    seq_len: int
    boundary_token: int

    def document(self) -> dict[str, object]:
        """As an architecture file would say it."""
        return {"frontend": FRONTEND_NAME, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Resolved:
    """Hyperparameters, who told each, and the names of those that are assumed."""

    hyperparameters: Hyperparameters
    told: Mapping[str, str]
    assumed: tuple[str, ...]


def resolve(checkpoint: Checkpoint, naming: Naming, given: Mapping[str, object]) -> Resolved:
    """The hyperparameters of a checkpoint; `given` has passed `parse_given`.

    Raises CheckpointError when sources contradict each other, or when nothing tells what changes the function.
    """
    shapes = infer_from_shapes(checkpoint.tensors, naming)
    untold = [name for name in ("num_hidden_layers", "vocab_size", "hidden_size") if name not in shapes]
    if untold:
        raise CheckpointError(
            f"{checkpoint.path} lacks the tensors of {FRONTEND_NAME} that would tell {', '.join(untold)}"
        )
    told, assumed, source = {}, {}, ""
    if checkpoint.configuration is not None:
        told, assumed = read_configuration(checkpoint.configuration, int(shapes["num_hidden_layers"]))
        told, source = checked_parameters(told, PARAMETERS, FRONTEND_NAME), checkpoint.configuration.source
    _complete_heads(shapes, {**told, **given})
    _refuse_contradictions(checkpoint, shapes, {name: told[name] for name in told if name not in given}, source)
    known = {**NOT_OF_THE_FUNCTION, **assumed, **told, **shapes, **given}
    known.setdefault("sliding_layers", list(range(known["num_hidden_layers"])) if known.get("sliding_window") else [])
    _ask(checkpoint, [name for name in PARAMETERS if name not in known])
    hyperparameters = Hyperparameters(**{name: known[name] for name in PARAMETERS})
    _check_consistent(hyperparameters)
    origins = {
        name: CALLER if name in given else SHAPES if name in shapes else source
        for name in PARAMETERS
        if name in given or name in shapes or name in told
    }
    rest = tuple(name for name in PARAMETERS if name not in origins and name != "sliding_layers")
    return Resolved(hyperparameters, origins, rest)


def _complete_heads(shapes: dict[str, object], known: Mapping[str, object]) -> None:
    """Heads and their width: the maps tell the product, so that one of the two tells the other."""
    rows, key_rows = shapes.pop("query_rows", 0), shapes.pop("key_rows", 0)
    width, heads = shapes.get("head_dim") or known.get("head_dim"), known.get("num_attention_heads")
    if width is None and heads is not None:
        _require(rows % heads == 0, f"num_attention_heads {heads} does not divide the {rows} rows of the queries")
        shapes["head_dim"] = width = rows // heads
    elif width is not None:
        _require(rows % width == 0, f"head_dim {width} does not divide the {rows} rows of the queries")
        shapes["num_attention_heads"] = rows // width
    if width is not None:
        _require(key_rows % width == 0, f"head_dim {width} does not divide the {key_rows} rows of the keys")
        shapes["num_key_value_heads"] = key_rows // width


def _refuse_contradictions(
    checkpoint: Checkpoint, shapes: Mapping[str, object], told: Mapping[str, object], source: str
) -> None:
    wrong = [name for name in shapes if told.get(name, shapes[name]) != shapes[name]]
    if wrong:
        says, say = ([f"{name} {values[name]}" for name in wrong] for values in (told, shapes))
        raise CheckpointError(
            f"{checkpoint.path}: {source} says {', '.join(says)}, the tensors say {', '.join(say)}; "
            "give the configuration of this checkpoint, or what is right in an --architecture file"
        )


def _ask(checkpoint: Checkpoint, untold: list[str]) -> None:
    if "num_attention_heads" in untold:  # which tells the other two
        untold = [name for name in untold if name not in ("num_key_value_heads", "head_dim")]
    if untold:
        raise CheckpointError(
            f"{checkpoint.path}: nothing tells {', '.join(untold)}, which change what the model computes; put its "
            "config.json beside it, or give them in an --architecture file"
        )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckpointError(f"architecture: {message}")


def _check_consistent(h: Hyperparameters) -> None:
    heads, kv_heads = h.num_attention_heads, h.num_key_value_heads
    _require(heads % kv_heads == 0, f"num_key_value_heads {kv_heads} does not divide num_attention_heads {heads}")
    _require(h.head_dim % 2 == 0, f"head_dim {h.head_dim} is odd, and a rotation takes pairs")
    _require(
        h.boundary_token < h.vocab_size, f"boundary_token {h.boundary_token} is not below vocab_size {h.vocab_size}"
    )
    beyond = [layer for layer in h.sliding_layers if layer >= h.num_hidden_layers]
    _require(not beyond, f"sliding_layers names layer {beyond[:1]}, but num_hidden_layers is {h.num_hidden_layers}")


def parse_given(architecture: Mapping[str, object]) -> dict[str, object]:
    """The caller's hyperparameters, checked one by one."""
    return checked_parameters(architecture, PARAMETERS, FRONTEND_NAME)


def infer_from_shapes(tensors: Mapping[str, np.ndarray], naming: Naming) -> dict[str, object]:
    """What the tensors' shapes tell, and the rows of the maps of queries and keys; a name is absent
    where none tells it.
    """
    placed = {place: tensors[name].shape for name in tensors if (place := naming.place(name)) is not None}

    def first(part: str, axis: int, rank: int) -> int | None:
        shapes = (shape for (_, p, kind), shape in placed.items() if (p, kind) == (part, "weight"))
        return next((shape[axis] for shape in shapes if len(shape) == rank), None)

    table = tensors[naming.table].shape if naming.table in tensors and tensors[naming.table].ndim == 2 else (None, None)
    found = {
        "vocab_size": table[0],
        "hidden_size": table[1],
        "num_hidden_layers": max(layer for layer, _, _ in placed) + 1 if placed else None,
        "intermediate_size": first("gate", 0, 2),
        "head_dim": first("query_norm", 0, 1),
        "query_rows": first("query", 0, 2),
        "key_rows": first("key", 0, 2),
    }
    shapes: dict[str, object] = {name: value for name, value in found.items() if value}
    head = tensors.get(naming.head)
    if head is None:
        shapes["tie_word_embeddings"] = True
    elif naming.table in tensors and not np.array_equal(head, tensors[naming.table]):
        shapes["tie_word_embeddings"] = False
    return shapes


def expected_shapes(h: Hyperparameters, naming: Naming, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor; biases and norms of heads stand in every layer when they stand in one."""
    d, hidden, width = h.hidden_size, h.intermediate_size, h.head_dim
    queries, keys = h.num_attention_heads * width, h.num_key_value_heads * width
    maps = {
        "query": (queries, d),
        "key": (keys, d),
        "value": (keys, d),
        "output": (d, queries),
        "gate": (hidden, d),
        "up": (hidden, d),
        "down": (d, hidden),
    }
    present = {(place[1], place[2]) for name in names if (place := naming.place(name)) is not None}
    shapes: dict[str, tuple[int, ...]] = {naming.table: (h.vocab_size, d), naming.norm: (d,)}
    if not h.tie_word_embeddings:
        shapes[naming.head] = (h.vocab_size, d)
    for layer in range(h.num_hidden_layers):
        shapes |= {naming.weight(layer, norm): (d,) for norm in NORMS}
        shapes |= {naming.weight(layer, norm): (width,) for norm in HEAD_NORMS if (norm, "weight") in present}
        shapes |= {naming.weight(layer, part): shape for part, shape in maps.items()}
        shapes |= {naming.bias(layer, part): maps[part][:1] for part in MAPS if (part, "bias") in present}
    return shapes


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters, naming: Naming) -> None:
    """Compare the checkpoint with the architecture; CheckpointError that lists missing, unexpected and
    misshapen tensors.
    """
    tensors = {name: values for name, values in checkpoint.tensors.items() if not naming.buffers.fullmatch(name)}
    expected = expected_shapes(h, naming, tensors)
    copied = {naming.head} if h.tie_word_embeddings and is_copy(tensors, naming) else set()
    found = misfit(tensors, expected, surplus=copied)
    if found:
        heads = f"{h.num_attention_heads} heads, {h.num_key_value_heads} key-value heads"
        size = f"{h.num_hidden_layers} layers of width {h.hidden_size}, {heads}, MLP of {h.intermediate_size}"
        raise CheckpointError(f"{checkpoint.path} does not fit {FRONTEND_NAME} with {size}; {found}")


def is_copy(tensors: Mapping[str, np.ndarray], naming: Naming) -> bool:
    """Whether the head is stored although it is the table."""
    both = naming.table in tensors and naming.head in tensors
    return both and np.array_equal(tensors[naming.table], tensors[naming.head])
