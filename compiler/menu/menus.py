"""The menus of all matrices: trial encodes of every kind, solved as a multiple-choice knapsack.

Strategy: at the byte price that quick trials found, every matrix offers its grid at a few prices around
it, and every other kind at that price, with real coded bytes and second-order losses. The knapsack may
spend as many bytes as the best offers take at that price (landing turns what they save into finer
steps); what wins a matrix against its grid is a choice. Groups that store something together come first
(group_choices.py): one that beats the best offers of its members takes their menus' place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...progress import StageProgress
from ..model.groups import Group
from ..representation_settings import MenuSettings
from ..workers import iterate_jobs
from .allocation import Allocation
from .group_choices import choose_groups, fit_members, join_groups
from .kinds import KINDS, SHARED_KINDS, Unit
from .knapsack import choose_items, least_loss
from .offers import PLAIN, GroupOffer, Offer
from .setting import Setting

GRID_OCTAVES = (-0.5, -0.25, 0.0, 0.25, 0.5)  # byte prices around the found one at which plain grids are offered


def allocate(
    settings: MenuSettings,
    units: Mapping[int, Callable[[], Unit]],
    fixed: Collection[int],
    groups: Sequence[Group] = (),
    *,
    threads: int,
    progress: StageProgress,
) -> Allocation:
    """Menus of these matrices and the knapsack's choices; matrices in `fixed` need a kind that follows
    the byte price.
    """
    menus, told = {}, {}
    kinds, shared = offered_kinds(settings), offered_shared_kinds(settings)
    jobs = [(unit, kinds, shared, index in fixed) for index, unit in units.items()]
    for index, (menu, said) in zip(units, iterate_jobs(lambda job: _menu(*job), jobs, threads), strict=True):
        menus[index], told[index] = menu, said
        progress(len(menus), len(units))
    price = _nats_per_byte(menus.values())
    joined = join_groups(groups, shared, told, fixed, price, threads)
    return _solve(menus, price, fit_members(joined, units, threads), settings.least_saving)


def offered_kinds(settings: MenuSettings) -> list[str]:
    """Names of the kinds that are offered to single matrices."""
    return [name for name in KINDS if settings.offers(name)]


def offered_shared_kinds(settings: MenuSettings) -> list[str]:
    """Names of the kinds that are offered to groups."""
    return [name for name in SHARED_KINDS if settings.offers(name)]


def _solve(
    menus: Mapping[int, Sequence[Offer]], price: float, groups: Sequence[GroupOffer], least_saving: float
) -> Allocation:
    """The knapsack's choices, those that save too little left out."""
    allocation = Allocation(menus, {}, price, 0.0, {}, groups)
    grouped = choose_groups(groups, menus, price, least_saving)
    open_menus = {i: [grouped[i]] if i in grouped else menu for i, menu in menus.items()}
    items = [[(offer.bytes, offer.predicted_loss) for offer in menu] for menu in open_menus.values()]
    budget = sum(min(menu, key=lambda item: item[0] + item[1] / price)[0] for menu in items)
    chosen = {i: menu[item] for (i, menu), item in zip(open_menus.items(), choose_items(items, budget), strict=True)}
    everything = sum(menu[0].bytes for menu in menus.values())
    bound = least_loss(items, max(everything, sum(min(item[0] for item in menu) for menu in items)))
    paying = {
        i: offer
        for i, offer in chosen.items()
        if i in grouped or (offer.kind != PLAIN and allocation.saved(i, offer) >= least_saving * menus[i][0].bytes)
    }
    return replace(allocation, chosen=paying, bound=bound)


def _menu(
    make_unit: Callable[[], Unit], kinds: Sequence[str], shared: Sequence[str], fixed: bool
) -> tuple[list[Offer], dict[str, Any]]:
    """Every offer of one matrix, the plain grid at the byte price first, and what it tells its groups by kind."""
    unit = make_unit()
    menu = []
    for octaves in sorted(GRID_OCTAVES, key=abs):
        menu.append(Offer.of(unit, PLAIN, Setting(), unit.grid(octaves=octaves), octaves))
    for name in kinds:
        for setting in KINDS[name].settings(unit):
            if KINDS[name].follows_price(setting) or not fixed:
                menu.append(Offer.of(unit, name, setting, KINDS[name].fit(unit, setting)))
    return menu, {name: SHARED_KINDS[name].tell(unit) for name in shared}


def _nats_per_byte(menus: Collection[Sequence[Offer]]) -> float:
    """What a byte buys in plain grids near the byte price: loss over bytes between the nearest coarser
    and finer grids.
    """
    grids = [{offer.octaves: offer for offer in menu if offer.kind == PLAIN} for menu in menus]
    fine, coarse = max(o for o in GRID_OCTAVES if o < 0), min(o for o in GRID_OCTAVES if o > 0)
    loss = sum(grid[coarse].predicted_loss - grid[fine].predicted_loss for grid in grids)
    return max(loss, 1e-30) / max(sum(grid[fine].bytes - grid[coarse].bytes for grid in grids), 1)
