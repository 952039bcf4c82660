"""The bitshift trellis of QTIP (arXiv:2406.11235): sequences of weights as overlapping windows of one ring of bits.

Strategy: weight i is the codebook's value at a window of `bits` bits, and every next window lies `rate` bits further
on, so that `rate` bits a weight are stored and any window follows from those before it. The ring closes by two Viterbi
searches: the first, which begins in the middle, says which node the second begins and ends in. A search keeps the costs
of all nodes, in float32, and finds its way back by looking for the predecessor that gave each: so the loop over nodes
is arithmetic alone. It is compiled for each rate, since only loops of known length become vector instructions.
"""

from __future__ import annotations

import functools

import numba
import numpy as np

IMPOSSIBLE = np.float32(1e30)  # a cost beyond all others


def _step(bits: int, rate: int):
    """A kernel that takes the costs of all nodes behind a weight from those before it."""
    ways, nodes = 1 << rate, 1 << (bits - rate)
    few = nodes >> rate  # nodes over ways: so many nodes lead by the same way to neighbouring ones

    @numba.njit(nogil=True, fastmath=True)
    def step_by_way(before, values, target, costs):
        for a in range(few):
            for b in range(ways):
                error = values[a * ways + b] - target
                costs[a * ways + b] = before[a] + error * error
        for way in range(1, ways):
            for a in range(few):
                for b in range(ways):
                    error = values[way * nodes + a * ways + b] - target
                    costs[a * ways + b] = min(costs[a * ways + b], before[way * few + a] + error * error)

    @numba.njit(nogil=True, fastmath=True)
    def step_by_node(before, values, target, costs):
        for a in range(few):
            for b in range(ways):
                best = IMPOSSIBLE
                for way in range(ways):
                    error = values[way * nodes + a * ways + b] - target
                    best = min(best, before[way * few + a] + error * error)
                costs[a * ways + b] = best

    # the same numbers by loops in another order: 3 instead of 5 and 4 instead of 42 microseconds
    return step_by_node if rate in (2, 4) else step_by_way


@functools.cache
def _searcher(bits: int, rate: int):
    """A kernel that finds the cheapest rings of windows of so many bits at a rate."""
    ways, nodes, step = 1 << rate, 1 << (bits - rate), _step(bits, rate)

    @numba.njit(nogil=True)
    def window_into(node, before, values, target):
        """The cheapest window that leads to a node."""
        best, found = np.float32(np.inf), node
        for way in range(ways):
            window = way * nodes + node
            error = values[window] - target
            cost = before[window >> rate] + error * error
            if cost < best:
                best, found = cost, window
        return found

    @numba.njit(nogil=True)
    def search(targets, values, start, node, costs, windows):
        """The windows of a ring from position `start` on, from and to a node, -1 for any.

        targets : float32[n]; values : float32[2**bits] codebook; costs : float32[n + 1, nodes], for its own use
        windows : uint16[n], written
        """
        n = targets.size
        costs[0] = IMPOSSIBLE if node >= 0 else np.float32(0.0)
        if node >= 0:
            costs[0, node] = 0.0
        for i in range(n):
            step(costs[i], values, targets[(start + i) % n], costs[i + 1])
        last = node if node >= 0 else np.argmin(costs[n])
        for i in range(n - 1, -1, -1):
            place = (start + i) % n
            window = window_into(last, costs[i], values, targets[place])
            windows[place] = window
            last = window >> rate

    @numba.njit(nogil=True)
    def search_all(targets, values, windows):
        """targets : float32[rings, n]; windows : uint16[rings, n], written."""
        n = targets.shape[1]
        costs = np.empty((n + 1, nodes), np.float32)
        for ring in range(targets.shape[0]):
            search(targets[ring], values, n // 2, -1, costs, windows[ring])
            search(targets[ring], values, 0, np.int64(windows[ring, 0]) >> rate, costs, windows[ring])

    return search_all


def search_rings(targets: np.ndarray, values: np.ndarray, rate: int) -> np.ndarray:
    """uint16[rings, n] windows for float32[rings, n] targets; values : float32[2**bits] of the codebook, in order."""
    windows = np.empty(targets.shape, np.uint16)
    _searcher(len(values).bit_length() - 1, rate)(np.ascontiguousarray(targets, np.float32), values, windows)
    return windows


def pack_rings(windows: np.ndarray, rate: int) -> bytes:
    """`rate` bits a weight: the new ones of each window, most significant first."""
    fresh = windows & ((1 << rate) - 1)
    return np.packbits((fresh[..., None] >> np.arange(rate - 1, -1, -1)) & 1).tobytes()


def unpack_rings(data: bytes, rings: int, length: int, bits: int, rate: int) -> np.ndarray:
    """Inverse of `pack_rings`: uint16[rings, length] windows of `bits` bits."""
    digits = np.unpackbits(np.frombuffer(data, np.uint8), count=rings * length * rate).reshape(rings, length, rate)
    fresh = digits @ (1 << np.arange(rate - 1, -1, -1))
    windows = np.zeros((rings, length), np.int64)
    for back in range(-(-bits // rate)):
        windows |= np.roll(fresh, back, axis=1) << (rate * back)
    return (windows & ((1 << bits) - 1)).astype(np.uint16)
