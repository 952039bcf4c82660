"""Attention of the challenge's models: norm and gain of queries and keys, rotation, gates, exclusion of own values.

Strategy: per-head norm and query gain are one instruction, because a factor per head commutes with the rotation.
Sources: the scripts; exclusive self-attention leaves out of a head's output what points along the position's own
value.
"""

from __future__ import annotations

import math

from ....format.program import operations as op
from .hyperparameters import Hyperparameters
from .layers import Place
from .names import matrices_of
from .rewritten import FREQUENCIES
from .traits import FUSED_QKV, GATE_PROJECTION, GATE_WEIGHT
from .writer import Writer


def attention(w: Writer, place: Place, x: int, values: int | None) -> int:
    """The output of a block's attention, before its scale; x normalized, `values` what is added to values by token."""
    h, maps = w.h, matrices_of(w, place)
    prefix = f"blocks.{place.block}.attn."
    raw = w.linear(x, maps.query)
    k = w.linear(x, maps.key)
    v = w.linear(x, maps.value)
    if values is not None and place.block in h.ve_layers:
        scale = w.row(f"ve_layer_scales.{h.ve_layers.index(place.block)}")
        v = w.emit(op.Add(v, w.emit(op.Scale(values, scale))))
    q = w.emit(op.RmsNorm(raw, h.num_heads, h.rms_norm_epsilon, w.row(prefix + "q_gain")))
    k = w.emit(op.RmsNorm(k, h.num_kv_heads, h.rms_norm_epsilon))
    q, k = _rotated(w, q, h.num_heads), _rotated(w, k, h.num_kv_heads)
    heads = h.num_heads, h.num_kv_heads
    y = w.emit(op.Attention(q, k, v, *heads, 1 / math.sqrt(h.head_dim), 0, h.document_attention))
    if place.block >= h.num_blocks - h.xsa_last_n:
        y = w.emit(op.Exclude(y, v, *heads))
    y = _gated(w, prefix, y, x, raw)
    if h.has(FUSED_QKV):
        y = normalized(w, y)
    return w.linear(y, maps.output)


def _gated(w: Writer, prefix: str, y: int, x: int, raw: int) -> int:
    """y times one gate a head, of the first elements of the block's input or of the raw queries."""
    h = w.h
    if h.has(GATE_PROJECTION):
        source = raw if h.gate_attn_src == "q" else x
        gate = w.gate(source, prefix + "attn_gate_proj.weight", h.gate_window, h.model_dim, outer=2.0)
        y = w.emit(op.Multiply(y, gate))
    if h.has(GATE_WEIGHT):
        scale = h.sparse_attn_gate_scale
        gate = w.gate(x, prefix + "attn_gate_w", h.gate_window, h.model_dim, inner=scale)
        y = w.emit(op.Multiply(y, gate))
    return y


def normalized(w: Writer, x: int) -> int:
    """x divided by its root mean square."""
    return w.emit(op.RmsNorm(x, 1, w.h.rms_norm_epsilon))


def layer_normalized(w: Writer, block: int, x: int) -> int:
    """The norm at a block's input, which `ln_scale` makes smaller with depth."""
    return w.times(normalized(w, x), 1 / math.sqrt(block + 1) if w.h.ln_scale else 1.0)


def rotated_base(h: Hyperparameters) -> float:
    """The base of the rotation at the model's sequence length: raised where that is longer than in training (NTK)."""
    if not 0 < h.rope_train_seq_len < h.seq_len or h.rotary_dims <= 2:
        return h.rope_base
    return h.rope_base * (h.seq_len / h.rope_train_seq_len) ** (h.rotary_dims / (h.rotary_dims - 2))


def _rotated(w: Writer, x: int, heads: int) -> int:
    h = w.h
    if not h.rotary_dims:
        return x
    layout, direction = op.RopeLayout.HALF_SPLIT, op.RotationDirection.BACKWARD
    if h.rope_type == "yarn":
        return w.emit(op.Rotate(x, heads, h.rotary_dims, 1.0, w.row(FREQUENCIES), 1.0, layout, direction))
    return w.emit(op.Rope(x, heads, rotated_base(h), h.rotary_dims, layout))
