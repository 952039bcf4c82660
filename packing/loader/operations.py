"""What each operation of a program computes in torch, as the shipped loader runs it.

Strategy: one function an operation, over float32 [batch, length, width] registers, and one table of them by the number
that the artifact writes; the packer ships only those that a program uses. A function takes the forward pass, then the
registers that it reads, then the other operands in the order of the format. Semantics: spec/program.md, section 4.
This is a third executor, written apart from the other two: it is held against them, and may not import them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Vector = tuple[int, int]  # a tensor of the artifact and one of its rows
HASH_MASK = 0xFFFFFFFF


class ForwardPass:
    """What operations may ask of the pass that they belong to.

    tokens : int64 [batch, length]; tensors : float32, by the artifact's index
    boundary : the token that starts a document; known : what follows from tokens alone, made once
    """

    def __init__(self, tokens: Tensor, tensors: Sequence[Tensor], boundary: int) -> None:
        self.tokens, self.tensors, self.boundary = tokens, tensors, boundary
        self.known: dict = {}


def entries(run: ForwardPass, vector: Vector) -> Tensor:
    """The values of a vector."""
    values = run.tensors[vector[0]]
    return values[vector[1]] if values.dim() == 2 else values


def spread(run: ForwardPass, vector: Vector, width: int) -> Tensor:
    """A vector for elements of a register of that width: each entry as often as is needed."""
    values = entries(run, vector)
    return values if len(values) == width else values.repeat_interleave(width // len(values))


def with_bias(run: ForwardPass, y: Tensor, bias: Vector | None) -> Tensor:
    """y plus a vector, where there is one."""
    return y if bias is None else y + spread(run, bias, y.shape[-1])


def with_gain(run: ForwardPass, y: Tensor, gain: Vector | None) -> Tensor:
    """y times a vector, where there is one."""
    return y if gain is None else y * spread(run, gain, y.shape[-1])


def positions_of(run: ForwardPass) -> Tensor:
    """0 to length - 1."""
    return torch.arange(run.tokens.shape[1], device=run.tokens.device)


def document_starts(run: ForwardPass) -> Tensor:
    """[batch, length]: where the document of each position begins."""
    if "starts" not in run.known:
        starts = torch.where(run.tokens == run.boundary, positions_of(run), 0)
        run.known["starts"] = starts.cummax(1).values
    return run.known["starts"]


def seen_keys(run: ForwardPass, window: int, reset: int) -> Tensor:
    """Whether a query sees a key: [batch or 1, 1, queries, keys]."""
    if (window, reset) not in run.known:
        at = positions_of(run)
        distance = at[:, None] - at
        seen = ((distance >= 0) & (distance < (window or len(at))))[None]
        if reset:
            seen = seen & (at >= document_starts(run)[:, :, None])
        run.known[window, reset] = seen[:, None]
    return run.known[window, reset]


def run_embed(run: ForwardPass, table: int) -> Tensor:
    return run.tensors[table][run.tokens]


def run_hash_embed(run: ForwardPass, table: int, kind: int, current: int, previous: int) -> Tensor:
    rows = run.tensors[table].shape[0]
    a = run.tokens * current & HASH_MASK
    b = F.pad(run.tokens[:, :-1], (1, 0)) * previous & HASH_MASK
    if kind:
        places = (a + b & HASH_MASK) % rows
    else:
        places = (a ^ b) % (rows - 1)
        places[:, 0] = rows - 1
    return run.tensors[table][places]


def run_position_embed(run: ForwardPass, table: int, offset: int) -> Tensor:
    return run.tensors[table][positions_of(run) + offset].expand(len(run.tokens), -1, -1)


def run_linear(run: ForwardPass, x: Tensor, weight: int, bias: Vector | None) -> Tensor:
    return with_bias(run, F.linear(x, run.tensors[weight]), bias)


def run_rms_norm(run: ForwardPass, x: Tensor, groups: int, epsilon: float, gain: Vector | None) -> Tensor:
    parts = x.unflatten(-1, (groups, -1)).float()
    parts = parts * torch.rsqrt(parts.square().mean(-1, keepdim=True) + epsilon)
    return with_gain(run, parts.flatten(-2), gain)


def run_layer_norm(run: ForwardPass, x: Tensor, epsilon: float, gain: Vector, bias: Vector | None) -> Tensor:
    return with_bias(run, with_gain(run, F.layer_norm(x.float(), x.shape[-1:], eps=epsilon), gain), bias)


def run_scale(run: ForwardPass, x: Tensor, vector: Vector) -> Tensor:
    return with_gain(run, x, vector)


def run_mix(run: ForwardPass, x: Tensor, y: Tensor, a: Vector, b: Vector) -> Tensor:
    return with_gain(run, x, a) + with_gain(run, y, b)


def run_add(run: ForwardPass, x: Tensor, y: Tensor) -> Tensor:
    return x + y


def run_multiply(run: ForwardPass, x: Tensor, y: Tensor) -> Tensor:
    return x * y


ACTIVATIONS: dict[int, Callable[[Tensor, float], Tensor]] = {
    0: lambda x, slope: F.relu(x).square(),
    1: lambda x, slope: torch.where(x > 0, x, slope * x).square(),
    2: lambda x, slope: F.gelu(x),
    3: lambda x, slope: F.silu(x),
    4: lambda x, slope: x.sigmoid(),
    5: lambda x, slope: x.tanh(),
    6: lambda x, slope: F.gelu(x, approximate="tanh"),
    7: lambda x, slope: F.relu(x),
    8: lambda x, slope: x.clamp_min(0) + (-x.abs()).exp().log1p(),
}


def run_activation(run: ForwardPass, x: Tensor, kind: int, slope: float) -> Tensor:
    return ACTIVATIONS[kind](x, slope)


def run_rope(run: ForwardPass, x: Tensor, heads: int, base: float, rotary: int, interleaved: int) -> Tensor:
    return run_rotate(run, x, heads, rotary, base, None, 1.0, interleaved, 0)


def turns(
    run: ForwardPass, rotary: int, base: float, frequencies: Vector | None, factor: float, forward: int
) -> tuple[Tensor, Tensor]:
    """Cosine and sine [length, 1, rotary / 2] of the angles, which are computed in float64, times the factor."""
    key = rotary, base, frequencies, factor, forward
    if key not in run.known:
        if frequencies is None:
            each = base ** -(torch.arange(0, rotary, 2, dtype=torch.float64, device=run.tokens.device) / rotary)
        else:
            each = spread(run, frequencies, rotary // 2).double()
        angles = (positions_of(run)[:, None] * each)[:, None]
        run.known[key] = (
            (factor * angles.cos()).float(),
            ((-factor if forward else factor) * angles.sin()).float(),
        )
    return run.known[key]


def run_rotate(
    run: ForwardPass,
    x: Tensor,
    heads: int,
    rotary: int,
    base: float,
    frequencies: Vector | None,
    factor: float,
    interleaved: int,
    forward: int,
) -> Tensor:
    cosine, sine = turns(run, rotary, base, frequencies, factor, forward)
    x = x.unflatten(-1, (heads, -1))
    pairs = x[..., :rotary].unflatten(-1, (-1, 2) if interleaved else (2, -1))
    p, q = pairs.unbind(-1 if interleaved else -2)
    pairs = torch.stack((p * cosine + q * sine, q * cosine - p * sine), -1 if interleaved else -2)
    return torch.cat((pairs.flatten(-2), x[..., rotary:]), -1).flatten(-2)


def heads_of(x: Tensor, heads: int, times: int = 1) -> Tensor:
    """[batch, heads * times, length, head width], each head so many times in a row."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2).repeat_interleave(times, 1)


