"""A decoder of somebody's own code whose heads have any width, and whose queries and keys may be normalized."""

from __future__ import annotations

from handwritten_parts import LAYERS, VOCABULARY, WIDTH, container, halves, linear
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5
SAID = {"norm": "rms_norm", "norm_first": True, "hidden_act": "relu_squared", "layer_norm_eps": EPSILON}
SAID |= {"rope_theta": 10_000, "rope_interleaved": False, "fused_by_head": False}


class HeadsOfTheirOwn(nn.Module):
    """A decoder with `heads` of queries and `groups` of keys, each `head` wide.

    kind : "rms" or "layer";  whole : queries are normalized as a whole;  before : the rotation, or after it
    """

    def __init__(
        self, heads: int, groups: int, head: int, kind: str, whole: bool, before: bool, joined: bool, bias: bool = False
    ) -> None:
        super().__init__()
        self.sizes, self.whole, self.before, self.turn = (heads, groups, head), whole, before, halves(10_000.0, head)
        self.tok_emb, self.blocks = nn.Embedding(VOCABULARY, WIDTH), nn.ModuleList()
        rows = (heads * head, groups * head, groups * head)

        def norm(size: int) -> nn.Module:
            plain = nn.RMSNorm(size, eps=EPSILON)
            return plain if kind == "rms" else nn.LayerNorm(size, eps=EPSILON, bias=bias)

        for _ in range(LAYERS):
            maps = {name: linear(WIDTH, size, False) for name, size in zip("qkv", rows, strict=True)}
            maps = {"qkv": linear(WIDTH, sum(rows), False)} if joined else maps
            if kind:
                maps |= {f"{n}_norm": norm(size if whole else head) for n, size in zip("qk", rows, strict=False)}
            attn = container(**maps, proj=linear(rows[0], WIDTH, False))
            mlp = container(up=linear(WIDTH, 40, False), down=linear(40, WIDTH, False))
            norms = {f"norm{i}": nn.RMSNorm(WIDTH, eps=EPSILON) for i in (1, 2)}
            self.blocks.append(container(attn=attn, mlp=mlp, **norms))
        self.norm, self.head = nn.RMSNorm(WIDTH, eps=EPSILON), linear(WIDTH, VOCABULARY, False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tok_emb(tokens)
        for block in self.blocks:
            x = x + self.attention(block.attn, block.norm1(x))
            x = x + block.mlp.down(block.mlp.up(block.norm2(x)).relu().square())
        return self.head(self.norm(x))

    def attention(self, a: nn.Module, y: Tensor) -> Tensor:
        heads, groups, head = self.sizes
        rows = [heads * head, groups * head, groups * head]
        q, k, v = a.qkv(y).split(rows, -1) if hasattr(a, "qkv") else (a.q(y), a.k(y), a.v(y))
        q, k = self.turned(q, getattr(a, "q_norm", None)), self.turned(k, getattr(a, "k_norm", None))
        k, v = (x.repeat_interleave(heads // groups, 1) for x in (k, v.unflatten(-1, (-1, head)).transpose(1, 2)))
        return a.proj(functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))

    def turned(self, x: Tensor, norm: nn.Module | None) -> Tensor:
        """[b, t, heads * d] as [b, heads, t, d], normalized and rotated."""
        head = self.sizes[-1]
        if norm is None:
            return self.turn(x.unflatten(-1, (-1, head)).transpose(1, 2))
        x = norm(x) if self.whole and self.before else x
        x = x.unflatten(-1, (-1, head)).transpose(1, 2)
        x = norm(x) if not self.whole and self.before else x
        x = self.turn(x)
        return x if self.before else norm(x)


#          heads, groups, head, kind, whole, before, joined;  what is said of the norms
WIDTHS = {
    "wide-heads": ((3, 3, 16, "", False, True, False), {"num_attention_heads": 3}),
    "wide-heads-joined": ((3, 3, 16, "", False, True, True), {"head_dim": 16}),
    "narrow-heads-grouped": ((4, 2, 4, "", False, True, True), {"num_attention_heads": 4}),
}
BEFORE = {"query_key_norm": "rms_norm", "query_key_norm_first": True}
NORMS = {
    "by-head": ((3, 3, 8, "rms", False, True, False), BEFORE),
    "by-head-after": ((3, 1, 8, "rms", False, False, True), {**BEFORE, "query_key_norm_first": False}),
    "by-head-wide": ((4, 2, 12, "rms", False, True, True), BEFORE),
    "layer-by-head": (
        (3, 3, 8, "layer", False, True, False, True),
        {"query_key_norm_first": True},
    ),
    "layer-by-head-after": (
        (4, 2, 12, "layer", False, False, True),
        {"query_key_norm": "layer_norm", "query_key_norm_first": False},
    ),
    "layer-by-head-one-key": (
        (3, 1, 8, "layer", False, True, False, True),
        {"query_key_norm_first": True},
    ),
    "whole": ((3, 1, 8, "rms", True, True, False), {**BEFORE, "num_attention_heads": 3}),
    "whole-layer-norm": (
        (3, 3, 8, "layer", True, True, False, True),
        {"num_attention_heads": 3, "query_key_norm_first": True},
    ),
    "whole-layer-norm-unbiased": (
        (4, 2, 10, "layer", True, True, True),
        {**BEFORE, "num_attention_heads": 4, "query_key_norm": "layer_norm"},
    ),
}


class WithoutGains(HeadsOfTheirOwn):
    """Queries and keys normalized by F.rms_norm, of which no tensor tells."""

    def turned(self, x: Tensor, norm: nn.Module | None) -> Tensor:
        return super().turned(x, lambda y: functional.rms_norm(y, y.shape[-1:], eps=EPSILON))  # type: ignore[arg-type]
