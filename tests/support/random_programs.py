"""A hypothesis strategy for valid programs with weights and token batches, covering every operation.

Strategy: grow a program instruction by instruction, each drawn operation making the operands it needs (fresh
linear maps bring registers to the widths that fit). Inputs of operations that square or exponentiate are
normalized first, epsilons are large enough to bound what a norm amplifies, and the logits always see the
embedding: results are well conditioned, and float32 executors must agree closely.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st

from bytecap.format.program import operations as op
from bytecap.format.program.operands import Row
from bytecap.format.program.program import Program

WIDTHS = (2, 3, 4, 6, 8, 12)
LONGEST = 8  # tokens of a sequence


@dataclass
class RandomProgram:
    """A valid program, its tensors and a token batch int64 [batch, length + 1]."""

    program: Program
    tensors: list[np.ndarray]
    tokens: np.ndarray


@dataclass
class Builder:
    """The program so far; `draw` is hypothesis', weights come from one seeded generator."""

    draw: object
    random: np.random.Generator
    vocabulary_size: int
    instructions: list = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    tensors: list[np.ndarray] = field(default_factory=list)
    positions: int = 2**20  # the longest sequence

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def emit(self, instruction, width: int) -> int:
        self.instructions.append(instruction)
        self.widths.append(width)
        return len(self.widths) - 1

    def tensor(self, values) -> int:
        self.tensors.append(np.ascontiguousarray(values, np.float32))
        return len(self.tensors) - 1

    def matrix(self, rows: int, columns: int) -> int:
        return self.tensor(self.random.standard_normal((rows, columns)) * columns**-0.5)

    def vector(self, width: int) -> Row:
        """A vector of any length that fits: the whole of a 1-D tensor or a row of a matrix."""
        length = self.pick(*(n for n in range(1, width + 1) if width % n == 0))
        rows = self.draw(st.integers(0, 3))
        if rows == 0:
            return Row(self.tensor(self.random.uniform(0.5, 1.5, length)))
        return Row(self.tensor(self.random.uniform(-1.5, 1.5, (rows, length))), self.draw(st.integers(0, rows - 1)))

    def optional_vector(self, width: int) -> Row | None:
        return self.vector(width) if self.draw(st.booleans()) else None

    def register(self) -> int:
        """Any register, later ones more often; the logits' width is kept small by the caller's choice of widths."""
        return self.draw(st.integers(max(0, len(self.widths) - 4), len(self.widths) - 1))

    def normalized(self, x: int) -> int:
        groups = self.pick(*(n for n in (1, 2, 3) if self.widths[x] % n == 0))
        return self.emit(op.RmsNorm(x, groups, self.pick(1e-3, 1e-2), None), self.widths[x])

    def projected(self, x: int, width: int) -> int:
        """A fresh linear map of x to `width`, with a full bias."""
        bias = Row(self.tensor(self.random.standard_normal(width)))
        return self.emit(op.Linear(x, self.matrix(width, self.widths[x]), bias), width)

    def matched(self, x: int, width: int) -> int:
        """x itself when it has the width, else a projection."""
        return x if self.widths[x] == width else self.projected(x, width)


def add_embed(b: Builder) -> int:
    width = b.pick(*WIDTHS)
    return b.emit(op.Embed(b.matrix(b.vocabulary_size + b.draw(st.integers(0, 2)), width)), width)


def add_hash_embed(b: Builder) -> int:
    width, multipliers = b.pick(*WIDTHS), st.integers(0, 2**32 - 1)
    table = b.matrix(b.draw(st.integers(2, 7)), width)
    return b.emit(op.HashEmbed(table, b.pick(*op.HashKind), b.draw(multipliers), b.draw(multipliers)), width)


def add_position_embed(b: Builder) -> int:
    width, offset, b.positions = b.pick(*WIDTHS), b.pick(0, 0, 2), LONGEST
    return b.emit(op.PositionEmbed(b.matrix(LONGEST + offset + b.pick(0, 3), width), offset), width)


def add_linear(b: Builder) -> int:
    x, width = b.register(), b.pick(*WIDTHS)
    return b.emit(op.Linear(x, b.matrix(width, b.widths[x]), b.optional_vector(width)), width)


def add_rms_norm(b: Builder) -> int:
    x = b.register()
    width = b.widths[x]
    groups = b.pick(*(n for n in range(1, width + 1) if width % n == 0))
    return b.emit(op.RmsNorm(x, groups, b.pick(1e-2, 0.1), b.optional_vector(width)), width)


def add_layer_norm(b: Builder) -> int:
    x = b.register()
    width = b.widths[x]
    return b.emit(op.LayerNorm(x, b.pick(1e-2, 0.1), b.vector(width), b.optional_vector(width)), width)


def add_scale(b: Builder) -> int:
    x = b.register()
    return b.emit(op.Scale(x, b.vector(b.widths[x])), b.widths[x])


