"""The loops of a loader, each written once and run in three ways: by numba, as C, as plain Python.

Strategy: a kernel is a function over whole numbers and arrays of int64 and uses so little of Python that its text says
the same in C: assignments of one name or element, `if`, `while`, `for ... in range(n)`, `+ - * // << >> & | ^`,
comparisons, `and`, `or`, `min`, `max`, `abs`, and calls of other kernels, which return a number. Arrays are told by
their names; names in capitals are constants, written into the text as numbers. What C reads otherwise is not used:
comparisons beside `& | ^`, chained comparisons, `//` and `<<` of something negative, `<<` of a constant (kernel_text.py
refuses what it can see of that). Numbers stay within 64 bits, which plain Python would not notice.
"""

from __future__ import annotations

# The names that stand for arrays, in every kernel.
ARRAYS = ("payload", "registers", "layout", "scales", "known", "cells", "memory", "codes", "rates")
