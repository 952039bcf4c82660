"""Finding a good path of a trellis down a column whose rows are coupled (row_coupling.py).

Strategy: the cost of a row depends on the errors of all rows before it, so every surviving path carries
its own feedback (per-survivor processing, Raheli, Polydoros and Tzou 1995). Errors more than RECENT rows
old must be the same for all: survivors that do not share the best one's end. Costs and candidates are
those of trellis_search.py.

Rows are taken in blocks. A survivor's feedback of all rows of a block is one contiguous vector, which
grows by one axpy a row and is copied where a path branches. Paths that part late share their past, so at
the start of a block that vector is built along the tree of the rows that survivors do not agree on:
few of its nodes are far back. What they agree on is settled once for all later rows. Every sum runs from
the oldest row to the newest, so the blocks change no digit of the result.
"""

from __future__ import annotations

import numpy as np

from ...format.codecs.scale_classes import EVEN, ODD, TRELLIS_THRESHOLD, bin_shift, class_of
from ...format.kernels import copy_into, kernel
from .trellis_search import INFINITE

RECENT = 128  # less costs bits: the loss of prose at one byte price is 4 % higher with 32
BLOCK_ROWS = 16
KEPT_ROWS = 256  # of errors, by row modulo this: a power of two, at least RECENT + 2 BLOCK_ROWS
LAST_BIN = 15


@kernel()
def _cheapest(wanted, parity, rates, first, shift, branch_cost, branch_code):
    """The integer of each coset of one parity that is nearest to a target, or one further towards zero.

    wanted : float64[states / 2], targets of the survivors of that parity, in fine steps
    rates : float64[16], what the bits of each bin cost; first, shift : of the bins, see bin_shift
    branch_cost, branch_code : float64[2, states], written for both cosets: even survivors first, then odd ones
    """
    half = wanted.size
    for u in range(2):
        residue = float(parity + 2 * u)
        for h in range(half):
            near = residue + 4 * np.rint((wanted[h] - residue) / 4)
            other = near - 4 if near > 0 else near + 4
            number, further = np.int64(abs(near)) >> 1, np.int64(abs(other)) >> 1
            number_bin = ((number - first) >> shift) + first if number >= first else 0
            further_bin = ((further - first) >> shift) + first if further >= first else 0
            cost = (wanted[h] - near) * (wanted[h] - near) + rates[min(number_bin, LAST_BIN)]
            other_cost = (wanted[h] - other) * (wanted[h] - other) + rates[min(further_bin, LAST_BIN)]
            branch_cost[u, parity * half + h] = other_cost if other_cost < cost else cost
            branch_code[u, parity * half + h] = other if other_cost < cost else near


@kernel()
def _rest(target, step, cost, feedback, following, chosen, origin, errors):
    """A row whose state rests: the nearest even integer of every survivor.

    target, step : of the row; cost : float64[states] of every survivor so far
    feedback : float64[states], what the errors of earlier rows amount to in this one
    following : float64[states] costs after this row; chosen : int32[states] integers; origin :
        uint8[states], the survivor that each state continues; errors : float64[states] of this row.
        All four are written.
    """
    for state in range(cost.size):
        wanted = (target - feedback[state]) / step
        code = 2 * np.rint(wanted / 2)
        following[state] = cost[state] + (wanted - code) * (wanted - code)
        chosen[state], origin[state] = code, state
        errors[state] = code * step - target


@kernel()
def _weigh(target, step, scale, feedback, rate_weight, costs, wanted, branches):
    """Both integers that every survivor may go on with.

    target, step, feedback : those of `_rest`; scale : expected log2 magnitude of the integer, 1/65536 octave
    rate_weight : squared fine steps that a bit is worth; costs : bits, of `bit_costs`
    wanted : float64[states / 2], scratch; branches : float64[2, 2, states], written: costs and integers of `_cheapest`
    """
    for parity in range(2):
        kind = EVEN + parity
        scale_class = class_of(scale, kind)
        for h in range(wanted.size):
            wanted[h] = (target - feedback[2 * h + parity]) / step
        first = 0 if kind == ODD else 1
        rates = rate_weight * costs[parity, scale_class]
        _cheapest(wanted, parity, rates, first, bin_shift(scale_class), branches[0], branches[1])


