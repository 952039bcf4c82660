"""The gradient of the divergence from a teacher by what a student's head makes, in one pass over both.

Strategy: KL(teacher || student) has the gradient q - p by the student's logits, the difference of the two predictions.
Most programs end in their head, or in a softcap behind it; there the whole way from what the heads make to the gradient
by it is a few operations on one row of each, which stay in the cache.
"""

from __future__ import annotations

import numpy as np

from ...format.kernels import kernel
from ...format.program.operations import Softcap, SoftcapKind
from ...format.program.program import Program
from ...format.program.roles import find_head
from ...runtime.kernels_exponential import ONE, ZERO, exp32, tanh32
from ...runtime.kernels_reductions import KERNEL, greatest, total


def cap_behind_head(program: Program) -> float | None:
    """The cap of the tanh softcap that is all there is behind the head, 0 without one, None for anything else."""
    head = find_head(program)
    behind = [] if head is None else program.instructions[head + 1 :]
    match behind:
        case [Softcap(cap=cap, kind=SoftcapKind.TANH)]:
            return cap
        case [] if head is not None:
            return 0.0
    return None


@kernel(**KERNEL)
def logit_gradients(student, teacher, cap, share, gradients):
    """share (q - p), times the slope of the student's softcap.

    student, teacher : float32 [positions, vocabulary], contiguous, of which q and p are the softmaxes
    cap : float32 of a tanh softcap before these; 0 bounds nothing
    gradients : float32 [positions, vocabulary], written
    """
    p, q = np.empty(student.shape[1], np.float32), np.empty(student.shape[1], np.float32)
    for row in range(student.shape[0]):
        out = gradients[row]
        _bound(student[row], cap, q)
        for i in range(q.size):
            out[i] = share * (ONE - (q[i] / cap) * (q[i] / cap)) if cap > ZERO else share
        _bound(teacher[row], cap, p)
        of_q, of_p = _exponentials(q), _exponentials(p)
        for i in range(q.size):
            out[i] *= q[i] * of_q - p[i] * of_p


@kernel(**KERNEL)
def _bound(values, cap, bounded):
    """The logits behind the softcap."""
    if cap > ZERO:
        inverse = ONE / cap
        for i in range(values.size):
            bounded[i] = cap * tanh32(values[i] * inverse)
    else:
        bounded[:] = values


@kernel(**KERNEL)
def _exponentials(row):
    """Exponentials in place, with the greatest 1, and the inverse of their sum."""
    peak = greatest(row)
    for i in range(row.size):
        row[i] = exp32(row[i] - peak)
    return ONE / total(row)
