"""How many bytes of text each token stands for, as a table.

Strategy: the table is the denominator of bits per byte where only tokens are at hand, and published results have gone
wrong there by up to 44 %. So `Tokenizer.check_decoding` holds it against what the tokenizer's own library decodes, run
by run, before any score is printed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class ByteTable:
    """Bytes of text by token id, V entries each.

    base_bytes : int16 [V]    UTF-8 length of the piece's text without one leading space, where that may be none;
                              1 for byte pieces, 0 at a boundary
    leading_space : bool [V]  the piece starts with a space, one byte more unless the token before it is a boundary
    boundary : bool [V]       control, unknown and unused pieces: no bytes, though their loss counts
    unknown : bool [V]        of these the unknown piece, whose text is lost
    """

    base_bytes: np.ndarray
    leading_space: np.ndarray
    boundary: np.ndarray
    unknown: np.ndarray

    def target_bytes(self, ids: np.ndarray) -> np.ndarray:
        """Bytes of each target ids[1:] given the token before it: integers [tokens] -> int16 [tokens - 1].

        base[target] + (leading_space[target] and not boundary[previous]), the rule of the public
        challenge.
        """
        previous, target = ids[:-1], ids[1:]
        return self.base_bytes[target] + (self.leading_space[target] & ~self.boundary[previous])

    def padded(self, size: int) -> ByteTable:
        """The table with rows up to `size` that have no piece: boundaries, of no bytes."""
        more = max(0, size - len(self.base_bytes))
        columns = {name: np.pad(getattr(self, name), (0, more)) for name in ("base_bytes", "leading_space", "unknown")}
        return ByteTable(boundary=np.pad(self.boundary, (0, more), constant_values=True), **columns)


def runs_between_boundaries(boundary: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts and stops of the longest stretches of `ids` without a boundary token."""
    inside = np.concatenate(([False], ~boundary[ids], [False]))
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return edges[::2], edges[1::2]
