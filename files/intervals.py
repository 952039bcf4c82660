"""95 % intervals of means: how many standard errors they reach to either side."""

from __future__ import annotations

INTERVAL = 1.96  # standard errors, of so many values that their spread is as good as known

# Student's, of 2 to 11 values; of more, his expansion in the degrees of freedom is within 0.003.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def standard_errors(count: int) -> float:
    """Standard errors on either side of a 95 % interval for the mean of so many values, 2 or more."""
    if count - 2 < len(STUDENT):
        return STUDENT[count - 2]
    z, degrees = INTERVAL, count - 1
    return z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
