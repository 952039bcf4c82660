"""`shared-codebook`: one book of codewords for several matrices, each with indices, and row factors, of its own.

Strategy: the vector banks of ClusComp (arXiv:2503.13089), whose book is the larger part of their bytes until matrices share it:
those of one role in all layers, or all of the model. Every member tells a sample of its vectors and what an error of each of
their values costs; weighted k-means over all samples makes the book, on a grid as fine as its uses deserve; the first
member stores it. Indices follow codebook.py's feedback, and a row takes the factor, around its root mean square, with which the
book serves it best. The book stays as it is when targets change in a walk: only factors and indices are fitted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....format.tensors.grid import MAX_RESOLUTION, GridValues, reconstruct_grid
from ....format.tensors.terms import CodebookValues
from ...quantize.vectors import quantize_vectors
from ..composite import CompositeMatrix
from .clustering import MOST_SAMPLES, cluster_scalars, cluster_vectors
from .codebook import COARSEST, LEAST_SHARE, MAX_EXPONENT, frequent_in_the_middle, nearest_codewords, row_scales
from .protocols import Setting
from .shared import Shared
from .unit import Unit

PLAIN, SCALED = "plain", "scaled"
SIZES = ((1, 4), (1, 16), (2, 16), (2, 64), (4, 256), (8, 256))
SAMPLED = 2048  # vectors of one member
SHIFTS = (0, -1, 1, -2, 2)  # of a row's exponent around its root mean square
SHIFT_BLOCKS = 16  # blocks of a row that choose among them
LEAST_ENERGY = 1e-30


@dataclass(frozen=True, slots=True)
class Sample:
    """Vectors of one member, of one length.

    values : float64[n, width], divided by the factors of their rows where these are used
    weights, costs : float64[n, width]; what a squared error costs twice by itself, and when later columns make up for it; both stand
    for all vectors of the member
    """

    values: np.ndarray
    weights: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True, slots=True)
class Told:
    """Samples by (how, width)."""

    byte_price: float
    shape: tuple[int, int]
    samples: dict[tuple[str, int], Sample]


class SharedCodebookKind:
    """Setting: ("plain" or "scaled", weights in a codeword, number of codewords)."""

    name: ClassVar[str] = "shared-codebook"
    families: ClassVar[tuple[str, ...]] = ("role", "model")
    term: ClassVar[int] = 0

    def settings(self, told: Sequence[Told]) -> list[Setting]:
        shapes = [each.shape for each in told]
        elements = sum(rows * columns for rows, columns in shapes)
        return [
            (how, width, size) for width, size in SIZES for how in (PLAIN, SCALED)
            if width * size * LEAST_SHARE <= elements and all(columns % width == 0 for _, columns in shapes)
        ]  # fmt: skip

    def tell(self, unit: Unit) -> Told:
        widths = sorted({width for width, _ in SIZES if unit.shape[1] % width == 0})
        return Told(
            unit.byte_price,
            unit.shape,
            {(how, width): _sample(unit, how, width) for width in widths for how in (PLAIN, SCALED)},
        )

    def join(self, told: Sequence[Told], setting: Setting) -> GridValues:
        """The codewords of least weighted squared error over all samples, on a grid, the most frequent in the middle."""
        how, width, size = _read(setting)
        values, weights, _ = _pool(told, how, width)
        if width == 1:
            words, sums = (found[:, None] for found in cluster_scalars(values[:, 0], weights[:, 0], size))
        else:
            words, sums = cluster_vectors(values, weights, size)
            sums = sums * max(1.0, len(values) / MOST_SAMPLES)  # it looks at so many
        grid = quantize_vectors(words, sums, told[0].byte_price, resolution=MAX_RESOLUTION, coarsest=COARSEST).grid
        if width == 1:
            return grid
        return frequent_in_the_middle(grid, _nearest_by_itself(values, weights, reconstruct_grid(grid)))[0]

    def estimate(self, told: Sequence[Told], setting: Setting, content: GridValues, nats_per_byte: float) -> float:
        """The samples' loss and the entropy of their indices."""
        how, width, size = _read(setting)
        values, weights, costs = _pool(told, how, width)
        words = reconstruct_grid(content).astype(np.float64)
        chosen = _nearest_by_itself(values, weights, words)
        loss = 0.5 * float((costs * np.square(values - words[chosen])).sum())
        shares = np.bincount(chosen, minlength=size) / len(chosen)
        entropy = -float((shares[shares > 0] * np.log2(shares[shares > 0])).sum())
        indices = sum(rows * columns for rows, columns in (each.shape for each in told)) / width
        return (indices * entropy + width * size * np.log2(2 + np.abs(content.codes).mean())) / 8 + loss / nats_per_byte

    def follows_price(self, setting: Setting) -> bool:
        return False

    def fit(self, unit: Unit, setting: Setting, shared: Shared) -> CompositeMatrix:
        how = str(setting[1])
        words = reconstruct_grid(shared.content).astype(np.float64)
        exponents = _best_exponents(unit, words) if how == SCALED else None
        scales = np.ones(unit.shape[0]) if exponents is None else row_scales(exponents)
        part = CodebookValues(
            shared.codewords, nearest_codewords(unit, unit.target, scales, words), exponents, MAX_RESOLUTION, 1
        )
        return unit.composite(self.name, setting, [part], codebooks=shared.codebooks)


