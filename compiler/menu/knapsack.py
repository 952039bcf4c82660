"""Multiple-choice knapsack: one item from every menu, of least total loss, within a budget of bytes.

Strategy: only items on the lower convex hull of a menu can be best at some price of a byte, and along a
hull each further byte brings less. So take every menu's smallest item and then the upgrades of all
hulls in the order of loss saved per byte until one does not fit: that is the optimum whenever the
budget is spent exactly, and within one upgrade of it otherwise (Sinha and Zoltners, Operations Research
27 (1979), 503-515). The bytes that are left go to whatever single upgrades still fit, on a hull or not,
largest saving first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ...errors import CompileError
from ..statistics.convex_hull import loss_saved, lower_hull

Item = tuple[int, float]  # bytes, loss in nats a token
Upgrade = tuple[int, int, int]  # menu, item before, item after


def choose_items(menus: Sequence[Sequence[Item]], budget: int) -> list[int]:
    """Index of the chosen item of each menu; together they take at most `budget` bytes.

    Deterministic: ties go to the menu, then the item, that comes first. CompileError when even the
    smallest items do not fit.
    """
    upgrades, chosen, left = _start(menus, budget)
    for menu, _, after in upgrades:
        cost = menus[menu][after][0] - menus[menu][chosen[menu]][0]
        if cost > left:
            break
        chosen[menu], left = after, left - cost
    while (best := min(_fitting(menus, chosen, left), default=None)) is not None:
        _, cost, menu, after = best
        chosen[menu], left = after, left - cost
    return chosen


def least_loss(menus: Sequence[Sequence[Item]], budget: int) -> float:
    """Least total loss when items of one menu may be mixed in shares: no choice within the budget can lose less."""
    upgrades, chosen, left = _start(menus, budget)
    loss = sum(menu[item][1] for menu, item in zip(menus, chosen, strict=True))
    for menu, before, after in upgrades:
        (small, high), (large, low) = menus[menu][before], menus[menu][after]
        share = min(1.0, left / (large - small))
        loss -= share * (high - low)
        left -= large - small
        if left <= 0:
            break
    return loss


def _start(menus: Sequence[Sequence[Item]], budget: int) -> tuple[list[Upgrade], list[int], int]:
    """All upgrades along the hulls, best saving first; the smallest item of each menu; the bytes that these leave."""
    hulls = [lower_hull(menu) for menu in menus]
    chosen = [items[0] for items in hulls]
    left = budget - sum(menu[item][0] for menu, item in zip(menus, chosen, strict=True))
    if left < 0:
        raise CompileError(
            f"the smallest candidates take {budget - left} bytes, {budget} are left for them; raise the cap by {-left}"
        )
    upgrades = [(m, before, after) for m, items in enumerate(hulls) for before, after in itertools.pairwise(items)]
    return sorted(upgrades, key=lambda u: -loss_saved(menus[u[0]], u[1], u[2])), chosen, left


def _fitting(
    menus: Sequence[Sequence[Item]], chosen: Sequence[int], left: int
) -> Iterator[tuple[float, int, int, int]]:
    """(minus the loss saved, bytes, menu, item) of every single change that fits and saves something."""
    for m, menu in enumerate(menus):
        size, loss = menu[chosen[m]]
        for index, (other_size, other_loss) in enumerate(menu):
            if other_size - size <= left and other_loss < loss:
                yield other_loss - loss, other_size - size, m, index
