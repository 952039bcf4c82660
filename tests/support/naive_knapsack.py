"""The slow twin of the multiple-choice knapsack: exact dynamic programming over every number of bytes."""

from __future__ import annotations

from collections.abc import Sequence


def least_loss_exactly(menus: Sequence[Sequence[tuple[int, float]]], budget: int) -> float | None:
    """Least total loss of one item from each menu within `budget` bytes; None when nothing fits."""
    best: dict[int, float] = {0: 0.0}  # bytes spent -> least loss so far
    for menu in menus:
        spent: dict[int, float] = {}
        for before, loss in best.items():
            for size, more in menu:
                if before + size <= budget:
                    spent[before + size] = min(spent.get(before + size, float("inf")), loss + more)
        best = spent
    return min(best.values(), default=None)
