"""What each operation of a program runs on: numpy for products and copies, numba kernels for the rest.

Strategy: one `bind` function per operation, and one table of them at the end. A `bind` is called
once per instruction, prepares constants (vectors expanded to their width) and returns a `Step`,
which computes one sequence: from the workspace (tokens, scratch) and its input registers it fills
its output register, all float32 [length, width]. Shapes were validated before, so steps check
nothing. Semantics: spec/program.md, section 4.
"""

from __future__ import annotations

import numpy as np

from ..format.program import operations as op
from ..format.registry import paired
from . import kernels_exponential, kernels_rows
from .attention import bind_attention, bind_capped_attention
from .binding import Bind, BindContext, Step, Workspace
from .rotations import Frequencies, Rotation, turn
from .scan import bind_delta_scan, bind_scan

ROTATIONS = {
    op.RopeLayout.HALF_SPLIT: kernels_rows.rope_half_split,
    op.RopeLayout.INTERLEAVED: kernels_rows.rope_interleaved,
}


def bind_embed(o: op.Embed, context: BindContext) -> Step:
    table = context.tensors[o.table]
    return lambda workspace, out: np.take(table, workspace.tokens, axis=0, out=out, mode="clip")


def bind_position_embed(o: op.PositionEmbed, context: BindContext) -> Step:
    table = context.tensors[o.table][o.offset :]
    return lambda workspace, out: np.copyto(out, table[workspace.start : workspace.start + out.shape[0]])


def bind_hash_embed(o: op.HashEmbed, context: BindContext) -> Step:
    table = context.tensors[o.table]
    rows, mask = table.shape[0], (1 << 32) - 1

    def step(workspace: Workspace, out: np.ndarray) -> None:
        tokens = workspace.tokens
        previous = np.concatenate(([workspace.previous_token], tokens[:-1]))
        current, previous = tokens * o.multiplier_current & mask, previous * o.multiplier_previous & mask
        if o.kind is op.HashKind.XOR:
            indices = (current ^ previous) % (rows - 1)
            if workspace.start == 0:
                indices[0] = rows - 1
        else:
            indices = (current + previous & mask) % rows
        np.take(table, indices, axis=0, out=out, mode="clip")

    return step


def bind_linear(o: op.Linear, context: BindContext) -> Step:
    weight = context.tensors[o.weight]
    transposed = weight.T
    bias = None if o.bias is None else context.vector(o.bias, weight.shape[0])

    def step(workspace: Workspace, out: np.ndarray, x: np.ndarray) -> None:
        if x.shape[0] == 1:
            workspace.matrix_vector(x, weight, out)
        else:
            np.matmul(x, transposed, out=out)
        if bias is not None:
            np.add(out, bias, out=out)

    return step


def bind_rms_norm(o: op.RmsNorm, context: BindContext) -> Step:
    gain, epsilon = context.vector(o.gain, context.widths[o.x], 1.0), np.float32(o.epsilon)
    return lambda workspace, out, x: kernels_rows.rms_norm(x, o.groups, epsilon, gain, out)


def bind_layer_norm(o: op.LayerNorm, context: BindContext) -> Step:
    width, epsilon = context.widths[o.x], np.float32(o.epsilon)
    gain, bias = context.vector(o.gain, width), context.vector(o.bias, width)
    return lambda workspace, out, x: kernels_rows.layer_norm(x, epsilon, gain, bias, out)


def bind_scale(o: op.Scale, context: BindContext) -> Step:
    vector = context.vector(o.vector, context.widths[o.x])
    return lambda workspace, out, x: np.multiply(x, vector, out=out)


def bind_scale_tiled(o: op.ScaleTiled, context: BindContext) -> Step:
    vector = context.tiled_vector(o.vector, context.widths[o.x])
    return lambda workspace, out, x: np.multiply(x, vector, out=out)


def bind_affine(o: op.Affine, context: BindContext) -> Step:
    factor, offset = np.float32(o.factor), np.float32(o.offset)

    def step(workspace: Workspace, out: np.ndarray, x: np.ndarray) -> None:
        np.multiply(x, factor, out=out)
        np.add(out, offset, out=out)

    return step


