"""Slow twins of the grid arithmetic: exact fractions, each rounding to float32 written out.

A weight is rounded twice (base times the fraction of an octave, integer times step), half to even, as
spec/tensors.md says.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

MANTISSA_BITS = 24
SMALLEST_EXPONENT = -149  # of the last place of a subnormal


def round_to_float32(value: Fraction) -> Fraction:
    """The float32 nearest to an exact value of normal or subnormal size, ties to the even one."""
    if value == 0:
        return value
    place = SMALLEST_EXPONENT
    while abs(value) >= Fraction(2) ** (place + MANTISSA_BITS):
        place += 1
    unit = Fraction(2) ** place
    whole, rest = divmod(abs(value), unit)
    if rest > unit / 2 or (rest == unit / 2 and whole % 2):
        whole += 1
    return whole * unit * (1 if value > 0 else -1)


def octave_fraction(eighths: int) -> Fraction:
    """The float32 nearest to 2^(eighths / 8), from 50 decimal digits."""
    with localcontext() as context:
        context.prec = 50
        return round_to_float32(Fraction(Decimal(2) ** (Decimal(eighths) / 8)))


def naive_step(base: float, resolution: int, exponent: int) -> Fraction:
    """The step of one exponent sum."""
    steps_an_octave = 2**resolution
    octaves, part = divmod(exponent, steps_an_octave)
    product = round_to_float32(Fraction(base) * octave_fraction(part * 8 // steps_an_octave))
    return product * Fraction(2) ** octaves


def naive_weights(codes, row_exponents, column_exponents, base: float, resolution: int) -> np.ndarray:
    """float32 [rows, columns] weights of a grid; None for a side without steps."""
    rows, columns = len(codes), len(codes[0])
    row_exponents = [0] * rows if row_exponents is None else row_exponents
    column_exponents = [0] * columns if column_exponents is None else column_exponents
    weights = np.zeros((rows, columns), np.float32)
    for i in range(rows):
        for j in range(columns):
            step = naive_step(base, resolution, int(row_exponents[i]) + int(column_exponents[j]))
            weights[i, j] = np.float32(float(round_to_float32(int(codes[i][j]) * step)))
    return weights
