"""Programs that the same tensors could have been meant for: what public code does otherwise and no tensor shows.

Strategy: a neighbour is the program with one edit of its instructions, and which edits it has is told by its
instructions alone, so that no frontend needs to know of neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...format.program.head_operations import Attention, CappedAttention, Rope, Rotate
from ...format.program.kinds import ActivationKind, BroadcastKind, RopeLayout, SoftcapKind
from ...format.program.operation import Operation
from ...format.program.operations import (
    Activation,
    Add,
    Affine,
    Broadcast,
    Embed,
    LayerNorm,
    Linear,
    Multiply,
    RmsNorm,
    Softcap,
)
from ...format.program.program import Program
from ..model.structure import embedding_tables
from .rewriting import Edit, Rewriting, changing, replacing, rewritten, skipping

ACTIVATIONS = {
    ActivationKind.GELU: "GELU",
    ActivationKind.RELU: "ReLU",
    ActivationKind.RELU_SQUARED: "squared ReLU",
    ActivationKind.SILU: "SiLU",
    ActivationKind.LEAKY_RELU_SQUARED: "squared leaky ReLU",
}
SLOPES = {ActivationKind.LEAKY_RELU_SQUARED: 0.5}
ALIKE = {ActivationKind.GELU_TANH: ActivationKind.GELU}  # too near to be told from it
LAYOUTS = {RopeLayout.HALF_SPLIT: "elements of two halves", RopeLayout.INTERLEAVED: "neighbouring elements"}
BASES = (10_000.0, 100_000.0, 500_000.0, 1_000_000.0)
CAPS = (15.0, 30.0)
EPSILON = 1e-5
ATTENTIONS, TURNS = (Attention, CappedAttention), (Rope, Rotate)
Edits = Iterator[tuple[str, Edit]]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A program of the same tensors.

    change : what it does in place of what was read, in words;  turned : tensors that it reads transposed
    """

    change: str
    program: Program
    turned: frozenset[int] = frozenset()

    def tensors(self, read: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """The tensors as it reads them."""
        if not self.turned:
            return read
        return [np.ascontiguousarray(values.T) if i in self.turned else values for i, values in enumerate(read)]


def neighbours(program: Program, widths: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> Iterator[Neighbour]:
    """All programs near one; widths : of its registers;  shapes : of its tensors"""
    square = {op.weight for op in program.instructions if isinstance(op, Linear)} - embedding_tables(program)
    square = {tensor for tensor in square if shapes[tensor][0] == shapes[tensor][1]}
    if square:
        yield Neighbour("square maps as [inputs, outputs]", program, frozenset(square))
    for edits in (_norms, _activations, _rotations, _scales, _heads, _streams, _caps):
        for change, edit in edits(program, widths):
            found = rewritten(program, edit)
            if found.instructions != program.instructions:
                yield Neighbour(change, found)


def _norms(program: Program, widths: Sequence[int]) -> Edits:
    """Of the whole width; one that has biases is a LayerNorm."""

    def to_layer(writing: Rewriting, op: RmsNorm) -> int:
        whole = op.groups == 1 and op.gain is not None
        return writing.emit(LayerNorm(op.x, EPSILON, op.gain) if whole else op)  # type: ignore[arg-type]

    def to_rms(writing: Rewriting, op: LayerNorm) -> int:
        return writing.emit(RmsNorm(op.x, 1, op.epsilon, op.gain) if op.bias is None else op)

    yield "LayerNorm instead of RMSNorm", changing(RmsNorm, to_layer)  # type: ignore[arg-type]
    yield "RMSNorm instead of LayerNorm", changing(LayerNorm, to_rms)  # type: ignore[arg-type]


def _activations(program: Program, widths: Sequence[int]) -> Edits:
    """Where all are of one kind that MLPs have; and on the other of two maps into an MLP."""
    kinds = {ALIKE.get(op.kind, op.kind) for op in program.instructions if isinstance(op, Activation)}
    if len(kinds) == 1 and kinds <= {*ACTIVATIONS}:
        own = next(iter(kinds))
        for kind in ACTIVATIONS:
            if kind is not own:
                yield (
                    f"{ACTIVATIONS[kind]} instead of {ACTIVATIONS[own]}",
                    replacing(Activation, kind=kind, slope=SLOPES.get(kind, 0.0)),
                )
    gates = _gates(program)
    if gates:
        yield "the activation on the other of the two maps into an MLP", partial(_gated_otherwise, gates)


def _gates(program: Program) -> Mapping[int, tuple[int, int]]:
    """(the activated one, the other) of each product of a linear map that is activated and one that is not."""
    instructions, found = program.instructions, {}
    for index, op in enumerate(instructions):
        if not isinstance(op, Multiply):
            continue
        for one, other in ((op.x, op.y), (op.y, op.x)):
            active, plain = instructions[one], instructions[other]
            if isinstance(active, Activation) and isinstance(instructions[active.x], Linear):
                if isinstance(plain, Linear):
                    found[index] = one, other
    return found


def _gated_otherwise(gates: Mapping[int, tuple[int, int]], writing: Rewriting, index: int, op: Operation) -> int:
    if any(index == one for one, _ in gates.values()):
        return op.x  # type: ignore[attr-defined]
    if index not in gates:
        return writing.emit(op)
    one, other = gates[index]
    activation = replace(writing.program.instructions[one], x=writing.register[other])  # type: ignore[type-var]
    return writing.emit(Multiply(writing.register[one], writing.emit(activation)))


def _rotations(program: Program, widths: Sequence[int]) -> Edits:
    turns = [op for op in program.instructions if isinstance(op, TURNS)]
    if not turns:
        return
    own = turns[0].layout
    other = RopeLayout(1 - own)
    yield "no rotations of queries and keys", skipping(TURNS)
    yield f"rotations of {LAYOUTS[other]} instead of {LAYOUTS[own]}", replacing(TURNS, layout=other)
    if all(isinstance(op, Rope) or op.frequencies is None for op in turns):
        for base in BASES:
            yield f"rotations of base {base:,.0f} instead of {turns[0].base:,.0f}", replacing(TURNS, base=base)


def _scales(program: Program, widths: Sequence[int]) -> Edits:
    """Of the embedding and of the scores of attention."""
    tables = [index for index, op in enumerate(program.instructions) if isinstance(op, Embed)]
    scaled = [index for index, op in enumerate(program.instructions) if isinstance(op, Affine) and op.x in tables]

    def unscaled(writing: Rewriting, index: int, op: Operation) -> int:
        return op.x if index in scaled else writing.emit(op)  # type: ignore[attr-defined]

    if scaled:
        yield "the embedding as it is instead of multiplied", unscaled
    elif tables:
        root = widths[tables[0]] ** 0.5
        grown = changing(Embed, lambda writing, op: writing.emit(Affine(writing.emit(op), root, 0.0)))
        yield "the embedding multiplied by the root of its width", grown
    attention = next((op for op in program.instructions if isinstance(op, ATTENTIONS)), None)
    if attention is not None:
        head = widths[attention.q] // attention.heads
        scales = {"1": 1.0, "1 / sqrt(width of a head)": head**-0.5}
        scales |= {"1 / sqrt(width of the model)": widths[tables[0]] ** -0.5} if tables else {}
        for name, scale in scales.items():
            yield f"scores of attention multiplied by {name}", replacing(ATTENTIONS, scale=scale)


def _heads(program: Program, widths: Sequence[int]) -> Edits:
    """Which queries share keys, and norms of queries and keys without gains."""
    attentions = [op for op in program.instructions if isinstance(op, ATTENTIONS)]
    if any(1 < op.kv_heads < op.heads for op in attentions):
        yield "query h with keys h modulo their number instead of h over the size of a group", partial(_dealt, widths)
    normed = [op for op in program.instructions if isinstance(op, RmsNorm) and op.groups > 1]
    if any(op.gain is None for op in normed):
        bare = changing(RmsNorm, lambda writing, op: op.x if op.groups > 1 and op.gain is None else writing.emit(op))
        yield "queries and keys as they are instead of normalized", bare
    elif attentions and not normed:
        yield "queries and keys normalized head by head", changing(ATTENTIONS, _normalized)


def _normalized(writing: Rewriting, op: Attention) -> int:
    q, k = (writing.emit(RmsNorm(x, heads, EPSILON)) for x, heads in ((op.q, op.heads), (op.k, op.kv_heads)))
    return writing.emit(replace(op, q=q, k=k))


def _dealt(widths: Sequence[int], writing: Rewriting, index: int, op: Operation) -> int:
    """An attention whose keys and values are repeated one after the other, as `repeat` does, not each in a row."""
    if not isinstance(op, ATTENTIONS) or not 1 < op.kv_heads < op.heads:
        return writing.emit(op)
    old, groups = writing.program.instructions[index], op.heads // op.kv_heads
    k, v = (
        writing.emit(Broadcast(register, groups * widths[before], BroadcastKind.TILED))
        for register, before in ((op.k, old.k), (op.v, old.v))  # type: ignore[attr-defined]
    )
    return writing.emit(replace(op, k=k, v=v, kv_heads=op.heads))


@dataclass(frozen=True, slots=True)
class _Branch:
    """What is computed of a normalized stream and added to it: the norm, the sum, and whether by attention."""

    norm: int
    sum: int
    attends: bool


def _branches(program: Program) -> list[_Branch]:
    instructions, found = program.instructions, []
    for norm, op in enumerate(instructions):
        if isinstance(op, LayerNorm) or (isinstance(op, RmsNorm) and op.groups == 1):
            readers = (k for k in range(norm + 1, len(instructions)) if op.x in instructions[k].registers)
            first = next((k for k in readers if isinstance(instructions[k], Add)), None)
            if first is not None:
                attends = any(isinstance(each, ATTENTIONS) for each in instructions[norm:first])
                found.append(_Branch(norm, first, attends))
    return found


def _streams(program: Program, widths: Sequence[int]) -> Edits:
    branches = _branches(program)
    streams = {each.norm: program.instructions[each.norm].registers[0] for each in branches}
    before = {
        mlp.norm: streams[attention.norm]
        for attention in branches
        for mlp in branches
        if attention.attends and not mlp.attends and streams[mlp.norm] == attention.sum
    }
    if before:
        yield "attention and MLP reading the same stream instead of one after the other", partial(_parallel, before)
    if branches:
        yield "norms after the sums instead of before attention and MLP", partial(_norms_after, branches)


def _parallel(before: Mapping[int, int], writing: Rewriting, index: int, op: Operation) -> int:
    if index in before:
        op = replace(op, x=writing.register[before[index]])  # type: ignore[type-var]
    return writing.emit(op)


def _norms_after(branches: Sequence[_Branch], writing: Rewriting, index: int, op: Operation) -> int:
    if any(index == each.norm for each in branches):
        return op.x  # type: ignore[attr-defined]
    register = writing.emit(op)
    for each in branches:
        if index == each.sum:
            norm = writing.program.instructions[each.norm]
            register = writing.emit(replace(norm, x=register))  # type: ignore[type-var]
    return register


def _caps(program: Program, widths: Sequence[int]) -> Edits:
    if any(isinstance(op, Softcap) for op in program.instructions):
        yield "no caps of logits", skipping(Softcap)
        return
    last = len(program.instructions) - 1
    for cap in CAPS:
        yield f"logits capped at {cap:.0f}", partial(_capped, last, cap)


def _capped(last: int, cap: float, writing: Rewriting, index: int, op: Operation) -> int:
    register = writing.emit(op)
    return writing.emit(Softcap(register, cap, SoftcapKind.TANH)) if index == last else register
