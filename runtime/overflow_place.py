"""Where a model's values stop being finite, for the error that says so.

Strategy: looked for only where there is an error, by running one sequence a second time and looking at every register.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..format.program.program import Program
from .binding import Workspace

if TYPE_CHECKING:
    from .interpreter import Interpreter


def overflow_place(model: Interpreter, tokens: np.ndarray) -> str:
    """The first operation whose values for int [length] tokens are not finite, in words."""
    plan, workspace = model.plan(tokens.size), Workspace(model.program.boundary_token)
    index = plan.first_overflow(workspace, np.asarray(tokens, np.int64))
    return (
        "the runtime's own values are all finite"
        if index is None
        else place_in_words(model.program, index, model.names)
    )


def place_in_words(program: Program, index: int, names: Sequence[str]) -> str:
    """Instruction `index` as the first whose values are not finite.

    names : of the tensors; an operation that reads none is told by the last one that was read before it
    """
    instruction = program.instructions[index]
    read = [tensor for earlier in program.instructions[: index + 1] for tensor in earlier.tensors[:1]]
    behind = f" {'of' if instruction.tensors else 'behind'} {names[read[-1]]}" if read else ""
    return f"the first such values are those of instruction {index}, {instruction.name}{behind}"