@kernel()
def _branch(target, step, cost, branches, sources, following, chosen, origin, errors):
    """A row on the trellis: for each state the better of the two ways to it.

    target, step, cost, following, chosen, origin, errors : those of `_rest`
    branches : float64[2, 2 * states], costs and integers of `_cheapest`, flattened
    sources : int64[states, 2, 2] of `_branch_places`
    """
    for state in range(cost.size):
        a, b = sources[state, 0, 0], sources[state, 1, 0]
        way_a, way_b = sources[state, 0, 1], sources[state, 1, 1]
        cost_a, cost_b = cost[a] + branches[0, way_a], cost[b] + branches[0, way_b]
        code = branches[1, way_b] if cost_b < cost_a else branches[1, way_a]
        following[state] = min(cost_a, cost_b)
        chosen[state] = code
        origin[state] = b if cost_b < cost_a else a
        errors[state] = code * step - target


@kernel()
def _branch_places(sources):
    """int64[states, 2, 2]: of both ways to each state the state before and the place of its branch in `branches`."""
    places, states = sources.copy(), sources.shape[0]
    for state in range(states):
        for edge in range(2):
            before, u = sources[state, edge]
            places[state, edge, 1] = u * states + (before & 1) * (states // 2) + (before >> 1)
    return places


@kernel()
def _feed(feedback, fed, weights, origin, errors):
    """Feedback in the rows of a block, after one more row before them.

    feedback, fed : float64[states, BLOCK_ROWS] before and after the row; weights : float64[BLOCK_ROWS] of the row in
        those, 0 in rows that are not after it
    """
    for state in range(origin.size):
        error, before = errors[state], origin[state]
        for t in range(BLOCK_ROWS):  # all of them: a fixed number is faster than fewer
            fed[state, t] = feedback[before, t] + weights[t] * error


@kernel()
def _feed_nodes(feedback, fed, weights, origin, errors, nodes):
    """`_feed` for some states only."""
    for x in range(nodes.size):
        state = nodes[x]
        error, before = errors[state], origin[state]
        for t in range(BLOCK_ROWS):
            fed[state, t] = feedback[before, t] + weights[t] * error


@kernel()
def _trace(cost, origin, first, end, nodes, counts, seen):
    """The tree of the survivors: the states of each row first .. end - 1 that one of them passes through.

    nodes : int64[rows, states] and counts : int64[rows], written; seen : int64[states], scratch, never reset
    """
    n = 0
    for state in range(cost.size):
        if cost[state] < INFINITE:
            nodes[end - 1 - first, n] = state
            n += 1
    counts[end - 1 - first] = n
    for k in range(end - 2, first - 1, -1):
        n, later, stamp = 0, n, end * KEPT_ROWS + (k - first)
        for x in range(later):
            state = np.int64(origin[k + 1, nodes[k + 1 - first, x]])
            if seen[state] != stamp:
                seen[state] = stamp
                nodes[k - first, n] = state
                n += 1
        counts[k - first] = n


@kernel()
def _agree(errors, nodes):
    """Whether the errors of these states are all the same."""
    for x in range(1, nodes.size):
        if errors[nodes[x]] != errors[nodes[0]]:
            return False
    return True


@kernel()
def _settle(settled, weights, error):
    """Add the error of a row that all survivors share to all later rows."""
    for later in range(settled.size):
        settled[later] += weights[later] * error


@kernel()
def _settle_agreed(settled, coupling, errors, first, end, nodes, counts):
    """Settle the rows from `first` on until survivors differ, and say where that is; nodes, counts of `_trace`."""
    for k in range(first, end):
        row_nodes, row_errors = nodes[k - first, : counts[k - first]], errors[k & (KEPT_ROWS - 1)]
        if not _agree(row_errors, row_nodes):
            return k
        _settle(settled[end:], coupling[k, end:], row_errors[row_nodes[0]])
    return end


@kernel()
def _look_back(origin, errors, first, end, past):
    """What each survivor after row end - 1 did in the rows from `first` on.

    past : float64[rows, states], their errors, written
    """
    for survivor in range(errors.shape[1]):
        state = survivor
        for k in range(end - 1, first - 1, -1):
            if k - first < past.shape[0]:
                past[k - first, survivor] = errors[k & (KEPT_ROWS - 1), state]
            state = np.int64(origin[k, state])


@kernel()
def _end_others(following, past, ancestors):
    """Survivors end whose error of a row that is forgotten now is not the best one's.

    They could not be fed back what the others are, and they are far behind by then.
    past : float64[states], errors of that row by survivor at the start of the block; ancestors : int64[states]
    """
    error = past[ancestors[np.argmin(following)]]
    for state in range(following.size):
        if past[ancestors[state]] != error:
            following[state] = INFINITE


@kernel()
def _read_path(state, origin, chosen, codes):
    """codes : int64[rows], written: the integers of the survivor that is in a state in the end."""
    for i in range(codes.size - 1, -1, -1):
        codes[i] = chosen[i, state]
        state = np.int64(origin[i, state])


@kernel()
def search_coupled_path(targets, row_steps, scales, coupling, sources, rate_weight, costs, codes):
    """Integers of one column.

    targets, row_steps : float64[rows] weights wanted and fine steps; scales : int64[rows] expected log2
        magnitude, 1/65536 octave
    coupling : float64[rows, rows] V; sources as in `search_path`; codes : int64[rows], written.
    Where the scale is below TRELLIS_THRESHOLD the integer is even and the state rests.
    """
    rows, n_states = targets.size, sources.shape[0]
    ways = _branch_places(sources)
    cost, following = np.full(n_states, INFINITE), np.empty(n_states)
    cost[0] = 0.0
    origin, chosen = np.empty((rows, n_states), np.uint8), np.empty((rows, n_states), np.int32)
    errors = np.empty((KEPT_ROWS, n_states))
    settled, agreed = np.zeros(rows), 0  # feedback of the first rows, on which all survivors agree
    feedback, fed = np.zeros((n_states, BLOCK_ROWS)), np.zeros((n_states, BLOCK_ROWS))
    weights = np.zeros(BLOCK_ROWS)
    nodes, counts = np.empty((KEPT_ROWS, n_states), np.int64), np.empty(KEPT_ROWS, np.int64)
    seen, ancestors, moved = np.full(n_states, -1), np.empty(n_states, np.int64), np.empty(n_states, np.int64)
    past = np.empty((2 * BLOCK_ROWS, n_states))
    wanted, branches = np.empty(n_states // 2), np.empty((2, 2, n_states))
    flat = branches.reshape(2, 2 * n_states)
    for start in range(0, rows, BLOCK_ROWS):
        end, before = min(start + BLOCK_ROWS, rows), agreed
        if before < start:
            _trace(cost, origin, before, start, nodes, counts, seen)
            agreed = _settle_agreed(settled, coupling, errors, before, start, nodes, counts)
        for state in range(n_states):
            copy_into(settled[start:end], feedback[state])
            copy_into(settled[start:end], fed[state])
        for k in range(agreed, start):
            row_nodes = nodes[k - before, : counts[k - before]]
            copy_into(coupling[k, start:end], weights)
            _feed_nodes(feedback, fed, weights, origin[k], errors[k & (KEPT_ROWS - 1)], row_nodes)
            feedback, fed = fed, feedback
        forgotten = end - RECENT - agreed  # rows that this block will forget before all survivors agree on them
        if forgotten > 0:
            for state in range(n_states):
                ancestors[state] = state
            _look_back(origin, errors, agreed, start, past[:forgotten])
        for i in range(start, end):
            row = following, chosen[i], origin[i], errors[i & (KEPT_ROWS - 1)]
            if scales[i] < TRELLIS_THRESHOLD:
                _rest(targets[i], row_steps[i], cost, feedback[:, i - start], *row)
            else:
                _weigh(
                    targets[i], row_steps[i], scales[i], feedback[:, i - start], rate_weight, costs, wanted, branches
                )
                _branch(targets[i], row_steps[i], cost, flat, ways, *row)
            if forgotten > 0:
                for state in range(n_states):
                    moved[state] = ancestors[origin[i, state]]
                ancestors, moved = moved, ancestors
                if i - RECENT >= agreed:
                    _end_others(following, past[i - RECENT - agreed], ancestors)
            copy_into(coupling[i, start:end], weights)
            _feed(feedback, fed, weights, origin[i], row[3])
            feedback, fed = fed, feedback
            cost, following = following, cost
    _read_path(np.int64(np.argmin(cost)), origin, chosen, codes)
