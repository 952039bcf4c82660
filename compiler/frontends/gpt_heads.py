"""Heads of a GPT and their width: the rows of its maps tell the product, so that one of the two tells the other; and
the gains of its norms.

Strategy: a gain of queries that is shorter than their rows is that of one head, and tells the width where nobody does.
What is told on the width of heads is compared with the rows of queries and of keys.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .agreement import require
from .gpt_hyperparameters import Hyperparameters
from .gpt_names import HEAD_NORMS, NORMS, Naming

FEW = 0.25  # of the gains of an ordinary norm may be 0 or below
GAINS = {(part, "weight") for part in (*NORMS, *HEAD_NORMS)}
Numbers = dict[str, object]
Values = Mapping[str, object]


def complete_heads(shapes: Numbers, told: Numbers, given: Values, known: Values) -> int:
    """The width of a head, 0 where nobody tells it; the number of heads, of queries and of keys, is added to `shapes`.

    shapes : with `query_rows` and `key_rows`, which are taken out;  known : by whomever
    Raises CheckpointError for numbers that do not divide the rows.
    """
    width = _number(shapes["hidden_size"])
    rows, key_rows = (_number(shapes.pop(each, 0)) or width for each in ("query_rows", "key_rows"))
    heads, head = _number(known.get("num_attention_heads")), _number(known.get("head_dim"))
    what = f"hidden_size {width}" if rows == width else f"the {rows} rows of the queries"
    if not heads and not head:
        return 0
    if heads:
        require(rows % heads == 0, f"num_attention_heads {heads} does not divide {what}")
        told_head, head = head or rows // heads, rows // heads
        require(told_head == head, f"head_dim {told_head} is not {what} over {heads} heads")
    else:
        require(rows % head == 0, f"head_dim {head} does not divide {what}")
        shapes["num_attention_heads"] = rows // head
    require(key_rows % head == 0, f"heads of width {head} do not divide the {key_rows} rows of the keys")
    told.pop("head_dim", None)
    shapes |= {"num_key_value_heads": key_rows // head} | ({} if "head_dim" in given else {"head_dim": head})
    return head


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def told_by_gains(naming: Naming, tensors: Mapping[str, np.ndarray], query_rows: object) -> Numbers:
    """What the norms of queries and keys tell: the width of a head where their gains are shorter than the rows of the
    queries, and that they are LayerNorms where they have biases.
    """
    found: Numbers = {}
    gain = tensors.get(naming.weight(0, "query_norm")) if "query_norm" in naming.parts else None
    if gain is not None and gain.ndim == 1 and isinstance(query_rows, int) and len(gain) < query_rows:
        found["head_dim"] = len(gain)
    places = [place for name in tensors if (place := naming.place(name)) is not None]
    if any(part in HEAD_NORMS and kind == "bias" for _, part, kind in places):
        found["query_key_norm"] = "layer_norm"
    return found


def gains_lie_around_zero(naming: Naming, tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether the gains of norms look as if 1 was to be added: few that multiply as they are stored are not above 0."""
    gains = [values for name, values in tensors.items() if is_gain(naming, name)]
    together = np.concatenate([values.reshape(-1) for values in gains]) if gains else np.ones(1)
    return bool((together <= 0).mean() > FEW)


def is_gain(naming: Naming, name: str) -> bool:
    """Whether a tensor is the gain of a norm."""
    place = naming.place(name)
    return name == naming.single("norm") or (place is not None and place[1:] in GAINS)


def check_head_norms(h: Hyperparameters, naming: Naming, tensors: Mapping[str, np.ndarray]) -> None:
    """Raises CheckpointError for norms of queries and keys that are not as the tensors have them, and for LayerNorms
    without gains, which no instruction computes.
    """
    there = [part for part in HEAD_NORMS if part in naming.parts]
    require(len(there) != 1, f"there is a {''.join(there)} and none of the other of queries and keys")
    if h.query_key_norm == "none":
        require(not there, "query_key_norm is none, and the tensors hold gains of norms of queries and keys")
    require(
        h.query_key_norm != "layer_norm" or bool(there),
        "query_key_norm is layer_norm, and the tensors hold no gains of such norms, which the operation needs; "
        "norms without gains are computed of kind rms_norm alone",
    )
