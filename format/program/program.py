"""The program section: a model's architecture as a list of typed instructions.

Strategy: registers are single-assignment (instruction k writes register k, the last one holds the logits), so that
validation is one forward walk. `decode_program` reads the bytes and checks every operand's domain; `validate_program`
needs the directory's shapes and infers all widths, lifetimes and the peak of live activations. After both, an executor
checks nothing. Every rule R-PRG-n is stated in spec/program.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...display import ShownByFacts
from ...errors import InvalidArtifact, LimitExceeded, MalformedArtifact, UnsupportedArtifact
from ..container.cursor import Cursor, Writer
from ..container.layout import MINOR_VERSION
from ..container.limits import DEFAULT_LIMITS, Limits
from .operands import EncodingState, OperandPlace
from .operation import Operation
from .operation_shapes import SHAPE_RULES, ShapeContext
from .operations import OPERATIONS_BY_ID
from .work import ProgramWork, program_work

MAXIMUM_SEQUENCE_LENGTH = 1 << 20


@dataclass(frozen=True, repr=False)
class Program(ShownByFacts):
    """A model as instructions over single-assignment registers.

    Parameters
    ----------
    instructions : tuple of Operation   instruction k writes register k; the last writes the logits
    vocabulary_size : int               width of the logits; token ids are below it
    sequence_length : int               length in tokens at which the model is evaluated by default
    boundary_token : int                id of the token that starts a document
    """

    instructions: tuple[Operation, ...]
    vocabulary_size: int
    sequence_length: int
    boundary_token: int

    def shown_facts(self) -> Mapping[str, str]:
        """Its size, and the tokens that it reads."""
        return {
            "program": f"{len(self.instructions):,} instructions",
            "vocabulary": f"{self.vocabulary_size:,} tokens, {self.boundary_token} begins documents",
            "sequence length": f"{self.sequence_length:,}",
        }


@dataclass(frozen=True)
class ProgramShapes:
    """What validation inferred.

    Parameters
    ----------
    widths : tuple of int     width of each register
    last_use : tuple of int   index of the last instruction that reads each register; the last register's own index
    peak_width : int          most floats per token that are live at once
    multiply_adds : int       most that one token takes in a sequence of the program's own length
    longest_sequence : int or None   tokens for which the position tables have rows; None: there are none
    vector_floats : int       most that the vectors of all instructions take, each at its instruction's width
    """

    widths: tuple[int, ...]
    last_use: tuple[int, ...]
    peak_width: int
    multiply_adds: int
    longest_sequence: int | None = None
    vector_floats: int = 0


def program_tensors(program: Program) -> set[int]:
    """Directory indices of all tensors that the program names."""
    return {tensor for instruction in program.instructions for tensor in instruction.tensors}


def least_minor_version(program: Program) -> int:
    """The minor version of the format that the program's file carries: the least that knows all its instructions."""
    return max((instruction.minor_version for instruction in program.instructions), default=0)


def encode_program(program: Program) -> bytes:
    """The program's one encoding; raises InvalidArtifact when an operand lies outside its domain."""
    check_operands(program)
    writer, state = Writer(), EncodingState()
    for value in (program.vocabulary_size, program.sequence_length, program.boundary_token, len(program.instructions)):
        writer.varint(value)
    for index, instruction in enumerate(program.instructions):
        state.instruction = index
        writer.u8(instruction.wire_id)
        for _, operand, value in instruction.values():
            operand.write(writer, value, state)
    return writer.bytes()


def decode_program(
    data: bytes, limits: Limits = DEFAULT_LIMITS, where: str = "program", minor_version: int = MINOR_VERSION
) -> Program:
    """Read a program of a file of that minor version; raises ArtifactError for anything but the encoding of a program
    with operands in their domains.
    """
    return read_program(Cursor(data, where=where), limits, minor_version)


def read_program(cursor: Cursor, limits: Limits = DEFAULT_LIMITS, minor_version: int = MINOR_VERSION) -> Program:
    """`decode_program` of all that a cursor has left."""
    where = cursor.where
    vocabulary_size, sequence_length = cursor.varint("vocabulary size"), cursor.varint("sequence length")
    boundary_token = cursor.varint("boundary token")
    offset = cursor.offset
    count = cursor.varint("instructions")
    if count == 0:
        raise MalformedArtifact("a program without instructions", rule="R-PRG-1", offset=offset, where=where)
    if count > limits.instructions:
        message = f"{count} instructions, at most {limits.instructions} are allowed"
        raise LimitExceeded(message, rule="R-PRG-2", offset=offset, where=where)
    state = EncodingState(minor_version)
    instructions = tuple(_read_instruction(cursor, state, index, where) for index in range(count))
    if cursor.remaining:
        message = f"{cursor.remaining} bytes after the last instruction"
        raise MalformedArtifact(message, rule="R-PRG-8", offset=cursor.offset, where=where)
    program = Program(instructions, vocabulary_size, sequence_length, boundary_token)
    _check_header(program, where)
    return program


