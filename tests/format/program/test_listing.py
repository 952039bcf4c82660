"""A program as text: every operand is there, registers and tensors by name."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from random_programs import programs

from bytecap.format.program import operations as op
from bytecap.format.program.listing import program_lines
from bytecap.format.program.operands import IntegerOperand, Row
from bytecap.format.program.program import Program

NAMES = ["table", "gains", "head"]


def test_a_line_for_each_instruction():
    program = Program(
        (
            op.Embed(0),
            op.RmsNorm(0, 2, 1e-6, Row(1, 3)),
            op.Activation(1, op.ActivationKind.GELU_TANH),
            op.Concat((1, 2)),
            op.Slice(3, 0, 4),
            op.Linear(4, 2, Row(1)),
        ),
        7,
        16,
        2,
    )
    assert program_lines(program, NAMES, [4, 4, 4, 8, 4, 7]) == [
        "vocabulary 7, sequence 16, documents begin with token 2",
        "r0[4] = embed table=table",
        "r1[4] = rms-norm r0 groups=2 epsilon=1e-06 gain=gains[3]",
        "r2[4] = activation r1 kind=gelu-tanh slope=0.0",
        "r3[8] = concat xs=r1,r2",
        "r4[4] = slice r3 start=0 stop=4",
        "r5[7] = linear r4 weight=head bias=gains",
    ]


@given(programs())
def test_every_number_of_an_instruction_is_shown(made):
    """Whichever whole number is changed, its line changes."""
    names = [f"t{index}" for index in range(len(made.tensors))]
    lines = program_lines(made.program, names)
    assert len(lines) == len(made.program.instructions) + 1
    for index, instruction in enumerate(made.program.instructions):
        for name, kind, value in instruction.values():
            if isinstance(kind, IntegerOperand):
                changed = replace(instruction, **{name: value + 1})
                before, after = made.program.instructions[:index], made.program.instructions[index + 1 :]
                other = replace(made.program, instructions=(*before, changed, *after))
                assert program_lines(other, names)[index + 1] != lines[index + 1]
