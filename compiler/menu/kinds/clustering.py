"""Weighted k-means: exact for numbers, Lloyd's iteration for short vectors. Deterministic.

Strategy: optimal clusters of numbers are intervals of their sorted order, so dynamic programming over
the number of clusters finds them; the last interval's start only moves right with its end, which divide
and conquer turns into O(k n log n) (Wang and Song, R Journal 3/2 (2011), 29-33; Grønlund et al.,
arXiv:1701.07204). More than MOST_GROUPS different numbers are first put into equal bins, each kept at
its weighted mean.
"""

from __future__ import annotations

import numpy as np

from ....format.kernels import kernel

MOST_GROUPS = 4096
MOST_SAMPLES = 16384  # vectors that k-means looks at
ITERATIONS = 10
LEAST_WEIGHT = 1e-30


def cluster_scalars(values: np.ndarray, weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(float64[count] ascending means, their weights) of least weighted squared error.

    values, weights : float64[n]; fewer different values than `count` leave the last mean repeated, with no weight.
    """
    groups, sums = _grouped(values, weights)
    starts = _intervals(groups, sums, min(count, len(groups)))
    totals = np.add.reduceat(sums, starts)
    means = np.add.reduceat(sums * groups, starts) / totals
    missing = count - len(means)
    return np.append(means, np.full(missing, means[-1])), np.append(totals, np.full(missing, LEAST_WEIGHT))


def _grouped(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different values, ascending, and their weights."""
    weights = np.maximum(weights, LEAST_WEIGHT)
    groups, inverse = np.unique(values, return_inverse=True)
    if len(groups) <= MOST_GROUPS:
        return groups, np.bincount(inverse, weights)
    width = (groups[-1] - groups[0]) / MOST_GROUPS
    bins = np.minimum(((values - groups[0]) / width).astype(np.int64), MOST_GROUPS - 1)
    sums, moments = np.bincount(bins, weights, MOST_GROUPS), np.bincount(bins, weights * values, MOST_GROUPS)
    return moments[sums > 0] / sums[sums > 0], sums[sums > 0]


def _intervals(values: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """int64[count]: where each of the best intervals starts."""
    centred = values - np.average(values, weights=weights)  # small numbers keep the differences of sums exact
    prefix = np.zeros((3, len(values) + 1))
    for row, terms in enumerate((weights, weights * centred, weights * centred * centred)):
        prefix[row, 1:] = np.cumsum(terms)
    return _search_intervals(prefix, count)


@kernel()
def _spread(prefix, start, stop):
    """Weighted squared error of the values start..stop-1 around their mean."""
    weight = prefix[0, stop] - prefix[0, start]
    moment = prefix[1, stop] - prefix[1, start]
    return max(0.0, prefix[2, stop] - prefix[2, start] - moment * moment / weight)


@kernel()
def _search_intervals(prefix, count):
    """Starts of the `count` intervals of least error, by divide and conquer over the ends of each layer."""
    n = prefix.shape[1] - 1
    costs, starts = np.full((count, n + 1), np.inf), np.zeros((count, n + 1), np.int64)
    for stop in range(1, n + 1):
        costs[0, stop] = _spread(prefix, 0, stop)
    stack = np.empty((128, 4), np.int64)
    for layer in range(1, count):
        stack[0] = layer + 1, n, layer, n - 1
        depth = 1
        while depth > 0:
            depth -= 1
            first, last, low, high = stack[depth]
            middle = (first + last) // 2
            best, chosen = np.inf, low
            for start in range(max(low, layer), min(high, middle - 1) + 1):
                cost = costs[layer - 1, start] + _spread(prefix, start, middle)
                if cost < best:
                    best, chosen = cost, start
            costs[layer, middle], starts[layer, middle] = best, chosen
            if first < middle:
                stack[depth] = first, middle - 1, low, chosen
                depth += 1
            if middle < last:
                stack[depth] = middle + 1, last, chosen, high
                depth += 1
    result, stop = np.zeros(count, np.int64), n
    for layer in range(count - 1, 0, -1):
        stop = starts[layer, stop]
        result[layer] = stop
    return result


def cluster_vectors(values: np.ndarray, weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(float64[count, d] codewords, the weights of each of their values) by Lloyd's iteration from seeds far apart.

    values, weights : float64[n, d]. At most MOST_SAMPLES vectors, drawn with a fixed seed, are looked at.
    """
    random = np.random.default_rng(0)
    weights = np.maximum(weights, LEAST_WEIGHT)
    if len(values) > MOST_SAMPLES:
        sample = np.sort(random.choice(len(values), MOST_SAMPLES, replace=False))
        values, weights = values[sample], weights[sample]
    words = _seeds(values, weights, count, random)
    for _ in range(ITERATIONS):
        nearest = (weights @ np.square(words).T - 2 * (weights * values) @ words.T).argmin(1)
        sums = np.full(words.shape, LEAST_WEIGHT)
        moments = np.zeros(words.shape)
        np.add.at(sums, nearest, weights)
        np.add.at(moments, nearest, weights * values)
        used = np.bincount(nearest, minlength=count) > 0
        words[used] = moments[used] / sums[used]
    return words, sums


def _seeds(values: np.ndarray, weights: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """float64[count, d]: values drawn one after the other, each by its weighted squared distance to the
    nearest before (k-means++, Arthur and Vassilvitskii, SODA 2007); zeros once all are met.
    """
    words = np.zeros((count, values.shape[1]))
    claims = (weights * np.square(values)).sum(1)
    for n, draw in enumerate(random.random(count)):
        sums = np.cumsum(claims)
        if sums[-1] <= LEAST_WEIGHT:
            break
        words[n] = values[min(np.searchsorted(sums, draw * sums[-1], side="right"), len(values) - 1)]
        distances = (weights * np.square(values - words[n])).sum(1)
        claims = distances if n == 0 else np.minimum(claims, distances)
    return words
