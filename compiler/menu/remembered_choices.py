"""What matrices were offered at a byte price and what was chosen for them: kept in the work folder, and taken from it.

Strategy: choosing takes trial encodes and measured losses, minutes with a large token table, and comes to a few numbers
a matrix. Settings are rebuilt by the kind that an offer names. What several matrices share is never offered here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from ..resume.state_file import State
from ..resume.work_folder import Memory
from .allocation import Tried
from .kinds import KINDS
from .offers import PLAIN, Offer
from .setting import Setting


def remembered_choices(memory: Memory, stage: str, byte_price: float, choose: Callable[[], Tried]) -> Tried:
    """What a run before has chosen at a byte price, or a new choice; stage : its name, "tables" for example."""
    state = memory.recall(stage, byte_price)
    if state is not None:
        memory.took(f"what was chosen for {stage}")
        return _decode_tried(state)
    tried = choose()
    memory.keep(stage, byte_price, state=_encode_tried(tried))
    return tried


def _encode_tried(tried: Tried) -> State:
    return {
        "menus": {str(index): [_encode_offer(offer) for offer in menu] for index, menu in tried.menus.items()},
        "choices": {str(index): _encode_offer(offer) for index, offer in tried.choices.items()},
        "measured": {str(index): [float(loss) for loss in losses] for index, losses in tried.measured.items()},
    }


def _decode_tried(state: State) -> Tried:
    return Tried(
        {int(index): [_decode_offer(values) for values in menu] for index, menu in state["menus"].items()},
        {int(index): _decode_offer(values) for index, values in state["choices"].items()},
        {int(index): (before, after) for index, (before, after) in state["measured"].items()},
    )


def _encode_offer(offer: Offer) -> State:
    fields = asdict(offer.setting).items()
    setting = {name: value if value is None or isinstance(value, str) else int(value) for name, value in fields}
    return [offer.kind, setting, float(offer.octaves), int(offer.bytes), float(offer.predicted_loss), offer.bounded]


def _decode_offer(values: State) -> Offer:
    kind, setting, octaves, size, loss, bounded = values
    made = Setting() if kind == PLAIN else KINDS[kind].setting(**setting)
    return Offer(kind, made, octaves, size, loss, bounded=bounded)
