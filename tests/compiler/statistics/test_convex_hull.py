"""The lower convex hull of (bytes, loss): by hand, and against its definition."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.compiler.statistics.convex_hull import loss_saved, lower_hull

POINTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30).map(float)), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(5, 1.0)], [0]),
        ([(5, 1.0), (3, 1.0)], [1]),  # the same loss for fewer bytes
        ([(5, 1.0), (5, 2.0)], [0]),  # less loss for the same bytes
        ([(5, 1.0), (5, 1.0)], [0]),  # the first of two equals
        ([(0, 10.0), (5, 4.0), (10, 0.0)], [0, 1, 2]),
        ([(0, 10.0), (5, 5.0), (10, 0.0)], [0, 2]),  # on the line between its neighbours
        ([(0, 10.0), (5, 6.0), (10, 0.0)], [0, 2]),
        ([(10, 0.0), (0, 10.0), (4, 9.0), (6, 2.0), (12, 1.0)], [1, 3, 0]),
    ],
)
def test_the_hull_holds_what_can_be_best(points, expected):
    assert lower_hull(points) == expected


def test_a_hull_from_a_point_on():
    points = [(1, 9.0), (0, 10.0), (2, 4.0), (3, 5.0), (5, 3.0), (6, 0.5), (7, 0.5)]
    assert lower_hull(points, first=0) == [0, 2, 5]
    assert lower_hull(points) == [1, 2, 5]
    assert lower_hull([(0, 1.0), (1, 2.0)], first=0) == [0]


@given(POINTS, st.booleans())
def test_some_price_makes_each_point_of_a_hull_the_best_and_no_other_point_better(points, from_the_first):
    first = 0 if from_the_first else None
    kept = lower_hull(points, first)
    allowed = [p for p in points if first is None or (p[0] > points[0][0] and p[1] < points[0][1])]
    allowed += [points[k] for k in kept]
    slopes = [loss_saved(points, a, b) for a, b in pairwise(kept)]
    assert all(before > after > 0 for before, after in pairwise([float("inf"), *slopes]))
    for k, (above, below) in zip(kept, pairwise([2 * max(slopes, default=0) + 100, *slopes, 0.0]), strict=True):
        price = (above + below) / 2
        assert min(price * size + loss for size, loss in allowed) == pytest.approx(price * points[k][0] + points[k][1])
