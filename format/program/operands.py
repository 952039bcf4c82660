"""Kinds of operands of a program's instructions: what each may hold and how it is read and written.

Strategy: an operation is a dataclass whose field annotations carry one of the operand kinds below. Each
kind knows three things about its value: `check` (its domain, the same rule whether the value came from
bytes or from Python), `read` and `write`. References are relative, so that repeated blocks of a network
encode to repeated bytes: registers as a distance back, tensors as a step from the tensor named last.
Normative text: spec/program.md, sections 2 and 3.
"""

from __future__ import annotations

import enum
import math
import struct
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from ...errors import InvalidArtifact, MalformedArtifact
from ..container.cursor import Cursor, Writer
from ..container.layout import MINOR_VERSION

GREATEST_INTEGER = (1 << 32) - 1


@dataclass(frozen=True)
class Row:
    """Row `row` of matrix `tensor`, or the whole vector when `tensor` has one dimension (then `row` is 0).

    As an operand over a register of width w its length n divides w, and element c of the register meets value
    `c // (w // n)`: n = 1 is a scalar, n = heads a vector over heads, n = w a vector over the width.
    """

    tensor: int
    row: int = 0


@dataclass
class EncodingState:
    """What relative references are relative to: the instruction's own index and the tensor named last.

    minor_version : of the file; what a later one brought is unknown in it
    """

    minor_version: int = MINOR_VERSION
    instruction: int = 0
    last_tensor: int = -1


@dataclass(frozen=True)
class OperandPlace:
    """Where a value stands, for error messages: a text and, when it came from bytes, an offset."""

    text: str
    instruction: int
    offset: int | None = None

    def invalid(self, message: str, rule: str) -> InvalidArtifact:
        """The error for a value outside its domain."""
        return InvalidArtifact(message, rule=rule, offset=self.offset, where=self.text)


class Operand(Protocol):
    """What every kind of operand offers."""

    def check(self, value: Any, place: OperandPlace) -> None:
        """Raise InvalidArtifact unless `value` lies in the operand's domain."""

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> Any:
        """The value at the cursor; raises ArtifactError."""

    def write(self, writer: Writer, value: Any, state: EncodingState) -> None:
        """Append a value that passed `check`."""


class RegisterOperand:
    """An earlier instruction's output; on the wire the distance back to it, at least 1."""

    def check(self, value: Any, place: OperandPlace) -> None:
        """[R-PRG-4]"""
        if not 0 <= value < place.instruction:
            raise place.invalid(f"register {value} is not the output of an earlier instruction", "R-PRG-4")

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> int:
        """A varint distance."""
        return state.instruction - cursor.varint()

    def write(self, writer: Writer, value: int, state: EncodingState) -> None:
        """A varint distance."""
        writer.varint(state.instruction - value)

    def registers(self, value: int) -> tuple[int, ...]:
        """The registers that the value names."""
        return (value,)


class RegistersOperand:
    """Two or more registers, in order: a varint count, then the distances."""

    def check(self, value: Any, place: OperandPlace) -> None:
        """[R-PRG-27], and [R-PRG-4] for each register."""
        if len(value) < 2:
            raise place.invalid(f"{len(value)} registers where at least 2 are joined", "R-PRG-27")
        for register in value:
            REGISTER.check(register, place)

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> tuple[int, ...]:
        """Grows with the bytes that are there, so a wild count allocates nothing."""
        count = cursor.varint("count")
        return tuple(REGISTER.read(cursor, state, place) for _ in range(count))

    def write(self, writer: Writer, value: tuple[int, ...], state: EncodingState) -> None:
        """Count and distances."""
        writer.varint(len(value))
        for register in value:
            REGISTER.write(writer, register, state)

    def registers(self, value: tuple[int, ...]) -> tuple[int, ...]:
        """The registers that the value names."""
        return value


class TensorOperand:
    """A tensor of the directory; on the wire a signed step from the successor of the tensor named last."""

    def check(self, value: Any, place: OperandPlace) -> None:
        """[R-PRG-15], its lower half; the directory's size is checked with the shapes."""
        if value < 0:
            raise place.invalid(f"tensor {value} is not in the directory", "R-PRG-15")

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> int:
        """A zigzag varint step; 0 names the next tensor in directory order."""
        state.last_tensor += 1 + cursor.signed_varint()
        return state.last_tensor

    def write(self, writer: Writer, value: int, state: EncodingState) -> None:
        """A zigzag varint step."""
        writer.signed_varint(value - (state.last_tensor + 1))
        state.last_tensor = value

    def tensors(self, value: int) -> tuple[int, ...]:
        """The tensors that the value names."""
        return (value,)


