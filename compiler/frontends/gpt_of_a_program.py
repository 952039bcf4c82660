"""The hyperparameters of a GPT that its program says: what an export needs for being read without questions.

Strategy: the inverse of `gpt`, as far as no tensor's shape tells it. Each constant is read off the first layer's
instructions, and layers differ only in their windows and scales. Whoever asks builds the program again and compares,
so that a program of another frontend may be read as anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

from ...format.program import operations as op
from ...format.program.operation import Operation
from ...format.program.program import Program
from ..model.model import ModelTensor
from .gpt_found_resolution import NO_ROTATION, OWN
from .gpt_hyperparameters import OF_FOUND
from .layouts import BY_KIND
from .parts import ONE

Said = dict[str, object]
Instructions = Sequence[Operation]
BETWEEN = (  # a map and those who read it; heads may be normalized one by one
    *(op.RmsNorm, op.LayerNorm, op.ScaleTiled, op.Rotate, op.Activation, op.Slice, op.Concat),
)


class NoGpt(Exception):
    """The program is that of another architecture."""


def readings(program: Program, tensors: Sequence[ModelTensor]) -> Iterator[Said]:
    """Hyperparameters that may build a program of these `tensors`, most likely first: of the family that the names
    tell, then of somebody's own. Nothing for a program that is no GPT's.
    """
    try:
        said = _said(program.instructions, tensors)
    except NoGpt:
        return
    said |= {"seq_len": program.sequence_length, "boundary_token": program.boundary_token}
    yield {name: value for name, value in said.items() if name not in OF_FOUND}
    normalized = isinstance(program.instructions[_head(program.instructions).x], op.LayerNorm | op.RmsNorm)
    for gate_first, embedding_norm in product((True, False), (False, True)):
        own = {**said, "gate_first": gate_first, "embedding_norm": embedding_norm, "final_norm": normalized}
        yield own
        yield {**own, "family": OWN}


def _head(instructions: Instructions) -> op.Linear:
    """The map that makes the logits."""
    return next(each for each in reversed(instructions) if isinstance(each, op.Linear))


def _said(instructions: Instructions, tensors: Sequence[ModelTensor]) -> Said:
    attentions = [each for each in instructions if isinstance(each, op.Attention)]
    kinds = [each.kind for each in instructions if isinstance(each, op.Activation)]
    norms = [each for each in instructions if isinstance(each, op.LayerNorm | op.RmsNorm)]
    query = _behind(attentions[0].q, instructions) if attentions else None
    if query is None or not kinds or not norms or query.weight >= len(tensors):
        raise NoGpt
    windows = [each.window for each in attentions]
    rows, width = tensors[query.weight].values.shape
    head = rows // attentions[0].heads
    repeated, keys = instructions[attentions[0].k], attentions[0].kv_heads
    if isinstance(repeated, op.Broadcast):
        key = _behind(repeated.x, instructions)
        keys = tensors[key.weight].values.shape[0] // head
    return {
        "num_attention_heads": attentions[0].heads,
        "num_key_value_heads": keys,
        "keys_in_turn": isinstance(repeated, op.Broadcast),
        "head_dim": head,
        "hidden_act": kinds[0].name.lower(),
        "norm": _kind(norms[-1]),
        "layer_norm_eps": norms[-1].epsilon,
        "sliding_window": max(windows),
        "sliding_layers": [layer for layer, window in enumerate(windows) if window],
        "scale_embedding": any(isinstance(each, op.Affine) for each in instructions[:2]),
        "logit_softcap": instructions[-1].cap if isinstance(instructions[-1], op.Softcap) else 0.0,
        "gains_less_one": any(tensor.name.endswith(ONE) for tensor in tensors),
        "fused_by_head": any(BY_KIND in tensor.name for tensor in tensors),
        **_queries(attentions[0].q, instructions),
        **_scale([each.scale for each in attentions], head, width),
        **_order(query.x, instructions),
    }


def _behind(register: int, instructions: Instructions) -> op.Linear:
    """The map whose result, normalized and rotated or not, stands in a register."""
    while not isinstance(found := instructions[register], op.Linear):
        if not isinstance(found, BETWEEN):
            raise NoGpt
        register = _read_by(found)
    return found


def _read_by(found: Operation) -> int:
    """The register that an instruction reads, of several the first."""
    return found.xs[0] if isinstance(found, op.Concat) else found.x  # type: ignore[attr-defined, no-any-return]


def _kind(norm: Operation) -> str:
    return "rms_norm" if isinstance(norm, op.RmsNorm) else "layer_norm"


def _queries(register: int, instructions: Instructions) -> Said:
    """What is done to the queries between their map and the attention."""
    said: Said = {**NO_ROTATION, "rotary_dims": 0, "query_key_norm": "none"}
    while not isinstance(found := instructions[register], op.Linear):
        if isinstance(found, op.Rotate):
            neighbours = found.layout is op.RopeLayout.INTERLEAVED
            said |= {"rotary_dims": found.rotary_dims, "rope_theta": found.base, "rope_interleaved": neighbours}
            said["query_key_norm_first"] = said["query_key_norm"] == "none"  # a norm that was met comes after
        elif isinstance(found, op.RmsNorm | op.LayerNorm):
            said["query_key_norm"] = _kind(found)
        register = _read_by(found)
    return said


def _scale(scales: Sequence[float], head: int, width: int) -> Said:
    """By which of the widths scores are scaled, and whether by the number of their layer."""

    def by(size: int) -> bool:
        return math.isclose(scales[0], size**-0.5, rel_tol=1e-5)

    by_layer = len(scales) > 1 and math.isclose(scales[1], scales[0] / 2, rel_tol=1e-5)
    return {
        "scale_attention": by(head) or by(width),
        "scale_by_width": by(width) and not by(head),
        "scale_by_layer": by_layer,
    }


def _order(read: int, instructions: Instructions) -> Said:
    """Whether norms come first, and whether attention and MLP read the same stream; `read` is what the first queries
    are made of.
    """
    norm_first = isinstance(instructions[read], op.LayerNorm | op.RmsNorm)
    stream = instructions[read].x if norm_first else read  # type: ignore[attr-defined]
    act = next(each for each in instructions if isinstance(each, op.Activation))
    of_mlp = _behind(act.x, instructions).x
    normalized = instructions[of_mlp]
    parallel = norm_first and (of_mlp == read or getattr(normalized, "x", None) == stream)
    return {"norm_first": norm_first, "parallel_residual": parallel}
