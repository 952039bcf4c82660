"""What a program takes is known from its widths: one table of instructions, and real sizes far below the limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bytecap.errors import LimitExceeded
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.program import operations as op
from bytecap.format.program.operands import Row
from bytecap.format.program.program import Program, validate_program
from bytecap.format.program.work import program_work

SHAPES = [(4, 8), (4, 8), (8,), (1,)]  # table, head, gain, short vector
ATTENTION = op.Attention(0, 0, 0, 2, 1, 1.0)


@pytest.mark.parametrize(
    ("instruction", "widths", "multiply_adds", "vector_floats"),
    [
        (op.Embed(0), [8], 8, 0),
        (op.Linear(0, 1), [8, 4], 4 * 8, 4),
        (op.Linear(0, 1, Row(3)), [8, 4], 4 * 8, 4),
        (op.RmsNorm(0, 1, 1e-6), [8, 8], 8, 8),
        (op.RmsNorm(0, 1, 1e-6, Row(2)), [8, 8], 8, 8),
        (op.LayerNorm(0, 1e-6, Row(2), Row(2)), [8, 8], 8, 16),
        (op.Mix(0, 0, Row(3), Row(3)), [8, 8], 8, 16),
        (op.Add(0, 0), [8, 8], 8, 0),
        (ATTENTION, [8, 16], 100 * (8 + 16), 0),
        (replace(ATTENTION, window=7), [8, 16], 7 * (8 + 16), 0),
        (replace(ATTENTION, window=700), [8, 16], 100 * (8 + 16), 0),
        (op.CappedAttention(0, 0, 0, 2, 1, 1.0, 7, False, 0.0, None), [8, 16], 7 * (8 + 16), 16),
        (op.Scan(0, 0, 0, 0, 8, 2, 2), [8, 8], 2 * 8 * 4, 0),
        (op.DeltaScan(0, 0, 0, 0, 0, 8, 2, 2), [8, 8], 3 * 8 * 4, 0),
    ],
)
def test_what_an_instruction_takes(instruction, widths, multiply_adds, vector_floats):
    """The difference that it makes behind an embed, or what an embed takes by itself."""
    embed = op.Embed(0)
    before = [] if instruction == embed else [embed]
    whole = program_work([*before, instruction], widths, SHAPES, 100)
    without = program_work(before, widths[: len(before)], SHAPES, 100)
    assert whole.multiply_adds - without.multiply_adds == multiply_adds
    assert whole.vector_floats - without.vector_floats == vector_floats


@pytest.mark.parametrize(("limit", "rule"), [("multiply_adds_per_token", "R-PRG-38"), ("vector_floats", "R-PRG-37")])
def test_a_program_at_the_limit_passes_and_one_above_does_not(limit, rule):
    program = Program((op.Embed(0), op.RmsNorm(0, 1, 1e-6), op.Linear(1, 1)), 4, 2, 1)
    work = program_work(program.instructions, [8, 8, 4], SHAPES, 2)
    exact = {"multiply_adds_per_token": work.multiply_adds, "vector_floats": work.vector_floats}[limit]
    validate_program(program, SHAPES, replace(DEFAULT_LIMITS, **{limit: exact}))
    with pytest.raises(LimitExceeded, match=rf"{exact}.*at most {exact - 1} are allowed") as caught:
        validate_program(program, SHAPES, replace(DEFAULT_LIMITS, **{limit: exact - 1}))
    assert caught.value.rule == rule
