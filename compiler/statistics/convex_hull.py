"""The lower convex hull of (bytes, loss): what can be best at some price of a byte, with falling returns along it.

Strategy: Andrew's monotone chain over the points in the order of their bytes (Information Processing
Letters 9 (1979), 216-219).
"""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]  # bytes, loss


def lower_hull(points: Sequence[Point], first: int | None = None) -> list[int]:
    """Indexes of the points on the lower convex hull, from the fewest bytes to the least loss.

    With `first`, the hull starts at that point and holds only points of more bytes and less loss. Of
    equal points the first one counts, and what lies on the line between its neighbours is left out.
    """
    result: list[int] = []
    for index in sorted(_allowed(points, first), key=lambda i: (*points[i], i)):
        if result and points[index][1] >= points[result[-1]][1]:
            continue
        while len(result) > 1 and loss_saved(points, result[-1], index) >= loss_saved(points, result[-2], result[-1]):
            result.pop()
        result.append(index)
    return result


def loss_saved(points: Sequence[Point], before: int, after: int) -> float:
    """Loss saved a byte from one point to another of different bytes, as all points of a hull are."""
    return (points[before][1] - points[after][1]) / (points[after][0] - points[before][0])


def _allowed(points: Sequence[Point], first: int | None) -> Sequence[int]:
    if first is None:
        return range(len(points))
    size, loss = points[first]
    return [first, *(i for i, point in enumerate(points) if point[0] > size and point[1] < loss)]