def _read_instruction(cursor: Cursor, state: EncodingState, index: int, where: str) -> Operation:
    offset, cursor.where = cursor.offset, where
    wire_id = cursor.u8("operation")
    operation = OPERATIONS_BY_ID.get(wire_id)
    if operation is None or operation.since > state.minor_version:
        known = "this reader does" if operation is None else f"files of version 1.{state.minor_version} do"
        raise UnsupportedArtifact(
            f"instruction {index} is operation {wire_id}, which {known} not know",
            rule="R-PRG-3",
            offset=offset,
            where=where,
        )
    state.instruction = index
    values = []
    for name, operand in operation.operands:
        place = _place(where, index, operation, name, cursor.offset)
        cursor.where = place.text
        value = operand.read(cursor, state, place)
        operand.check(value, place)
        values.append(value)
    return operation(*values)


def _place(
    where: str, index: int, operation: type[Operation], operand: str | None = None, offset: int | None = None
) -> OperandPlace:
    text = f"{where} / instruction {index} ({operation.name})"
    return OperandPlace(text if operand is None else f"{text} / {operand}", index, offset)


def _check_header(program: Program, where: str) -> None:
    if program.vocabulary_size < 1:
        raise InvalidArtifact("an empty vocabulary", rule="R-PRG-12", where=where)
    if not 1 <= program.sequence_length <= MAXIMUM_SEQUENCE_LENGTH:
        message = f"sequence length {program.sequence_length} is not between 1 and {MAXIMUM_SEQUENCE_LENGTH}"
        raise InvalidArtifact(message, rule="R-PRG-13", where=where)
    if not 0 <= program.boundary_token < program.vocabulary_size:
        message = f"boundary token {program.boundary_token} is not below the vocabulary size {program.vocabulary_size}"
        raise InvalidArtifact(message, rule="R-PRG-14", where=where)


def check_operands(program: Program, where: str = "program") -> None:
    """Check the header and each operand's own domain; raises InvalidArtifact, MalformedArtifact when there are none."""
    if not program.instructions:
        raise MalformedArtifact("a program without instructions", rule="R-PRG-1", where=where)
    _check_header(program, where)
    for index, instruction in enumerate(program.instructions):
        for name, operand, value in instruction.values():
            operand.check(value, _place(where, index, type(instruction), name))


def validate_program(
    program: Program, shapes: Sequence[tuple[int, ...]], limits: Limits = DEFAULT_LIMITS, where: str = "program"
) -> ProgramShapes:
    """Check a program against the shapes of the directory's tensors and infer every width.

    Raises InvalidArtifact for a program that cannot run as written, LimitExceeded for one that takes more memory or
    work than `limits`. Costs time and memory in proportion to the program's bytes, whatever the widths.
    """
    check_operands(program, where)
    if len(program.instructions) > limits.instructions:
        message = f"{len(program.instructions)} instructions, at most {limits.instructions} are allowed"
        raise LimitExceeded(message, rule="R-PRG-2", where=where)
    context = ShapeContext([], shapes, program.vocabulary_size, program.sequence_length, OperandPlace(where, 0))
    for index, instruction in enumerate(program.instructions):
        context.place = _place(where, index, type(instruction))
        width = SHAPE_RULES[type(instruction)](instruction, context)
        if width > limits.width:
            message = f"width {width}, at most {limits.width} is allowed"
            raise LimitExceeded(message, rule="R-PRG-28", where=context.place.text)
        context.widths.append(width)
    if context.widths[-1] != program.vocabulary_size:
        message = f"the last output has width {context.widths[-1]}, the vocabulary {program.vocabulary_size}"
        raise context.place.invalid(message, "R-PRG-31")
    last_use = _last_uses(program, where)
    peak_width = _peak_width(context.widths, last_use)
    if peak_width > limits.activation_floats_per_token:
        message = f"{peak_width} live floats per token, at most {limits.activation_floats_per_token} are allowed"
        raise LimitExceeded(message, rule="R-PRG-29", where=where)
    work = program_work(program.instructions, context.widths, shapes, program.sequence_length)
    _check_work(work, limits, where)
    widths, longest = tuple(context.widths), context.longest_sequence
    return ProgramShapes(widths, last_use, peak_width, work.multiply_adds, longest, work.vector_floats)


def _check_work(work: ProgramWork, limits: Limits, where: str) -> None:
    if work.vector_floats > limits.vector_floats:
        message = f"vectors of {work.vector_floats} elements at their instructions' widths"
        message += f", at most {limits.vector_floats} are allowed"
        raise LimitExceeded(message, rule="R-PRG-37", where=where)
    if work.multiply_adds > limits.multiply_adds_per_token:
        message = f"{work.multiply_adds} multiply-adds a token, at most {limits.multiply_adds_per_token} are allowed"
        raise LimitExceeded(message, rule="R-PRG-38", where=where)


def _last_uses(program: Program, where: str) -> tuple[int, ...]:
    last_use = list(range(len(program.instructions)))
    for index, instruction in enumerate(program.instructions):
        for register in instruction.registers:
            last_use[register] = index
    for index, instruction in enumerate(program.instructions[:-1]):
        if last_use[index] == index:
            raise _place(where, index, type(instruction)).invalid("its output is never read", "R-PRG-30")
    return tuple(last_use)


def _peak_width(widths: Sequence[int], last_use: Sequence[int]) -> int:
    """Most floats live at once: a register lives from the instruction that writes it through its last reader."""
    freed = [0] * len(widths)
    live = peak = 0
    for index, width in enumerate(widths):
        live += width
        peak = max(peak, live)
        freed[last_use[index]] += width
        live -= freed[index]
    return peak
