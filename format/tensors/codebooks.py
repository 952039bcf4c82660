"""Codebooks: values by index into a table of codewords, a codeword for every few neighbours of a row, or for all of it (spec/tensors.md).

Strategy: an index is stored as its distance from the middle of the table, so that to an integer coder a table in the order of
its values looks like any other quantizer: integers around 0, of which one magnitude is expected throughout. Codewords
are looked up and multiplied by the factor of their row, one float32 product a value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import InvalidArtifact
from ..codecs import ExpectedScales
from .grid import scale_of_magnitudes, step_table

MIN_CODEWORDS, MAX_CODEWORDS = 2, 1 << 16
MAX_DIMENSION = 1 << 16  # whole rows of any model


@dataclass(frozen=True, slots=True)
class IndexValues:
    """Indices of a codebook as a stream holds them.

    codes : int32[rows, columns / d]       index - K // 2
    row_exponents : int32[rows] or None    factor 2**(exponent / 2**resolution) of every row; None: 1
    resolution : int                       0..3
    initial_scale : int or None            where the coder starts, quarter octaves; None: fitted when coded
    """

    codes: np.ndarray
    row_exponents: np.ndarray | None
    resolution: int
    initial_scale: int | None = None

    @property
    def column_exponents(self) -> None:
        """There are none; as a grid has."""
        return


def fit_index_scale(values: IndexValues) -> int:
    """Quarter octaves nearest to the mean magnitude of the stored indices, unless they are fixed already."""
    return (
        scale_of_magnitudes(float(np.abs(values.codes).mean()))
        if values.initial_scale is None
        else values.initial_scale
    )


def index_scales(rows: int, columns: int, initial_scale: int) -> ExpectedScales:
    """Expectation of indices: one magnitude throughout, since a row's factor says nothing of them (spec/codecs.md)."""
    return ExpectedScales(np.zeros(rows, np.int64), np.full(columns, initial_scale << 14, np.int64))


def center_indices(indices: np.ndarray, codewords: int) -> np.ndarray:
    """int32 as stored; ValueError for an index that is none of 0..codewords - 1."""
    indices = np.asarray(indices)
    if indices.min() < 0 or indices.max() >= codewords:
        raise ValueError(f"indices {indices.min()}..{indices.max()} of {codewords} codewords")
    return (indices - codewords // 2).astype(np.int32)


def look_up(codewords: np.ndarray, values: IndexValues, where: str = "") -> np.ndarray:
    """float32[rows, columns]: codeword of every index times the factor of its row, from float32[K, d] codewords.

    Raises InvalidArtifact [R-CBK-4] for an index that is none of 0..K - 1. A product beyond float32 is infinite.
    """
    indices = values.codes + len(codewords) // 2
    if indices.min() < 0 or indices.max() >= len(codewords):
        message = f"indices {indices.min()}..{indices.max()} of {len(codewords)} codewords"
        raise InvalidArtifact(message, rule="R-CBK-4", where=where)
    found = codewords[indices].reshape(len(indices), -1)
    if values.row_exponents is None:
        return found
    exponents = np.asarray(values.row_exponents, np.int64)
    lowest = int(exponents.min())
    factors = step_table(1.0, values.resolution, lowest, int(exponents.max()))[exponents - lowest]
    with np.errstate(over="ignore"):
        return found * factors[:, None]
