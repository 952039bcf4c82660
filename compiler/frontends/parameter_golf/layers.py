"""In which order a model of the challenge goes through its layers: once each, looped, or repeated.

Strategy: the scripts say it in four ways: lists, a loop over a range (`num_loops`, `loop_start`, `loop_end`), layers
that come twice (`recur_layers`), and whole passes (`num_loops` alone). All become an encoder's list and a decoder's
list, which are cut in the middle of the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .hyperparameters import MAX_LAYERS, Hyperparameters, require

LISTS = ("encoder_layers", "decoder_layers")
LOOP = ("num_loops", "loop_start", "loop_end")


@dataclass(frozen=True, slots=True)
class Place:
    """One step of the order.

    position : in the order;  layer : whose matrices;  block : whose vectors;  passes : how often the layer came before
    """

    position: int
    layer: int
    block: int
    passes: int


def places_of(h: Hyperparameters) -> list[Place]:
    """The steps of a model: the encoder's, then the decoder's."""
    order = [*h.encoder_layers, *h.decoder_layers]
    own_blocks = h.num_blocks > h.num_layers
    return [
        Place(position, layer, position if own_blocks else layer, order[:position].count(layer))
        for position, layer in enumerate(order)
    ]


def says_order(known: Mapping[str, object]) -> bool:
    """Whether the order of the layers was told."""
    return any(known.get(name) is not None for name in (*LISTS, "recur_layers", "num_loops"))


def ordered_layers(known: Mapping[str, object], num_layers: int) -> tuple[list[int], list[int]]:
    """The encoder's and the decoder's layers that `known` says, in whichever way; the halves where it says nothing.

    Raises CheckpointError for what contradicts itself or the number of layers.
    """
    encoder, decoder = (known.get(name) for name in LISTS)
    require((encoder is None) == (decoder is None), f"{LISTS[0]} and {LISTS[1]} go together; give both or neither")
    order = _order(known, num_layers) if encoder is None else [*encoder, *decoder]
    require(
        len(order) <= MAX_LAYERS, f"the order of the layers has {len(order):,} steps; at most {MAX_LAYERS:,} can be"
    )
    half = len(order) // 2 if encoder is None else len(encoder)
    return order[:half], order[half:]


def _order(known: Mapping[str, object], num_layers: int) -> list[int]:
    layers = list(range(num_layers))
    repeated = known.get("recur_layers")
    if repeated:
        require(max(repeated) < num_layers, f"recur_layers names layer {max(repeated)} of {num_layers} layers")
        end = max(repeated) + 1
        return [*layers[:end], *sorted(set(repeated)), *layers[end:]]
    loops, start, end = (known.get(name) for name in LOOP)
    if start is None and end is None:
        return layers * max(1, loops or 1)
    require(known.get("num_loops") is not None, "loop_start and loop_end go with num_loops; give all or none")
    require(
        start is not None and end is not None and 0 <= start <= end < num_layers,
        f"loop_start {start} and loop_end {end} are no range of {num_layers} layers",
    )
    return [*layers[:start], *(layers[start : end + 1] * (loops + 1)), *layers[end + 1 :]]