def _read(setting: Setting) -> tuple[str, int, int]:
    """How rows are scaled, width and size, from a setting with or without the family before it."""
    return str(setting[-3]), int(setting[-2]), int(setting[-1])


def _exponents(unit: Unit) -> np.ndarray:
    """int64[rows]: the rows' root mean squares, which unlike those of a matrix with a book of its own are not relative to any."""
    logs = 0.5 * np.log2(np.maximum(np.square(unit.target).mean(1), LEAST_ENERGY))
    return np.clip(np.rint(logs * 2**MAX_RESOLUTION), -MAX_EXPONENT, MAX_EXPONENT).astype(np.int64)


def _sample(unit: Unit, how: str, width: int) -> Sample:
    scales = row_scales(_exponents(unit)) if how == SCALED else np.ones(unit.shape[0])
    count = unit.target.size // width
    chosen = (
        np.arange(count)
        if count <= SAMPLED
        else np.sort(np.random.default_rng(0).choice(count, SAMPLED, replace=False))
    )
    stand = count / len(chosen)
    late = np.empty(unit.shape[1])
    late[unit.prepared.order] = np.square(unit.prepared.factor.diagonal())

    def vectors(of: np.ndarray) -> np.ndarray:
        return of.reshape(count, width)[chosen]

    squares = np.square(scales)[:, None]
    weights, costs = vectors(unit.sensitivities * squares), vectors(unit.row_fisher[:, None] * squares * late)
    return Sample(vectors(unit.target / scales[:, None]), stand * weights, stand * costs)


def _pool(told: Sequence[Told], how: str, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, weights and costs of all members."""
    samples = [each.samples[how, width] for each in told]
    return tuple(
        np.concatenate([getattr(sample, name) for sample in samples]) for name in ("values", "weights", "costs")
    )


def _nearest_by_itself(values: np.ndarray, weights: np.ndarray, words: np.ndarray) -> np.ndarray:
    """int64[n]: the codeword of least weighted squared error of each vector, without feedback."""
    return (weights @ np.square(words.astype(np.float64)).T - 2 * (weights * values) @ words.T).argmin(1)


def _best_exponents(unit: Unit, words: np.ndarray) -> np.ndarray:
    """int64[rows]: of the exponents around the root mean square, those with which some blocks of the row come nearest to codewords."""
    exponents, width = _exponents(unit), words.shape[1]
    blocks = np.unique(np.linspace(0, unit.shape[1] // width - 1, SHIFT_BLOCKS).round().astype(np.int64))
    columns = (blocks[:, None] * width + np.arange(width)).ravel()
    values, weights = unit.target[:, columns].reshape(-1, width), unit.sensitivities[:, columns].reshape(-1, width)
    found = []
    for shift in SHIFTS:
        scales = np.repeat(row_scales(np.clip(exponents + shift, -MAX_EXPONENT, MAX_EXPONENT)), len(blocks))[:, None]
        nearest = words[_nearest_by_itself(values / scales, weights, words)] * scales
        found.append((weights * np.square(values - nearest)).reshape(unit.shape[0], -1).sum(1))
    chosen = np.array(SHIFTS)[np.argmin(found, axis=0)]
    return np.clip(exponents + chosen, -MAX_EXPONENT, MAX_EXPONENT)


KIND = SharedCodebookKind()
