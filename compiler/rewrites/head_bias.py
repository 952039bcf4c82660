"""A bias for the map that makes the logits, in place of the mean error of its quantized rows.

Strategy: with W' for W the logits are wrong by (W - W') x, of which b = (W - W') E[x] is the same for
every token of text, and a vector of its own costs far fewer numbers than finer rows. It saves 1/2 sum_o
g_o b_o² nats a token. By rate-distortion theory a grid spends about as many bits on that one direction
of its inputs as the vector would take, so whether it pays is a matter of real bytes: of an encoded
vector against what a byte buys in the head's own grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...format.assembly import part_bytes
from ...format.program.operands import Row
from ...format.program.program import Program
from ...format.tensors.grid import MAX_RESOLUTION, matrix_shape
from ...format.tensors.terms import GridInStream
from ..model.model import Model, ModelTensor
from ..model.structure import find_head
from ..quantize.grid_matrix import QuantizedMatrix
from ..quantize.grids import GridQuantizer, Quantizer
from ..quantize.representation import Quantized
from ..quantize.vectors import quantize_vectors
from ..recipe import Recipe
from ..settings import START_PRICE
from ..statistics.calibration import Statistics

COARSEST = 1.0
OCTAVES = 0.25  # to both sides of the byte price: grids that say what a byte buys
NAME = "output_bias"


def add_head_bias(model: Model, statistics: Statistics, recipe: Recipe) -> tuple[Model, Statistics]:
    """The model with a bias of zeros at its head; as it is where the recipe asks for none, none pays or none can be."""
    if not recipe.head_bias.enabled or statistics.head_mean is None or not may_have_bias(model.program):
        return model, statistics
    saved, n_bytes = weigh_bias(model, statistics, GridQuantizer(recipe.quantization), START_PRICE)
    return with_bias(model, statistics) if saved > n_bytes else (model, statistics)


def fit_head_bias(
    model: Model, statistics: Statistics, recipe: Recipe, byte_price: float, quantized: Mapping[int, Quantized]
) -> dict[int, QuantizedMatrix]:
    """The bias of the head that these quantized matrices need, by its tensor index; empty where the
    recipe fits none.
    """
    if not recipe.head_bias.enabled or statistics.head_mean is None:
        return {}
    head = find_head(model.program)
    bias = None if head is None else model.program.instructions[head].bias
    if bias is None or bias.tensor not in statistics.vectors:
        return {}
    own = model.tensors[bias.tensor].values.astype(np.float64).ravel()
    if own.size != len(statistics.head_fisher):
        return {}
    missing = mean_error(model, statistics, quantized[model.program.instructions[head].weight])
    fisher = statistics.vectors[bias.tensor].ravel()
    return {bias.tensor: quantize_bias(own + missing, own, fisher, byte_price)}


def may_have_bias(program: Program) -> bool:
    """Whether the head has none, and what comes after it names no tensor for the first time: the bias
    will be the last tensor.
    """
    head = find_head(program)
    if head is None or program.instructions[head].bias is not None:
        return False
    before = {t for op in program.instructions[: head + 1] for t in op.tensors}
    return all(t in before for op in program.instructions[head + 1 :] for t in op.tensors)


def with_bias(model: Model, statistics: Statistics) -> tuple[Model, Statistics]:
    """The same function, with a bias of zeros that counts as a control tensor."""
    head, place = find_head(model.program), len(model.tensors)
    instructions = list(model.program.instructions)
    instructions[head] = replace(instructions[head], bias=Row(place, 0))
    bias = ModelTensor(
        NAME, np.zeros(len(statistics.head_fisher), np.float32), model.tensors[instructions[head].weight].dtype
    )
    program = replace(model.program, instructions=tuple(instructions))
    vectors = {**statistics.vectors, place: statistics.head_fisher}
    return replace(model, program=program, tensors=(*model.tensors, bias)), replace(statistics, vectors=vectors)


def mean_error(model: Model, statistics: Statistics, quantized: Quantized) -> np.ndarray:
    """float64[rows]: (W - W') E[x] of the quantized head."""
    weight = model.program.instructions[find_head(model.program)].weight
    values = model.tensors[weight].values
    return (values.reshape(matrix_shape(values.shape)).astype(np.float64) - quantized.weights) @ statistics.head_mean


def quantize_bias(bias: np.ndarray, own: np.ndarray, fisher: np.ndarray, byte_price: float) -> QuantizedMatrix:
    """A bias of float64[rows] on one step; its predicted loss is below 0 by what it saves over the
    model's `own` bias.
    """
    found = quantize_vectors(
        bias[None].astype(np.float32), fisher[None], byte_price, resolution=MAX_RESOLUTION, coarsest=COARSEST
    )
    return replace(found, predicted_loss=found.predicted_loss - 0.5 * float(fisher @ np.square(bias - own)))


def weigh_bias(model: Model, statistics: Statistics, quantizer: Quantizer, byte_price: float) -> tuple[float, int]:
    """(what a bias saves, what it costs) in bytes: its loss at what a byte buys in the head's grid, and
    its trial encode.
    """
    weight = model.program.instructions[find_head(model.program)].weight
    values, measured = model.tensors[weight].values, statistics.matrices[weight]
    shape = matrix_shape(values.shape)
    prepared = quantizer.prepare(values.reshape(shape), measured)
    fine, plain, coarse = (
        quantizer.quantize(prepared, byte_price * 2.0**octaves) for octaves in (-OCTAVES, 0.0, OCTAVES)
    )
    more = part_bytes(fine.parts, shape) - part_bytes(coarse.parts, shape)
    nats_per_byte = max(coarse.predicted_loss - fine.predicted_loss, 1e-30) / max(more, 1)
    bias = quantize_bias(mean_error(model, statistics, plain), np.zeros(shape[0]), statistics.head_fisher, byte_price)
    return -bias.predicted_loss / nats_per_byte, part_bytes((GridInStream(bias.grid, 1),), (shape[0],))
