"""The enumerations that operations choose from, by their wire values (spec/program.md, section 4).

Strategy: a value that a minor version above 0 of the format brought stands in a LATER table, with that version; files
of older versions do not know it.
"""

from __future__ import annotations

import enum


class HashKind(enum.IntEnum):
    """How `hash-embed` turns two token ids into a table row."""

    XOR = 0
    POLYNOMIAL = 1


class ActivationKind(enum.IntEnum):
    """Element-wise functions of `activation`."""

    RELU_SQUARED = 0
    LEAKY_RELU_SQUARED = 1
    GELU = 2
    SILU = 3
    SIGMOID = 4
    TANH = 5
    GELU_TANH = 6
    RELU = 7
    SOFTPLUS = 8


LATER_ACTIVATIONS = ((ActivationKind.GELU_TANH, 1), (ActivationKind.RELU, 1), (ActivationKind.SOFTPLUS, 2))


class RopeLayout(enum.IntEnum):
    """Which two elements of a head `rope` and `rotate` rotate together."""

    HALF_SPLIT = 0
    INTERLEAVED = 1


class RotationDirection(enum.IntEnum):
    """Which way `rotate` turns: as `rope` does, or as Hugging Face's models and llama2.c do."""

    BACKWARD = 0
    FORWARD = 1


class SoftcapKind(enum.IntEnum):
    """The bounded function of `softcap`."""

    TANH = 0
    POLYNOMIAL = 1


class BroadcastKind(enum.IntEnum):
    """How `broadcast` repeats: each element so many times in a row, or the whole register so many times."""

    SPREAD = 0
    TILED = 1
