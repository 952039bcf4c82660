"""nanochat's forward pass from its description, in float64 and for one sequence at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from golden_logits import State, drawn_weights
from torch import Tensor

EPSILON = torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class NaiveNanochat:
    """rows : of the padded tables;  newest : whether there are smear, backout and mixes with the first stream"""

    vocabulary: int = 29
    rows: int = 32
    width: int = 32
    heads: int = 4
    kv_heads: int = 2
    layers: int = 3
    length: int = 200
    pattern: str = "SL"
    newest: bool = True
    base: float = 100_000.0
    factor: float = 1.2
    value_factor: float = 3.0

    @property
    def head(self) -> int:
        return self.width // self.heads

    def config(self) -> dict[str, object]:
        """As a meta_*.json has it under model_config."""
        names = ("sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "window_pattern")
        sizes = (self.length, self.vocabulary, self.layers, self.heads, self.kv_heads, self.width, self.pattern)
        return dict(zip(names, sizes, strict=True))

    def has_values(self, layer: int) -> bool:
        return self.newest and (self.layers - 1 - layer) % 2 == 0

    def state(self, seed: int = 0) -> State:
        keys = self.kv_heads * self.head
        shapes: dict[str, tuple[int, ...]] = {"transformer.wte.weight": (self.rows, self.width)}
        shapes["lm_head.weight"] = (self.rows, self.width)
        if self.newest:
            shapes |= {"smear_gate.weight": (1, 24), "smear_lambda": (1,), "backout_lambda": (1,)}
            shapes |= {"resid_lambdas": (self.layers,), "x0_lambdas": (self.layers,)}
        for layer in range(self.layers):
            at = f"transformer.h.{layer}."
            for part, rows in (("c_q", self.width), ("c_k", keys), ("c_v", keys), ("c_proj", self.width)):
                shapes[f"{at}attn.{part}.weight"] = (rows, self.width)
            shapes |= {f"{at}mlp.c_fc.weight": (4 * self.width, self.width)}
            shapes |= {f"{at}mlp.c_proj.weight": (self.width, 4 * self.width)}
            if self.has_values(layer):
                shapes[f"{at}attn.ve_gate.weight"] = (self.kv_heads, 12)
                shapes[f"value_embeds.{layer}.weight"] = (self.rows, keys)
        return drawn_weights(shapes, seed)

    def logits(self, state: State, tokens: np.ndarray) -> np.ndarray:
        """float64 [length, vocabulary] of one sequence."""
        w = {name: torch.from_numpy(values).double() for name, values in state.items()}
        ids = torch.from_numpy(tokens)
        x = unit(w["transformer.wte.weight"][ids])
        if self.newest:
            opened = w["smear_lambda"] * torch.sigmoid(x[1:, :24] @ w["smear_gate.weight"].T)
            x = torch.cat([x[:1], x[1:] + opened * x[:-1]])
        first, middle = x, x
        for layer in range(self.layers):
            if self.newest:
                x = w["resid_lambdas"][layer] * x + w["x0_lambdas"][layer] * first
            x = x + self.attention(w, layer, unit(x), ids)
            hidden = torch.relu(unit(x) @ w[f"transformer.h.{layer}.mlp.c_fc.weight"].T) ** 2
            x = x + hidden @ w[f"transformer.h.{layer}.mlp.c_proj.weight"].T
            middle = x if layer == self.layers // 2 else middle
        if self.newest:
            x = x - w["backout_lambda"] * middle
        z = unit(x) @ w["lm_head.weight"][: self.vocabulary].T
        return (15 * torch.tanh(z / 15)).numpy()

    def attention(self, w: dict[str, Tensor], layer: int, x: Tensor, ids: Tensor) -> Tensor:
        at, n = f"transformer.h.{layer}.attn.", len(ids)
        q, k, v = ((x @ w[f"{at}{part}.weight"].T).unflatten(-1, (-1, self.head)) for part in ("c_q", "c_k", "c_v"))
        if self.has_values(layer):
            opened = self.value_factor * torch.sigmoid(x[:, :12] @ w[f"{at}ve_gate.weight"].T)
            v = v + opened[..., None] * w[f"value_embeds.{layer}.weight"][ids].view_as(v)
        q, k = (self.factor * unit(self.turned(each)) for each in (q, k))
        behind = torch.arange(n)[:, None] - torch.arange(n)
        long = layer == self.layers - 1 or self.pattern[layer % len(self.pattern)] == "L"
        reach = n if long else 128 * math.ceil(self.length / 4 / 128)
        outputs = []
        for h in range(self.heads):
            g = h * self.kv_heads // self.heads
            scores = q[:, h] @ k[:, g].T / math.sqrt(self.head)
            outputs.append(scores.masked_fill((behind < 0) | (behind > reach), -math.inf).softmax(-1) @ v[:, g])
        return torch.cat(outputs, dim=-1) @ w[f"{at}c_proj.weight"].T

    def turned(self, x: Tensor) -> Tensor:
        """Backwards: by minus the position times the frequency of each pair (j, j + half)."""
        half = self.head // 2
        angles = torch.arange(len(x)).double()[:, None] * self.base ** (-torch.arange(half).double() / half)
        turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), -angles)[:, None]
        return torch.cat([turned.real, turned.imag], dim=-1)


def unit(x: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + EPSILON)
