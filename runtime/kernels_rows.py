"""Kernels that work on one position's activations at a time: norms, scaling, rotation, exclusion.

Strategy: plain loops over C-contiguous float32 [length, width] arrays, written so that the inner
loop runs over adjacent elements and becomes SIMD; only the sums inside norms and dot products may
be reassociated. Vectors arrive expanded to the full width. Outputs never overlap inputs (else
LLVM's run-time check would fall back to scalar code).
"""

from __future__ import annotations

import numpy as np

from ..format.kernels import copy_into, kernel
from .kernels_reductions import KERNEL, dot, total

ONE, TWO = np.float32(1.0), np.float32(2.0)
THIRD, FIFTEENTH = np.float32(1 / 3), np.float32(1 / 15)
LEAST_SQUARED_NORM = np.float32(1e-24)


@kernel(**KERNEL)
def rms_norm(x, groups, epsilon, gain, out):
    """out = gain * part / sqrt(mean(part^2) + epsilon) for each of `groups` equal parts of a position.

    x, out : float32 [length, width]
    groups : int                        divides the width
    epsilon : float32
    gain : float32 [width]
    """
    part = x.shape[1] // groups
    for t in range(x.shape[0]):
        for group in range(groups):
            source = x[t, group * part : (group + 1) * part]
            target = out[t, group * part : (group + 1) * part]
            weights = gain[group * part : (group + 1) * part]
            factor = ONE / np.sqrt(dot(source, source) / np.float32(part) + epsilon)
            for i in range(part):
                target[i] = source[i] * factor * weights[i]


@kernel(**KERNEL)
def layer_norm(x, epsilon, gain, bias, out):
    """out = gain * (x - mean) / sqrt(variance + epsilon) + bias; variance over the width, not corrected.

    x, out : float32 [length, width]
    epsilon : float32
    gain, bias : float32 [width]
    """
    width = np.float32(x.shape[1])
    for t in range(x.shape[0]):
        source, target = x[t], out[t]
        mean = total(source) / width
        for i in range(source.size):
            target[i] = source[i] - mean
        factor = ONE / np.sqrt(dot(target, target) / width + epsilon)
        for i in range(source.size):
            target[i] = target[i] * factor * gain[i] + bias[i]


@kernel(**KERNEL)
def mix(x, y, a, b, out):
    """out = a * x + b * y.

    x, y, out : float32 [length, width]
    a, b : float32 [width]
    """
    for t in range(x.shape[0]):
        left, right, target = x[t], y[t], out[t]
        for i in range(left.size):
            target[i] = a[i] * left[i] + b[i] * right[i]


@kernel(**KERNEL)
def rope_half_split(x, heads, cosine, sine, out):
    """Rotate element i of each head with element i + rotary_dims / 2.

    x, out : float32 [length, heads * head width]
    heads : int
    cosine, sine : float32 [at least length, rotary_dims / 2]   elements of a head beyond rotary_dims are copied
    """
    head_width, half = x.shape[1] // heads, cosine.shape[1]
    for t in range(x.shape[0]):
        cos, sin = cosine[t], sine[t]
        for head in range(heads):
            source = x[t, head * head_width : (head + 1) * head_width]
            target = out[t, head * head_width : (head + 1) * head_width]
            low, high = source[:half], source[half : 2 * half]
            low_out, high_out = target[:half], target[half : 2 * half]
            for i in range(half):
                low_out[i] = low[i] * cos[i] + high[i] * sin[i]
                high_out[i] = high[i] * cos[i] - low[i] * sin[i]
            copy_into(source[2 * half :], target[2 * half :])


@kernel(**KERNEL)
def rope_interleaved(x, heads, cosine, sine, out):
    """Rotate element 2i of each head with element 2i + 1.

    x, out : float32 [length, heads * head width]
    heads : int
    cosine, sine : float32 [at least length, rotary_dims / 2]   elements of a head beyond rotary_dims are copied
    """
    head_width, half = x.shape[1] // heads, cosine.shape[1]
    for t in range(x.shape[0]):
        cos, sin = cosine[t], sine[t]
        for head in range(heads):
            source = x[t, head * head_width : (head + 1) * head_width]
            target = out[t, head * head_width : (head + 1) * head_width]
            for i in range(half):
                even, odd = source[2 * i], source[2 * i + 1]
                target[2 * i] = even * cos[i] + odd * sin[i]
                target[2 * i + 1] = odd * cos[i] - even * sin[i]
            copy_into(source[2 * half :], target[2 * half :])


@kernel(**KERNEL)
def exclude(y, v, heads, kv_heads, out):
    """out = y - v (y.v) / max(v.v, 1e-24) for each head of y and its group's head of v.

    y, out : float32 [length, heads * head width]
    v : float32 [length, kv_heads * head width]
    heads, kv_heads : int                           each head of v belongs to heads / kv_heads heads of y
    """
    head_width, group = y.shape[1] // heads, heads // kv_heads
    for t in range(y.shape[0]):
        for kv_head in range(kv_heads):
            value = v[t, kv_head * head_width : (kv_head + 1) * head_width]
            inverse = ONE / max(dot(value, value), LEAST_SQUARED_NORM)
            for head in range(kv_head * group, (kv_head + 1) * group):
                source = y[t, head * head_width : (head + 1) * head_width]
                target = out[t, head * head_width : (head + 1) * head_width]
                share = dot(source, value) * inverse
                for i in range(head_width):
                    target[i] = source[i] - share * value[i]


@kernel(**KERNEL)
def polynomial_softcap(x, cap, inverse_cap, out):
    """out = cap clip(u - u^3/3 + u^5/15, -1, 1), u = clip(x / cap, -2, 2).

    x, out : float32 [elements]
    cap, inverse_cap : float32    inverse_cap is 1 / cap
    """
    for i in range(x.size):
        u = min(max(x[i] * inverse_cap, -TWO), TWO)
        square = u * u
        value = u * (ONE - square * (THIRD - square * FIFTEENTH))
        out[i] = cap * min(max(value, -ONE), ONE)
