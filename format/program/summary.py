"""A program in a few words: what kind of model it is, with the numbers that people compare models by.

Strategy: each phrase is read off the instructions: how many attentions run over how many sets of weights, how heads,
positions, MLPs and norms look. What a program has none of is left out, so a program of any shape gets a true sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import operations as op
from .program import Program, ProgramShapes
from .roles import DOWN, GATE, MapUse, find_head, find_map_uses

ATTENTIONS = (op.Attention, op.CappedAttention)
GATES = (op.ActivationKind.SIGMOID, op.ActivationKind.TANH)  # what gates of attention and of skips are bent by


@dataclass(frozen=True, slots=True)
class ProgramSummary:
    """What a program computes.

    words : str                        kind of model, attention, positions, MLP, norms, head
    layers : int                       attentions that run for a token, scans where there is none
    width : int                        of what the head reads, or of the last register
    vocabulary, context : int          tokens; context is the length of evaluation, the longest is in `longest_context`
    longest_context : int or None      where tables of positions end; None: nowhere
    heads, kv_heads : int              of the first attention, 0 without any
    """

    words: str
    layers: int
    width: int
    vocabulary: int
    context: int
    longest_context: int | None
    heads: int
    kv_heads: int
    instructions: int


def summarize_program(
    program: Program, shapes: ProgramShapes, aliases: Mapping[int, int] | None = None
) -> ProgramSummary:
    """The words and numbers of a program that `validate_program` has accepted.

    aliases : of tensors that have another one's values, that one
    """
    instructions = program.instructions
    head, uses = find_head(program), find_map_uses(program)
    attentions = [(i, each) for i, each in enumerate(instructions) if isinstance(each, ATTENTIONS)]
    width = shapes.widths[instructions[head].x] if head is not None else shapes.widths[-1]  # type: ignore[attr-defined]
    scans = [each for each in instructions if isinstance(each, op.SCANS)]
    first = attentions[0][1] if attentions else None
    phrases = [
        _kind(program, uses, (len(attentions), len(scans)), width),
        *_attention_phrases([each for _, each in attentions], shapes),
        *_state_phrases(scans, shapes),
        *_position_phrases(instructions),
        *_mlp_phrases(program, uses, shapes),
        *_norm_phrases(instructions),
        *_head_phrases(program, head, aliases or {}),
    ]
    return ProgramSummary(
        words=", ".join(phrases),
        layers=len(attentions) or len(scans),
        width=width,
        vocabulary=program.vocabulary_size,
        context=program.sequence_length,
        longest_context=shapes.longest_sequence,
        heads=first.heads if first else 0,
        kv_heads=first.kv_heads if first else 0,
        instructions=len(instructions),
    )


def _kind(program: Program, uses: Mapping[int, MapUse], counts: tuple[int, int], width: int) -> str:
    """counts : attentions and scans"""
    attentions, scans = counts
    if scans:
        both = (
            f"{_count(attentions, 'attention')} and {_count(scans, 'scan')}" if attentions else _count(scans, "layer")
        )
        return f"a {'hybrid' if attentions else 'state-space model'} of {both} and width {width:,}"
    if not attentions:
        return f"a model without attention of width {width:,}"
    weights = {program.instructions[i].weight for i, use in uses.items() if use.role.startswith("attention o")}  # type: ignore[attr-defined]
    looped = f" run with the weights of {len(weights)}" if 0 < len(weights) < attentions else ""
    return f"a transformer of {_count(attentions, 'layer')}{looped} and width {width:,}"


def _attention_phrases(attentions: Sequence[op.Attention | op.CappedAttention], shapes: ProgramShapes) -> list[str]:
    if not attentions:
        return []
    found = []
    for (heads, kv_heads), count in Counter((each.heads, each.kv_heads) for each in attentions).items():
        pairs = "" if heads == kv_heads else f" over {_count(kv_heads, 'key-value head')}"
        size = shapes.widths[attentions[0].q] // attentions[0].heads
        found.append(f"{_count(heads, 'head')}{pairs} of {size}" + _some(count, len(attentions)))
    for window, count in Counter(each.window for each in attentions if each.window).items():
        found.append(f"windows of {window:,}" + _some(count, len(attentions)))
    if any(isinstance(each, op.CappedAttention) and each.sinks is not None for each in attentions):
        found.append("attention sinks")
    return found


def _state_phrases(scans: Sequence[op.Scan | op.DeltaScan], shapes: ProgramShapes) -> list[str]:
    """`states of 24 heads of 64 by 128`, as many numbers a head."""
    sizes = Counter((o.heads, shapes.widths[o.x] // o.heads, shapes.widths[o.write] // o.groups) for o in scans)
    return [
        f"states of {_count(heads, 'head')} of {width:,} by {state:,}" + _some(count, len(scans))
        for (heads, width, state), count in sizes.items()
    ]


def _position_phrases(instructions: Sequence[op.Operation]) -> list[str]:
    phrases = []
    if any(isinstance(each, op.Rope | op.Rotate) for each in instructions):
        phrases.append("rotary positions")
    if any(isinstance(each, op.PositionEmbed) for each in instructions):
        phrases.append("a table of positions")
    if any(isinstance(each, op.HashEmbed) for each in instructions):
        phrases.append("a hashed table of token pairs")
    return phrases


def _mlp_phrases(program: Program, uses: Mapping[int, MapUse], shapes: ProgramShapes) -> list[str]:
    """`MLPs of 384 (relu-squared)`, from the maps out of them."""
    found: Counter[str] = Counter()
    gated = any(use.role.startswith(GATE) for use in uses.values())
    for index, use in uses.items():
        instruction = program.instructions[index]
        if use.role == DOWN and isinstance(instruction, op.Linear):
            found[f"{'gated ' if gated else ''}MLPs of {shapes.widths[instruction.x]:,}"] += 1
    kinds = Counter(each.kind for each in program.instructions if isinstance(each, op.Activation))
    if not found:
        return []
    usual = [kind for kind, _ in kinds.most_common() if kind not in GATES] or [kinds.most_common(1)[0][0]]
    kind = usual[0].name.lower().replace("_", "-")
    total = sum(found.values())
    return [f"{words} ({kind})" + _some(count, total) for words, count in found.items()]


def _norm_phrases(instructions: Sequence[op.Operation]) -> list[str]:
    names = {op.RmsNorm: "RMS norms", op.LayerNorm: "layer norms"}
    return [name for kind, name in names.items() if any(isinstance(each, kind) for each in instructions)]


def _head_phrases(program: Program, head: int | None, aliases: Mapping[int, int]) -> list[str]:
    phrases = []
    if head is not None:
        tables = {each.table for each in program.instructions if isinstance(each, op.Embed)}
        weight = program.instructions[head].weight  # type: ignore[attr-defined]
        tied = {weight, aliases.get(weight, weight)} & tables
        phrases.append("head tied to the token table" if tied else "a head of its own")
    caps = {each.cap for each in program.instructions[-1:] if isinstance(each, op.Softcap)}
    return [*phrases, *(f"logits capped at {cap:g}" for cap in caps)]


def _some(count: int, total: int) -> str:
    return "" if count == total else f" in {count} of {total} layers"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
