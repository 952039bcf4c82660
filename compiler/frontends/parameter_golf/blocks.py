"""A block on one residual stream: attention, then MLP, or both side by side.

Strategy: the stream and the stem are mixed, each half normalized, scaled and added.
"""

from __future__ import annotations

from ....format.program import operations as op
from .attention import attention, layer_normalized
from .layers import Place
from .mlp import mlp
from .writer import Writer


def sequential_block(w: Writer, place: Place, x: int, stem: int, values: int | None) -> int:
    """The stream after a block."""
    x = mixed(w, place, x, stem)
    if 0 <= w.h.parallel_residual_start <= place.block:
        return _side_by_side(w, place, x, values)
    if has_attention(w, place):
        x = w.emit(op.Add(x, scaled_attention(w, place, layer_normalized(w, place.block, x), values)))
    return w.emit(op.Add(x, scaled_mlp(w, place, layer_normalized(w, place.block, x))))


def _side_by_side(w: Writer, place: Place, x: int, values: int | None) -> int:
    """Attention and MLP both read the same input."""
    read = layer_normalized(w, place.block, x)
    if has_attention(w, place):
        x = w.emit(op.Add(x, scaled_attention(w, place, read, values)))
    return w.emit(op.Add(x, scaled_mlp(w, place, read)))


def has_attention(w: Writer, place: Place) -> bool:
    """Whether a block has attention at all."""
    return not (w.h.disable_layer0_attn and place.block == 0)


def mixed(w: Writer, place: Place, x: int, stem: int) -> int:
    """The stream with the stem, by the block's two vectors."""
    mix = f"blocks.{place.block}.resid_mix"
    return w.emit(op.Mix(x, stem, w.row(mix, 0), w.row(mix, 1)))


def scaled_attention(w: Writer, place: Place, x: int, values: int | None) -> int:
    """What attention adds to the stream."""
    return w.emit(op.Scale(attention(w, place, x, values), w.row(f"blocks.{place.block}.attn_scale")))


def scaled_mlp(w: Writer, place: Place, x: int) -> int:
    """What the MLP adds to the stream."""
    return w.emit(op.Scale(mlp(w, place, x), w.row(f"blocks.{place.block}.mlp_scale")))
