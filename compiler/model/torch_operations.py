"""What each operation computes in torch: one function an operation, over [batch, length, width] tensors.

Strategy: a function takes the context of its forward pass, the operation and the registers that it
reads, and returns the register that it makes; all of them stand in one table by class. What several
instructions derive from the tokens (positions, documents, masks) is in the context, computed once a
pass. Semantics: spec/program.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...format.program import operations as op
from ...format.registry import paired
from .chunked_scan import scanned
from .pass_context import PassContext
from .short_gradients import HalfSplitTurn, RmsNorm, SquaredRelu, TanhSoftcap


def execute_embed(context: PassContext, o: op.Embed) -> Tensor:
    return F.embedding(context.tokens, context.tensors[o.table])


def execute_position_embed(context: PassContext, o: op.PositionEmbed) -> Tensor:
    rows = context.tensors[o.table][o.offset : o.offset + context.tokens.shape[1]]
    return rows.expand(context.tokens.shape[0], -1, -1)


def execute_hash_embed(context: PassContext, o: op.HashEmbed) -> Tensor:
    table, tokens, mask = context.tensors[o.table], context.tokens, (1 << 32) - 1
    current = tokens * o.multiplier_current & mask
    previous = F.pad(tokens[:, :-1], (1, 0)) * o.multiplier_previous & mask
    if o.kind is op.HashKind.XOR:
        indices = (current ^ previous) % (table.shape[0] - 1)
        indices[:, 0] = table.shape[0] - 1
    else:
        indices = (current + previous & mask) % table.shape[0]
    return F.embedding(indices, table)


def execute_linear(context: PassContext, o: op.Linear, x: Tensor) -> Tensor:
    weight = context.tensors[o.weight]
    y = context.arithmetic.product(o.weight, x, weight)
    return y if o.bias is None else y + context.vector(o.bias, weight.shape[0])


def execute_rms_norm(context: PassContext, o: op.RmsNorm, x: Tensor) -> Tensor:
    part = x.shape[-1] // o.groups
    y = RmsNorm.apply(x.unflatten(-1, (o.groups, part)), o.epsilon).flatten(-2)
    return y if o.gain is None else y * context.vector(o.gain, x.shape[-1])


def execute_layer_norm(context: PassContext, o: op.LayerNorm, x: Tensor) -> Tensor:
    width = x.shape[-1]
    y = F.layer_norm(x, (width,), eps=o.epsilon) * context.vector(o.gain, width)
    return y if o.bias is None else y + context.vector(o.bias, width)


def execute_scale(context: PassContext, o: op.Scale, x: Tensor) -> Tensor:
    return x * context.vector(o.vector, x.shape[-1])


def execute_scale_tiled(context: PassContext, o: op.ScaleTiled, x: Tensor) -> Tensor:
    values = context.tensors[o.vector.tensor]
    values = values[o.vector.row] if values.dim() == 2 else values
    return (x.unflatten(-1, (-1, values.shape[0])) * values).flatten(-2)


def execute_affine(context: PassContext, o: op.Affine, x: Tensor) -> Tensor:
    return o.factor * x + o.offset


def execute_broadcast(context: PassContext, o: op.Broadcast, x: Tensor) -> Tensor:
    times = o.width // x.shape[-1]
    if o.kind is op.BroadcastKind.SPREAD:
        return x.repeat_interleave(times, dim=-1)
    return x.repeat(*(1 for _ in x.shape[:-1]), times)


def execute_mix(context: PassContext, o: op.Mix, x: Tensor, y: Tensor) -> Tensor:
    width = x.shape[-1]
    return torch.addcmul(x * context.vector(o.a, width), y, context.vector(o.b, width))


def execute_add(context: PassContext, o: op.Add, x: Tensor, y: Tensor) -> Tensor:
    return x + y


def execute_multiply(context: PassContext, o: op.Multiply, x: Tensor, y: Tensor) -> Tensor:
    return x * y


def execute_activation(context: PassContext, o: op.Activation, x: Tensor) -> Tensor:
    match o.kind:
        case op.ActivationKind.RELU_SQUARED:
            return SquaredRelu.apply(x)
        case op.ActivationKind.LEAKY_RELU_SQUARED:
            return F.leaky_relu(x, o.slope).square()
        case op.ActivationKind.GELU:
            return F.gelu(x)
        case op.ActivationKind.SILU:
            return F.silu(x)
        case op.ActivationKind.SIGMOID:
            return torch.sigmoid(x)
        case op.ActivationKind.TANH:
            return torch.tanh(x)
        case op.ActivationKind.GELU_TANH:
            return F.gelu(x, approximate="tanh")
        case op.ActivationKind.RELU:
            return F.relu(x)
        case op.ActivationKind.SOFTPLUS:
            return F.softplus(x)


def execute_rope(context: PassContext, o: op.Rope, x: Tensor) -> Tensor:
    return rotated(o, x, *context.rotation(o, x))


def execute_rotate(context: PassContext, o: op.Rotate, x: Tensor) -> Tensor:
    return rotated(o, x, *context.turn(o, x))


def rotated(o: op.Rope | op.Rotate, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """A register with the pairs of each head turned; cosine, sine : [length, 1, rotary_dims / 2]."""
    heads = x.unflatten(-1, (o.heads, -1))
    if o.layout is op.RopeLayout.HALF_SPLIT and o.rotary_dims == heads.shape[-1] and not cosine.requires_grad:
        return HalfSplitTurn.apply(heads, cosine, sine).flatten(-2)
    rotary, rest = heads[..., : o.rotary_dims], heads[..., o.rotary_dims :]
    if o.layout is op.RopeLayout.HALF_SPLIT:
        first, second = rotary.chunk(2, dim=-1)
        turned = (first * cosine + second * sine, second * cosine - first * sine)
    else:
        first, second = rotary[..., 0::2], rotary[..., 1::2]
        pairs = torch.stack((first * cosine + second * sine, second * cosine - first * sine), dim=-1)
        turned = (pairs.flatten(-2),)
    return torch.cat((*turned, rest), dim=-1).flatten(-2)


def execute_attention(
    context: PassContext, o: op.Attention | op.CappedAttention, q: Tensor, k: Tensor, v: Tensor
) -> Tensor:
    q = q.unflatten(-1, (o.heads, -1)).transpose(1, 2)
    k, v = (x.unflatten(-1, (o.kv_heads, -1)).transpose(1, 2) for x in (k, v))
    masked = o.window > 0 or o.document_reset
    mask = context.mask(o.window, o.document_reset) if masked else None
    y = context.arithmetic.attention(q, k, v, mask, o.scale)
    return y.transpose(1, 2).flatten(-2)


def execute_capped_attention(context: PassContext, o: op.CappedAttention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    if o.cap == 0 and o.sinks is None:
        return execute_attention(context, o, q, k, v)
    q = q.unflatten(-1, (o.heads, -1)).transpose(1, 2)
    k, v = (x.unflatten(-1, (o.kv_heads, -1)).transpose(1, 2) for x in (k, v))
    k, v = (x.repeat_interleave(o.heads // o.kv_heads, dim=1) for x in (k, v))
    unseen = ~context.mask(o.window, o.document_reset)
    sinks = None if o.sinks is None else context.vector(o.sinks, o.heads).expand(o.heads)[:, None, None]
    if o.cap == 0:  # a sink is a key of its own that no query turns towards, with a value of zero
        bias = torch.zeros_like(unseen, dtype=q.dtype).masked_fill(unseen, -torch.inf)
        bias = torch.cat((bias.expand(-1, o.heads, -1, -1), sinks.expand(bias.shape[0], -1, bias.shape[2], 1)), dim=-1)
        k, v = F.pad(k, (0, 0, 0, 1)), F.pad(v, (0, 0, 0, 1))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=o.scale)
    else:
        scores = o.cap * torch.tanh((q @ k.mT) * (o.scale / o.cap))
        scores = scores.masked_fill(unseen, -torch.inf)
        if sinks is not None:
            scores = torch.cat((scores, sinks.to(scores).expand(scores.shape[0], -1, scores.shape[2], 1)), dim=-1)
        y = scores.softmax(-1)[..., : k.shape[2]] @ v
    return y.transpose(1, 2).flatten(-2)


def execute_scan(context: PassContext, o: op.Scan | op.DeltaScan, *registers: Tensor) -> Tensor:
    return scanned(context.tensors[o.log_rates], *registers, heads=o.heads, groups=o.groups)


def execute_exclude(context: PassContext, o: op.Exclude, y: Tensor, v: Tensor) -> Tensor:
    heads = y.unflatten(-1, (o.kv_heads, o.heads // o.kv_heads, -1))
    values = v.unflatten(-1, (o.kv_heads, 1, -1))
    share = (heads * values).sum(-1, keepdim=True) / values.square().sum(-1, keepdim=True).clamp_min(1e-24)
    return (heads - share * values).flatten(-3)


def execute_shift(context: PassContext, o: op.Shift, x: Tensor) -> Tensor:
    by = min(o.by, x.shape[1])
    y = F.pad(x[:, : x.shape[1] - by], (0, 0, by, 0))
    if o.reset_at_document:
        inside = context.positions - by >= context.document_start
        y = y * inside.unsqueeze(-1)
    return y


def execute_slice(context: PassContext, o: op.Slice, x: Tensor) -> Tensor:
    return x[..., o.start : o.stop]


def execute_concat(context: PassContext, o: op.Concat, *xs: Tensor) -> Tensor:
    return torch.cat(xs, dim=-1)


def execute_softcap(context: PassContext, o: op.Softcap, x: Tensor) -> Tensor:
    if o.kind is op.SoftcapKind.TANH:
        return TanhSoftcap.apply(x, o.cap)
    u = (x / o.cap).clamp(-2, 2)
    return o.cap * (u - u**3 / 3 + u**5 / 15).clamp(-1, 1)


Execution = Callable[..., Tensor]  # (context, operation, *registers) -> register
EXECUTIONS: dict[type[op.Operation], Execution] = paired(
    (
        (op.Embed, execute_embed),
        (op.HashEmbed, execute_hash_embed),
        (op.Linear, execute_linear),
        (op.RmsNorm, execute_rms_norm),
        (op.LayerNorm, execute_layer_norm),
        (op.Scale, execute_scale),
        (op.Mix, execute_mix),
        (op.Add, execute_add),
        (op.Multiply, execute_multiply),
        (op.Activation, execute_activation),
        (op.Rope, execute_rope),
        (op.Attention, execute_attention),
        (op.Exclude, execute_exclude),
        (op.Shift, execute_shift),
        (op.Slice, execute_slice),
        (op.Concat, execute_concat),
        (op.Softcap, execute_softcap),
        (op.PositionEmbed, execute_position_embed),
        (op.Rotate, execute_rotate),
        (op.Broadcast, execute_broadcast),
        (op.ScaleTiled, execute_scale_tiled),
        (op.Affine, execute_affine),
        (op.CappedAttention, execute_capped_attention),
        (op.Scan, execute_scan),
        (op.DeltaScan, execute_scan),
    )
)
