"""Runs a program with torch: differentiable, on any device, for calibration, tuning and training.

Strategy: one function per operation over [batch, length, width] tensors, in one table by class. A
forward pass advances by one instruction at a time, frees registers after their last use and offers each
fresh register to a callback, which may keep, measure or replace it; whoever needs to stop in between,
or to go on with other weights, holds the pass itself. Weights enter as torch tensors by directory
index, so gradients flow to whatever the caller passed. Semantics: spec/program.md, section 4; agreement
with the numba interpreter is a property test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from ...format.container.limits import DEFAULT_LIMITS, Limits
from ...format.program import operations as op
from ...format.program.operands import Row
from ...format.program.program import Program, validate_program

RegisterCallback = Callable[[int, Tensor], Tensor]
EXECUTIONS: dict[type[op.Operation], Callable[..., Tensor]] = {}


def execution(operation: type[op.Operation]) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Register the function that executes an operation; ValueError when it has one."""

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        if operation in EXECUTIONS:
            raise ValueError(f"operation {operation.name!r} is executed already")
        EXECUTIONS[operation] = function
        return function

    return register


class TorchExecutor:
    """A program with its weights as torch tensors.

    Parameters
    ----------
    program : Program
    tensors : mapping from directory index to float tensor   all on one device; kept by reference
    limits : Limits                                          what the program may need

    Raises ArtifactError when program and tensors do not fit.
    """

    def __init__(self, program: Program, tensors: Mapping[int, Tensor], limits: Limits = DEFAULT_LIMITS) -> None:
        self.program, self.tensors = program, tensors
        shapes = [tuple(tensors[i].shape) if i in tensors else () for i in range(max(tensors, default=-1) + 1)]
        self.shapes = validate_program(program, shapes, limits)
        self._rotations: dict[tuple, tuple[Tensor, Tensor]] = {}

    def forward(self, tokens: Tensor, *, registers: RegisterCallback | None = None) -> Tensor:
        """Logits [batch, length, vocabulary] for int64 tokens [batch, length].

        `registers(k, value)` is called with each register [batch, length, width] right after it is computed; what it
        returns takes the register's place.
        """
        return Forward(self, tokens).finish(registers)

    def losses(self, tokens: Tensor, *, registers: RegisterCallback | None = None) -> Tensor:
        """Loss in nats of each next token [batch, length] for int64 tokens [batch, length + 1]."""
        logits = self.forward(tokens[:, :-1], registers=registers).float()
        return F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:], reduction="none")

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


class Forward:
    """One forward pass, which may be stopped between any two instructions.

    tokens : int64 [batch, length]; index : of the next instruction
    registers : the live registers [batch, length, width] by index, those that a later instruction reads
        and the last one
    """

    def __init__(self, executor: TorchExecutor, tokens: Tensor) -> None:
        self.executor, self.tokens = executor, tokens
        self.tensors = executor.tensors
        self.index = 0
        self.registers: dict[int, Tensor] = {}
        self._document_start: Tensor | None = None
        self._masks: dict[tuple[int, bool], Tensor] = {}

    def advance(self, callback: RegisterCallback | None = None) -> None:
        """Compute the next register, `callback(k, value)` where there is one, and let go of those that
        nothing reads any more.
        """
        index, executor = self.index, self.executor
        instruction = executor.program.instructions[index]
        value = EXECUTIONS[type(instruction)](self, instruction, *(self.registers[r] for r in instruction.registers))
        self.registers[index] = value if callback is None else callback(index, value)
        for register in set(instruction.registers):
            if executor.shapes.last_use[register] == index:
                del self.registers[register]
        self.index += 1

    def finish(self, callback: RegisterCallback | None = None) -> Tensor:
        """The logits [batch, length, vocabulary], after all instructions that are left."""
        last = len(self.executor.program.instructions) - 1
        while self.index <= last:
            self.advance(callback)
        return self.registers[last]

    def fork(self, executor: TorchExecutor) -> Forward:
        """The same pass from here on with the tensors of another executor of the same program; this one
        stays where it is.
        """
        other = Forward(executor, self.tokens)
        other.index, other.registers = self.index, dict(self.registers)
        return other

    @property
    def positions(self) -> Tensor:
        """0 .. length - 1."""
        return torch.arange(self.tokens.shape[1], device=self.tokens.device)

    @property
    def document_start(self) -> Tensor:
        """First position of each position's document, [batch, length]."""
        if self._document_start is None:
            starts = torch.where(self.tokens == self.executor.program.boundary_token, self.positions, 0)
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


@execution(op.Embed)
def _embed(forward: Forward, o: op.Embed) -> Tensor:
    return F.embedding(forward.tokens, forward.tensors[o.table])


@execution(op.HashEmbed)
def _hash_embed(forward: Forward, o: op.HashEmbed) -> Tensor:
    table, tokens, mask = forward.tensors[o.table], forward.tokens, (1 << 32) - 1
    current = tokens * o.multiplier_current & mask
    previous = F.pad(tokens[:, :-1], (1, 0)) * o.multiplier_previous & mask
    if o.kind is op.HashKind.XOR:
        indices = (current ^ previous) % (table.shape[0] - 1)
        indices[:, 0] = table.shape[0] - 1
    else:
        indices = (current + previous & mask) % table.shape[0]
    return F.embedding(indices, table)


