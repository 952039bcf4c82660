"""Which tensors a step of a model's order reads: matrices of its layer, in banks or one by one, MLPs of later passes.

Strategy: the names that the program uses, which are those of the checkpoint and of the parts of its banks.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..parts import rows_name
from .layers import Place
from .traits import BANKS, FUSED_QKV
from .writer import Writer


@dataclass(frozen=True, slots=True)
class Matrices:
    """The six maps of a step, by name."""

    query: str
    key: str
    value: str
    output: str
    up: str
    down: str


def matrices_of(w: Writer, place: Place) -> Matrices:
    """The maps that a step reads."""
    layer, layers, h = place.layer, w.h.num_layers, w.h
    block = f"blocks.{layer}."
    if h.has(BANKS):
        attention = f"qo_bank[{layer}]", f"kv_bank[{layer}]", f"kv_bank[{layers + layer}]", f"qo_bank[{layers + layer}]"
        up, down = f"mlp_up_bank[{layer}]", f"mlp_down_bank[{layer}]"
    else:
        qkv = [block + f"attn.c_{part}.weight" for part in "qkv"]
        if h.has(FUSED_QKV):
            d, keys = h.model_dim, h.key_dim
            bounds = (0, d), (d, d + keys), (d + keys, d + 2 * keys)
            qkv = [rows_name(f"{block}attn.c_qkv.weight", start, stop) for start, stop in bounds]
        attention = *qkv, block + "attn.proj.weight"
        up, down = block + "mlp.fc.weight", block + "mlp.proj.weight"
    return Matrices(*attention, *_untied(w, place, up, down))


def _untied(w: Writer, place: Place, up: str, down: str) -> tuple[str, str]:
    """The MLP of a later pass through a layer, where it has one of its own, whole or in part."""
    if not place.passes:
        return up, down
    order = [*w.h.encoder_layers, *w.h.decoder_layers]
    repeated = sorted({layer for layer in order if order.count(layer) > 1})
    for prefix in (f"repeat_mlp.{repeated.index(place.layer)}.", f"override_mlps.{place.layer}_p{place.passes}."):
        up = prefix + "fc.weight" if prefix + "fc.weight" in w.names else up
        down = prefix + "proj.weight" if prefix + "proj.weight" in w.names else down
    return up, down
