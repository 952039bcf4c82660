"""Files as llm.c's train_gpt2.py writes them, of a GPT-2's weights as Hugging Face lays them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

ROLES = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
HEADER_NUMBERS = 256


def llm_c_bytes(state: Mapping[str, np.ndarray], heads: int, version: int = 3, padding: int = 0) -> bytes:
    """The bytes of a file of `version` 3 (float32) or 5 (bfloat16), its table padded by so many rows of ones."""
    table, positions = (state[f"transformer.{name}.weight"] for name in ("wte", "wpe"))
    layers = sum(name.endswith(".ln_1.weight") for name in state)
    table = np.concatenate([table, np.ones((padding, table.shape[1]), np.float32)])
    parts = [table, positions]
    for role in ROLES:
        for kind in ("weight", "bias"):
            of = [state[f"transformer.h.{layer}.{role}.{kind}"] for layer in range(layers)]
            parts += [values.T if ".c_" in role and kind == "weight" else values for values in of]
    parts += [state["transformer.ln_f.weight"], state["transformer.ln_f.bias"]]
    sizes = (len(positions), len(table) - padding, layers, heads, table.shape[1], len(table))
    header = struct.pack("<8i", 20240326, version, *sizes).ljust(4 * HEADER_NUMBERS, b"\0")
    values = np.concatenate([np.ascontiguousarray(part, np.float32).ravel() for part in parts])
    return header + (values.tobytes() if version == 3 else (values.view(np.uint32) >> 16).astype("<u2").tobytes())
