"""Tensors of a state_dict that are no weights, since the model computes them anew: masks, positions, rotations.

Strategy: told by what they hold, not by their names alone, so that no weight is taken for one. A mask is what every
causal model computes. A few numbers may look like one by chance, so that a small mask is told by its name or its type,
too; without these it stays a tensor, which frontends name as unexpected. Tables of rotations are set aside, since they
tell with which frequencies the model was trained: `compiler.frontends` holds them against the program that was built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...files.listing import listed
from .stored import Stored

ROTATIONS = re.compile(
    r"(.*\.)?((original_)?inv_freqs?|(rope_|rotary_|rotary_emb_)?freqs(_cis|_complex)?"
    r"|(freqs_|rope_|rotary_|pos_)?(cos|sin|cos_?sin|sin_?cos)(_cached|_cache|_table)?"
    r"|(rope|rotary)(_emb)?_(cache|cached|table))"
)
MASKED_BIAS = re.compile(r"(.*\.)?masked_bias")
POSITIONS = re.compile(r"(.*\.)?(position_ids|positions|pos_ids|arange)")
COUNTS = re.compile(
    r"(.*\.)?(n_averaged|num_batches_tracked|num_updates|initted|(global_)?steps?|"
    r"(cur_|current_)?(iteration|iter|epoch))"
)
EXTRA_STATE = re.compile(r"(.*\.)?_extra_state")  # what a module keeps beside its tensors, such as scales of fp8
MASKS = re.compile(r"(.*\.)?[^.]*(mask|tril|triu|causal)[^.]*|(.*[._])?(attn|attention|att)\.bias")
BEYOND_CHANCE = 8  # positions of a mask: 64 numbers that are 0 or 1 by chance are one in 14 of 2^64 cases
HIDDEN_SCORES = -1e3  # a mask that is added to scores has this or less where it hides


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """tensors : what may be weights;  rotations : tables, float32;  note : what was left out, or empty
    windows : by name of a mask that hides what lies far back, how many positions it shows
    """

    tensors: dict[str, Stored]
    rotations: dict[str, np.ndarray]
    note: str
    windows: dict[str, int] = field(default_factory=dict)


def without_buffers(tensors: Mapping[str, Stored]) -> Sorted:
    """The tensors without masks and positions, and with the tables of rotations set aside."""
    masks = {name: seen for name, tensor in tensors.items() if (seen := _seen_through(name, tensor))}
    computed = [name for name, tensor in tensors.items() if name in masks or _is_computed(name, tensor)]
    windows = {name: seen for name, seen in masks.items() if seen < tensors[name].shape[-1]}
    rotations = {
        name: tensor.values
        for name, tensor in tensors.items()
        if ROTATIONS.fullmatch(name) and tensor.values is not None and tensor.values.dtype == np.float32
    }
    left = {name: tensor for name, tensor in tensors.items() if name not in computed and name not in rotations}
    counts = [name for name, tensor in tensors.items() if _is_of_a_training(name, tensor)]
    left = {name: tensor for name, tensor in left.items() if name not in counts}
    gone = {
        "left out, since the model computes them": [*computed, *rotations],
        "left out, counts and states of a training": counts,
    }
    note = "; ".join(f"{why}: {listed(names)}" for why, names in gone.items() if names)
    return Sorted(left, rotations, note, windows)


def _is_of_a_training(name: str, tensor: Stored) -> bool:
    """Whether it is one whole number or truth value that counts something, or what a module keeps beside tensors."""
    if EXTRA_STATE.fullmatch(name):
        return not tensor.is_float
    whole = tensor.values is not None and tensor.values.size == 1 and not tensor.is_float
    return whole and COUNTS.fullmatch(name) is not None


def _is_computed(name: str, tensor: Stored) -> bool:
    """Whether a tensor is one of positions, or the number that hides a score."""
    values = tensor.values
    if values is None:
        return False
    if MASKED_BIAS.fullmatch(name):
        return values.size == 1 and bool((values <= HIDDEN_SCORES).all())
    positions = POSITIONS.fullmatch(name) is not None and tensor.dtype in ("int32", "int64")
    return positions and np.array_equal(values.ravel(), np.arange(values.size))


def _seen_through(name: str, tensor: Stored) -> int:
    """How many positions a mask shows, each its own among them; 0 for what is no mask."""
    if tensor.values is None or name.endswith(".weight") or MASKED_BIAS.fullmatch(name) or POSITIONS.fullmatch(name):
        return 0
    told = tensor.dtype == "bool" or MASKS.fullmatch(name) is not None  # no weight is stored as truth values
    return _causal_window(tensor.values, 2 if told else BEYOND_CHANCE)


def _causal_window(values: np.ndarray, least: int) -> int:
    """How many positions a square at the end of the shape, and no more, shows of the earlier ones; 0 for no mask.

    Seen and hidden are 1 and 0, the other way round, or 0 and a number that hides a score. There are at least `least`
    positions. Where each sees itself alone the square is the identity, as which weights may begin, and no mask.
    """
    if values.ndim < 2 or values.shape[-1] != values.shape[-2] or values.shape[-1] < least:
        return 0
    if values.size != values.shape[-1] ** 2:
        return 0
    square = np.asarray(values, np.float32).reshape(values.shape[-2:])
    seen, hidden = square[0, 0], square[0, -1]
    pairs = ((1, 0), (0, 1))
    if (seen, hidden) not in pairs and not (seen == 0 and hidden <= HIDDEN_SCORES):
        return 0
    length = len(square)
    distance = np.arange(length)[:, None] - np.arange(length)
    window = int((square[:, 0] == seen).sum())
    if window < 2:
        return 0
    expected = np.where((distance >= 0) & (distance < window), seen, hidden)
    return window if np.array_equal(square, expected) else 0
