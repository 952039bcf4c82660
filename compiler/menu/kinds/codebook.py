"""`codebook`: a few codewords of one to eight weights and an index each, for matrices whose values cluster.

Strategy: codewords minimize the sum of g_i H_jj (w - c)²: single weights by exact dynamic programming
over their sorted values, vectors by weighted k-means. They go on a grid of their own as fine as their
uses deserve; then each group of columns takes its nearest codewords under the metric of the factor L
and feeds its error back to the columns before it, as grids do (GPTVQ, arXiv:2402.15319). "scaled" first
divides every row by a step of its own, so that rows of different scale share codewords.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ....format.tensors.grid import MAX_RESOLUTION, GridValues, reconstruct_grid, step_table
from ....format.tensors.terms import CodebookValues
from ...quantize.vectors import quantize_vectors
from ..composite import CompositeMatrix
from ..setting import Setting
from .clustering import cluster_scalars, cluster_vectors
from .unit import Unit

SCALAR_SIZES = (2, 3, 4, 8, 16)
VECTOR_SIZES = ((2, 16), (2, 256), (4, 256), (8, 256))
LEAST_SHARE = 8  # codewords take less than this part of the weights they stand for
BLOCK_COLUMNS = 64
MAX_EXPONENT = 10 << MAX_RESOLUTION
COARSEST = 0.25


@dataclass(frozen=True, slots=True)
class CodebookSetting(Setting):
    """One codebook.

    how : "plain", or "scaled" with a factor for every row
    width : weights in a codeword; count : of the codewords
    """

    how: str
    width: int
    count: int


class CodebookKind:
    """One codebook for the whole matrix."""

    name: ClassVar[str] = "codebook"
    setting: ClassVar[type[CodebookSetting]] = CodebookSetting

    def settings(self, unit: Unit) -> list[CodebookSetting]:
        scalars = [
            CodebookSetting(how, 1, size)
            for size in SCALAR_SIZES
            for how in ("plain", "scaled")
            if size * LEAST_SHARE <= unit.target.size
        ]
        vectors = [
            CodebookSetting("scaled", width, size)
            for width, size in VECTOR_SIZES
            if unit.shape[1] % width == 0 and width * size * LEAST_SHARE <= unit.target.size
        ]
        return scalars + vectors

    def follows_price(self, setting: CodebookSetting) -> bool:
        return False

    def fit(self, unit: Unit, setting: CodebookSetting) -> CompositeMatrix:
        return unit.composite(self.name, setting, [codebook_part(unit, unit.target, setting)])


def codebook_part(unit: Unit, target: np.ndarray, setting: CodebookSetting) -> CodebookValues:
    """Codewords and indices of `target`, float64[rows, columns], under the unit's second-order model."""
    exponents = relative_exponents(target) if setting.how == "scaled" else None
    scales = np.ones(len(target)) if exponents is None else row_scales(exponents)
    codewords = _codewords(unit, target, scales, setting.width, setting.count)
    grid = quantize_vectors(*codewords, unit.byte_price, resolution=MAX_RESOLUTION, coarsest=COARSEST).grid
    indices = nearest_codewords(unit, target, scales, reconstruct_grid(grid).astype(np.float64))
    if setting.width > 1:
        grid, indices = frequent_in_the_middle(grid, indices)
    return CodebookValues(grid, indices, exponents, MAX_RESOLUTION, 1)


def relative_exponents(target: np.ndarray) -> np.ndarray:
    """int64[rows]: nearest steps to the rows' root mean squares, relative to their median."""
    energies = np.square(target).mean(1)
    logs = 0.5 * np.log2(np.maximum(energies, max(float(energies.max()), 1e-30) * 2.0**-40))
    return np.clip(np.rint((logs - np.median(logs)) * 2**MAX_RESOLUTION), -MAX_EXPONENT, MAX_EXPONENT).astype(np.int64)


def row_scales(exponents: np.ndarray) -> np.ndarray:
    """float64[rows]: what the decoder multiplies a row's codewords with."""
    lowest = int(exponents.min())
    return step_table(1.0, MAX_RESOLUTION, lowest, int(exponents.max())).astype(np.float64)[exponents - lowest]


def _codewords(
    unit: Unit, target: np.ndarray, scales: np.ndarray, width: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """float64[size, width] codewords, and the Fisher information of each of their values."""
    values = (target / scales[:, None]).reshape(-1, width)
    weights = (unit.sensitivities * np.square(scales)[:, None]).reshape(-1, width)
    if width == 1:
        words, sums = cluster_scalars(values[:, 0], weights[:, 0], size)
        return words[:, None], sums[:, None]
    return cluster_vectors(values, weights, size)


def frequent_in_the_middle(grid: GridValues, indices: np.ndarray) -> tuple[GridValues, np.ndarray]:
    """The same codebook in an order that makes its indices, which are coded as distances from the middle, small."""
    size = len(grid.codes)
    by_count = np.argsort(-np.bincount(indices.ravel(), minlength=size), kind="stable")
    order = np.empty(size, np.int64)  # new place -> codeword
    order[np.argsort(np.abs(np.arange(size) - size // 2), kind="stable")] = by_count
    places = np.argsort(order)
    exponents = None if grid.row_exponents is None else grid.row_exponents[order]
    return replace(grid, codes=np.ascontiguousarray(grid.codes[order]), row_exponents=exponents), places[indices]


def nearest_codewords(unit: Unit, target: np.ndarray, scales: np.ndarray, words: np.ndarray) -> np.ndarray:
    """int64[rows, columns / width]: codewords chosen group by group from the last, with error feedback."""
    factor = unit.remembered("factor in matrix order", lambda: np.linalg.cholesky(unit.damped_hessian))
    rows, columns = unit.shape
    width = words.shape[1]
    rotated = target @ factor
    indices = np.empty((rows, columns // width), np.int64)
    block = BLOCK_COLUMNS // width * width
    for stop in range(columns, 0, -block):
        start = max(0, stop - block)
        chosen = np.empty((rows, stop - start))
        for group in range(stop - width, start - 1, -width):
            end = group + width
            images = words @ factor[group:end, group:end]
            costs = np.square(images).sum(1) * scales[:, None] - 2 * rotated[:, group:end] @ images.T
            index = costs.argmin(1)
            indices[:, group // width] = index
            found = words[index] * scales[:, None]
            chosen[:, group - start : end - start] = found
            rotated[:, start:group] -= found @ factor[group:end, start:group]
        rotated[:, :start] -= chosen @ factor[start:stop, :start]
    return indices


KIND = CodebookKind()