def add_mix(b: Builder) -> int:
    x = b.register()
    width = b.widths[x]
    y = b.matched(b.register(), width)
    return b.emit(op.Mix(x, y, b.vector(width), b.vector(width)), width)


def add_add(b: Builder) -> int:
    x = b.register()
    return b.emit(op.Add(x, b.matched(b.register(), b.widths[x])), b.widths[x])


def add_multiply(b: Builder) -> int:
    x = b.normalized(b.register())
    return b.emit(op.Multiply(x, b.matched(b.register(), b.widths[x])), b.widths[x])


def add_activation(b: Builder) -> int:
    x, kind = b.normalized(b.register()), b.pick(*op.ActivationKind)
    slope = b.pick(0.0, 0.5, -0.25, 1.5) if kind is op.ActivationKind.LEAKY_RELU_SQUARED else 0.0
    return b.emit(op.Activation(x, kind, slope), b.widths[x])


def add_rope(b: Builder) -> int:
    heads, head_width = b.pick(1, 2, 3), b.pick(2, 3, 4, 6)
    x = b.matched(b.register(), heads * head_width)
    rotary_dims = 2 * b.draw(st.integers(1, head_width // 2))
    return b.emit(op.Rope(x, heads, b.pick(1.0, 100.0, 10000.0), rotary_dims, b.pick(*op.RopeLayout)), b.widths[x])


def add_rotate(b: Builder) -> int:
    heads, head_width = b.pick(1, 2, 3), b.pick(2, 3, 4, 6)
    x = b.matched(b.register(), heads * head_width)
    pairs = b.draw(st.integers(1, head_width // 2))
    frequencies = Row(b.tensor(b.random.uniform(0, 1.5, pairs))) if b.draw(st.booleans()) else None
    base = 1.0 if frequencies else b.pick(1.0, 100.0, 10000.0)
    kinds = b.pick(*op.RopeLayout), b.pick(*op.RotationDirection)
    return b.emit(op.Rotate(x, heads, 2 * pairs, base, frequencies, b.pick(1.0, 0.5, 1.25), *kinds), b.widths[x])


def add_attention(b: Builder) -> int:
    kv_heads, group, key_width, value_width = b.pick(1, 2), b.pick(1, 2, 3), b.pick(1, 2, 4), b.pick(1, 2, 3)
    heads, source = kv_heads * group, b.normalized(b.register())
    q, k = b.projected(source, heads * key_width), b.projected(source, kv_heads * key_width)
    v = b.projected(b.register(), kv_heads * value_width)
    window, reset = b.pick(0, 0, 1, 2, 3, 100), b.draw(st.booleans())
    return b.emit(op.Attention(q, k, v, heads, kv_heads, b.pick(0.1, 0.5, 1.0), window, reset), heads * value_width)


def add_scan(b: Builder) -> int:
    groups, group, width, size = b.pick(1, 2), b.pick(1, 2, 3), b.pick(1, 1, 2, 3), b.pick(1, 2, 4)
    heads, source = groups * group, b.normalized(b.register())
    x, step = b.projected(b.register(), heads * width), b.projected(source, heads)
    if b.draw(st.booleans()):  # else some steps go back, and states grow
        step = b.emit(op.Activation(step, op.ActivationKind.SOFTPLUS), heads)
    write, read = b.projected(source, groups * size), b.projected(source, groups * size)
    shape = b.pick((heads,), (heads, size))
    rates = b.tensor(b.random.uniform(-2, 0.5, shape))
    return b.emit(op.Scan(x, step, write, read, heads, groups, rates), heads * width)


def add_delta_scan(b: Builder) -> int:
    groups, group, width, size = b.pick(1, 2), b.pick(1, 2, 3), b.pick(1, 2, 3), b.pick(1, 2, 4)
    heads, source = groups * group, b.normalized(b.register())
    x, step, strength = b.projected(b.register(), heads * width), b.projected(source, heads), b.projected(source, heads)
    step = b.emit(op.Activation(step, op.ActivationKind.SOFTPLUS), heads)
    strength = b.emit(op.Activation(strength, op.ActivationKind.SIGMOID), heads)
    write, read = (b.normalized(b.projected(source, groups * size)) for _ in range(2))
    write = b.emit(op.Affine(write, (groups * size) ** -0.5, 0.0), groups * size)  # a longer one may let states grow
    rates = b.tensor(b.random.uniform(-2, 0.5, heads))
    return b.emit(op.DeltaScan(x, step, strength, write, read, heads, groups, rates), heads * width)


def add_exclude(b: Builder) -> int:
    kv_heads, group, head_width = b.pick(1, 2), b.pick(1, 2, 3), b.pick(2, 3, 4)
    v = b.projected(b.normalized(b.register()), kv_heads * head_width)
    y = b.matched(b.register(), kv_heads * group * head_width)
    return b.emit(op.Exclude(y, v, kv_heads * group, kv_heads), b.widths[y])


def add_shift(b: Builder) -> int:
    x = b.register()
    return b.emit(op.Shift(x, b.pick(1, 1, 2, 3, 50), b.draw(st.booleans())), b.widths[x])


def add_slice(b: Builder) -> int:
    x = b.register()
    start = b.draw(st.integers(0, b.widths[x] - 1))
    stop = b.draw(st.integers(start + 1, b.widths[x]))
    return b.emit(op.Slice(x, start, stop), stop - start)


def add_concat(b: Builder) -> int:
    xs = tuple(b.register() for _ in range(b.pick(2, 2, 3)))
    return b.emit(op.Concat(xs), sum(b.widths[x] for x in xs))


def add_softcap(b: Builder) -> int:
    x = b.register()
    return b.emit(op.Softcap(x, b.pick(0.5, 2.0, 30.0), b.pick(*op.SoftcapKind)), b.widths[x])


def add_broadcast(b: Builder) -> int:
    x = b.register()
    width = b.widths[x] * b.pick(1, 2, 3)
    return b.emit(op.Broadcast(x, width, b.pick(*op.BroadcastKind)), width)


def add_scale_tiled(b: Builder) -> int:
    x = b.register()
    return b.emit(op.ScaleTiled(x, b.vector(b.widths[x])), b.widths[x])


def add_affine(b: Builder) -> int:
    x = b.register()
    return b.emit(op.Affine(x, b.pick(0.5, -1.5, 0.0), b.pick(0.0, 1.0, -0.25)), b.widths[x])


def add_capped_attention(b: Builder) -> int:
    kv_heads, group, key_width, value_width = b.pick(1, 2), b.pick(1, 2, 3), b.pick(1, 2, 4), b.pick(1, 2, 3)
    heads, source = kv_heads * group, b.normalized(b.register())
    q, k = b.projected(source, heads * key_width), b.projected(source, kv_heads * key_width)
    v = b.projected(b.register(), kv_heads * value_width)
    window, reset, cap = b.pick(0, 0, 1, 2, 100), b.draw(st.booleans()), b.pick(0.0, 0.5, 2.0, 50.0)
    attention = op.CappedAttention(
        q, k, v, heads, kv_heads, b.pick(0.1, 0.5, 1.0), window, reset, cap, b.optional_vector(heads)
    )
    return b.emit(attention, heads * value_width)


ADDERS = {
    op.Embed: add_embed,
    op.HashEmbed: add_hash_embed,
    op.Linear: add_linear,
    op.RmsNorm: add_rms_norm,
    op.LayerNorm: add_layer_norm,
    op.Scale: add_scale,
    op.Mix: add_mix,
    op.Add: add_add,
    op.Multiply: add_multiply,
    op.Activation: add_activation,
    op.Rope: add_rope,
    op.Attention: add_attention,
    op.Exclude: add_exclude,
    op.Shift: add_shift,
    op.Slice: add_slice,
    op.Concat: add_concat,
    op.Softcap: add_softcap,
    op.PositionEmbed: add_position_embed,
    op.Rotate: add_rotate,
    op.Broadcast: add_broadcast,
    op.ScaleTiled: add_scale_tiled,
    op.Affine: add_affine,
    op.CappedAttention: add_capped_attention,
    op.Scan: add_scan,
    op.DeltaScan: add_delta_scan,
}


def add_head(b: Builder) -> None:
    """Join every register nobody read with the embedding, and map the normalized result to the vocabulary."""
    read = {register for instruction in b.instructions for register in instruction.registers}
    unread = [register for register in range(1, len(b.widths)) if register not in read]
    x = 0
    if unread:
        x = b.emit(op.Concat((0, *unread)), b.widths[0] + sum(b.widths[register] for register in unread))
    x = b.emit(op.RmsNorm(x, 1, 1e-3, None), b.widths[x])
    b.emit(
        op.Linear(x, b.matrix(b.vocabulary_size, b.widths[x]), b.optional_vector(b.vocabulary_size)), b.vocabulary_size
    )


@st.composite
def programs(draw, including=None) -> RandomProgram:
    """Random valid programs; with `including` (an operation class) each has at least one of that operation."""
    seed, vocabulary_size = draw(st.integers(0, 2**32 - 1)), draw(st.integers(2, 9))
    b = Builder(draw, np.random.default_rng(seed), vocabulary_size)
    add_embed(b)
    chosen = draw(st.lists(st.sampled_from(list(ADDERS)), max_size=6))
    if including is not None:
        chosen.insert(draw(st.integers(0, len(chosen))), including)
    for operation in chosen:
        ADDERS[operation](b)
    add_head(b)
    boundary_token = draw(st.integers(0, vocabulary_size - 1))
    program = Program(tuple(b.instructions), vocabulary_size, draw(st.integers(1, b.positions)), boundary_token)
    batch, length = draw(st.integers(1, 3)), draw(st.integers(1, LONGEST))
    return RandomProgram(program, b.tensors, b.random.integers(0, vocabulary_size, (batch, length + 1)))
