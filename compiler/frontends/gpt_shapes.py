"""Tensor shapes of the GPT families: what they tell of a model, and whether a checkpoint's fit.

Strategy: the parts of a layer have shapes that follow from a few numbers; biases, a second norm and maps beside the
table are there when the tensors are. Stored maps may be turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .gpt_families import FAMILIES, Family
from .gpt_found_names import found_naming
from .gpt_hyperparameters import Hyperparameters
from .gpt_names import BUFFERS, FUSED, GATE_UP, HEAD_NORMS, MAPS, NORMS, UP_GATE, Naming
from .layouts import stored_name
from .misfit import lacking, misfit


def infer_from_shapes(tensors: Mapping[str, np.ndarray], naming: Naming, family: Family) -> dict[str, object]:
    """What the tensors' shapes tell, `query_rows`, `key_rows` and `positions` among them; a name is absent where none
    tells it.
    """
    placed = {place: tensors[name].shape for name in tensors if (place := naming.place(name)) is not None}
    turned = is_turned(tensors, naming, family)

    def side(part: str, axis: int) -> int | None:
        shapes = (shape for (_, p, kind), shape in placed.items() if (p, kind) == (part, "weight") and len(shape) == 2)
        return next((shape[1 - axis if turned else axis] for shape in shapes), None)

    table, width, fused = tensors.get(naming.single("table")), side("down", 0), side(FUSED, 0)
    positions = tensors.get(naming.single("positions")) if naming.positions else None
    rows = side("query", 0) or (side("output", 1) if family.is_found else width)
    found = {
        "vocab_size": table.shape[0] if table is not None and table.ndim == 2 else None,
        "hidden_size": width,
        "num_hidden_layers": max(layer for layer, _, _ in placed) + 1 if placed else None,
        "intermediate_size": side("up", 0) or (side(GATE_UP, 0) or 0) // 2,
        "query_rows": rows if family.is_found else width,
        "key_rows": side("key", 0) or (side("key_value", 0) or 0) // 2 or (fused and rows and (fused - rows) // 2),
        "positions": None if positions is None or positions.ndim < 2 else _rows(positions) - family.position_offset,
    }
    shapes: dict[str, object] = {name: value for name, value in found.items() if value}
    head = tensors.get(naming.head)
    if head is None:
        shapes["tie_word_embeddings"] = True
    elif table is not None and not np.array_equal(head, table):
        shapes["tie_word_embeddings"] = False
    return shapes


def _rows(positions: np.ndarray) -> int:
    """Of a table [rows, width] of positions, in which an axis of 1 may stand."""
    first, *rest = positions.shape
    return first if rest[0] == 1 or len(rest) < 2 else rest[0]


def expected_shapes(
    h: Hyperparameters, naming: Naming, tensors: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor as stored; biases stand in every layer when they stand in one, and so do the
    widths of the table and the rows of the position table as they are.
    """
    family, d, keys = FAMILIES[h.family], h.hidden_size, h.num_key_value_heads * h.head_width
    queries = h.num_attention_heads * h.head_width
    maps = {
        "query": (queries, d),
        "key": (keys, d),
        "value": (keys, d),
        FUSED: (queries + 2 * keys, d),
        "key_value": (2 * keys, d),
        GATE_UP: (2 * h.intermediate_size, d),
        UP_GATE: (2 * h.intermediate_size, d),
        "output": (d, queries),
        "gate": (h.intermediate_size, d),
        "up": (h.intermediate_size, d),
        "down": (d, h.intermediate_size),
    }
    present = {(place[1], place[2]) for name in tensors if (place := naming.place(name)) is not None}
    if h.norm == "rms_norm":
        present -= {(part, "bias") for part in NORMS}
    if h.query_key_norm == "rms_norm":
        present -= {(part, "bias") for part in HEAD_NORMS}
    turned = is_turned(tensors, naming, family)
    shapes = _single_shapes(h, naming, tensors)
    for layer in range(h.num_hidden_layers):
        for part in naming.parts:
            if part == "mlp_norm" and _one_norm(h, present):
                continue
            if part in HEAD_NORMS:
                shape = _gain_of_heads(h, part, naming, tensors)
            else:
                shape = (d,) if part in NORMS else maps[part]
            shapes[naming.weight(layer, part)] = shape[::-1] if turned else shape
            if (part, "bias") in present:
                shapes[naming.bias(layer, part)] = shape[:1]
    return shapes


