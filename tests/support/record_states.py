"""Models of the Parameter Golf records at toy size: sizes, parts, and state_dicts of random weights with those parts.

Names and shapes are those of the published scripts. Nothing here comes from the compiler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

BANK_ORDER = (("qo_bank", "q", "o"), ("kv_bank", "k", "v"), ("mlp_up_bank", "up"), ("mlp_down_bank", "down"))
PLAIN_NAMES = {"q": "attn.c_q", "k": "attn.c_k", "v": "attn.c_v", "o": "attn.proj", "up": "mlp.fc", "down": "mlp.proj"}


@dataclass
class Record:
    """Sizes, parts (as the state_dict has them) and what the state_dict does not say."""

    vocabulary: int = 53
    layers: int = 4
    width: int = 32
    heads: int = 4
    kv_heads: int = 2
    units: int = 48
    parts: set[str] = field(default_factory=set)
    encoder: list[int] = field(default_factory=lambda: [0, 1])
    decoder: list[int] = field(default_factory=lambda: [2, 3])
    own_blocks: bool = False  # every step of the order has vectors of its own
    rotary: int = 8
    base: float = 10_000.0
    frequencies: Tensor | None = None
    slope: float | None = None
    power: int = 2
    layer_scale: bool = False
    exclusive: int = 0
    side_by_side: int = 99  # attention and MLP read the same input from this layer on
    documents: bool = False
    smear_documents: bool = False
    values_at: tuple[int, ...] = (2, 3)
    gate_scale: float = 1.0
    gate_of_queries: bool = False
    lanes_from: int = 99
    lanes: str = "own"  # own, at once, in turn
    lane_skips: str = "first"
    final: str = "mean"
    late_skips: bool = False
    first_attention: bool = True
    group: int = 0  # of ternary weights
    bounded: str = "tanh"
    cap: float = 30.0
    window: int = 6  # of gates
    table_width: int = 0

    @property
    def order(self) -> list[int]:
        return self.encoder + self.decoder

    @property
    def head(self) -> int:
        return self.width // self.heads


def random_state(r: Record, seed: int, skip_rows: int | None = None) -> dict[str, Tensor]:
    """A state_dict whose every tensor matters, float32."""
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float | None = None) -> Tensor:
        return torch.randn(shape, generator=g) * (scale if scale is not None else 1 / math.sqrt(shape[-1]))

    def about(value: float, *shape: int) -> Tensor:
        return value + 0.3 * torch.randn(shape, generator=g)

    d, keys, e = r.width, r.kv_heads * r.head, r.table_width or r.width
    rows = min(len(r.encoder), len(r.decoder)) if skip_rows is None else skip_rows
    p = {"tok_emb.weight": normal(r.vocabulary, e, scale=0.7), "skip_weights": about(1, rows, d)}
    if "skip_gates" in r.parts:
        p["skip_gates"] = normal(rows, d, scale=0.8)
    matrices = {"q": (d, d), "k": (keys, d), "v": (keys, d), "o": (d, d), "up": (r.units, d), "down": (d, r.units)}
    maps = [{name: normal(*shape) for name, shape in matrices.items()} for _ in range(r.layers)]
    if "banks" in r.parts:
        for bank, *names in BANK_ORDER:
            p[bank] = torch.stack([maps[layer][name] for name in names for layer in range(r.layers)])
    for block in range(len(r.order) if r.own_blocks else r.layers):
        b = f"blocks.{block}."
        p |= {b + "attn_scale": about(0.7, d), b + "mlp_scale": about(0.7, d), b + "resid_mix": about(0.6, 2, d)}
        p[b + "attn.q_gain"] = about(1.5, r.heads)
        if "banks" not in r.parts:
            own = maps[block]
            names = PLAIN_NAMES
            if "ternary" in r.parts:
                p[b + "attn.c_qkv.weight"] = torch.cat([own["q"], own["k"], own["v"]])
                names = {name: names[name] for name in ("o", "up", "down")}
            p |= {f"{b}{name}.weight": own[part] for part, name in names.items()}
        if "gate projection" in r.parts:
            p[b + "attn.attn_gate_proj.weight"] = normal(r.heads, r.window, scale=0.8)
        if "gate" in r.parts or "dense gate" in r.parts:
            p[b + "attn.attn_gate_w"] = normal(r.heads, d if "dense gate" in r.parts else r.window, scale=0.8)
        if "mlp gate" in r.parts:
            p[b + "mlp.mlp_gate_proj.weight"] = normal(1, r.window, scale=0.8)
    return p | _random_parts(r, normal, about, e, keys)


def _random_parts(r: Record, normal, about, e: int, keys: int) -> dict[str, Tensor]:
    d, p = r.width, {}
    if "bigram sum" in r.parts:
        p |= {"bigram_hash.table.weight": normal(29, 10, scale=0.7), "bigram_hash.proj.weight": normal(e, 10)}
        p["smeargate.gate"] = about(1, e)
    if "bigram" in r.parts:
        p |= {"bigram.embed.weight": normal(31, 10, scale=0.7), "bigram.proj.weight": normal(e, 10)}
        p |= {"bigram.scale": about(0.6), "smear.gate": normal(d, scale=0.8)}
    if "smear gate" in r.parts:
        p |= {"smear_gate.weight": normal(1, r.window, scale=0.8), "smear_lambda": about(0.7, 1)}
    if "values" in r.parts:
        p |= {"ve_shared.embed.weight": normal(r.vocabulary, 10, scale=0.7), "ve_shared.proj.weight": normal(keys, 10)}
        p |= {"ve_shared.scale": about(0.7)}
        p |= {f"ve_layer_scales.{index}": about(1, 1) for index in range(len(r.values_at))}
    if "lane merge" in r.parts:
        p["lane_merge"] = torch.tensor(0.4)
    if "lane lambdas" in r.parts:
        p |= {"parallel_post_lambdas": about(0.8, r.layers, 2, 2), "parallel_resid_lambdas": about(1, r.layers, 2)}
    repeated = sorted({layer for layer in r.order if r.order.count(layer) > 1})
    names = [f"repeat_mlp.{index}" for index in range(len(repeated)) if "repeat mlp" in r.parts]
    names += [f"override_mlps.{layer}_p1" for layer in repeated if "pass mlp" in r.parts]
    for name in names:
        p |= {f"{name}.fc.weight": normal(r.units, d), f"{name}.proj.weight": normal(d, r.units)}
    if r.table_width:
        back = "embed_proj_rev" if "ternary" in r.parts else "head_proj"
        p |= {"embed_proj.weight": normal(d, e), f"{back}.weight": normal(e, d)}
    if "ternary" in r.parts:
        p |= {"vocab_bias": normal(r.vocabulary, scale=0.5), "lm_head.weight": torch.zeros(r.vocabulary, d)}
    return p
