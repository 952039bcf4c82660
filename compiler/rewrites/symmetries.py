"""Free symmetries: rewrites of a model that its function does not see, so that nothing has to be stored about them.

Strategy: the hidden units of an MLP, and the dimensions of the values within a head of attention, may
stand in any order, if the rows of the matrices that make them, their biases and the columns of the
matrix that reads them are permuted alike. Sorted by the steps of the reader's columns, the steps of both sides cost
little to store. Units are found in the program, not by name: from each linear map backwards through
what works element by element, or through attention, to the linear maps before it.

Factors move between a linear map and a vector that scales its output: all go into the matrix, whose
steps are there anyway, and the vector becomes ones. Factors of units (a row of the maker times a, a
column of the reader divided by what comes of a) are free as well, but are left as training chose them:
they say how large the integers of both will be, and smoother steps lose more there than they save.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from copy import copy
from dataclasses import replace

import numpy as np

from ...format.program.program import validate_program
from ..model.model import Model
from ..quantize.grid_matrix import column_log_steps
from ..recipe import Recipe
from ..settings import QuantizationSettings
from ..statistics.calibration import Statistics
from ..statistics.matrix_statistics import MatrixStatistics
from .free_units import (
    FreeUnits,
    ScaledOutput,
    find_hidden_units,
    find_scaled_outputs,
    find_value_dimensions,
)

LEAST_SCALE = 1e-6
FIRST_WEIGHTS = 64


def exchange_symmetries(model: Model, statistics: Statistics, recipe: Recipe) -> tuple[Model, Statistics]:
    """The rewrites that the recipe asks for. Tensors that equal another are left alone: to stay equal is worth more."""
    settings, twins = recipe.symmetries, equal_tensors(model)
    widths = validate_program(model.program, [tensor.values.shape for tensor in model.tensors]).widths
    hidden = find_hidden_units(model.program, widths) if settings.hidden_units else []
    dimensions = find_value_dimensions(model.program, widths) if settings.value_dimensions else []
    units = [each for each in hidden + dimensions if not twins & {*each.makers, *each.gates, *each.biases, each.reader}]
    scales = find_scaled_outputs(model.program) if settings.output_scales else []
    scaled = absorb_scales(model, statistics, [each for each in scales if each.maker not in twins])
    return sort_units(*scaled, units, recipe.quantization)


def equal_tensors(model: Model) -> set[int]:
    """Tensors whose values another tensor of the same shape has, too."""
    values = [tensor.values for tensor in model.tensors]
    # most differ in their first weights, and need not be read whole
    alike = _sharing(range(len(values)), lambda i: (values[i].shape, values[i].ravel()[:FIRST_WEIGHTS].tobytes()))
    found = _sharing(alike, lambda i: (values[i].shape, hashlib.sha256(np.ascontiguousarray(values[i])).digest()))
    return {i for i in found if np.ptp(values[i]) > 0}


def _sharing(indexes: Iterable[int], trait: Callable[[int], Hashable]) -> list[int]:
    """The indexes whose trait another of them has, too."""
    traits = {i: trait(i) for i in indexes}
    counts = Counter(traits.values())
    return [i for i, found in traits.items() if counts[found] > 1]


def sort_units(
    model: Model, statistics: Statistics, found: list[FreeUnits], settings: QuantizationSettings
) -> tuple[Model, Statistics]:
    """Model and statistics with units in the order of the steps of the columns that read them, the finest first.

    Equal up to the order of float32 sums. Units of a value head stand in the order of the first query
    head that reads them.
    """
    values = {i: tensor.values for i, tensor in enumerate(model.tensors)}
    matrices, vectors = copy(statistics.matrices), dict(statistics.vectors)
    for units in found:
        if matrices.keys() >= {*units.makers, *units.gates, units.reader} and _whole_biases(values, units):
            steps = column_log_steps(matrices[units.reader], settings.damping, settings.input_correlation)
            steps = steps.reshape(units.heads, units.repeats, -1)
            _permute(values, matrices, vectors, units, np.argsort(steps[:, 0], axis=1, kind="stable"))
    tensors = tuple(replace(tensor, values=values[i]) for i, tensor in enumerate(model.tensors))
    return replace(model, tensors=tensors), replace(statistics, matrices=matrices, vectors=vectors)


def _whole_biases(values: dict[int, np.ndarray], units: FreeUnits) -> bool:
    """Whether each bias has one number a unit, and none for several."""
    columns = values[units.reader].shape[1]
    sizes = [(columns // units.repeats, units.biases), (columns, units.gate_biases)]
    return all(values[bias].shape[-1] == size for size, biases in sizes for bias in biases)


def _permute(
    values: dict[int, np.ndarray],
    matrices: dict[int, MatrixStatistics],
    vectors: dict[int, np.ndarray],
    units: FreeUnits,
    orders: np.ndarray,
) -> None:
    """Put the units of each head into its order; orders : int64[heads, units of a head]."""
    rows, columns = _in_blocks(orders), _in_blocks(np.repeat(orders, units.repeats, axis=0))
    for order, biases in ((rows, units.biases), (columns, units.gate_biases)):
        for bias in biases:
            values[bias] = np.ascontiguousarray(values[bias][..., order])
            if bias in vectors:
                vectors[bias] = np.ascontiguousarray(vectors[bias][..., order])
    for maker in units.makers:
        _permute_rows(values, matrices, maker, rows)
    for gate in units.gates:
        _permute_rows(values, matrices, gate, columns)
    values[units.reader] = np.ascontiguousarray(values[units.reader][:, columns])
    matrices[units.reader] = matrices[units.reader].with_columns(columns)


def _permute_rows(
    values: dict[int, np.ndarray], matrices: dict[int, MatrixStatistics], tensor: int, rows: np.ndarray
) -> None:
    """Put the rows of a matrix into an order, int64[rows]."""
    values[tensor] = np.ascontiguousarray(values[tensor][rows])
    both = matrices[tensor].output_fisher
    both = None if both is None else np.ascontiguousarray(both[np.ix_(rows, rows)])
    matrices[tensor] = replace(matrices[tensor], row_fisher=matrices[tensor].row_fisher[rows], output_fisher=both)


def absorb_scales(model: Model, statistics: Statistics, found: list[ScaledOutput]) -> tuple[Model, Statistics]:
    """Model and statistics with the scales of outputs multiplied into the rows that make them, and ones in their place.

    Equal up to float32 rounding. Left alone where a scale is 0: the matrix could not take it back.
    """
    values = {i: tensor.values for i, tensor in enumerate(model.tensors)}
    matrices, vectors = copy(statistics.matrices), dict(statistics.vectors)
    for scaled in found:
        maker, vector = scaled.maker, scaled.vector.tensor
        scales = values[vector].astype(np.float64)
        known = maker in matrices and vector in vectors
        if not known or len(np.atleast_2d(scales)) > 1 or not (np.abs(scales) >= LEAST_SCALE).all():
            continue
        rows = np.repeat(scales.ravel(), len(values[maker]) // scales.size)
        values[maker] = (values[maker] * rows[:, None]).astype(np.float32)
        values[vector] = np.ones_like(values[vector])
        both = matrices[maker].output_fisher
        both = None if both is None else (both / np.multiply.outer(rows, rows)).astype(np.float32)
        matrices[maker] = replace(
            matrices[maker], row_fisher=matrices[maker].row_fisher / np.square(rows), output_fisher=both
        )
        vectors[vector] = vectors[vector] * np.square(scales)
    tensors = tuple(replace(tensor, values=values[i]) for i, tensor in enumerate(model.tensors))
    return replace(model, tensors=tensors), replace(statistics, matrices=matrices, vectors=vectors)


def _in_blocks(orders: np.ndarray) -> np.ndarray:
    """Indexes into the whole from the order within each block."""
    blocks, size = orders.shape
    return (orders + size * np.arange(blocks)[:, None]).ravel()
