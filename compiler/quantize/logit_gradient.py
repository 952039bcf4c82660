"""What a student has to learn: a teacher's predictions, and a share of the text's own tokens where that is asked for.

Strategy: the loss is the cross-entropy with the target (1 - a) p + a e, p being the teacher's prediction, e the token
that comes next and a the share `labels`; less the teacher's own, so that both are even at 0, and without labels it is
KL(teacher || student). Its gradient by the student's logits is q less that target. Most programs end in their head, or
in a softcap behind it; there the whole way from what the heads make to the gradient by it is a few operations on one
row of each, which stay in the cache.
"""

from __future__ import annotations

import numpy as np
import torch

from ...format.kernels import copy_into, kernel
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


def with_labels(expected: torch.Tensor, following: torch.Tensor, labels: float) -> torch.Tensor:
    """(1 - a) p + a e of predictions p [sequences, length, vocabulary]; p itself where no token follows, or a is 0."""
    if not labels:
        return expected
    share = labels * (following >= 0)[..., None].to(expected.dtype)
    return ((1 - share) * expected).scatter_add_(-1, following.clamp_min(0)[..., None], share)


def excess_loss(expected: torch.Tensor, found: torch.Tensor, following: torch.Tensor, labels: float) -> torch.Tensor:
    """Nats by which a student loses to its teacher, summed over positions in float64.

    expected, found : log-probabilities [sequences, length, vocabulary] of teacher and student; following : of
    `next_tokens`; labels : their share
    """
    return (with_labels(expected.exp(), following, labels) * (expected - found)).sum(-1).double().sum()


@kernel(**KERNEL)
def logit_gradients(student, teacher, following, labels, cap, share, gradients):
    """share (q - (1 - a) p - a e), times the slope of the student's softcap.

    student, teacher : float32 [positions, vocabulary], contiguous, of which q and p are the softmaxes
    following : int64 [positions], the tokens e, -1 for none (then a is 0); labels : float32 a
    cap : float32 of a tanh softcap before these; 0 bounds nothing
    gradients : float32 [positions, vocabulary], written
    """
    p, q = np.empty(student.shape[1], np.float32), np.empty(student.shape[1], np.float32)
    for row in range(student.shape[0]):
        out, label = gradients[row], following[row]
        _bound(student[row], cap, q)
        for i in range(q.size):
            out[i] = share * (ONE - (q[i] / cap) * (q[i] / cap)) if cap > ZERO else share
        told = out[label] * labels if label >= 0 else ZERO
        _bound(teacher[row], cap, p)
        of_q, of_p = _exponentials(q), _exponentials(p)
        if label >= 0:
            of_p *= ONE - labels
        for i in range(q.size):
            out[i] *= q[i] * of_q - p[i] * of_p
        if label >= 0:
            out[label] -= told


@kernel(**KERNEL)
def _bound(values, cap, bounded):
    """The logits behind the softcap."""
    if cap > ZERO:
        inverse = ONE / cap
        for i in range(values.size):
            bounded[i] = cap * tanh32(values[i] * inverse)
    else:
        copy_into(values, bounded)


@kernel(**KERNEL)
def _exponentials(row):
    """Exponentials in place, with the greatest 1, and the inverse of their sum."""
    peak = greatest(row)
    for i in range(row.size):
        row[i] = exp32(row[i] - peak)
    return ONE / total(row)
