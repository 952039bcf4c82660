"""Attention of one sequence, plain and capped: products by BLAS, the softmax between them by a kernel.

Strategy: blocks of queries, so that the scores of a block stay in the second-level cache; a block meets only
the keys that its queries see together. Shapes were validated before. Semantics: spec/program.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..format.program import operations as op
from . import kernels_exponential
from .binding import BindContext, Step, Workspace

SCORE_FLOATS = 1 << 16  # attention scores computed at once (256 KiB): they stay in the second-level cache
LEAST_QUERY_BLOCK = 64  # with fewer a product of BLAS is slow
MOST_SCORE_FLOATS = 1 << 26  # where so many queries would make more than 256 MiB of scores, there are fewer


def bind_attention(o: op.Attention, context: BindContext) -> Step:
    scale = np.float32(o.scale)

    def softmax(scores: np.ndarray, start: int, first: int, seen: np.ndarray) -> None:
        kernels_exponential.softmax_rows(scores, start, first, seen, scale)

    return attention_step(o, softmax)


def attention_step(o: op.Attention | op.CappedAttention, softmax: Callable[..., None]) -> Step:
    """Attention by blocks of queries; `softmax` is called with (scores, first query, first key, seen), see
    `kernels_exponential.softmax_rows`, and turns the scores of a block into weights.
    """
    group, most = o.heads // o.kv_heads, o.window - 1 if o.window else None
    keys_past, values_past = object(), object()

    def step(workspace: Workspace, out: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> None:
        length = q.shape[0]
        k, v = workspace.with_past(keys_past, k, most), workspace.with_past(values_past, v, most)
        total, past = k.shape[0], k.shape[0] - length  # positions count from the first query: the past is negative
        seen = workspace.document_start if o.document_reset else np.full(length, -workspace.start)
        if o.window:
            seen = np.maximum(seen, np.arange(1, length + 1) - o.window)
        queries = q.reshape(length, o.kv_heads, group, -1).transpose(1, 2, 0, 3)
        keys = k.reshape(total, o.kv_heads, 1, -1).transpose(1, 2, 3, 0)
        values = v.reshape(total, o.kv_heads, 1, -1).transpose(1, 2, 0, 3)
        outputs = out.reshape(length, o.kv_heads, group, -1).transpose(1, 2, 0, 3)
        block = query_block(o.heads, total)
        for start in range(0, length, block):
            stop = min(start + block, length)
            first = int(seen[start])
            scores = workspace.scores((o.kv_heads, group, stop - start, stop - first))
            np.matmul(queries[:, :, start:stop], keys[..., past + first : past + stop], out=scores)
            flat = scores.reshape(o.heads, stop - start, stop - first)
            softmax(flat, start, first, seen)
            np.matmul(scores, values[:, :, past + first : past + stop], out=outputs[:, :, start:stop])

    return step


def query_block(heads: int, keys: int) -> int:
    """Queries whose scores are computed at once."""
    usual = max(LEAST_QUERY_BLOCK, SCORE_FLOATS // (heads * keys))
    return max(1, min(usual, MOST_SCORE_FLOATS // (heads * keys)))


def score_floats(o: op.Attention | op.CappedAttention, length: int) -> int:
    """Attention scores that are there at once for a sequence of `length` tokens."""
    block = min(query_block(o.heads, length), length)
    seen = min(o.window + block, length) if o.window else length
    return o.heads * block * seen


def bind_capped_attention(o: op.CappedAttention, context: BindContext) -> Step:
    scale, cap = np.float32(o.scale), np.float32(o.cap)
    sinks = context.vector(o.sinks, o.heads, -np.inf)

    def softmax(scores: np.ndarray, start: int, first: int, seen: np.ndarray) -> None:
        kernels_exponential.capped_softmax_rows(scores, start, first, seen, scale, cap, sinks)

    return attention_step(o, softmax)
