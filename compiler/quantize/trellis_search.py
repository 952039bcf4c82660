"""Finding the best path of a trellis down a column (Viterbi), exact given the targets.

Strategy: within one column of the feedback loop the rows are independent, so the column is a memoryless
sequence and dynamic programming over the trellis states is exact. The cost of an integer k for a target
y, both in fine steps, is (y - k)² plus `rate_weight` times the bits that the coder's own initial
distributions say k costs. For each position only the nearest integer of each of the four cosets can be
best, up to the pull of the rate towards zero, which is covered by one more candidate on that side.
"""

from __future__ import annotations

import numpy as np

from ...format.codecs.scale_classes import EVEN, N_CLASSES, ODD, bin_shift, class_of
from ...format.codecs.scale_tables import INITIAL_FREQUENCIES
from ...format.kernels import kernel

INFINITE = 1e300


def bit_costs() -> np.ndarray:
    """float64[2, classes, 16]: bits of a bin and its sign from the initial distributions, for even and odd integers."""
    table = np.zeros((2, N_CLASSES, 16))
    for scale_class in range(N_CLASSES):
        frequencies = INITIAL_FREQUENCIES[scale_class if scale_class < 24 else 24 + scale_class % 4]
        bits = 16 - np.log2(np.array(frequencies, np.float64))
        table[0, scale_class] = bits + 1
        table[0, scale_class, 0] -= 1
        table[1, scale_class] = bits + 1
    return table


BIT_COSTS = bit_costs()


@kernel(inline="always")
def _bits(k, scale, costs):
    """Estimated bits of an integer at an expected scale."""
    kind = EVEN + (k & 1)
    scale_class = class_of(scale, kind)
    first = 0 if kind == ODD else 1
    number = abs(k) >> 1
    number_bin = ((number - first) >> bin_shift(scale_class)) + first if number >= first else 0
    return costs[kind - EVEN, scale_class, min(number_bin, 15)]


@kernel()
def _candidates(target, scale, rate_weight, costs, best_codes, best_costs):
    """For each coset k mod 4 the cheapest integer near a target, written to best_codes and best_costs [4]."""
    low = int(np.floor(target)) - 1
    for r in range(4):
        best_costs[r] = INFINITE
    first, last = (low - 4, low + 3) if target > 0 else (low, low + 7)
    if rate_weight == 0.0:
        first, last = low, low + 3
    for k in range(first, last + 1):
        cost = (target - k) * (target - k)
        if rate_weight > 0.0:
            cost += rate_weight * _bits(k, scale, costs)
        r = k & 3
        if cost < best_costs[r]:
            best_costs[r], best_codes[r] = cost, k


@kernel()
def search_path(targets, scales, sources, rate_weight, costs, codes):
    """Best integers of one column.

    targets : float64[n] in fine steps; scales : int64[n] expected log2 magnitude, 1/65536 octave
    sources : int64[states, 2, 2]: the two (state, coset u) that lead to each state
    codes : int64[n], written. Exact minimum of the summed cost over all paths from state 0.
    """
    n, n_states = targets.size, sources.shape[0]
    cost, following = np.full(n_states, INFINITE), np.empty(n_states)
    cost[0] = 0.0
    came_from = np.empty((n, n_states), np.uint8)
    choices = np.zeros((n, 4), np.int64)
    coset_costs = np.empty(4)
    for t in range(n):
        _candidates(targets[t], scales[t], rate_weight, costs, choices[t], coset_costs)
        for state in range(n_states):
            a, b = sources[state, 0, 0], sources[state, 1, 0]
            cost_a = cost[a] + coset_costs[(a & 1) + 2 * sources[state, 0, 1]]
            cost_b = cost[b] + coset_costs[(b & 1) + 2 * sources[state, 1, 1]]
            came_from[t, state] = 1 if cost_b < cost_a else 0
            following[state] = min(cost_a, cost_b)
        cost, following = following, cost
    state = np.argmin(cost)
    for t in range(n - 1, -1, -1):
        edge = came_from[t, state]
        before, u = sources[state, edge, 0], sources[state, edge, 1]
        codes[t] = choices[t, (before & 1) + 2 * u]
        state = before


def trellis_sources(transitions: np.ndarray) -> np.ndarray:
    """int64[states, 2, 2]: for each state the (state, u) pairs that lead to it, from next states int64[states, 2]."""
    sources = [[] for _ in range(len(transitions))]
    for state, row in enumerate(transitions):
        for u, following in enumerate(row):
            sources[following].append((state, u))
    return np.array(sources, np.int64)
