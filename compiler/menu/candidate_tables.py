"""What the menus of candidates came to, as data for the report: what won, and what every other kind would have cost.

Strategy: one table of what was chosen, matrix by matrix; one of the offers to groups, which stand and
fall together; one sum a kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..job import CompileJob
from ..model.model import Model
from ..rate_control.landing import Landing
from .allocation import Allocation
from .menus import offered_kinds, offered_shared_kinds
from .offers import PLAIN, GroupOffer, Offer


def candidate_tables(job: CompileJob, allocation: Allocation, choices: Mapping[int, Offer], landing: Landing) -> dict:
    """JSON-able tables `chosen`, `kinds`, `groups`, `matrices`, and `finer`: token tables whose steps are finer than
    the byte price has them, or bound the errors of rare rows.

    choices : by tensor index, as they were kept. `saved` is bytes against the plain grid at equal
        predicted loss, at the price of a byte in `nats_per_byte`; below 0 the kind would cost that much
        more. Losses are nats a token, `bytes` those of a trial encode of the matrix alone.
    """
    model = job.model
    matrices = [_matrix(model, allocation, index, menu) for index, menu in allocation.menus.items()]
    groups = [_group(model, allocation, choices, group) for group in allocation.groups]
    return {
        "nats_per_byte": allocation.nats_per_byte,
        "plain_loss": sum(menu[0].predicted_loss for menu in allocation.menus.values()),
        "least_loss": allocation.bound,
        "chosen": [
            _choice(model, allocation, index, offer) for index, offer in sorted(choices.items()) if offer.kind != PLAIN
        ],
        "kinds": _kinds(job, matrices, groups, allocation, choices, landing),
        "groups": groups,
        "matrices": matrices,
        "finer": [
            {"name": model.tensors[i].name, "octaves": abs(menu[0].octaves), "rare_rows": menu[0].bounded}
            for i, menu in allocation.menus.items()
            if menu[0].octaves or menu[0].bounded
        ],
    }


def _choice(model: Model, allocation: Allocation, index: int, offer: Offer) -> dict:
    """One matrix that is not a plain grid; `measured` where its saving was confirmed on held-out text."""
    plain = allocation.menus[index][0]
    before, after = allocation.measured.get(index, (None, None))
    return {
        "name": model.tensors[index].name,
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
        "setting": list(offer.setting.values()),
        "bytes": offer.bytes,
        "predicted_loss": offer.predicted_loss,
        "saved": allocation.saved(index, offer),
    }


def _group(model: Model, allocation: Allocation, choices: Mapping[int, Offer], group: GroupOffer) -> dict:
    """An offer to a group: what its members would take together, `saved` against all of them as plain grids."""
    members = group.members
    return {
        "kind": group.kind,
        "setting": [group.family, *group.setting.values()],
        "names": [model.tensors[i].name for i in members],
        "bytes": sum(offer.bytes for offer in group.offers.values()),
        "predicted_loss": sum(offer.predicted_loss for offer in group.offers.values()),
        "plain": {
            key: sum(getattr(allocation.menus[i][0], key) for i in members) for key in ("bytes", "predicted_loss")
        },
        "saved": allocation.saved_together(group.offers),
        "chosen": all(choices.get(i) is offer for i, offer in group.offers.items()),
    }


def _kinds(
    job: CompileJob,
    matrices: Sequence[Mapping],
    groups: Sequence[Mapping],
    allocation: Allocation,
    choices: Mapping[int, Offer],
    landing: Landing,
) -> list[dict]:
    """What each kind saved and would have lost on this checkpoint.

    offered : matrices, or groups of a kind for groups; won : matrices that it stores, in `bytes`, `saved` together
    most_saved, most_lost : bytes of its best and worst offer, the best of each matrix counting; None without any
    would_save, would_lose : sums over its offers that save and that lose, in bytes at equal predicted loss
    """
    settings = job.recipe.menu
    saved = {kind: [] for kind in (*offered_kinds(settings), *offered_shared_kinds(settings))}
    for offer in (*(offer for matrix in matrices for offer in matrix["offers"]), *groups):
        saved[offer["kind"]].append(offer["saved"])
    rows = []
    for kind, bytes_saved in saved.items():
        won = [index for index, offer in choices.items() if offer.kind == kind]
        rows.append(
            {
                "kind": kind,
                "offered": len(bytes_saved),
                "won": len(won),
                "bytes": sum(landing.trial.quantized[index].bytes for index in won),
                "saved": sum(allocation.saved(index, choices[index]) for index in won),
                "most_saved": max(bytes_saved, default=None),
                "most_lost": -min(bytes_saved) if bytes_saved else None,
                "would_save": sum(max(0.0, each) for each in bytes_saved),
                "would_lose": sum(max(0.0, -each) for each in bytes_saved),
            }
        )
    return rows
