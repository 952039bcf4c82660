"""A growing sequence against the interpreter over the whole of it, for every operation and any cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import programs

from bytecap.errors import DataError
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.runtime.continuation import LEAST_PARALLEL, LEAST_ROWS, PIECE, Continuation, Memory, Past
from bytecap.runtime.interpreter import Interpreter

TOLERANCE = 1e-5  # of the largest logit's magnitude
FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def assert_same(found: np.ndarray, expected: np.ndarray, whole: np.ndarray) -> None:
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(whole).max()


def check_pieces(interpreter: Interpreter, tokens: np.ndarray, cuts: list[int]) -> None:
    """The logits behind each piece are those of the whole sequence at its last token."""
    whole, growing = interpreter.logits(tokens[None])[0], Continuation(interpreter)
    for first, stop in zip([0, *cuts], [*cuts, tokens.size], strict=True):
        assert_same(growing.extend(tokens[first:stop]), whole[stop - 1], whole)
        assert growing.length == stop


@pytest.mark.parametrize("operation", list(op.OPERATIONS), ids=lambda operation: operation.name)
@given(data=st.data())
@FEW
def test_pieces_of_a_sequence_give_the_logits_of_the_whole(operation, data):
    case = data.draw(programs(including=operation))
    tokens = case.tokens[0, :-1]
    interpreter = Interpreter(case.program, case.tensors)
    check_pieces(interpreter, tokens, list(range(1, tokens.size)))
    cuts = data.draw(st.sets(st.integers(1, tokens.size - 1))) if tokens.size > 1 else set()
    check_pieces(interpreter, tokens, sorted(cuts))


def looking_back(window: int, reset: bool) -> tuple[Program, list[np.ndarray]]:
    """Everything that looks back: the token before, attention, shift, states of wide and narrow heads, deltas."""
    random = np.random.default_rng(1)
    shapes = ((20, 16), (11, 16), (8, 16), (8,), (16, 4))
    tensors = [random.standard_normal(shape).astype(np.float32) * 0.3 for shape in shapes]
    instructions = (
        op.Embed(0),
        op.HashEmbed(1, op.HashKind.XOR, 7, 3),
        op.Add(0, 1),
        op.Linear(2, 2),
        op.Rotate(2, 4, 4, 100.0, None, 1.0, op.RopeLayout.INTERLEAVED, op.RotationDirection.FORWARD),
        op.Rope(3, 2, 100.0, 2, op.RopeLayout.HALF_SPLIT),
        op.CappedAttention(4, 5, 3, 4, 2, 0.5, window, reset, 5.0, None),
        op.Shift(6, 70, reset),
        op.Shift(6, 1, reset),
        op.Add(7, 8),
        op.Add(2, 9),
        op.Activation(3, op.ActivationKind.SOFTPLUS),
        op.Scan(10, 11, 3, 3, 8, 2, 3),
        op.Activation(10, op.ActivationKind.SOFTPLUS),
        op.Scan(12, 13, 3, 3, 16, 2, 4),
        op.Add(10, 14),
        op.Activation(3, op.ActivationKind.SIGMOID),
        op.DeltaScan(15, 11, 16, 3, 3, 8, 2, 3),
        op.Add(15, 17),
        op.Linear(18, 0),
    )
    return Program(instructions, 20, 300, 3), tensors


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("window", [0, 1, 5, 100])
def test_long_sequences_in_pieces_of_every_size(window, reset):
    interpreter = Interpreter(*looking_back(window, reset))
    tokens = np.random.default_rng(2).integers(0, 20, 3 * LEAST_ROWS + 30)
    tokens[[5, 150]] = 3  # two documents, one of them long
    check_pieces(interpreter, tokens, [1, 2, 3, 3 + PIECE, 4 + PIECE, *range(5 + PIECE, 2 * PIECE + 60)])
    check_pieces(interpreter, tokens, [])


@pytest.mark.parametrize("threads", [1, 2, 100])
def test_products_with_one_position(threads):
    """Also of a matrix that is large enough for several threads; numba has no more than its own."""
    random = np.random.default_rng(3)
    memory = Memory(0, threads)
    for rows, columns in ((700, 65), (1, 3), (LEAST_PARALLEL, 1)):
        weight = random.standard_normal((rows, columns)).astype(np.float32)
        x, out = random.standard_normal((1, columns)).astype(np.float32), np.empty((1, rows), np.float32)
        memory.matrix_vector(x, weight, out)
        expected = x.astype(np.float64) @ weight.T.astype(np.float64)
        np.testing.assert_allclose(out, expected, atol=1e-5 * np.abs(expected).max())


def test_what_is_remembered_of_a_window_stays_small():
    past, rows = Past(2, most=3), np.arange(4000, dtype=np.float32).reshape(2000, 2)
    for first in range(0, 2000, 2):
        found = past.extended(rows[first : first + 2])
        assert np.array_equal(found, rows[max(0, first - 3) : first + 2])
    assert past._rows.shape[0] <= LEAST_ROWS


def test_tokens_that_do_not_fit_are_refused():
    program, tensors = looking_back(0, False)
    growing = Continuation(Interpreter(program, tensors))
    with pytest.raises(DataError, match=r"token id 20 .*vocabulary size 20"):
        growing.extend(np.array([20]))
    table = [np.zeros((3, 2), np.float32)]
    short = Continuation(Interpreter(Program((op.PositionEmbed(0, 0), op.Slice(0, 0, 2)), 2, 3, 0), table))
    short.extend(np.array([0, 1]))
    with pytest.raises(DataError, match="a sequence of 4 tokens is beyond the model's table of 3 positions"):
        short.extend(np.array([1, 1]))
