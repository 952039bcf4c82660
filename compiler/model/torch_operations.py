"""What each operation computes in torch: one function an operation, over [batch, length, width] tensors.

Strategy: a function takes the context of its forward pass, the operation and the registers that it
reads, and returns the register that it makes; all of them stand in one table by class. What several
instructions derive from the tokens (positions, documents, masks) is in the context, computed once a
pass. Semantics: spec/program.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ...format.program import operations as op
from ...format.program.operands import Row
from ...format.registry import paired

Rotations = dict[tuple, tuple[Tensor, Tensor]]


class PassContext:
    """What operations may ask of their forward pass.

    tokens : int64 [batch, length]; tensors : weights by directory index, kept by reference
    boundary_token : starts a document; rotations : of earlier passes, to which new ones are added
    """

    def __init__(
        self, tokens: Tensor, tensors: Mapping[int, Tensor], boundary_token: int, rotations: Rotations
    ) -> None:
        self.tokens, self.tensors = tokens, tensors
        self._boundary_token, self._rotations = boundary_token, rotations
        self._document_start: Tensor | None = None
        self._masks: dict[tuple[int, bool], Tensor] = {}

    @property
    def positions(self) -> Tensor:
        """0 .. length - 1."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device)

    @property
    def document_start(self) -> Tensor:
        """First position of each position's document, [batch, length]."""
        if self._document_start is None:
            starts = torch.where(self.tokens == self._boundary_token, self.positions, 0)
            self._document_start = starts.cummax(dim=1).values
        return self._document_start

    def mask(self, window: int, document_reset: bool) -> Tensor:
        """True where a query sees a key, [batch or 1, 1, length, length]."""
        key = (window, document_reset)
        if key not in self._masks:
            distance = self.positions[:, None] - self.positions
            seen = (distance >= 0)[None]
            if window:
                seen = seen & (distance < window)
            if document_reset:
                seen = seen & (self.positions >= self.document_start[:, :, None])
            self._masks[key] = seen[:, None]
        return self._masks[key]

    def vector(self, row: Row, width: int) -> Tensor:
        """A row as a tensor that broadcasts over the last dimension of size `width`."""
        values = self.tensors[row.tensor]
        values = values[row.row] if values.dim() == 2 else values
        count = values.shape[0]
        return values if count in (1, width) else values.repeat_interleave(width // count)

    def turn(self, o: op.Rotate, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [length, 1, rotary_dims / 2], times the factor, of the turn of a register; differentiable in
        the frequencies.
        """
        if o.frequencies is None:
            angles = rotation_angles(o.base, o.rotary_dims, like.shape[1]).to(like.device)
        else:
            frequencies = self.vector(o.frequencies, o.rotary_dims // 2).double()
            angles = self.positions[:, None].double() * frequencies
        sine = angles.sin() if o.direction is op.RotationDirection.BACKWARD else -angles.sin()
        return (o.factor * angles.cos()).to(like.dtype).unsqueeze(1), (o.factor * sine).to(like.dtype).unsqueeze(1)

    def rotation(self, o: op.Rope, like: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [length, 1, rotary_dims / 2] for a register [batch, length, width]."""
        key = (o.base, o.rotary_dims, like.shape[1], like.device, like.dtype)
        if key not in self._rotations:
            angles = rotation_angles(o.base, o.rotary_dims, like.shape[1])
            tables = angles.cos().float(), angles.sin().float()
            self._rotations[key] = tuple(table.to(like).unsqueeze(1) for table in tables)
        return self._rotations[key]


def rotation_angles(base: float, rotary_dims: int, length: int) -> Tensor:
    """float64 [length, rotary_dims / 2]: position * base**(-2i / rotary_dims).

    Computed here and not taken from the interpreter's kernels, so that each executor checks the other's.
    """
    exponents = torch.arange(0, rotary_dims, 2, dtype=torch.float64) / rotary_dims
    frequencies = torch.pow(torch.tensor(base, dtype=torch.float64), -exponents)
    return torch.arange(length, dtype=torch.float64)[:, None] * frequencies


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
    y = F.linear(x, weight)
    return y if o.bias is None else y + context.vector(o.bias, weight.shape[0])


def execute_rms_norm(context: PassContext, o: op.RmsNorm, x: Tensor) -> Tensor:
    part = x.shape[-1] // o.groups
    y = F.rms_norm(x.unflatten(-1, (o.groups, part)), (part,), eps=o.epsilon).flatten(-2)
    return y if o.gain is None else y * context.vector(o.gain, x.shape[-1])


def execute_layer_norm(context: PassContext, o: op.LayerNorm, x: Tensor) -> Tensor:
    width = x.shape[-1]
    y = F.layer_norm(x, (width,), eps=o.epsilon) * context.vector(o.gain, width)
    return y if o.bias is None else y + context.vector(o.bias, width)


def execute_scale(context: PassContext, o: op.Scale, x: Tensor) -> Tensor:
    return x * context.vector(o.vector, x.shape[-1])


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
            return F.relu(x).square()
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


def execute_rope(context: PassContext, o: op.Rope, x: Tensor) -> Tensor:
    return rotated(o, x, *context.rotation(o, x))


def execute_rotate(context: PassContext, o: op.Rotate, x: Tensor) -> Tensor:
    return rotated(o, x, *context.turn(o, x))


def rotated(o: op.Rope | op.Rotate, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """A register with the pairs of each head turned; cosine, sine : [length, 1, rotary_dims / 2]."""
    heads = x.unflatten(-1, (o.heads, -1))
    rotary, rest = heads[..., : o.rotary_dims], heads[..., o.rotary_dims :]
    if o.layout is op.RopeLayout.HALF_SPLIT:
        first, second = rotary.chunk(2, dim=-1)
        turned = (first * cosine + second * sine, second * cosine - first * sine)
    else:
        first, second = rotary[..., 0::2], rotary[..., 1::2]
        pairs = torch.stack((first * cosine + second * sine, second * cosine - first * sine), dim=-1)
        turned = (pairs.flatten(-2),)
    return torch.cat((*turned, rest), dim=-1).flatten(-2)


def execute_attention(context: PassContext, o: op.Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q = q.unflatten(-1, (o.heads, -1)).transpose(1, 2)
    k, v = (x.unflatten(-1, (o.kv_heads, -1)).transpose(1, 2) for x in (k, v))
    masked = o.window > 0 or o.document_reset
    mask = context.mask(o.window, o.document_reset) if masked else None
    y = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=not masked, scale=o.scale, enable_gqa=o.heads != o.kv_heads
    )
    return y.transpose(1, 2).flatten(-2)


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
    u = x / o.cap
    if o.kind is op.SoftcapKind.TANH:
        return o.cap * torch.tanh(u)
    u = u.clamp(-2, 2)
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
    )
)
