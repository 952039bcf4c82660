"""Rows and columns of very different size: integers stay within what a stream holds, and what cannot is an error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matrix_problems import problem

from bytecap.compiler.quantize.gptq import NO_CODE, quantize_matrix
from bytecap.compiler.quantize.grid_matrix import LARGEST_CODE, prepare_matrix, within_codes
from bytecap.compiler.quantize.vectors import quantize_vectors
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.codecs.outcomes import MAX_MAGNITUDE, check_magnitudes
from bytecap.format.tensors.grid import scale_of_magnitudes

PRICE = 1e-6


def prepared(change):
    weights, statistics = problem(12, 16, 0)
    change(weights, statistics.hessian)
    return weights, prepare_matrix(weights, statistics, resolution=1, damping=0.01, fisher_floor=0.1)


def large_column(weights, hessian):
    """Compensated by inputs that are as small."""
    weights[:, 3] *= 1e7
    hessian[3] *= 1e-7
    hessian[:, 3] *= 1e-7


def large_row(weights, _):
    weights[5] *= 1e7


@pytest.mark.parametrize("trellis", [0, 8])
@pytest.mark.parametrize("change", [large_column, large_row])
def test_large_rows_and_columns_get_steps_of_their_own(change, trellis):
    weights, matrix = prepared(change)
    found = quantize_matrix(matrix, PRICE, trellis_states=trellis)
    assert np.abs(found.grid.codes).max() < MAX_MAGNITUDE
    small = np.ones(weights.shape, bool)
    small[(slice(None), 3) if change is large_column else (5,)] = False
    assert np.abs(found.weights - weights)[small].max() < 5e-3  # the rest keeps its steps
    assert np.abs(found.weights / weights - 1)[~small].max() < 1e-2


def test_ordinary_matrices_keep_their_steps():
    _, matrix = prepared(lambda *_: None)
    assert within_codes(matrix, PRICE * 2.0**matrix.log2_base) is matrix


def test_steps_are_as_fine_as_the_codes_allow():
    weights, matrix = prepared(large_row)
    base = PRICE * 2.0**matrix.log2_base
    raised = within_codes(matrix, base)
    assert (raised.row_exponents != matrix.row_exponents).sum() == 1
    steps = base * np.exp2((raised.row_exponents[:, None] + raised.column_exponents) / 2**matrix.resolution)
    largest = np.abs(weights / steps).max()
    assert LARGEST_CODE / 2**0.51 <= largest <= LARGEST_CODE


@pytest.mark.parametrize("codec", sorted(INTEGER_CODECS))
@pytest.mark.parametrize("code", [MAX_MAGNITUDE + 1, -MAX_MAGNITUDE - 1, NO_CODE])
def test_no_codec_takes_an_integer_that_it_could_not_give_back(codec, code):
    codes = np.array([[1, code]], np.int32)
    with pytest.raises(OverflowError, match="codes must stay below"):
        check_magnitudes(codes)
    scales = ExpectedScales(np.zeros(1, np.int64), np.zeros(2, np.int64))
    with pytest.raises(OverflowError, match="codes must stay below"):
        INTEGER_CODECS[codec].encode([codes], [scales])


def test_what_no_grid_holds_is_an_error_where_it_is_quantized():
    """Rows that make up for the errors of others are not bounded by their own weights."""
    weights, statistics = problem(12, 16, 0)
    weights[5, 3] = 1e30
    fisher = statistics.row_fisher
    related = replace(statistics, output_fisher=np.sqrt(np.outer(fisher, fisher)).astype(np.float32))
    matrix = prepare_matrix(weights, related, resolution=1, damping=0.01, fisher_floor=0.1, correlation=0.5)
    with pytest.raises(OverflowError, match="codes must stay below"):
        quantize_matrix(matrix, PRICE, trellis_states=8)


def test_what_is_no_number_has_no_steps():
    with pytest.raises(OverflowError, match="not finite"):
        prepared(lambda _, hessian: hessian.fill(np.inf))
    with pytest.raises(OverflowError, match="mean magnitude"):
        scale_of_magnitudes(float("nan"))
    values = np.array([[1.0, np.nan]], np.float32)
    with pytest.raises(OverflowError):
        quantize_vectors(values, np.ones((1, 2)), PRICE, resolution=1, coarsest=0.1)