@dataclass(frozen=True)
class RowOperand:
    """A `Row`: its tensor, then its row; when optional, after a presence flag."""

    optional: bool = False

    def check(self, value: Any, place: OperandPlace) -> None:
        """[R-PRG-15] and [R-PRG-9]."""
        if value is not None:
            TENSOR.check(value.tensor, place)
            check_integer(value.row, 0, place)

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> Row | None:
        """Flag (when optional), tensor, row."""
        if self.optional and not FLAG.read(cursor, state, place):
            return None
        return Row(TENSOR.read(cursor, state, place), cursor.varint("row"))

    def write(self, writer: Writer, value: Row | None, state: EncodingState) -> None:
        """Flag (when optional), tensor, row."""
        if self.optional:
            FLAG.write(writer, value is not None, state)
        if value is not None:
            TENSOR.write(writer, value.tensor, state)
            writer.varint(value.row)

    def tensors(self, value: Row | None) -> tuple[int, ...]:
        """The tensors that the value names."""
        return () if value is None else (value.tensor,)


@dataclass(frozen=True)
class IntegerOperand:
    """A whole number from `least` to 2**32 - 1, a varint."""

    least: int = 0

    def check(self, value: Any, place: OperandPlace) -> None:
        """[R-PRG-9]"""
        check_integer(value, self.least, place)

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> int:
        """A varint."""
        return cursor.varint()

    def write(self, writer: Writer, value: int, state: EncodingState) -> None:
        """A varint."""
        writer.varint(value)


@dataclass(frozen=True)
class FloatOperand:
    """A finite binary32 number at least `least` (above it when `strict`)."""

    least: float = -math.inf
    strict: bool = False

    def check(self, value: Any, place: OperandPlace) -> None:
        """[R-PRG-7] finite, [R-PRG-10] in range."""
        if not math.isfinite(value):
            raise place.invalid(f"{value} is not a finite binary32 number", "R-PRG-7")
        if value < self.least or (self.strict and value == self.least):
            bound = f"above {self.least:g}" if self.strict else f"at least {self.least:g}"
            raise place.invalid(f"{value:g} where a number {bound} is needed", "R-PRG-10")

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> float:
        """Four bytes, little-endian."""
        return cursor.f32()

    def write(self, writer: Writer, value: float, state: EncodingState) -> None:
        """Four bytes, little-endian."""
        writer.f32(value)


@dataclass(frozen=True)
class EnumOperand:
    """One of a fixed list of kinds, one byte.

    later : the kinds that a minor version above 0 brought, each with that version
    """

    kinds: type[enum.IntEnum]
    later: tuple[tuple[enum.IntEnum, int], ...] = ()

    def since(self, value: Any) -> int:
        """The minor version that brought a kind."""
        return dict(self.later).get(value, 0)

    def check(self, value: Any, place: OperandPlace) -> None:
        """Nothing to check: the field's type is the domain."""

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> enum.IntEnum:
        """[R-PRG-6]"""
        value = cursor.u8()
        kinds = [kind for kind in self.kinds if self.since(kind) <= state.minor_version]
        if value not in kinds:
            known = ", ".join(f"{kind.value} {kind.name.lower()}" for kind in kinds)
            raise MalformedArtifact(
                f"unknown {self.kinds.__name__} {value} (known: {known})",
                rule="R-PRG-6",
                offset=place.offset,
                where=place.text,
            )
        return self.kinds(value)

    def write(self, writer: Writer, value: enum.IntEnum, state: EncodingState) -> None:
        """One byte."""
        writer.u8(int(value))


class FlagOperand:
    """True or false, one byte 1 or 0."""

    def check(self, value: Any, place: OperandPlace) -> None:
        """Nothing to check: the field's type is the domain."""

    def read(self, cursor: Cursor, state: EncodingState, place: OperandPlace) -> bool:
        """[R-PRG-5]"""
        value = cursor.u8()
        if value > 1:
            raise MalformedArtifact(
                f"flag byte {value} is neither 0 nor 1", rule="R-PRG-5", offset=place.offset, where=place.text
            )
        return value == 1

    def write(self, writer: Writer, value: bool, state: EncodingState) -> None:
        """One byte."""
        writer.u8(int(value))


def check_integer(value: int, least: int, place: OperandPlace) -> None:
    """[R-PRG-9] for one whole number."""
    if not least <= value <= GREATEST_INTEGER:
        raise place.invalid(f"{value} where a whole number from {least} to 2**32 - 1 is needed", "R-PRG-9")


def round_binary32(value: float) -> float:
    """`value` rounded to the nearest binary32 number; beyond its range an infinity, which `check` refuses."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


REGISTER = RegisterOperand()
TENSOR = TensorOperand()
FLAG = FlagOperand()

Register = Annotated[int, REGISTER]
Registers = Annotated[tuple[int, ...], RegistersOperand()]
TensorIndex = Annotated[int, TENSOR]
Vector = Annotated[Row, RowOperand()]
OptionalVector = Annotated[Row | None, RowOperand(optional=True)]
Count = Annotated[int, IntegerOperand(least=1)]
Whole = Annotated[int, IntegerOperand()]
Positive = Annotated[float, FloatOperand(least=0.0, strict=True)]
AtLeastOne = Annotated[float, FloatOperand(least=1.0)]
Real = Annotated[float, FloatOperand()]
Flag = Annotated[bool, FLAG]
