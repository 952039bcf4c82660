"""Variants of a small GPT whose tensors say less than its code does: one norm a layer, a joined gate, shifted gains.

Strategy: one module, whose arguments are the variants; each has names that people use for it.
"""

from __future__ import annotations

import torch
from handwritten_parts import HEADS, LAYERS, LENGTH, VOCABULARY, WIDTH, attended, container, linear
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5
HIDDEN = 40


class Gain(nn.Module):
    """RMSNorm whose gain is stored less `less`."""

    def __init__(self, less: float) -> None:
        super().__init__()
        self.weight, self.less = nn.Parameter(torch.full((WIDTH,), 1 - less)), less

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (WIDTH,), self.weight + self.less, EPSILON)


def bare(x: Tensor) -> Tensor:
    """A norm without a gain."""
    return functional.rms_norm(x, (WIDTH,), eps=EPSILON)


class Variant(nn.Module):
    """norms : names of the norms of a layer, of which one alone is read by attention and by the MLP; none: no gains
    ends : of norms without gains, whether there is one of the embedding and one before the head
    side_by_side : both read the same stream;  maps : names of the maps of the MLP, the last of which leads back
    gate : of the first map's halves the one that goes through the activation; None where it has no gate
    less : what gains are stored less
    """

    def __init__(
        self,
        norms: str = "ln1 ln2",
        side_by_side: bool = False,
        maps: str = "fc1 fc2",
        gate: int | None = None,
        less: float = 0.0,
        ends: tuple[bool, bool] = (False, True),
    ) -> None:
        super().__init__()
        self.norms, self.side_by_side, self.maps, self.gate = norms.split(), side_by_side, maps.split(), gate
        self.ends = ends
        self.tok_emb, self.pos_emb = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList()
        for _ in range(LAYERS):
            attn = container(**{f"{name}_proj": linear(WIDTH, WIDTH, False) for name in "qkvo"})
            up = linear(WIDTH, HIDDEN if gate is None else 2 * HIDDEN)
            mlp = container(**dict(zip(self.maps, (up, linear(HIDDEN, WIDTH)), strict=True)))
            self.blocks.append(container(attn=attn, mlp=mlp, **{name: Gain(less) for name in self.norms}))
        self.head = linear(WIDTH, VOCABULARY, False)
        if self.norms:
            self.norm = Gain(less)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tok_emb(tokens)
        x = bare(x) if self.ends[0] else x
        x = x + self.pos_emb(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            before, then = (getattr(block, self.norms[i]) if self.norms else bare for i in (0, -1))
            y, a = before(x), block.attn
            added = a.o_proj(attended(a.q_proj(y), a.k_proj(y), a.v_proj(y), HEADS))
            x, y = x + added, then(x if self.side_by_side else x + added)
            x = x + self.mlp(block.mlp, y)
        last = self.norm if self.norms else bare if self.ends[1] else lambda y: y
        return self.head(last(x))

    def mlp(self, mlp: nn.Module, y: Tensor) -> Tensor:
        up, down = (getattr(mlp, name) for name in self.maps)
        y = up(y)
        if self.gate is None:
            return down(functional.silu(y))
        halves = y.chunk(2, -1)
        return down(functional.silu(halves[self.gate]) * halves[1 - self.gate])


SAID = {"num_attention_heads": HEADS, "norm": "rms_norm", "norm_first": True, "layer_norm_eps": EPSILON}
SAID |= {"hidden_act": "silu"}
VARIANTS = {  # module, what is said of it beside
    **{
        f"one-norm-{name}-{'side-by-side' if beside else 'twice'}": (
            lambda name=name, beside=beside: Variant(norms=name, side_by_side=beside),
            {"parallel_residual": beside},
        )
        for name in ("norm", "ln_1", "input_layernorm", "pre_norm")
        for beside in (True, False)
    },
    **{
        f"joined-gate-{maps.replace(' ', '-')}-{gate}": (
            lambda maps=maps, gate=gate: Variant(maps=maps, gate=gate),
            {"gate_first": gate == 0},
        )
        for maps in ("fc1 fc2", "w12 w3", "c_fc c_proj", "proj_in proj_out", "up_proj down_proj")
        for gate in (0, 1)
    },
    **{
        f"without-gains-{first}-{last}": (
            lambda first=first, last=last: Variant(norms="", ends=(first, last)),
            {"query_key_norm": "none", "final_norm": last, "embedding_norm": first},
        )
        for first in (True, False)
        for last in (True, False)
    },
    "gains-less-one": (lambda: Variant(less=1.0), {"gains_less_one": True}),
}
