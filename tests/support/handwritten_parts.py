"""What small GPTs and Llamas of other people's code have in common: attention, rotations, norms, weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS = 29, 32, 24, 3, 2
Rotation = Callable[[Tensor], Tensor]


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int = HEADS, turn: Rotation = lambda x: x) -> Tensor:
    """Causal attention of queries [b, t, heads * d] and keys and values [b, t, fewer heads * d]."""
    width = q.shape[-1] // heads
    q, k, v = (x.unflatten(-1, (-1, width)).transpose(1, 2) for x in (q, k, v))
    groups = heads // k.shape[1]
    k, v = turn(k).repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    return functional.scaled_dot_product_attention(turn(q), k, v, is_causal=True).transpose(1, 2).flatten(2)


def _angles(x: Tensor, dims: int, base: float) -> Tensor:
    frequencies = base ** (-torch.arange(0, dims, 2, dtype=torch.float32) / dims)
    return torch.arange(x.shape[-2], dtype=torch.float32)[:, None] * frequencies


def halves(base: float, dims: int) -> Rotation:
    """The rotation of the first `dims` elements of a head that pairs those of its two halves."""

    def turn(x: Tensor) -> Tensor:
        angles = _angles(x, dims, base).repeat(1, 2)
        a, b = x[..., :dims].chunk(2, -1)
        turned = x[..., :dims] * angles.cos() + torch.cat([-b, a], -1) * angles.sin()
        return torch.cat([turned, x[..., dims:]], -1)

    return turn


def neighbours(base: float) -> Rotation:
    """The rotation that takes neighbouring elements for the parts of complex numbers."""

    def turn(x: Tensor) -> Tensor:
        angles = _angles(x, x.shape[-1], base)
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    return turn


class RmsNorm(nn.Module):
    """Keeps its gain under a name of the caller's."""

    def __init__(self, name: str = "weight", epsilon: float = 1e-5) -> None:
        super().__init__()
        self.name, self.epsilon = name, epsilon
        self.register_parameter(name, nn.Parameter(torch.ones(WIDTH)))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.epsilon) * getattr(self, self.name)


class ScaleShift(nn.Module):
    """LayerNorm as Raschka's book has it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return self.scale * centred / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5) + self.shift


class TanhGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(x, approximate="tanh")


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias)


def container(**modules: nn.Module) -> nn.Module:
    found = nn.Module()
    for name, module in modules.items():
        found.add_module(name, module)
    return found


def gated(*names: str, hidden: int = 40) -> dict[str, nn.Module]:
    """The maps of a gated MLP by the names that a code gives them: two maps there, or one for both, and one back."""
    *there, down = names
    maps = {name: linear(WIDTH, 2 * hidden // len(there), False) for name in there}
    return {**maps, down: linear(hidden, WIDTH, False)}


def sines() -> Tensor:
    """[1, LENGTH, WIDTH], as "Attention Is All You Need" has them."""
    angles = torch.arange(LENGTH)[:, None] * torch.exp(torch.arange(0, WIDTH, 2) * (-9.21 / WIDTH))
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[None]


def with_weights(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with weights large enough that every part of it is seen in its logits."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in model.parameters():
            noise = torch.randn(values.shape, generator=random)
            values.copy_(values + 0.3 * noise if values.ndim == 1 else 1.5 * noise / values.shape[-1] ** 0.5)
    return model.eval()