def run_attention(
    run: ForwardPass, q: Tensor, k: Tensor, v: Tensor, heads: int, kv_heads: int, scale: float, window: int, reset: int
) -> Tensor:
    mask = seen_keys(run, window, reset) if window or reset else None
    q, k, v = heads_of(q, heads), heads_of(k, kv_heads, heads // kv_heads), heads_of(v, kv_heads, heads // kv_heads)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale)
    return y.transpose(1, 2).flatten(-2)


def run_capped_attention(run: ForwardPass, q: Tensor, k: Tensor, v: Tensor, heads: int, *options: Any) -> Tensor:
    kv_heads, scale, window, reset, cap, sinks = options
    q, k, v = heads_of(q, heads), heads_of(k, kv_heads, heads // kv_heads), heads_of(v, kv_heads, heads // kv_heads)
    scores = (scale * (q @ k.mT)).float()
    if cap:
        scores = cap * (scores / cap).tanh()
    scores = scores.masked_fill(~seen_keys(run, window, reset), -torch.inf)
    if sinks is not None:  # a key of its own, with a value of zero
        sink = spread(run, sinks, heads)[:, None, None].expand(len(scores), -1, scores.shape[2], 1)
        scores = torch.cat((scores, sink), -1)
    y = scores.softmax(-1)[..., : k.shape[2]].to(v.dtype) @ v
    return y.transpose(1, 2).flatten(-2)


def run_exclude(run: ForwardPass, y: Tensor, v: Tensor, heads: int, kv_heads: int) -> Tensor:
    y = y.unflatten(-1, (kv_heads, heads // kv_heads, -1))
    v = v.unflatten(-1, (kv_heads, 1, -1))
    return (y - v * ((y * v).sum(-1, True) / v.square().sum(-1, True).clamp_min(1e-24))).flatten(-3)


def run_scan(
    run: ForwardPass, x: Tensor, step: Tensor, write: Tensor, read: Tensor, heads: int, groups: int, log_rates: int
) -> Tensor:
    rates = run.tensors[log_rates].reshape(heads, 1, -1).exp()
    step, x = step.unflatten(-1, (heads, 1, 1)), x.unflatten(-1, (heads, -1, 1))
    write, read = (y.unflatten(-1, (groups, -1)).repeat_interleave(heads // groups, -2) for y in (write, read))
    state: Any = 0
    y = []
    for at in range(x.shape[1]):
        state = (-step[:, at] * rates).exp() * state + step[:, at] * x[:, at] * write[:, at, :, None]
        y.append((state @ read[:, at, :, :, None]).flatten(1))
    return torch.stack(y, 1)


def run_delta_scan(
    run: ForwardPass,
    x: Tensor,
    step: Tensor,
    strength: Tensor,
    write: Tensor,
    read: Tensor,
    heads: int,
    groups: int,
    log_rates: int,
) -> Tensor:
    decay = (-step * run.tensors[log_rates].exp())[..., None, None].exp()
    strength, x = strength.unflatten(-1, (heads, 1, 1)), x.unflatten(-1, (heads, -1, 1))
    write, read = (y.unflatten(-1, (groups, -1)).repeat_interleave(heads // groups, -2) for y in (write, read))
    state: Any = 0
    y = []
    for at in range(x.shape[1]):
        state, into = decay[:, at] * state, write[:, at, :, None]
        state = state + strength[:, at] * (x[:, at] - (state * into).sum(-1, True)) * into
        y.append((state @ read[:, at, :, :, None]).flatten(1))
    return torch.stack(y, 1)


def run_shift(run: ForwardPass, x: Tensor, by: int, reset: int) -> Tensor:
    length = x.shape[1]
    y = F.pad(x, (0, 0, min(by, length), 0))[:, :length]
    if reset:
        y = y * (positions_of(run) - by >= document_starts(run))[..., None]
    return y


def run_slice(run: ForwardPass, x: Tensor, start: int, stop: int) -> Tensor:
    return x[..., start:stop]


def run_concat(run: ForwardPass, *xs: Tensor) -> Tensor:
    return torch.cat(xs, -1)


def run_softcap(run: ForwardPass, x: Tensor, cap: float, polynomial: int) -> Tensor:
    u = x.float() / cap
    if not polynomial:
        return cap * u.tanh()
    u = u.clamp(-2, 2)
    return cap * (u - u**3 / 3 + u**5 / 15).clamp(-1, 1)


def run_broadcast(run: ForwardPass, x: Tensor, width: int, tiled: int) -> Tensor:
    times = width // x.shape[-1]
    return x.repeat(1, 1, times) if tiled else x.repeat_interleave(times, -1)


def run_scale_tiled(run: ForwardPass, x: Tensor, vector: Vector) -> Tensor:
    values = entries(run, vector)
    return x * values.repeat(x.shape[-1] // len(values))


def run_affine(run: ForwardPass, x: Tensor, factor: float, offset: float) -> Tensor:
    return factor * x + offset


OPERATIONS: dict[int, Callable[..., Tensor]] = {
    1: run_embed,
    2: run_hash_embed,
    3: run_linear,
    4: run_rms_norm,
    5: run_layer_norm,
    6: run_scale,
    7: run_mix,
    8: run_add,
    9: run_multiply,
    10: run_activation,
    11: run_rope,
    12: run_attention,
    13: run_exclude,
    14: run_shift,
    15: run_slice,
    16: run_concat,
    17: run_softcap,
    18: run_position_embed,
    19: run_rotate,
    20: run_broadcast,
    21: run_scale_tiled,
    22: run_affine,
    23: run_capped_attention,
    24: run_scan,
    25: run_delta_scan,
}
