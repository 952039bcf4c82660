"""Weighted clusters of long vectors that may differ in length: what whole rows of a matrix are replaced by.

Strategy: Lloyd's iteration under the sum of w_i |y_i - s_i c_k|², where with `gains` every vector has
the best factor s_i >= 0 of its own (gain-shape quantization: Gersho and Gray, Vector Quantization and
Signal Compression, chapter 12.10), else 1. A codeword that many use is cheaper to name, so a choice
also pays for the bits of its index at the present frequencies (Chou, Lookabaugh and Gray, IEEE Trans.
ASSP 37 (1989), 31-42). The first codewords are drawn by what the ones before leave (k-means++), with a
fixed seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...row_blocks import row_blocks

ROUNDS = 8
BLOCK_ROWS = 4096  # of distances that are looked at together
LEAST = 1e-30


@dataclass(frozen=True, slots=True)
class Clusters:
    """labels : int64[n] codeword of each vector; scales : float64[n] its factor."""

    labels: np.ndarray
    scales: np.ndarray

    def means(self, vectors: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
        """float64[count, d]: best codewords for these labels and factors; zeros where nobody uses one."""
        sums = np.zeros((count, vectors.shape[1]))
        np.add.at(sums, self.labels, (weights * self.scales)[:, None] * vectors)
        return sums / np.maximum(self.claims(weights, count), LEAST)[:, None]

    def claims(self, weights: np.ndarray, count: int) -> np.ndarray:
        """float64[count]: what a squared error of each codeword costs."""
        return np.bincount(self.labels, weights * np.square(self.scales), count)


def cluster_rows(
    vectors: np.ndarray, weights: np.ndarray, count: int, *, gains: bool, bit_value: float, rounds: int = ROUNDS
) -> Clusters:
    """Clusters around at most `count` codewords.

    vectors : float64[n, d]; weights : float64[n]; bit_value : weighted squared error that a bit is
        worth. Deterministic for single-threaded BLAS.
    """
    words = _first_words(vectors, weights, count, gains)
    bits = np.zeros(count)
    for _ in range(rounds):
        clusters = nearest_rows(vectors, weights, words, gains=gains, costs=bit_value * bits)
        uses = np.bincount(clusters.labels, minlength=count)
        bits = -np.log2((uses + 0.5) / (len(vectors) + 0.5 * count))
        words = clusters.means(vectors, weights, count)
    return nearest_rows(vectors, weights, words, gains=gains, costs=bit_value * bits)


def nearest_rows(
    vectors: np.ndarray, weights: np.ndarray, words: np.ndarray, *, gains: bool, costs: np.ndarray | float = 0.0
) -> Clusters:
    """Best codeword of every vector, ties to the first, and its factor; costs : float64[count] added to
    the weighted error.
    """
    norms = np.maximum(np.square(words).sum(1), LEAST)
    labels, scales = np.empty(len(vectors), np.int64), np.ones(len(vectors))
    for block in row_blocks(len(vectors), BLOCK_ROWS):
        products = vectors[block] @ words.T
        if gains:
            products = np.maximum(products, 0.0)
        explained = np.square(products) / norms if gains else 2 * products - norms
        labels[block] = (weights[block, None] * explained - costs).argmax(1)
        if gains:
            scales[block] = np.take_along_axis(products, labels[block, None], 1)[:, 0] / norms[labels[block]]
    return Clusters(labels, scales)


def _first_words(vectors: np.ndarray, weights: np.ndarray, count: int, gains: bool) -> np.ndarray:
    """float64[count, d]: vectors drawn in proportion to what those before leave of them; the most
    claiming one first.
    """
    random = np.random.default_rng(0)
    energies = np.square(vectors).sum(1)
    left = weights * energies
    chosen = [int(left.argmax())]
    while len(chosen) < count:
        word = vectors[chosen[-1]]
        products, norm = vectors @ word, max(float(word @ word), LEAST)
        error = energies - np.square(np.maximum(products, 0.0)) / norm if gains else energies - 2 * products + norm
        left = np.minimum(left, weights * np.maximum(error, 0.0))
        left[chosen[-1]] = 0.0
        total = np.cumsum(left)
        if total[-1] <= 0:
            break
        chosen.append(int(np.searchsorted(total, random.uniform() * total[-1], side="right").clip(0, len(vectors) - 1)))
    words = np.zeros((count, vectors.shape[1]))
    words[: len(chosen)] = vectors[chosen]
    return words
