"""Causal attention with products in bfloat16 behind its scores, for gradients of tuning.

Strategy: scores are float32; values are weighed, and all products of the way back are, with rounded factors, as
products by weights are (half_products.py). What is between two products is one pass over memory (half_kernels.py).
Queries go in blocks, which do not see the keys behind them. Query heads that share keys are rows of one product. The
probabilities are kept for the way back, which is cheap for sequences that are not long; for others torch's own
attention, which keeps none, is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .half_kernels import HALF, bits_of, causal_softmax, softmax_changes

BLOCK = 64  # queries at once
LONGEST = 1024  # sequence whose probabilities are kept: a quarter of a float for each head, query and key


class HalfAttention(torch.autograd.Function):
    """softmax(scale q kᵀ) v for queries [batch, heads, length, n], keys and values [batch, kv_heads, length, n], where
    every position sees itself and those before it.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        queries, keys, values = _by_keys(q * scale, k.shape[1]), k.flatten(0, 1), v.to(HALF).flatten(0, 1)
        y, kept = _like(q), []
        for start, stop in _blocks(q.shape[2]):
            scores = torch.bmm(queries[:, :, start:stop].flatten(1, 2), keys[:, :stop].mT)
            kept.append(torch.empty_like(scores, dtype=HALF))
            causal_softmax(scores.numpy(), start, stop - start, bits_of(kept[-1]))
            _place(y, start, stop, torch.bmm(kept[-1], values[:, :stop]))
        ctx.scale = scale
        ctx.save_for_backward(queries, keys, values, y, *kept)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, values, y, *kept = ctx.saved_tensors
        count = len(keys) // len(y)
        means = _by_keys((gradient * y).sum(-1), count)
        given, queries, keys = _by_keys(gradient.to(HALF), count), queries.to(HALF), keys.to(HALF)
        for_q, for_k, for_v = _like(y), torch.zeros(keys.shape), torch.zeros(keys.shape)
        for (start, stop), probabilities in zip(_blocks(y.shape[2]), kept, strict=True):
            rows, change = given[:, :, start:stop].flatten(1, 2), torch.empty_like(probabilities)
            for_v[:, :stop] += torch.bmm(probabilities.mT, rows)
            mean = means[:, :, start:stop].flatten(1, 2).contiguous()
            back = torch.bmm(rows, values[:, :stop].mT)
            softmax_changes(bits_of(back), bits_of(probabilities), mean.numpy(), bits_of(change))
            _place(for_q, start, stop, torch.bmm(change, keys[:, :stop]))
            for_k[:, :stop] += torch.bmm(change.mT, queries[:, :, start:stop].flatten(1, 2))
        apart = len(y), count
        return for_q.mul_(ctx.scale), for_k.unflatten(0, apart), for_v.unflatten(0, apart), None


def _by_keys(q: Tensor, kv_heads: int) -> Tensor:
    """[batch, heads, ...] as [batch * kv_heads, heads / kv_heads, ...]."""
    return q.unflatten(1, (kv_heads, -1)).flatten(0, 1)


def _like(q: Tensor) -> Tensor:
    """Space for [batch, heads, length, n] whose heads stand side by side at each position, as registers have them."""
    batch, heads, length, width = q.shape
    return q.new_empty(batch, length, heads, width).transpose(1, 2)


def _place(y: Tensor, start: int, stop: int, block: Tensor) -> None:
    """Put rows [batch * kv_heads, heads / kv_heads * n, width] of some queries in their place."""
    batch, heads, _, width = y.shape
    y[:, :, start:stop] = block.view(batch, heads, stop - start, width)


def _blocks(length: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + BLOCK, length)) for start in range(0, length, BLOCK))
