"""The scans of one sequence: a state of each head, which decays, takes in and is read position by position.

Strategy: where heads have one element each, as in the first Mamba, neighbouring heads are the SIMD loop; where they are
wide, as in the second and in the delta rule, the elements of the state are. The blocks of a state that is walked
through all positions stay in the first-level cache. Shapes were validated before. Semantics: section 4 of
spec/program.md.
"""

from __future__ import annotations

import numpy as np

from ..format.kernels import kernel
from ..format.program import operations as op
from .binding import BindContext, Step, Workspace
from .kernels_exponential import EXPONENT_GREATEST, ZERO, exp32
from .kernels_reductions import KERNEL, REASSOCIATE

HEADS_AT_ONCE = 256  # of one element: with a state of 16 they take 16 KiB
INFINITY = np.float32(np.inf)


def bind_scan(o: op.Scan, context: BindContext) -> Step:
    width, state_width = context.widths[o.x] // o.heads, context.widths[o.write] // o.groups
    rates = np.broadcast_to(rates_of(o, context), (o.heads, state_width))
    narrow, key = width == 1, object()
    run, rates = (scan_narrow, rates.T) if narrow else (scan_wide, rates)
    shape = (state_width, o.heads) if narrow else (o.heads, width, state_width)
    rates = np.ascontiguousarray(rates)

    def step(
        workspace: Workspace, out: np.ndarray, x: np.ndarray, steps: np.ndarray, write: np.ndarray, read: np.ndarray
    ) -> None:
        run(x, steps, write, read, rates, o.groups, workspace.state(key, shape), out)

    return step


def bind_delta_scan(o: op.DeltaScan, context: BindContext) -> Step:
    shape = o.heads, context.widths[o.x] // o.heads, context.widths[o.write] // o.groups
    rates, key = rates_of(o, context).ravel(), object()

    def step(workspace: Workspace, out: np.ndarray, *registers: np.ndarray) -> None:
        x, steps, strengths, write, read = registers
        delta_scan(x, steps, strengths, write, read, rates, o.groups, workspace.state(key, shape), out)

    return step


def rates_of(o: op.Scan | op.DeltaScan, context: BindContext) -> np.ndarray:
    """float32 [heads, 1 or elements of the state]: what the logarithm of a state changes by in a step of 1."""
    logarithms = context.tensors[o.log_rates].reshape(o.heads, -1).astype(np.float64)
    with np.errstate(over="ignore"):  # of logarithms beyond sense the rates are infinite, and losses show it
        return (-np.exp(logarithms)).astype(np.float32)


def state_floats(o: op.Scan | op.DeltaScan, widths: tuple[int, ...] | list[int]) -> int:
    """Elements of the state of a running sequence; widths : of all registers."""
    return widths[o.x] * (widths[o.write] // o.groups)


@kernel(**KERNEL)
def decay(exponent):
    """e**x for a float32 x, infinite above 88: a state that grows beyond all numbers must not be bounded in silence."""
    return INFINITY if exponent > EXPONENT_GREATEST else exp32(exponent)


@kernel(fastmath=REASSOCIATE, **KERNEL)
def advance(row, decays, intake, write, read):
    """row = decays * row + intake * write, in place; the inner product of that and `read`. All float32 [state]."""
    accumulator = ZERO
    for i in range(row.size):
        row[i] = row[i] * decays[i] + intake * write[i]
        accumulator += row[i] * read[i]
    return accumulator


@kernel(**KERNEL)
def scan_wide(x, steps, write, read, rates, groups, state, out):
    """Heads of several elements.

    x, out : float32 [length, heads * width]
    steps : float32 [length, heads]
    write, read : float32 [length, groups * state]
    rates : float32 [heads, state]                    what the logarithm of a state changes by in a step of 1
    groups : int                                      divides the heads
    state : float32 [heads, width, state]             before the first position; overwritten by that behind the last
    """
    heads, width, size = state.shape
    decays = np.empty(size, np.float32)
    for head in range(heads):
        first = head // (heads // groups) * size
        for t in range(x.shape[0]):
            step, taken, asked = steps[t, head], write[t, first : first + size], read[t, first : first + size]
            for i in range(size):
                decays[i] = decay(step * rates[head, i])
            for c in range(width):
                at = head * width + c
                out[t, at] = advance(state[head, c], decays, step * x[t, at], taken, asked)


@kernel(**KERNEL)
def scan_narrow(x, steps, write, read, rates, groups, state, out):
    """Heads of one element, see `scan_wide`.

    x, steps, out : float32 [length, heads]
    rates, state : float32 [state, heads]
    """
    size, heads = state.shape
    together = heads // groups
    for first in range(0, heads, HEADS_AT_ONCE):
        for t in range(x.shape[0]):
            for start in range(first, min(first + HEADS_AT_ONCE, heads)):
                out[t, start] = ZERO
            for i in range(size):
                start = first
                while start < min(first + HEADS_AT_ONCE, heads):
                    group = start // together
                    stop = min(first + HEADS_AT_ONCE, heads, (group + 1) * together)
                    advance_heads(
                        state[i, start:stop],
                        rates[i, start:stop],
                        steps[t, start:stop],
                        x[t, start:stop],
                        write[t, group * size + i],
                        read[t, group * size + i],
                        out[t, start:stop],
                    )
                    start = stop


@kernel(**KERNEL)
def advance_heads(state, rates, steps, x, write, read, out):
    """One element of the states of neighbouring heads, in place, and what is read of it added to `out`; float32
    [heads], `write` and `read` are numbers.
    """
    for head in range(state.size):
        step = steps[head]
        state[head] = state[head] * decay(step * rates[head]) + step * x[head] * write
        out[head] += state[head] * read


@kernel(fastmath=REASSOCIATE, **KERNEL)
def decayed(row, by, write):
    """row = by * row, in place; the inner product of that and `write`. float32 [state]."""
    accumulator = ZERO
    for i in range(row.size):
        row[i] *= by
        accumulator += row[i] * write[i]
    return accumulator


@kernel(fastmath=REASSOCIATE, **KERNEL)
def corrected(row, intake, write, read):
    """row = row + intake * write, in place; the inner product of that and `read`. float32 [state]."""
    accumulator = ZERO
    for i in range(row.size):
        row[i] += intake * write[i]
        accumulator += row[i] * read[i]
    return accumulator


@kernel(**KERNEL)
def delta_scan(x, steps, strengths, write, read, rates, groups, state, out):
    """The delta rule: see `scan_wide`.

    strengths : float32 [length, heads]
    rates : float32 [heads]
    """
    heads, width, size = state.shape
    for head in range(heads):
        first = head // (heads // groups) * size
        for t in range(x.shape[0]):
            taken, asked = write[t, first : first + size], read[t, first : first + size]
            by = decay(steps[t, head] * rates[head])
            for c in range(width):
                at = head * width + c
                beyond = x[t, at] - decayed(state[head, c], by, taken)
                out[t, at] = corrected(state[head, c], strengths[t, head] * beyond, taken, asked)
