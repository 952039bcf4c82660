"""The states of a trellis, one a column (spec/codecs.md)."""

from __future__ import annotations


def follow_trellis(memory, place, code, first_check, second_check):
    """The state at a place of `memory` after an integer; the parity checks come without their last bit."""
    state = memory[place]
    odd = state & 1
    memory[place] = state >> 1 ^ -odd & first_check ^ -(code - odd >> 1 & 1) & second_check
    return 0
