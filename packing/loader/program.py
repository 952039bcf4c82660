"""An artifact's program section as records that the shipped loader executes.

Strategy: one letter an operand says how it is read. In every operation the registers come first, so an instruction is
its operation, the registers that it reads, and the rest. Encoding: spec/program.md, section 2.
"""

from __future__ import annotations

from typing import Any

from .artifact_fields import take_float, take_signed, take_varint

Instruction = tuple[int, list[int], list[Any]]  # operation, registers read, other operands
Header = tuple[int, int, int]  # vocabulary size, sequence length, boundary token

# r register, R registers, t tensor, v vector, o optional vector, w whole number, e byte, f binary32
OPERANDS: dict[int, str] = {
    1: "t",
    2: "teww",
    3: "rto",
    4: "rwfo",
    5: "rfvo",
    6: "rv",
    7: "rrvv",
    8: "rr",
    9: "rr",
    10: "ref",
    11: "rwfwe",
    12: "rrrwwfwe",
    13: "rrww",
    14: "rwe",
    15: "rww",
    16: "R",
    17: "rfe",
    18: "tw",
    19: "rwwfofee",
    20: "rwe",
    21: "rv",
    22: "rff",
    23: "rrrwwfwefo",
    24: "rrrrwwt",
    25: "rrrrrwwt",
}


def read_program(data: bytes) -> tuple[Header, list[Instruction]]:
    """The header and the instructions of a program section; a vector is (tensor, row), an absent one None."""
    fields, tensor = iter(data), -1

    def take(kind: str, index: int) -> Any:
        nonlocal tensor
        if kind == "r":
            return index - take_varint(fields)
        if kind == "t":
            tensor += 1 + take_signed(fields)
            return tensor
        if kind == "v":
            return take("t", index), take_varint(fields)
        if kind == "o":
            return take("v", index) if next(fields) else None
        return {"f": take_float, "w": take_varint, "e": next}[kind](fields)

    vocabulary, length, boundary, count = (take_varint(fields) for _ in range(4))
    instructions: list[Instruction] = []
    for index in range(count):
        operation = next(fields)
        kinds = OPERANDS[operation]
        kinds = "r" * take_varint(fields) if kinds == "R" else kinds
        values, registers = [take(kind, index) for kind in kinds], kinds.count("r")
        instructions.append((operation, values[:registers], values[registers:]))
    return (vocabulary, length, boundary), instructions