@execution(op.Linear)
def _linear(forward: Forward, o: op.Linear, x: Tensor) -> Tensor:
    weight = forward.tensors[o.weight]
    y = F.linear(x, weight)
    return y if o.bias is None else y + forward.vector(o.bias, weight.shape[0])


@execution(op.RmsNorm)
def _rms_norm(forward: Forward, o: op.RmsNorm, x: Tensor) -> Tensor:
    part = x.shape[-1] // o.groups
    y = F.rms_norm(x.unflatten(-1, (o.groups, part)), (part,), eps=o.epsilon).flatten(-2)
    return y if o.gain is None else y * forward.vector(o.gain, x.shape[-1])


@execution(op.LayerNorm)
def _layer_norm(forward: Forward, o: op.LayerNorm, x: Tensor) -> Tensor:
    width = x.shape[-1]
    y = F.layer_norm(x, (width,), eps=o.epsilon) * forward.vector(o.gain, width)
    return y if o.bias is None else y + forward.vector(o.bias, width)


@execution(op.Scale)
def _scale(forward: Forward, o: op.Scale, x: Tensor) -> Tensor:
    return x * forward.vector(o.vector, x.shape[-1])


@execution(op.Mix)
def _mix(forward: Forward, o: op.Mix, x: Tensor, y: Tensor) -> Tensor:
    width = x.shape[-1]
    return torch.addcmul(x * forward.vector(o.a, width), y, forward.vector(o.b, width))


@execution(op.Add)
def _add(forward: Forward, o: op.Add, x: Tensor, y: Tensor) -> Tensor:
    return x + y


@execution(op.Multiply)
def _multiply(forward: Forward, o: op.Multiply, x: Tensor, y: Tensor) -> Tensor:
    return x * y


@execution(op.Activation)
def _activation(forward: Forward, o: op.Activation, x: Tensor) -> Tensor:
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


@execution(op.Rope)
def _rope(forward: Forward, o: op.Rope, x: Tensor) -> Tensor:
    cosine, sine = forward.executor.rotation(o, x)
    heads = x.unflatten(-1, (o.heads, -1))
    rotary, rest = heads[..., : o.rotary_dims], heads[..., o.rotary_dims :]
    if o.layout is op.RopeLayout.HALF_SPLIT:
        first, second = rotary.chunk(2, dim=-1)
        rotated = (first * cosine + second * sine, second * cosine - first * sine)
    else:
        first, second = rotary[..., 0::2], rotary[..., 1::2]
        pairs = torch.stack((first * cosine + second * sine, second * cosine - first * sine), dim=-1)
        rotated = (pairs.flatten(-2),)
    return torch.cat((*rotated, rest), dim=-1).flatten(-2)


@execution(op.Attention)
def _attention(forward: Forward, o: op.Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q = q.unflatten(-1, (o.heads, -1)).transpose(1, 2)
    k, v = (x.unflatten(-1, (o.kv_heads, -1)).transpose(1, 2) for x in (k, v))
    masked = o.window > 0 or o.document_reset
    mask = forward.mask(o.window, o.document_reset) if masked else None
    y = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=not masked, scale=o.scale, enable_gqa=o.heads != o.kv_heads
    )
    return y.transpose(1, 2).flatten(-2)


@execution(op.Exclude)
def _exclude(forward: Forward, o: op.Exclude, y: Tensor, v: Tensor) -> Tensor:
    heads = y.unflatten(-1, (o.kv_heads, o.heads // o.kv_heads, -1))
    values = v.unflatten(-1, (o.kv_heads, 1, -1))
    share = (heads * values).sum(-1, keepdim=True) / values.square().sum(-1, keepdim=True).clamp_min(1e-24)
    return (heads - share * values).flatten(-3)


@execution(op.Shift)
def _shift(forward: Forward, o: op.Shift, x: Tensor) -> Tensor:
    by = min(o.by, x.shape[1])
    y = F.pad(x[:, : x.shape[1] - by], (0, 0, by, 0))
    if o.reset_at_document:
        inside = forward.positions - by >= forward.document_start
        y = y * inside.unsqueeze(-1)
    return y


@execution(op.Slice)
def _slice(forward: Forward, o: op.Slice, x: Tensor) -> Tensor:
    return x[..., o.start : o.stop]


@execution(op.Concat)
def _concat(forward: Forward, o: op.Concat, *xs: Tensor) -> Tensor:
    return torch.cat(xs, dim=-1)


@execution(op.Softcap)
def _softcap(forward: Forward, o: op.Softcap, x: Tensor) -> Tensor:
    u = x / o.cap
    if o.kind is op.SoftcapKind.TANH:
        return o.cap * torch.tanh(u)
    u = u.clamp(-2, 2)
    return o.cap * (u - u**3 / 3 + u**5 / 15).clamp(-1, 1)
