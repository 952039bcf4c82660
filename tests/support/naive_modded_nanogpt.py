"""Three records of modded-nanogpt from their descriptions, in float64 and for one sequence at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from golden_logits import State, drawn_weights
from torch import Tensor

EPSILON = torch.finfo(torch.float32).eps
WIDTH, HEAD, HIDDEN, HEADS = 16, 8, 24, 2
SECOND, THIRD = "2025-10-04", "2025-12-26"


@dataclass(frozen=True)
class NaiveModded:
    """A record: its date, its number of layers, and the layers without attention and without MLP."""

    variant: str
    layers: int
    unattended: tuple[int, ...]
    without_mlp: tuple[int, ...] = ()
    vocabulary: int = 32

    def state(self, seed: int = 0) -> State:
        rows, n = (27 if self.variant < SECOND else self.vocabulary), self.layers
        tables = "value_embeds.embed.{}.weight" if self.variant < SECOND else "value_embeds.{}.weight"
        shapes: dict[str, tuple[int, ...]] = {"embed.weight": (rows, WIDTH), "lm_head.weight": (self.vocabulary, WIDTH)}
        shapes |= {tables.format(i): (rows, WIDTH) for i in range(3)}
        for layer in range(n):
            at = f"blocks.{layer}."
            if self.variant < SECOND:
                shapes |= {f"{at}lambdas": (2,), "skip_weights": (n - n // 2,)}
                attention = {"qkv_w": (3, WIDTH, WIDTH), "lambdas": (2,), "c_proj.weight": (WIDTH, WIDTH)}
                mlp = {"c_fc.weight": (HIDDEN, WIDTH), "c_proj.weight": (WIDTH, HIDDEN)}
            else:
                fused = (WIDTH, 4 * WIDTH) if self.variant == SECOND else (4 * WIDTH, WIDTH)
                attention = {"qkvo_w": fused, "attn_gate.weight": (HEADS, 12)}
                shape = (WIDTH, HIDDEN) if self.variant == SECOND else (HIDDEN, WIDTH)
                mlp = {"c_fc": shape, "c_proj": shape}
            shapes |= {} if layer in self.unattended else {f"{at}attn.{k}": shape for k, shape in attention.items()}
            shapes |= {} if layer in self.without_mlp else {f"{at}mlp.{k}": shape for k, shape in mlp.items()}
        if self.variant >= SECOND:
            shapes |= {
                "scalars": (5 * n + 8,) if self.variant == SECOND else (3 * n + 8,),
                "smear_gate.weight": (1, 12),
            }
        if self.variant == THIRD:
            shapes["x0_lambdas"] = (n,)
        return drawn_weights(shapes, seed)

    def logits(self, state: State, tokens: np.ndarray, boundary: int) -> np.ndarray:
        """float64 [length, vocabulary] of one sequence."""
        w = {name: torch.from_numpy(values).double() for name, values in state.items()}
        ids, n = torch.from_numpy(tokens), self.layers
        x = w["embed.weight"][ids]
        if self.variant >= SECOND:
            factor = w["scalars"][(5 if self.variant == SECOND else 3) * n]
            opened = factor * torch.sigmoid(x[1:, :12] @ w["smear_gate.weight"].T)
            x = torch.cat([x[:1], x[1:] + opened * x[:-1]])
        x = first = unit(x)
        kept: list[Tensor] = []
        backout = 0.0
        for layer in range(n):
            if self.variant == SECOND and layer == 0:
                continue
            x = self.skip(w, layer, x, kept)
            x = self.block(w, layer, x, first, ids, boundary)
            if layer < n // 2:
                kept.append(x)
            if layer == {SECOND: 8, THIRD: 7}.get(self.variant):
                backout = w["scalars"][(5 if self.variant == SECOND else 3) * n + 1] * x
        z = unit(x - backout) @ w["lm_head.weight"].T
        logits = 23 * torch.sigmoid((z + 5) / 7.5) if self.variant == THIRD else 30 * torch.sigmoid(z / 7.5)
        return logits.numpy()

    def skip(self, w: dict[str, Tensor], layer: int, x: Tensor, kept: list[Tensor]) -> Tensor:
        half = self.layers // 2
        if self.variant == THIRD:
            return x + torch.sigmoid(w["scalars"][3 * self.layers + 2]) * kept[3] if layer == 6 else x
        if layer < half or (self.variant == SECOND and layer == self.layers - 1):
            return x
        if self.variant == SECOND:
            return x + torch.sigmoid(w["scalars"][layer - half]) * kept.pop()
        return x + w["skip_weights"][layer - half] * kept.pop()

    def block(self, w: dict[str, Tensor], layer: int, x: Tensor, first: Tensor, ids: Tensor, boundary: int) -> Tensor:
        at, n = f"blocks.{layer}.", self.layers
        if self.variant < SECOND:
            own, other = w[f"{at}lambdas"]
        elif self.variant == SECOND:
            own, other = w["scalars"][n + 2 * layer], w["scalars"][n + 2 * layer + 1]
        else:
            own, other = w["scalars"][layer], w["x0_lambdas"][layer]
        x = own * x + other * first
        if layer not in self.unattended:
            x = x + self.attention(w, layer, unit(x), ids, boundary)
        if layer in self.without_mlp:
            return x
        if self.variant < SECOND:
            up, down = w[f"{at}mlp.c_fc.weight"].T, w[f"{at}mlp.c_proj.weight"].T
        elif self.variant == SECOND:
            up, down = w[f"{at}mlp.c_fc"], w[f"{at}mlp.c_proj"].T
        else:
            up, down = w[f"{at}mlp.c_fc"].T, w[f"{at}mlp.c_proj"]
        return x + torch.relu(unit(x) @ up) ** 2 @ down

    def value_table(self, layer: int) -> Tensor | int | None:
        first = {THIRD: {0: 1, 1: 2}, SECOND: {1: 1, 2: 2}}.get(self.variant, {0: 0, 1: 1, 2: 2})
        return first.get(layer, {self.layers - 3: 0, self.layers - 2: 1, self.layers - 1: 2}.get(layer))

    def attention(self, w: dict[str, Tensor], layer: int, x: Tensor, ids: Tensor, boundary: int) -> Tensor:
        at, n, length = f"blocks.{layer}.attn.", self.layers, len(ids)
        if self.variant < SECOND:
            maps, out = list(w[f"{at}qkv_w"]), w[f"{at}c_proj.weight"]
            own, other = w[f"{at}lambdas"]
        else:
            *maps, out = w[f"{at}qkvo_w"].reshape(4, WIDTH, WIDTH)
            start = (3 if self.variant == SECOND else 1) * n + 2 * layer
            own, other = w["scalars"][start], w["scalars"][start + 1]
        factor = own if self.variant == THIRD else 1.0
        q, k, v = ((x @ (factor * each).T).view(length, HEADS, HEAD) for each in maps)
        q, k = self.turned(unit(q)), self.turned(unit(k))
        long = layer in {SECOND: (4, 11), THIRD: (3, 10)}.get(self.variant, ())
        if self.variant == THIRD and long:
            for still in (slice(2, 4), slice(6, 8)):
                k[1:, :, still] = k[:-1, :, still].clone()
        table = self.value_table(layer)
        name = "value_embeds.embed.{}.weight" if self.variant < SECOND else "value_embeds.{}.weight"
        added = torch.zeros_like(v) if table is None else w[name.format(table)][ids].view_as(v)
        v = v + added if self.variant == THIRD else own * v + (0 if table is None else other) * added
        y = self.seen(q, k, v, ids == boundary, 128 * (20 if long else 6))
        if self.variant >= SECOND:
            y = y * torch.sigmoid(x[:, :12] @ w[f"{at}attn_gate.weight"].T)[..., None]
        y = y.reshape(length, WIDTH) @ out.T
        return other * y if self.variant == THIRD else y

    def seen(self, q: Tensor, k: Tensor, v: Tensor, begins: Tensor, window: int) -> Tensor:
        length, documents = len(q), begins.cumsum(0)
        behind = torch.arange(length)[:, None] - torch.arange(length)
        hidden = (behind < 0) | (documents[:, None] != documents)
        if self.variant >= SECOND:
            hidden |= behind > window
        scores = self.rotation()[1] * torch.einsum("ihd,jhd->hij", q, k)
        return torch.einsum("hij,jhd->ihd", scores.masked_fill(hidden, -math.inf).softmax(-1), v)

    def rotation(self) -> tuple[Tensor, float]:
        """Frequencies of the four pairs of a head, two of which stand still, and the scale of the scores."""
        frequencies = torch.tensor([1.0, 1 / 1024, 0.0, 0.0]).double()
        if self.variant < SECOND:
            return frequencies, 0.12
        scale = 0.1
        for old, new in ((3, 7), (7, 11), (11, 13)):
            weight = ((128 * old * frequencies / (2 * math.pi) - 1) / 31).clamp(0, 1)
            frequencies = frequencies * (old / new + weight * (1 - old / new))
            scale *= 1 + 0.2 * math.log(new / old)
        return frequencies, scale

    def turned(self, x: Tensor) -> Tensor:
        angles = torch.arange(len(x)).double()[:, None, None] * self.rotation()[0]
        a, b = x[..., :4], x[..., 4:]
        return torch.cat([a * angles.cos() + b * angles.sin(), b * angles.cos() - a * angles.sin()], dim=-1)


def unit(x: Tensor) -> Tensor:
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + EPSILON)