def _gain_of_heads(h: Hyperparameters, part: str, naming: Naming, tensors: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """The shape of a gain of queries or keys: of one head, unless the first layer's is that of all of them."""
    whole = h.head_width * (h.num_attention_heads if part == "query_norm" else h.num_key_value_heads)
    found = tensors.get(naming.weight(0, part))
    return (whole,) if found is not None and found.shape == (whole,) else (h.head_width,)


def is_turned(tensors: Mapping[str, np.ndarray], naming: Naming, family: Family) -> bool:
    """Whether maps are stored as [inputs, outputs]: by the family, or by the widths of the table and of a wider MLP."""
    part = naming.stored_part("up")
    if not family.is_found or not part:
        return family.turned
    table, up = (tensors.get(name, np.empty(0)).shape for name in (naming.single("table"), naming.weight(0, part)))
    return len(table) == len(up) == 2 and up[0] == table[1] != up[1]


def is_turned_head(tensors: Mapping[str, np.ndarray], naming: Naming, family: Family) -> bool:
    """Whether the map that makes the logits is stored as [inputs, outputs]."""
    table, head = (tensors.get(name, np.empty(0)).shape for name in (naming.single("table"), naming.head))
    return is_turned(tensors, naming, family) and family.is_found and head == table[::-1] != table


def _one_norm(h: Hyperparameters, present: set[tuple[str, str]]) -> bool:
    """Whether attention and MLP read the same normalized stream, as StableLM's do where they are parallel."""
    return h.parallel_residual and ("mlp_norm", "weight") not in present


def _single_shapes(h: Hyperparameters, naming: Naming, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors outside the layers."""
    d, singles = h.hidden_size, naming.singles()
    projected = naming.project_in and singles["project_in"] in tensors
    width = tensors[singles["table"]].shape[1] if projected else d
    shapes: dict[str, tuple[int, ...]] = {singles["table"]: (h.vocab_size, width)}
    if naming.positions:
        found = tensors.get(singles["positions"])
        rows = h.seq_len if found is None else _rows(found)
        shape = {1: (1, rows, d), rows: (rows, 1, d)} if found is not None and found.ndim == 3 else {}
        shapes[singles["positions"]] = shape.get(len(found) if found is not None else 0, (rows, d))
    if projected:
        shapes |= {singles["project_in"]: (d, width), singles["project_out"]: (width, d)}
    if h.final_norm and naming.norm:
        shapes[singles["norm"]] = (d,)
    if not h.tie_word_embeddings:
        shape = (h.vocab_size, width)
        shapes[singles["head"]] = shape[::-1] if is_turned_head(tensors, naming, FAMILIES[h.family]) else shape
    biases = {"norm_bias": d if h.norm == "layer_norm" else 0, "head_bias": h.vocab_size}
    shapes |= {singles[part]: (size,) for part, size in biases.items() if size and singles.get(part) in tensors}
    return shapes


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters, naming: Naming) -> None:
    """Compare the checkpoint with the architecture; CheckpointError that lists missing, unexpected and misshapen
    tensors. Masks and tables of rotations, which are no weights, may be there.
    """
    tensors = {name: values for name, values in checkpoint.tensors.items() if not is_buffer(name, values)}
    copied = {naming.head} if h.tie_word_embeddings and naming.head in tensors else set()
    found = misfit(tensors, expected_shapes(h, naming, tensors), surplus=copied)
    if found:
        size = f"{h.num_hidden_layers} layers of width {h.hidden_size}, {h.num_attention_heads} heads"
        raise CheckpointError(
            f"{checkpoint.path} does not fit {h.family} with {size}, MLP of {h.intermediate_size}; {found}"
        )


def refuse_other_names(checkpoint: Checkpoint, family: str, naming: Naming, shapes: Mapping[str, object]) -> None:
    """Raises CheckpointError where no layer has one of the family's maps or its first norm, or no tensor tells one of
    the sizes that `shapes` needs: nothing that a caller could say would make it fit.
    """
    placed = {place[1] for name in checkpoint.tensors if (place := naming.place(name)) and place[2] == "weight"}
    telling = {
        "num_hidden_layers": f"{naming.prefix}{naming.layers}N.*",
        "vocab_size": naming.single("table"),
        "hidden_size": naming.weight("N", "down") if naming.parts else "",
    }
    untold = [name for name in telling if name not in shapes]
    absent = [part for part in naming.parts if part in (*MAPS, "attention_norm") and part not in placed]
    if not untold and not absent:
        return
    missing = [telling[name] for name in untold]
    missing += [naming.weight("N", part) for part in absent] if placed else []
    singles = set(naming.singles().values())

    def is_known(name: str) -> bool:
        known = name in singles or naming.place(name) is not None
        return known or is_buffer(name, checkpoint.tensors[name])

    found = lacking(family, untold, [*dict.fromkeys(missing)], checkpoint.tensors, is_known)
    raise CheckpointError(f"{checkpoint.path} {found}")


def is_buffer(name: str, values: np.ndarray) -> bool:
    """Whether a tensor is a mask or a table of rotations, by its name and, as some masks are called bias, its shape."""
    return BUFFERS.fullmatch(name) is not None and (values.ndim != 1 or not name.endswith(".bias"))


def recognized(names: Iterable[str]) -> int:
    """How many names are of the family that knows most of them, as stored or as parts."""
    stored = [stored_name(name) for name in names]
    namings = [each for family in FAMILIES.values() for each in (family.naming, family.other_naming)]
    exact = [each for each in namings if isinstance(each, Naming)]
    return max(naming.fitting(stored).recognized(stored) for naming in exact)


def recognized_by_words(names: Iterable[str]) -> int:
    """How many names say by their words which part a tensor plays, where every part that a GPT needs is there.

    names : or arrays by name, of which the shapes say more
    """
    values = names if isinstance(names, Mapping) else {}
    stored = {stored_name(name): values[name].shape if name in values else (0, 0) for name in names}
    return found_naming(stored, stored if values else None).recognized(stored)
