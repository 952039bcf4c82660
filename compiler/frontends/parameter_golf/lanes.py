"""Two residual streams side by side in the last layers: one that attention reads and one that the MLP reads.

Strategy: lanes are a pair of registers. The scripts differ in three points, each a hyperparameter or told by the
names: what writes into which lane (each its own; both by learned factors, at once or in turn), which lane a skip
reaches, and what is read in the end.
"""

from __future__ import annotations

from collections.abc import Callable

from ....format.program import operations as op
from ....format.program.operands import Row
from .attention import layer_normalized
from .blocks import has_attention, mixed, scaled_attention, scaled_mlp
from .hyperparameters import (
    ATTENTION_LANE,
    BOTH_LANES,
    IN_TURN,
    MLP_LANE,
    NO_LANE,
    Hyperparameters,
)
from .layers import Place
from .rewritten import POST_LAMBDAS, RESIDUAL_LAMBDAS
from .traits import LANE_LAMBDAS, LANE_MERGE
from .writer import Writer

Lanes = tuple[int, int]
ATTENTION, MLP = 0, 1


def starts_lanes(h: Hyperparameters, place: Place) -> bool:
    """Whether the stream is two lanes from a step of the decoder on."""
    if not (h.has(LANE_MERGE) or h.has(LANE_LAMBDAS)):
        return False
    return (place.layer if h.parallel_start_layer_is_physical else place.position) >= h.parallel_start_layer


def lane_skip(w: Writer, lanes: Lanes, skipped: Callable[[int], int]) -> Lanes:
    """The lanes after a skip; `skipped` adds it to one."""
    if w.h.lane_skips == NO_LANE:
        return lanes
    return skipped(lanes[0]), skipped(lanes[1]) if w.h.lane_skips == BOTH_LANES else lanes[1]


def lane_block(w: Writer, place: Place, lanes: Lanes, stem: int, values: int | None) -> Lanes:
    """The lanes after a block; after the last one only what is read in the end is new."""
    if w.h.has(LANE_MERGE):
        return _each_its_own(w, place, lanes, stem, values)
    if w.h.lane_update == IN_TURN:
        return _in_turn(w, place, lanes, stem, values)
    return _at_once(w, place, lanes, stem, values)


def joined(w: Writer, lanes: Lanes) -> int:
    """What the head reads."""
    first, second = lanes
    if w.h.has(LANE_MERGE):
        return w.blend(second, first, "lane_merge")
    if w.h.parallel_final_lane == MLP_LANE:
        return second
    if w.h.parallel_final_lane == ATTENTION_LANE:
        return first
    return w.times(w.emit(op.Add(first, second)), 0.5)


def _each_its_own(w: Writer, place: Place, lanes: Lanes, stem: int, values: int | None) -> Lanes:
    first, second = mixed(w, place, lanes[0], stem), lanes[1]
    if has_attention(w, place):
        attended = scaled_attention(w, place, layer_normalized(w, place.block, first), values)
        first = w.emit(op.Add(first, attended))
    return first, w.emit(op.Add(second, scaled_mlp(w, place, layer_normalized(w, place.block, second))))


def _read_later(w: Writer, place: Place) -> set[int]:
    """The lanes that something reads after a block."""
    last = place.position == len(w.h.encoder_layers) + len(w.h.decoder_layers) - 1
    final = {MLP_LANE: {1}, ATTENTION_LANE: {0}}.get(w.h.parallel_final_lane, {0, 1})
    return final if last else {0, 1}


def _at_once(w: Writer, place: Place, lanes: Lanes, stem: int, values: int | None) -> Lanes:
    """Both read the lanes as they were; each lane keeps a share of itself."""
    read = layer_normalized(w, place.block, mixed(w, place, lanes[0], stem))
    attended = scaled_attention(w, place, read, values) if has_attention(w, place) else None
    units = scaled_mlp(w, place, layer_normalized(w, place.block, lanes[1]))
    later = _read_later(w, place)

    def updated(lane: int) -> int:
        if lane not in later:
            return lanes[lane]
        kept = w.row(RESIDUAL_LAMBDAS, 2 * place.layer + lane)
        x = w.emit(op.Mix(lanes[lane], units, kept, _written(w, place, MLP, lane)))
        if attended is None:
            return x
        return w.emit(op.Add(x, w.emit(op.Scale(attended, _written(w, place, ATTENTION, lane)))))

    return updated(0), updated(1)


def _in_turn(w: Writer, place: Place, lanes: Lanes, stem: int, values: int | None) -> Lanes:
    """Attention writes into both lanes before the MLP reads, from the second lane and the stem."""
    later = _read_later(w, place)

    def written(lane: int, x: int, half: int, y: int) -> int:
        kept = w.row(RESIDUAL_LAMBDAS, 2 * place.layer + half)
        return w.emit(op.Mix(x, y, kept, _written(w, place, half, lane)))

    first, second = lanes
    if has_attention(w, place):
        read = layer_normalized(w, place.block, mixed(w, place, first, stem))
        attended = scaled_attention(w, place, read, values)
        first = written(0, first, ATTENTION, attended) if 0 in later else first
        second = written(1, second, ATTENTION, attended)
    units = scaled_mlp(w, place, layer_normalized(w, place.block, mixed(w, place, second, stem)))
    return (
        written(0, first, MLP, units) if 0 in later else first,
        written(1, second, MLP, units) if 1 in later else second,
    )


def _written(w: Writer, place: Place, half: int, lane: int) -> Row:
    """The factor by which attention or the MLP of a layer writes into a lane."""
    return w.row(POST_LAMBDAS, 4 * place.layer + 2 * half + lane)
