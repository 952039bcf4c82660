"""An artifact's program section as records that the shipped loader executes.

Strategy: one letter an operand says how it is read. In every operation the registers come first, so an instruction is
its operation, the registers that it reads, and the rest. Encoding: spec/program.md, section 2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

Instruction = tuple[int, tuple[int, ...], tuple]
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
}


class ProgramReader:
    """The bytes of a program and how far they are read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.index, self.tensor_named_last = data, 0, 0, -1
        self.readers: dict[str, Callable[[], Any]] = {
            "r": self.register,
            "t": self.tensor,
            "v": self.vector,
            "o": self.optional_vector,
            "w": self.varint,
            "e": self.byte,
            "f": self.binary32,
        }

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def binary32(self) -> float:
        self.at += 4
        return struct.unpack("<f", self.data[self.at - 4 : self.at])[0]

    def register(self) -> int:
        return self.index - self.varint()

    def tensor(self) -> int:
        step = self.varint()
        self.tensor_named_last += 1 + (step >> 1 ^ -(step & 1))
        return self.tensor_named_last

    def vector(self) -> tuple[int, int]:
        return self.tensor(), self.varint()

    def optional_vector(self) -> tuple[int, int] | None:
        return self.vector() if self.byte() else None

    def instruction(self) -> Instruction:
        """The next instruction."""
        operation = self.byte()
        kinds = OPERANDS[operation]
        if kinds == "R":
            return operation, tuple(self.register() for _ in range(self.varint())), ()
        values = [self.readers[kind]() for kind in kinds]
        registers = kinds.count("r")
        return operation, tuple(values[:registers]), tuple(values[registers:])


def read_program(data: bytes) -> tuple[Header, list[Instruction]]:
    """The header and the instructions of a program section."""
    reader = ProgramReader(data)
    vocabulary, length, boundary, count = (reader.varint() for _ in range(4))
    instructions = []
    for reader.index in range(count):
        instructions.append(reader.instruction())
    if reader.at != len(data):
        raise SystemExit("the program of the artifact does not end where its section does")
    return (vocabulary, length, boundary), instructions
