"""Trellises of entropy-coded trellis-coded quantization (spec/codecs.md).

Strategy: the integers of a trellis grid are the union of four cosets k mod 4. A state machine walks
down each column; its state allows either the even or the odd integers (the superset), and which coset
of the two was taken moves the state. One step of the fine grid thus costs the rate of a step twice as
wide. These are the rate-1/2 systematic feedback codes of Ungerboeck (1982), used with entropy coding as
by Fischer and Wang (1992) and JPEG 2000 part 2.
"""

from __future__ import annotations

import numpy as np

# Number of states -> parity-check polynomials (h0, h1), octal as in Ungerboeck's tables.
PARITY_CHECKS = {8: (0o13, 0o04), 64: (0o103, 0o024)}


def next_states(n_states: int) -> np.ndarray:
    """int64[n_states, 2]: the state after taking coset u of a state's superset; superset = state & 1."""
    h0, h1 = PARITY_CHECKS[n_states]
    memory = n_states.bit_length() - 1
    table = np.zeros((n_states, 2), np.int64)
    for state in range(n_states):
        for u in range(2):
            following = 0
            for i in range(1, memory + 1):
                bit = (state >> i & 1) ^ ((h0 >> i & 1) & state) ^ ((h1 >> i & 1) & u)
                following |= (bit & 1) << (i - 1)
            table[state, u] = following
    return table


TRELLISES = {n_states: next_states(n_states) for n_states in PARITY_CHECKS}
