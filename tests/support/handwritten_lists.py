"""Small GPTs whose layers are lists of two modules, as in the many codes after lucidrains': no names but numbers.

Strategy: the pairs stand alone or each in a module that normalizes before it, and an MLP is a Sequential, with its norm
in it or without.
"""

from __future__ import annotations

import torch
from handwritten_parts import LAYERS, LENGTH, VOCABULARY, WIDTH, attended, linear
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = 40


class Gated(nn.Module):
    """The second half goes through the activation."""

    def forward(self, x: Tensor) -> Tensor:
        x, gate = x.chunk(2, -1)
        return x * functional.gelu(gate)


class Attends(nn.Module):
    """Attention of one joined map, behind a norm of its own where it has one."""

    def __init__(self, normalizes: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH) if normalizes else nn.Identity()
        self.to_qkv = linear(WIDTH, 3 * WIDTH, False)
        self.to_out = nn.Sequential(linear(WIDTH, WIDTH), nn.Dropout(0.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.to_out(attended(*self.to_qkv(self.norm(x)).chunk(3, -1)))


class Normalized(nn.Module):
    """A module behind a norm."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(WIDTH), fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self.norm(x))


class FeedForward(nn.Module):
    """A Sequential under a name."""

    def __init__(self, *steps: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*steps)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class ListedGpt(nn.Module):
    """outside : norms stand in modules around attention and MLP, not in them
    named : the MLP's Sequential has a name;  gated : by a map of twice the outputs
    last : the norm before the head is in a Sequential with it
    """

    def __init__(self, outside: bool, named: bool, gated: bool = False, last: bool = False) -> None:
        super().__init__()
        self.token_emb, self.pos_emb = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList([])
        for _ in range(LAYERS):
            act, up = (Gated(), 2 * HIDDEN) if gated else (nn.GELU(), HIDDEN)
            steps = [linear(WIDTH, up), act, nn.Dropout(0.0), linear(HIDDEN, WIDTH)]
            steps = steps if outside else [nn.LayerNorm(WIDTH), *steps]
            mlp = FeedForward(*steps) if named else nn.Sequential(*steps)
            pair = [Attends(not outside), mlp]
            self.layers.append(nn.ModuleList([Normalized(each) for each in pair] if outside else pair))
        head = linear(WIDTH, VOCABULARY, False)
        self.norm = nn.Identity() if last else nn.LayerNorm(WIDTH)
        self.to_logits = nn.Sequential(nn.LayerNorm(WIDTH), head) if last else head

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token_emb(tokens) + self.pos_emb(torch.arange(tokens.shape[1]))
        for attention, mlp in self.layers:
            x = x + attention(x)
            x = x + mlp(x)
        return self.to_logits(self.norm(x))


SAID = {"num_attention_heads": 3, "norm_first": True, "hidden_act": "gelu", "fused_by_head": False}
LISTS = {
    f"{'outside' if outside else 'inside'}-{'named' if named else 'bare'}-{'gated' if gated else 'plain'}-{last}": (
        lambda outside=outside, named=named, gated=gated, last=last: ListedGpt(outside, named, gated, last),
        {**SAID, **({"gate_first": False} if gated else {})},
        "handwritten",
    )
    for outside in (True, False)
    for named in (True, False)
    for gated in (True, False)
    for last in (True, False)
}
