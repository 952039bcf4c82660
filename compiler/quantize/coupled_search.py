"""Finding a good path of a trellis down a column whose rows are coupled (row_coupling.py).

Strategy: the cost of a row depends on the errors of all rows before it, so every surviving path carries
its own feedback (per-survivor processing, Raheli, Polydoros and Tzou 1995). It remembers its last
RECENT errors; when one is forgotten, survivors that do not share it end, so that the feedback from rows
further back is one and exact for all. Costs and candidates are those of trellis_search.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...format.codecs.scale_classes import EVEN, ODD, TRELLIS_THRESHOLD, bin_shift, class_of
from .trellis_search import INFINITE

RECENT = 128  # less costs bits: the loss of prose at one byte price is 4 % higher with 32
REST = np.uint8(2)  # came_from of a row whose state rests


@njit(cache=True, nogil=True, inline="always")
def _cheapest(target, residue, rate_weight, row_costs, first, shift):
    """(cost, integer) of the integers of one coset nearest to a target, or one further towards zero."""
    near = residue + 4 * np.rint((target - residue) / 4)
    other = near - 4 if near > 0 else near + 4
    best_cost, best = INFINITE, near
    for k in (near, other):
        number = np.int64(abs(k)) >> 1
        number_bin = ((number - first) >> shift) + first if number >= first else 0
        cost = (target - k) * (target - k) + rate_weight * row_costs[min(number_bin, 15)]
        if cost < best_cost:
            best_cost, best = cost, k
    return best_cost, best


@njit(cache=True, nogil=True)
def _rest(target, step, cost, feedback, following, chosen, came_from, origin, errors):
    """A row whose state rests: the nearest even integer of every survivor.

    target, step : of the row; cost : float64[states] of every survivor so far
    feedback : float64[states], what the errors of earlier rows amount to in this one
    following : float64[states] costs after this row; chosen : int32[states] integers; came_from :
        uint8[states]; origin : int64[states], the survivor that each state continues
    errors : float64[states] of this row. The last five are written.
    """
    for state in range(cost.size):
        wanted = (target - feedback[state]) / step
        code = 2 * np.rint(wanted / 2)
        following[state] = cost[state] + (wanted - code) * (wanted - code)
        chosen[state], came_from[state], origin[state] = code, REST, state
        errors[state] = code * step - target


@njit(cache=True, nogil=True)
def _branch(
    target,
    step,
    scale,
    cost,
    feedback,
    sources,
    rate_weight,
    costs,
    branch_cost,
    branch_code,
    following,
    chosen,
    came_from,
    origin,
    errors,
):
    """A row on the trellis: both integers of every survivor, and for each state the better way to it.

    target, step, cost, feedback, following, chosen, came_from, origin, errors : those of `_rest`
    scale : expected log2 magnitude of the integer, 1/65536 octave
    sources : int64[states, 2, 2], the two (state, coset) that lead to each state
    rate_weight : squared fine steps that a bit is worth; costs : bits, of `bit_costs`
    branch_cost, branch_code : float64[states, 2], scratch: the cheapest integer of both cosets
    """
    for state in range(cost.size):
        kind = EVEN + (state & 1)
        scale_class = class_of(scale, kind)
        first, shift = 0 if kind == ODD else 1, bin_shift(scale_class)
        wanted = (target - feedback[state]) / step
        for u in range(2):
            branch_cost[state, u], branch_code[state, u] = _cheapest(
                wanted, (state & 1) + 2 * u, rate_weight, costs[state & 1, scale_class], first, shift
            )
    for state in range(cost.size):
        a, b = sources[state, 0, 0], sources[state, 1, 0]
        cost_a = cost[a] + branch_cost[a, sources[state, 0, 1]]
        cost_b = cost[b] + branch_cost[b, sources[state, 1, 1]]
        edge = 1 if cost_b < cost_a else 0
        before, u = sources[state, edge, 0], sources[state, edge, 1]
        following[state] = min(cost_a, cost_b)
        chosen[state], came_from[state], origin[state] = branch_code[before, u], edge, before
        errors[state] = branch_code[before, u] * step - target


@njit(cache=True, nogil=True)
def _settle(i, recent, origin, following, coupling, settled):
    """Add the error of the oldest remembered row of the best survivor to all later rows; survivors that
    differ in it end.

    They could not be fed back what the others are, and they are far behind by then.
    """
    error = recent[0, origin[np.argmin(following)]]
    for state in range(following.size):
        if recent[0, origin[state]] != error:
            following[state] = INFINITE
    for later in range(i + 1, settled.size):
        settled[later] += coupling[i - RECENT, later] * error


@njit(cache=True, nogil=True)
def search_coupled_path(targets, row_steps, scales, coupling, sources, rate_weight, costs, codes):
    """Integers of one column.

    targets, row_steps : float64[rows] weights wanted and fine steps; scales : int64[rows] expected log2
        magnitude, 1/65536 octave
    coupling : float64[rows, rows] V; sources as in `search_path`; codes : int64[rows], written.
    Where the scale is below TRELLIS_THRESHOLD the integer is even and the state rests.
    """
    rows, n_states = targets.size, sources.shape[0]
    cost, following = np.full(n_states, INFINITE), np.empty(n_states)
    cost[0] = 0.0
    came_from, chosen = np.empty((rows, n_states), np.uint8), np.empty((rows, n_states), np.int32)
    recent, moved = np.zeros((RECENT, n_states)), np.zeros((RECENT, n_states))  # errors of the last rows, oldest first
    settled = np.zeros(rows)  # feedback from the rows before those
    feedback, errors, origin = np.empty(n_states), np.empty(n_states), np.arange(n_states)
    branch_cost, branch_code = np.empty((n_states, 2)), np.empty((n_states, 2))
    for i in range(rows):
        feedback[:] = settled[i]
        for k in range(max(0, RECENT - i), RECENT):
            weight = coupling[i - RECENT + k, i]
            for state in range(n_states):
                feedback[state] += weight * recent[k, state]
        results = following, chosen[i], came_from[i], origin, errors
        if scales[i] < TRELLIS_THRESHOLD:
            _rest(targets[i], row_steps[i], cost, feedback, *results)
        else:
            _branch(
                targets[i],
                row_steps[i],
                scales[i],
                cost,
                feedback,
                sources,
                rate_weight,
                costs,
                branch_cost,
                branch_code,
                *results,
            )
        for k in range(RECENT - 1):
            for state in range(n_states):
                moved[k, state] = recent[k + 1, origin[state]]
        if i >= RECENT:
            _settle(i, recent, origin, following, coupling, settled)
        moved[RECENT - 1, :] = errors
        recent, moved = moved, recent
        cost, following = following, cost
    state = np.argmin(cost)
    for i in range(rows - 1, -1, -1):
        codes[i] = chosen[i, state]
        if came_from[i, state] != REST:
            state = sources[state, came_from[i, state], 0]
