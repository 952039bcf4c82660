"""Scales of charts: from values to places, with numbers at round values that have room beside each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .lettering import text_width

MOST_TICKS = 6
SAME = 1e-9  # of values that are so near to each other that they are one on a chart
TICK_GAP = 14.0  # between two numbers side by side
TICK_HEIGHT = 30.0  # of one above another


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from values to positions: `place(value)`; `ticks` are (value, text)."""

    place: Callable[[float], float]
    ticks: tuple[tuple[float, str], ...]


def linear_axis(greatest: float, start: float, stop: float, least: float = 0.0) -> Axis:
    """From `least`, with as many round ticks as have room, six at most; upright where `stop` is above `start`."""
    span = greatest - least
    if span <= SAME * max(abs(least), abs(greatest)):  # whose round numbers would take more digits than a float has
        span = 1.0

    def place(value: float) -> float:
        return start + (value - least) / span * (stop - start)

    return Axis(place, _fitting(_round_choices(least, least + span), place, upright=stop < start))


def log_axis(least: float, greatest: float, start: float, stop: float) -> Axis:
    """Logarithmic, with a little room on either side.

    Ticks are decades, with their 2 and 5 where there are few, or round numbers where there is less than one decade.
    """
    low, high = math.log10(least), math.log10(greatest)
    margin = max(0.07 * (high - low), 0.02)
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return start + (math.log10(value) - low) / (high - low) * (stop - start)

    return Axis(place, _fitting(_log_choices(low, high), place, upright=stop < start))


Ticks = tuple[tuple[float, str], ...]


def _round_choices(least: float, greatest: float) -> Iterator[Ticks]:
    """Round numbers, fewer and fewer."""
    for count in range(MOST_TICKS - 1, 0, -1):
        raw = (greatest - least) / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
        first, last = math.ceil(least / step - 1e-9), math.floor(greatest / step + 1e-9)
        places = max(0, -math.floor(math.log10(step)))
        yield tuple((k * step, f"{k * step:,.{places}f}") for k in range(first, last + 1))


def _log_choices(low: float, high: float) -> Iterator[Ticks]:
    """Of a range of decades: with 2 and 5, every decade, or every second and so on; round numbers where it is short."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    ways = [((1, 2, 5), 1)] if high - low < 2.5 else []
    ways += [((1,), every) for every in range(1, len(decades) + 1)]
    for factors, every in ways:
        values = [f * 10.0**e for e in decades if e % every == 0 for f in factors]
        ticks = tuple((v, _short(v)) for v in values if low <= math.log10(v) <= high)
        if (len(ticks) < 3 and factors != (1,)) or (len(ticks) < 2 and every == 1):
            yield from _round_choices(10.0**low, 10.0**high)
            return
        yield ticks


def _short(value: float) -> str:
    return f"{value:g}" if value < 1e3 or value >= 1e6 else f"{value:,.0f}"


def _fitting(choices: Iterator[Ticks], place: Callable[[float], float], *, upright: bool) -> Ticks:
    """The first of the choices whose numbers do not touch; a single one where all do."""
    one: Ticks = ()
    for ticks in choices:
        places = [place(value) for value, _ in ticks]
        widths = [TICK_HEIGHT if upright else text_width(text) + TICK_GAP for _, text in ticks]
        room = [abs(b - a) >= (v + w) / 2 for a, b, v, w in zip(places, places[1:], widths, widths[1:], strict=False)]
        if ticks and all(room):
            return ticks
        one = ticks[:1] or one
    return one
