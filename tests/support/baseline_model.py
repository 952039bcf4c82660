"""The challenge's baseline as an ordinary torch module, written from its published formulas: the twin of the frontend.

Names of parameters are those of the published state_dict, so `load_state_dict` accepts what the frontend
accepts. Nothing here comes from the compiler. Options cover what the frontend reads beyond the baseline:
looped layer lists, skip gates, layer-wise norm scale, partial rotation, exclusive self-attention, leaky
squares, an untied head, factorized token tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Sizes:
    vocabulary: int = 64
    layers: int = 4
    width: int = 32
    heads: int = 4
    kv_heads: int = 2
    mlp_width: int = 64
    tied: bool = True
    table_width: int | None = None  # of a factorized table
    encoder: list[int] = field(default_factory=list)  # empty: halves
    decoder: list[int] = field(default_factory=list)
    gated: bool = False
    layer_scale: bool = False
    rotary: int | None = None
    exclusive_layers: int = 0
    slope: float | None = None
    softcap: float = 30.0
    rope_base: float = 10_000.0
    epsilon: float = 1.1920929e-07


def normalized(x: Tensor, epsilon: float) -> Tensor:
    return x * (x.square().mean(-1, keepdim=True) + epsilon) ** -0.5


def rotated(x: Tensor, rotary: int, base: float) -> Tensor:
    """x [batch, heads, length, head]; the first `rotary` elements turn, the halves of that part together."""
    half = rotary // 2
    frequency = base ** (-2 * torch.arange(half, dtype=torch.float64) / rotary)
    angle = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * frequency
    cosine, sine = angle.cos().float(), angle.sin().float()
    first, second, rest = x[..., :half], x[..., half:rotary], x[..., rotary:]
    return torch.cat([first * cosine + second * sine, second * cosine - first * sine, rest], -1)


class Attention(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.s, self.head = s, s.width // s.heads
        self.c_q = nn.Linear(s.width, s.width, bias=False)
        self.c_k = nn.Linear(s.width, s.kv_heads * self.head, bias=False)
        self.c_v = nn.Linear(s.width, s.kv_heads * self.head, bias=False)
        self.proj = nn.Linear(s.width, s.width, bias=False)
        self.q_gain = nn.Parameter(torch.ones(s.heads))

    def forward(self, x: Tensor, exclusive: bool) -> Tensor:
        s, (batch, length, _) = self.s, x.shape
        rotary = self.head if s.rotary is None else s.rotary
        q = self.c_q(x).view(batch, length, s.heads, self.head).transpose(1, 2)
        k = self.c_k(x).view(batch, length, s.kv_heads, self.head).transpose(1, 2)
        v = self.c_v(x).view(batch, length, s.kv_heads, self.head).transpose(1, 2)
        q = rotated(normalized(q, s.epsilon), rotary, s.rope_base) * self.q_gain[:, None, None]
        k = rotated(normalized(k, s.epsilon), rotary, s.rope_base)
        group = torch.arange(s.heads) // (s.heads // s.kv_heads)
        k, v = k[:, group], v[:, group]
        seen = torch.ones(length, length, dtype=torch.bool).tril()
        weights = (q @ k.transpose(2, 3) / math.sqrt(self.head)).masked_fill(~seen, -math.inf).softmax(-1)
        y = weights @ v
        if exclusive:
            direction = v / v.norm(dim=-1, keepdim=True)
            y = y - (y * direction).sum(-1, keepdim=True) * direction
        return self.proj(y.transpose(1, 2).reshape(batch, length, s.width))


class Mlp(nn.Module):
    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.slope = s.slope
        self.fc = nn.Linear(s.width, s.mlp_width, bias=False)
        self.proj = nn.Linear(s.mlp_width, s.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        z = self.fc(x)
        return self.proj((torch.relu(z) if self.slope is None else F.leaky_relu(z, self.slope)) ** 2)


class Block(nn.Module):
    def __init__(self, s: Sizes, layer: int) -> None:
        super().__init__()
        self.epsilon = s.epsilon
        self.factor = 1 / math.sqrt(layer + 1) if s.layer_scale else 1.0
        self.exclusive = layer >= s.layers - s.exclusive_layers
        self.attn, self.mlp = Attention(s), Mlp(s)
        self.attn_scale, self.mlp_scale = nn.Parameter(torch.ones(s.width)), nn.Parameter(torch.ones(s.width))
        self.resid_mix = nn.Parameter(torch.ones(2, s.width))

    def forward(self, x: Tensor, stem: Tensor) -> Tensor:
        x = self.resid_mix[0] * x + self.resid_mix[1] * stem
        x = x + self.attn_scale * self.attn(self.factor * normalized(x, self.epsilon), self.exclusive)
        return x + self.mlp_scale * self.mlp(self.factor * normalized(x, self.epsilon))


class BaselineModel(nn.Module):
    """Logits [batch, length, vocabulary] of token ids [batch, length]."""

    def __init__(self, s: Sizes) -> None:
        super().__init__()
        self.s = s
        self.encoder = s.encoder or list(range(s.layers // 2))
        self.decoder = s.decoder or list(range(s.layers // 2, s.layers))
        skips = min(len(self.encoder), len(self.decoder))
        table_width = s.table_width or s.width
        self.tok_emb = nn.Embedding(s.vocabulary, table_width)
        if s.table_width:
            self.embed_proj, self.head_proj = (
                nn.Linear(table_width, s.width, bias=False),
                nn.Linear(s.width, table_width, bias=False),
            )
        self.skip_weights = nn.Parameter(torch.ones(skips, s.width))
        if s.gated:
            self.skip_gates = nn.Parameter(torch.zeros(skips, s.width))
        self.blocks = nn.ModuleList([Block(s, layer) for layer in range(s.layers)])
        if not s.tied:
            self.lm_head = nn.Linear(table_width, s.vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.tok_emb(tokens)
        x = normalized(embedded, self.s.epsilon)
        x = stem = self.embed_proj(x) if self.s.table_width else x
        outputs = []
        for layer in self.encoder:
            x = self.blocks[layer](x, stem)
            outputs.append(x)
        for position, layer in enumerate(self.decoder):
            if outputs:
                skip = self.skip_weights[position] * outputs.pop()
                x = torch.lerp(skip, x, torch.sigmoid(self.skip_gates[position])) if self.s.gated else x + skip
            x = self.blocks[layer](x, stem)
        head = self.tok_emb.weight if self.s.tied else self.lm_head.weight
        x = normalized(x, self.s.epsilon)
        z = (self.head_proj(x) if self.s.table_width else x) @ head.T
        return self.s.softcap * torch.tanh(z / self.s.softcap) if self.s.softcap else z

    @torch.no_grad()
    def randomize(self, seed: int) -> BaselineModel:
        """Fill every parameter with numbers of a trained model's size, so that each one matters."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise / math.sqrt(parameter.shape[1]) if name.endswith(".weight") else 0.7 + 0.4 * noise)
        return self
