"""The multiple-choice knapsack against exact dynamic programming: budgets, distance to the optimum, and the bound."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_knapsack import least_loss_exactly

from bytecap.compiler.menu.knapsack import choose_items, least_loss
from bytecap.compiler.statistics.convex_hull import lower_hull
from bytecap.errors import CompileError

MENUS = st.lists(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60).map(float)), min_size=1, max_size=6),
    min_size=1,
    max_size=5,
)


def spent(menus, chosen) -> int:
    return sum(menu[item][0] for menu, item in zip(menus, chosen, strict=True))


def lost(menus, chosen) -> float:
    return sum(menu[item][1] for menu, item in zip(menus, chosen, strict=True))


@settings(max_examples=150, deadline=None)
@given(MENUS, st.integers(0, 120))
def test_within_the_budget_and_within_one_upgrade_of_the_optimum(menus, budget) -> None:
    optimum = least_loss_exactly(menus, budget)
    if optimum is None:
        with pytest.raises(CompileError):
            choose_items(menus, budget)
        return
    chosen = choose_items(menus, budget)
    assert spent(menus, chosen) <= budget
    steps = [menu[a][1] - menu[b][1] for menu in menus for a, b in itertools.pairwise(lower_hull(menu))]
    assert optimum <= lost(menus, chosen) <= optimum + max(steps, default=0.0)
    assert least_loss(menus, budget) <= optimum + 1e-9


@settings(max_examples=150, deadline=None)
@given(MENUS, st.integers(0, 30))
def test_optimal_at_every_budget_where_an_upgrade_ends(menus, count) -> None:
    """Where the bytes of whole upgrades are spent exactly, greedy, dynamic programming and the bound on hulls agree."""
    hulls = [lower_hull(menu) for menu in menus]
    pairs = [(m, a, b) for m, items in enumerate(hulls) for a, b in itertools.pairwise(items)]
    pairs.sort(
        key=lambda p: -(menus[p[0]][p[1]][1] - menus[p[0]][p[2]][1]) / (menus[p[0]][p[2]][0] - menus[p[0]][p[1]][0])
    )
    budget = sum(menus[m][items[0]][0] for m, items in enumerate(hulls))
    budget += sum(menus[m][b][0] - menus[m][a][0] for m, a, b in pairs[:count])
    found = lost(menus, choose_items(menus, budget))
    assert found == pytest.approx(least_loss(menus, budget), abs=1e-9)
    assert found == pytest.approx(least_loss_exactly(menus, budget), abs=1e-9)


def test_the_last_bytes_go_to_whatever_still_fits() -> None:
    menus = [[(0, 10.0), (10, 0.0)], [(0, 1.0), (3, 0.5)], [(0, 0.4), (2, 0.1)]]
    assert choose_items(menus, 10) == [1, 0, 0]
    assert choose_items(menus, 13) == [1, 1, 0]
    assert choose_items(menus, 9) == [0, 1, 1]  # the best upgrade does not fit; the other two do
    off_the_hull = [[(0, 10.0), (6, 7.0), (10, 0.0)]]
    assert choose_items(off_the_hull, 9) == [1]


def test_a_budget_below_the_smallest_items_is_refused_with_what_it_would_take() -> None:
    with pytest.raises(CompileError, match=r"take 7 bytes, 6 are left for them; raise the cap by 1"):
        choose_items([[(3, 1.0), (9, 0.0)], [(4, 2.0)]], 6)
    assert choose_items([[(3, 1.0), (9, 0.0)], [(4, 2.0)]], 7) == [0, 0]
