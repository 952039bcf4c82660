"""What the shapes of a state_dict tell about a model of the challenge.

Strategy: by majority over the layers, so that one wrong tensor is reported as misshapen and does not bend the rest.
Banks tell the same as the matrices of the layers that they hold; where blocks outnumber the layers of the banks,
every place of a loop has vectors of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from .traits import ANY_BLOCK, FACTORIZED, traits_of

BLOCK = re.compile(r"blocks\.(\d{1,4})\.(.+)")
TABLE, HEAD = "tok_emb.weight", "lm_head.weight"
FACTORS = ("embed_proj.weight", "head_proj.weight", "embed_proj_rev.weight")
OF_A_LAYER = ("mlp.fc.weight", "mlp.proj.weight", "attn.proj.weight")
GATE_OF_BLOCK = re.compile(ANY_BLOCK + r"attn\.(attn_gate_proj\.weight|attn_gate_w)")


def sizes_of(tensors: Mapping[str, np.ndarray]) -> dict[str, object]:
    """What the tensors' shapes tell; a name is absent when no tensor tells it."""
    shapes = {name: values.shape for name, values in tensors.items()}
    found = _trunk(shapes) | _parts(shapes)
    if "vocab_bias" not in shapes:  # the ternary script stores a head whether it is tied or not
        found["tie_embeddings"] = not shapes.get(HEAD) or is_copy_of_table(tensors)
    return {name: value for name, value in found.items() if value is not None}


def _trunk(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object]:
    """Widths, heads and layers."""
    blocks = [(int(match[1]), match[2], shape) for name, shape in shapes.items() if (match := BLOCK.fullmatch(name))]

    def sizes(suffix: str, bank: str, axis: int) -> list[int]:
        """Of the matrices of the layers: their rows (axis -2) or columns (axis -1)."""
        found = [shape[axis] for _, name, shape in blocks if name == suffix and len(shape) == 2]
        return found + [shapes[bank][axis] for bank in [bank] if len(shapes.get(bank, ())) == 3]

    factorized = FACTORIZED in traits_of(shapes)
    table, head = _matrix(shapes, TABLE), _matrix(shapes, HEAD)
    width = most_common(
        [
            *(() if factorized else table[1:]),
            *sizes("attn.c_q.weight", "qo_bank", -1),
            *sizes("attn.c_qkv.weight", "qo_bank", -1),
            *sizes("mlp.fc.weight", "mlp_up_bank", -1),
        ]
    )
    heads = most_common(shape[0] for _, name, shape in blocks if name == "attn.q_gain" and len(shape) == 1)
    hidden = most_common(sizes("mlp.fc.weight", "mlp_up_bank", -2))
    keys = most_common(sizes("attn.c_k.weight", "kv_bank", -2))
    fused = most_common(sizes("attn.c_qkv.weight", "kv_bank", -2)) if keys is None else None
    if width and fused:
        keys = (fused - width) // 2
    num_blocks = max(layer for layer, _, _ in blocks) + 1 if blocks else None
    mapped = [layer for layer, name, _ in blocks if name in OF_A_LAYER]
    banks = shapes.get("mlp_up_bank", ())
    return {
        "vocab_size": next(iter([*table[:1], *head[:1]]), None),
        "num_layers": banks[0] if len(banks) == 3 else max(mapped) + 1 if mapped else num_blocks,
        "num_blocks": num_blocks,
        "model_dim": width,
        "num_heads": heads,
        "num_kv_heads": max(1, keys * heads // width) if width and heads and keys else None,
        "mlp_mult": hidden / width if width and hidden else None,
        "embedding_dim": next(iter(table[1:]), None) if factorized else None,
    }


def _parts(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object]:
    """Rows and widths of the parts that not every model has."""
    gates = most_common(shape[1] for name, shape in shapes.items() if GATE_OF_BLOCK.fullmatch(name) and len(shape) == 2)
    skips, smear = _matrix(shapes, "skip_weights"), _matrix(shapes, "smear_gate.weight")
    bigram = _matrix(shapes, "bigram.embed.weight") or _matrix(shapes, "bigram_hash.table.weight")
    values = _matrix(shapes, "ve_shared.embed.weight")
    mlp_gates = most_common(
        shape[1] for name, shape in shapes.items() if name.endswith("mlp_gate_proj.weight") and len(shape) == 2
    )
    return {
        "skip_rows": skips[0] if skips else None,
        "gate_window": gates,
        "mlp_gate_window": mlp_gates,
        "smear_gate_window": smear[1] if smear else None,
        "bigram_rows": bigram[0] if bigram else None,
        "bigram_dim": bigram[1] if bigram else None,
        "ve_dim": values[1] if values else None,
        "ve_count": sum(name.startswith("ve_layer_scales.") for name in shapes) or None,
    }


def most_common(values: Iterable[int]) -> int | None:
    """The value that comes most often; None of none."""
    counted = Counter(values).most_common(1)
    return counted[0][0] if counted else None


def is_copy_of_table(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether the head is stored although it is tied."""
    return all(name in tensors for name in (TABLE, HEAD)) and np.array_equal(tensors[TABLE], tensors[HEAD])


def _matrix(shapes: Mapping[str, tuple[int, ...]], name: str) -> tuple[int, ...]:
    return shapes[name] if len(shapes.get(name, ())) == 2 else ()
