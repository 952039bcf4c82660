"""A program as text: a line for each instruction, registers by number and tensors by name.

Strategy: every operand kind says what it refers to, so that a new operation needs nothing here. The text
is stable: equal programs over equally named tensors give equal lines, which `diff` compares.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from .operands import Operand, RegisterOperand, RegistersOperand, Row, TensorOperand
from .program import Program


def program_lines(program: Program, names: Sequence[str], widths: Sequence[int] | None = None) -> list[str]:
    """The three numbers of a program, then its instructions.

    names : of the directory's tensors;  widths : of the registers, shown when given
    """
    head = [
        f"vocabulary {program.vocabulary_size}, sequence {program.sequence_length}, "
        f"documents begin with token {program.boundary_token}"
    ]
    lines = []
    for index, instruction in enumerate(program.instructions):
        operands = [
            f"{name}={operand_text(kind, value, names)}"
            if not isinstance(kind, RegisterOperand)
            else operand_text(kind, value, names)
            for name, kind, value in instruction.values()
            if value is not None
        ]
        width = "" if widths is None else f"[{widths[index]}]"
        lines.append(f"r{index}{width} = {instruction.name} {' '.join(operands)}")
    return head + lines


def operand_text(kind: Operand, value: Any, names: Sequence[str]) -> str:
    """One operand as it stands in a line."""
    if isinstance(kind, RegisterOperand):
        return f"r{value}"
    if isinstance(kind, RegistersOperand):
        return ",".join(f"r{register}" for register in value)
    if isinstance(kind, TensorOperand):
        return names[value]
    if isinstance(value, Row):
        return names[value.tensor] + (f"[{value.row}]" if value.row else "")
    if isinstance(value, enum.IntEnum):
        return value.name.lower().replace("_", "-")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(np.float32(value)) if isinstance(value, float) else str(value)
