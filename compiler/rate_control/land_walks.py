"""Walking until the budget is filled.

Strategy: a walk is planned on a quick trial and landed with its last matrix alone. While that matrix
cannot close the gap, walk again from another price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .landing import Draft, Landing, Tried
from .sequential_walk import FinishedWalk

MOST_MOVED = 1.0  # octaves between the last matrix's price in the walk and after landing
MOST_OCTAVES = 2.0  # between the prices of two walks


def land_walks(
    walk_from: Callable[[Tried], FinishedWalk],
    land: Callable[[FinishedWalk, Draft], Landing[Draft]],
    quick: Callable[[float], Tried],
    near: Landing[Tried],
    *,
    budget: int,
    tolerance: float,
    slope: float,
    walks: int,
) -> Landing[Draft] | Landing[Tried]:
    """Walk, land the last matrix, and walk again from another price while the last matrix alone cannot close the gap.

    walk_from : quick trial -> walk planned on it; land : a walk and its smallest artifact -> Landing
    quick : byte price -> quick trial; near : the quick landing to start from
    tolerance : share of the budget that may be left over; slope : bytes of the whole model when the byte price halves
    walks : at most so many. Only artifacts within the budget are returned; the quick landing itself when no walk fits.
    """
    best: Landing[Draft] | Landing[Tried] = near
    start, tried = near.trial, list(near.tried)
    for _ in range(walks):
        walk = walk_from(start)
        smallest = walk.smallest()
        if smallest.size > budget:
            reached = walk.at(walk.last_price).size
            tried.append((walk.base_price, reached))
        else:
            landing = land(walk, smallest)
            reached = landing.tried[0][1]  # its first trial is the walk as it ended
            size, moved = landing.trial.size, abs(np.log2(landing.trial.byte_price / walk.last_price))
            tried.append((walk.base_price, size))
            if best is near or size > best.trial.size:
                best = replace(landing, trial=replace(landing.trial, byte_price=walk.base_price))
            if landing.at_finest or (size >= budget * (1 - tolerance) and moved <= MOST_MOVED):
                break
        octaves = min(max((reached - budget) / slope, -MOST_OCTAVES), MOST_OCTAVES)
        start = quick(walk.base_price * 2.0**octaves)
    return replace(best, tried=tuple(tried))
