"""Another output head on the same trunk: of two factors with a bottleneck between them, or one matrix of full rank.

Strategy: the head is every linear map between the register of the hidden states and the logits; it is
cut off and new linear maps take its place, everything before keeps its instructions and tensors. A
softcap behind the head stays.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...compiler.model.model import Model, ModelTensor
from ...compiler.model.structure import output_head
from ...errors import CheckpointError
from ...format.program.operations import Linear, Softcap
from ...format.program.program import validate_program

OUTER, INNER = "lm_head.weight", "lm_head.inner.weight"


def hidden_register(model: Model) -> int:
    """The register that the head reads: the first before the logits that no linear map makes.

    CheckpointError without a head.
    """
    register = output_head(model.program)
    while isinstance(instruction := model.program.instructions[register], Linear):
        register = instruction.x
    return register


def replace_head(model: Model, rank: int | None, seed: int) -> Model:
    """The model with a fresh head W [vocabulary, width], or with a rank A B: A [vocabulary, rank] zero,
    B [rank, width] random.

    W starts at zero and B uniform on ±1/sqrt(width), as an untied head and a linear map of a fresh model do. Raises
    CheckpointError when anything but a softcap follows the head, or when the head's own tensors are not the last ones.
    """
    hidden = hidden_register(model)
    head, instructions = output_head(model.program), model.program.instructions
    trunk = instructions[: hidden + 1]
    kept = len({tensor for instruction in trunk for tensor in instruction.tensors})
    if any(tensor >= kept for instruction in trunk for tensor in instruction.tensors):
        raise CheckpointError("the head cannot be replaced: tensors of the trunk follow its own")
    if not all(isinstance(instruction, Softcap) for instruction in instructions[head + 1 :]):
        raise CheckpointError("the head cannot be replaced: more than a softcap follows it")
    width = validate_program(model.program, [t.values.shape for t in model.tensors]).widths[hidden]
    fresh = _fresh_tensors(model.program.vocabulary_size, width, rank, seed)
    maps = [Linear(hidden if k == 0 else hidden + k, kept + k) for k in range(len(fresh))]
    tail = [replace(o, x=hidden + len(maps) + k) for k, o in enumerate(instructions[head + 1 :])]
    return replace(
        model,
        program=replace(model.program, instructions=(*trunk, *maps, *tail)),
        tensors=(*model.tensors[:kept], *fresh),
    )


def _fresh_tensors(vocabulary: int, width: int, rank: int | None, seed: int) -> list[ModelTensor]:
    """In the order in which they are applied."""
    outer = ModelTensor(OUTER, np.zeros((vocabulary, rank or width), np.float32), "float32")
    if rank is None:
        return [outer]
    bound = 1 / math.sqrt(width)
    inner = np.random.default_rng([seed, 2]).uniform(-bound, bound, (rank, width)).astype(np.float32)
    return [ModelTensor(INNER, inner, "float32"), outer]


def head_tensors(model: Model) -> list[int]:
    """Directory indices of the tensors of the head."""
    hidden = hidden_register(model)
    return sorted({o.weight for o in model.program.instructions[hidden + 1 :] if isinstance(o, Linear)})
