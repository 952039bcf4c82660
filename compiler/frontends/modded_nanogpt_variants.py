"""The records of modded-nanogpt that are programs here: what each does that its tensors do not show.

Strategy: every record's script is a model of its own under nearly the same names, so that the variant is asked for,
and a variant is data. Later records (from 2026-01-07 on) attend over pairs of heads or compose attentions, which no
instruction computes. Source: the logs under records/track_1_short of github.com/KellerJordan/modded-nanogpt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BLOCK = 128  # tokens of a block: windows are counted in them
YARN_SLOWEST, YARN_FASTEST = 1.0, 32.0  # turns within a window: below, frequencies shrink; above, they stay


@dataclass(frozen=True, slots=True)
class Variant:
    """fused : the tensor of queries, keys and values: a bank of three, or with the output map in memory or by rows
    mlp_turned : the part of an MLP that is stored as [inputs, outputs] where the other is not
    value_tables : table of each of the first layers that has one, and of each of the last
    long_layers : those that see the long window; empty: none has any
    gated_skips : the sigmoid of their weight counts;  skip_from : the layers that the skips come from and go to,
        empty where they pair the first half of the layers with the second;  outermost_skip : whether the last layer of
        all has one
    backout : the layer whose stream is subtracted in the end, -1: none
    cap, shift, slope : logits z become cap * sigmoid((z + shift) / slope)
    scale : of attention before windows grow;  windows : the long window in blocks as it grew, the last one for the
        short windows of evaluation;  long_window : that of evaluation
    keys_shifted : in the long layers, elements of keys that do not turn come from the token before
    """

    fused: str
    value_tables: tuple[tuple[int | None, ...], tuple[int, ...]]
    mlp_turned: str = ""
    long_layers: tuple[int, ...] = ()
    gated_skips: bool = True
    skip_from: tuple[tuple[int, int], ...] = ()
    outermost_skip: bool = False
    backout: int = -1
    cap: float = 30.0
    shift: float = 0.0
    slope: float = 7.5
    scale: float = 0.1
    windows: tuple[int, ...] = (3, 7, 11, 13)
    long_window: int = 20
    keys_shifted: bool = False


BANK, MEMORY, ROWS = "attn.qkv_w", "attn.qkvo_w in memory", "attn.qkvo_w by rows"
VARIANTS = {
    "2025-01-26": Variant(
        fused=BANK,
        value_tables=((0, 1, 2), (0, 1, 2)),
        gated_skips=False,
        outermost_skip=True,
        scale=0.12,
        windows=(14,),
        long_window=0,
    ),
    "2025-10-04": Variant(
        fused=MEMORY,
        value_tables=((None, 1, 2), (0, 1, 2)),
        mlp_turned="c_fc",
        long_layers=(4, 11),
        backout=8,
    ),
    "2025-12-26": Variant(
        fused=ROWS,
        value_tables=((1, 2), (0, 1, 2)),
        mlp_turned="c_proj",
        long_layers=(3, 10),
        skip_from=((3, 6),),
        backout=7,
        cap=23.0,
        shift=5.0,
        keys_shifted=True,
    ),
}


def skips(variant: Variant, layers: int) -> dict[int, int]:
    """By layer that a skip goes to: the layer that it comes from."""
    if variant.skip_from:
        return {target: source for source, target in variant.skip_from}
    half = layers // 2
    return {half + i: half - 1 - i for i in range(layers - half - (not variant.outermost_skip)) if half - 1 - i >= 0}


def value_table(variant: Variant, layer: int, layers: int) -> int | None:
    """The value embedding that a layer adds to its values."""
    first, last = variant.value_tables
    if layer < len(first):
        return first[layer]
    return last[layer - layers + len(last)] if layer >= layers - len(last) else None


def rotation(variant: Variant, head_dim: int) -> tuple[np.ndarray, float]:
    """(frequencies float32 [head_dim / 2], scale of attention) after the windows have grown.

    Half of the pairs do not turn. Each time the window grows, slow frequencies are stretched with it (YaRN).
    """
    turning = (1 / 1024) ** np.linspace(0, 1, head_dim // 4)
    frequencies, scale = np.concatenate([turning, np.zeros(head_dim // 4)]), variant.scale
    for old, new in zip(variant.windows, variant.windows[1:], strict=False):
        turns = BLOCK * old * frequencies / (2 * math.pi)
        kept = np.clip((turns - YARN_SLOWEST) / (YARN_FASTEST - YARN_SLOWEST), 0, 1)
        frequencies = frequencies * (old / new + kept * (1 - old / new))
        scale *= 0.2 * math.log(new / old) + 1
    return frequencies.astype(np.float32), scale
