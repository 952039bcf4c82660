"""Choices of whole groups: what their members share, what each of them then takes, and which groups
beat their members' own menus.

Strategy: for every group and kind what is shared is made for each setting, and the setting of least
estimated cost is fitted for real, member by member. At the price of a byte a group is worth what its
members' best own offers cost together more than it; groups are taken in the order of that, as long as
no member belongs to one already.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.groups import Group
from ..workers import run_jobs
from .kinds import SHARED_KINDS, Shared, Unit
from .offers import GroupOffer, Offer
from .setting import Setting


@dataclass(frozen=True, slots=True)
class Joined:
    """A group of a family whose members know what they share."""

    kind: str
    family: str
    setting: Setting
    shared: Mapping[int, Shared]


def join_groups(
    groups: Sequence[Group],
    kinds: Sequence[str],
    told: Mapping[int, Mapping[str, Any]],
    fixed: Collection[int],
    nats_per_byte: float,
    threads: int,
) -> list[Joined]:
    """The best setting of every kind for every group that it is for; groups with a member in `fixed`
    need one that follows the price.

    told : by tensor index and kind, what `tell` gave
    """
    jobs = [(name, group) for name in kinds for group in groups if group.family in SHARED_KINDS[name].families]

    def join(job: tuple[str, Group]) -> Joined | None:
        name, group = job
        kind, said = SHARED_KINDS[name], [told[i][name] for i in group.members]
        settings = kind.settings(said)
        settings = [
            setting for setting in settings if kind.follows_price(setting) or not set(fixed) & set(group.members)
        ]
        contents = [kind.join(said, setting) for setting in settings]
        costs = [kind.estimate(said, *pair, nats_per_byte) for pair in zip(settings, contents, strict=True)]
        if not costs:
            return None
        best = costs.index(min(costs))
        owner = group.members[0]
        shared = {i: Shared(contents[best], owner, i == owner, kind.term) for i in group.members}
        return Joined(name, group.family, settings[best], shared)

    return [joined for joined in run_jobs(join, jobs, threads) if joined is not None]


def fit_members(joined: Sequence[Joined], units: Mapping[int, Callable[[], Unit]], threads: int) -> list[GroupOffer]:
    """The offers of these groups: every matrix is prepared once and fitted to each group it belongs to."""
    wanted: dict[int, list[Joined]] = {}
    for group in joined:
        for index in group.shared:
            wanted.setdefault(index, []).append(group)

    def fit(index: int) -> list[Offer]:
        unit = units[index]()
        return [_offer(unit, group, index) for group in wanted[index]]

    found = dict(zip(wanted, (iter(offers) for offers in run_jobs(fit, list(wanted), threads)), strict=True))
    return [
        GroupOffer(group.kind, group.family, group.setting, {i: next(found[i]) for i in group.shared})
        for group in joined
    ]


def _offer(unit: Unit, group: Joined, index: int) -> Offer:
    shared = group.shared[index]
    made = SHARED_KINDS[group.kind].fit(unit, group.setting, shared)
    return Offer.of(unit, group.kind, group.setting, made, shared=shared)


def choose_groups(
    groups: Sequence[GroupOffer], menus: Mapping[int, Sequence[Offer]], nats_per_byte: float, least_saving: float
) -> dict[int, Offer]:
    """Offers of the members of those groups that pay, by tensor index.

    least_saving : share of the members' bytes as plain grids that a group must save against the best of
        their own offers
    """
    alone = {i: min(offer.cost(nats_per_byte) for offer in menu) for i, menu in menus.items()}
    saved = [sum(alone[i] for i in group.members) - group.cost(nats_per_byte) for group in groups]
    chosen: dict[int, Offer] = {}
    for n in sorted(range(len(groups)), key=lambda n: (-saved[n], n)):
        plain = sum(menus[i][0].bytes for i in groups[n].members)
        if saved[n] > 0 and saved[n] >= least_saving * plain and not chosen.keys() & set(groups[n].members):
            chosen |= groups[n].offers
    return chosen
