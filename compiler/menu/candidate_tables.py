"""What the menus of candidates came to, as data for the report: what won, and what every other kind would have cost.

Strategy: one table of what was chosen, matrix by matrix; one of the offers to groups, which stand and fall together; one sum a kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model.model import Model
from ..quantize.composite import CompositeMatrix
from ..rate_control.landing import Landing
from ..rate_control.trials import Trials
from .choosing import PLAIN, Allocation
from .offers import GroupOffer, Offer


def candidate_tables(trials: Trials, landing: Landing) -> dict | None:
    """JSON-able tables `chosen`, `kinds`, `groups` and `matrices`; None when no menus were offered.

    `saved` is bytes against the plain grid at equal predicted loss, at the price of a byte in `nats_per_byte`; below 0 the
    kind would cost that much more. Losses are nats a token, `bytes` those of a trial encode of the matrix alone.
    """
    allocation = trials.allocation
    if allocation is None:
        return None
    matrices = [_matrix(trials.model, allocation, index, menu) for index, menu in allocation.menus.items()]
    groups = [_group(trials, group) for group in allocation.groups]
    return {
        "nats_per_byte": allocation.nats_per_byte,
        "plain_loss": sum(menu[0].predicted_loss for menu in allocation.menus.values()),
        "least_loss": allocation.bound,
        "chosen": [
            _choice(trials, index, offer) for index, offer in sorted(trials.choices.items()) if offer.kind != PLAIN
        ],
        "kinds": [*_kinds(matrices, trials, landing), *_shared_kinds(groups, trials, landing)],
        "groups": groups,
        "matrices": matrices,
    }


def _choice(trials: Trials, index: int, offer: Offer) -> dict:
    """One matrix that is not a plain grid; `measured` where its saving was confirmed on held-out text."""
    plain, allocation = trials.allocation.menus[index][0], trials.allocation
    before, after = allocation.measured.get(index, (None, None))
    return {
        "name": trials.model.tensors[index].name,
        **_offered(allocation, index, offer),
        "plain": {"bytes": plain.bytes, "predicted_loss": plain.predicted_loss},
        "measured": None if before is None else {"plain": before, "chosen": after},
    }


def _matrix(model: Model, allocation: Allocation, index: int, menu: Sequence[Offer]) -> dict:
    """The plain grid of a matrix and the best offer of every other kind."""
    best: dict[str, Offer] = {}
    for offer in menu:
        if offer.kind != PLAIN and (
            offer.kind not in best or allocation.saved(index, offer) > allocation.saved(index, best[offer.kind])
        ):
            best[offer.kind] = offer
    return {
        "name": model.tensors[index].name,
        "bytes": menu[0].bytes,
        "predicted_loss": menu[0].predicted_loss,
        "offers": [_offered(allocation, index, offer) for offer in best.values()],
    }


def _offered(allocation: Allocation, index: int, offer: Offer) -> dict:
    return {
        "kind": offer.kind,
        "setting": list(offer.setting),
        "bytes": offer.bytes,
        "predicted_loss": offer.predicted_loss,
        "saved": allocation.saved(index, offer),
    }


def _group(trials: Trials, group: GroupOffer) -> dict:
    """An offer to a group: what its members would take together, `saved` against all of them as plain grids."""
    allocation, members = trials.allocation, group.members
    return {
        "kind": group.kind,
        "setting": list(group.setting),
        "names": [trials.model.tensors[i].name for i in members],
        "bytes": sum(offer.bytes for offer in group.offers.values()),
        "predicted_loss": sum(offer.predicted_loss for offer in group.offers.values()),
        "plain": {
            key: sum(getattr(allocation.menus[i][0], key) for i in members) for key in ("bytes", "predicted_loss")
        },
        "saved": allocation.saved_together(group.offers),
        "chosen": all(trials.choices.get(i) is offer for i, offer in group.offers.items()),
    }


def _kinds(matrices: Sequence[Mapping], trials: Trials, landing: Landing) -> list[dict]:
    """By kind: matrices that it was offered to, those it won with their bytes, and the most it saved in one matrix."""
    rows = []
    for kind in trials.plan["choose-candidates"].kinds[1:]:
        offers = [offer["saved"] for matrix in matrices for offer in matrix["offers"] if offer["kind"] == kind]
        rows.append(_kind(kind, offers, trials, landing))
    return rows


def _shared_kinds(groups: Sequence[Mapping], trials: Trials, landing: Landing) -> list[dict]:
    """The same of the kinds for groups, which are offered to groups; won are matrices, again."""
    kinds = trials.plan["choose-candidates"].shared_kinds
    return [
        _kind(kind, [group["saved"] for group in groups if group["kind"] == kind], trials, landing) for kind in kinds
    ]


def _kind(kind: str, saved: Sequence[float], trials: Trials, landing: Landing) -> dict:
    """saved : of every offer, or of the best to each matrix."""
    won = [index for index, offer in trials.choices.items() if offer.kind == kind]
    return {
        "kind": kind,
        "offered": len(saved),
        "won": len(won),
        "bytes": sum(q.bytes for index in won if isinstance(q := landing.trial.quantized[index], CompositeMatrix)),
        "saved": sum(trials.allocation.saved(index, trials.choices[index]) for index in won),
        "most_saved": max(saved, default=None),
    }