def bind_broadcast(o: op.Broadcast, context: BindContext) -> Step:
    width = context.widths[o.x]
    if o.kind is op.BroadcastKind.SPREAD:
        return lambda workspace, out, x: np.copyto(out.reshape(-1, width, o.width // width), x[:, :, None])
    return lambda workspace, out, x: np.copyto(out.reshape(-1, o.width // width, width), x[:, None, :])


def bind_mix(o: op.Mix, context: BindContext) -> Step:
    width = context.widths[o.x]
    a, b = context.vector(o.a, width), context.vector(o.b, width)
    return lambda workspace, out, x, y: kernels_rows.mix(x, y, a, b, out)


def bind_add(o: op.Add, context: BindContext) -> Step:
    return lambda workspace, out, x, y: np.add(x, y, out=out)


def bind_multiply(o: op.Multiply, context: BindContext) -> Step:
    return lambda workspace, out, x, y: np.multiply(x, y, out=out)


def bind_activation(o: op.Activation, context: BindContext) -> Step:
    if o.kind is op.ActivationKind.TANH:
        return lambda workspace, out, x: np.tanh(x, out=out)
    if o.kind in (op.ActivationKind.RELU_SQUARED, op.ActivationKind.LEAKY_RELU_SQUARED):
        slope = np.float32(o.slope)
        return lambda workspace, out, x: kernels_exponential.leaky_relu_squared(x.ravel(), slope, out.ravel())
    if o.kind is op.ActivationKind.RELU:
        return lambda workspace, out, x: np.maximum(x, 0, out=out)
    kernel = {
        op.ActivationKind.GELU: kernels_exponential.gelu,
        op.ActivationKind.SILU: kernels_exponential.silu,
        op.ActivationKind.SIGMOID: kernels_exponential.sigmoid,
        op.ActivationKind.GELU_TANH: kernels_exponential.gelu_tanh,
        op.ActivationKind.SOFTPLUS: kernels_exponential.softplus,
    }[o.kind]
    return lambda workspace, out, x: kernel(x.ravel(), out.ravel())


def bind_rope(o: op.Rope, context: BindContext) -> Step:
    kernel, rotation = ROTATIONS[o.layout], Rotation(Frequencies(o.base, o.rotary_dims))
    return lambda workspace, out, x: turn(kernel, rotation, o.heads, workspace, x, out)


def bind_rotate(o: op.Rotate, context: BindContext) -> Step:
    kernel, direction = ROTATIONS[o.layout], 1 if o.direction is op.RotationDirection.BACKWARD else -1
    told = None if o.frequencies is None else context.vector(o.frequencies, o.rotary_dims // 2).tobytes()
    rotation = Rotation(Frequencies(o.base, o.rotary_dims, told), o.factor, direction)
    return lambda workspace, out, x: turn(kernel, rotation, o.heads, workspace, x, out)


def bind_exclude(o: op.Exclude, context: BindContext) -> Step:
    return lambda workspace, out, y, v: kernels_rows.exclude(y, v, o.heads, o.kv_heads, out)


def bind_shift(o: op.Shift, context: BindContext) -> Step:
    past = object()

    def step(workspace: Workspace, out: np.ndarray, x: np.ndarray) -> None:
        known = workspace.with_past(past, x, o.by)
        missing = min(o.by - (known.shape[0] - x.shape[0]), x.shape[0])
        out[:missing] = 0
        out[missing:] = known[: x.shape[0] - missing]
        if o.reset_at_document:
            out[np.arange(x.shape[0]) - o.by < workspace.document_start] = 0

    return step


def bind_slice(o: op.Slice, context: BindContext) -> Step:
    return lambda workspace, out, x: np.copyto(out, x[:, o.start : o.stop])


def bind_concat(o: op.Concat, context: BindContext) -> Step:
    return lambda workspace, out, *xs: np.concatenate(xs, axis=1, out=out)


def bind_softcap(o: op.Softcap, context: BindContext) -> Step:
    with np.errstate(over="ignore"):  # of a cap near 0 it is infinite, and so are the losses
        cap, inverse = np.float32(o.cap), np.float32(1 / o.cap)
    if o.kind is op.SoftcapKind.POLYNOMIAL:
        return lambda workspace, out, x: kernels_rows.polynomial_softcap(x.ravel(), cap, inverse, out.ravel())

    def step(workspace: Workspace, out: np.ndarray, x: np.ndarray) -> None:
        np.multiply(x, inverse, out=out)
        np.tanh(out, out=out)
        np.multiply(out, cap, out=out)

    return step


BINDERS: dict[type[op.Operation], Bind] = paired(
    (
        (op.Embed, bind_embed),
        (op.HashEmbed, bind_hash_embed),
        (op.Linear, bind_linear),
        (op.RmsNorm, bind_rms_norm),
        (op.LayerNorm, bind_layer_norm),
        (op.Scale, bind_scale),
        (op.Mix, bind_mix),
        (op.Add, bind_add),
        (op.Multiply, bind_multiply),
        (op.Activation, bind_activation),
        (op.Rope, bind_rope),
        (op.Attention, bind_attention),
        (op.Exclude, bind_exclude),
        (op.Shift, bind_shift),
        (op.Slice, bind_slice),
        (op.Concat, bind_concat),
        (op.Softcap, bind_softcap),
        (op.PositionEmbed, bind_position_embed),
        (op.Rotate, bind_rotate),
        (op.Broadcast, bind_broadcast),
        (op.ScaleTiled, bind_scale_tiled),
        (op.Affine, bind_affine),
        (op.CappedAttention, bind_capped_attention),
        (op.Scan, bind_scan),
        (op.DeltaScan, bind_delta_scan),
    )
)
