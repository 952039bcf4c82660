"""How much room text takes in drawings, and where names of points go so that none touches another.

Strategy: a drawing is written before any browser has chosen a font, so widths are those of a wide one (DejaVu Sans, by
classes of letters): in any other a text is narrower than its room. A name is tried on eight sides of its point, near
and farther off, and is left out where all are taken; hovering still tells it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SIZE = 12.5  # of letters in drawings
SLIM, BROAD = frozenset("fijlrtI.,:;'|!()[]{}/ -"), frozenset("mwMW%@…—+=<>±")
HEIGHT = 15.0  # of a line
GAP = 3.0  # around what is drawn
DISTANCES = (8.0, 16.0, 24.0, 36.0)  # of a name from its point, the nearest first
FAR = 16.0  # a name farther off than this has a leader


def text_width(text: str, size: float = SIZE) -> float:
    """An upper bound of the width of a text."""
    return size * sum(
        0.4 if letter in SLIM else 1.0 if letter in BROAD else 0.72 if letter.isupper() else 0.645 for letter in text
    )


def shortened(text: str, room: float) -> str:
    """A text that fits into `room`: of one that is too long the end, which tells tensors apart."""
    if text_width(text) <= room:
        return text
    kept = text
    while kept and text_width("…" + kept) > room:
        kept = kept[1:].lstrip(".")
    return "…" + kept if kept else ""


def broken(text: str, room: float, size: float = SIZE) -> list[str]:
    """A text in lines that fit, broken at spaces."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


@dataclass(frozen=True, slots=True)
class Place:
    """The rectangle that something takes."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Place, gap: float = GAP) -> bool:
        return (
            self.left < other.right + gap
            and other.left < self.right + gap
            and self.top < other.bottom + gap
            and other.top < self.bottom + gap
        )

    def holds(self, other: Place) -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True, slots=True)
class Name:
    """A text at (x, y), its baseline, from there to the right (`start`) or left (`end`), or around it (`middle`).

    leader : from the point to the text, where that is too far off to be understood without: (x, y) of both ends
    """

    text: str
    x: float
    y: float
    anchor: str
    leader: tuple[float, float, float, float] | None = None


def place_names(named: Iterable[tuple[str, float, float]], room: Place, taken: Sequence[Place]) -> list[Name]:
    """Names of points (text, x, y), those that matter most first, that touch neither each other nor what is taken."""
    places, names = list(taken), []
    for text, x, y in named:
        for name, place in _sides(text, x, y):
            if room.holds(place) and not any(place.touches(other) for other in places):
                places.append(place)
                names.append(name)
                break
    return names


def _sides(text: str, x: float, y: float) -> Iterable[tuple[Name, Place]]:
    width = text_width(text)
    for distance in DISTANCES:
        slant = distance * 0.75
        for dx, dy, anchor in (
            (distance, 0.0, "start"),
            (-distance, 0.0, "end"),
            (slant, -slant - 3, "start"),
            (-slant, -slant - 3, "end"),
            (slant, slant + 3, "start"),
            (-slant, slant + 3, "end"),
            (0.0, -distance - 4, "middle"),
            (0.0, distance + 4, "middle"),
        ):
            at, middle = x + dx, y + dy
            left = {"start": at, "end": at - width, "middle": at - width / 2}[anchor]
            place = Place(left, middle - HEIGHT / 2, left + width, middle + HEIGHT / 2)
            near = {"start": at - 2, "end": at + 2, "middle": at}[anchor]
            edge = middle if anchor != "middle" else middle - math.copysign(HEIGHT / 2 - 2, dy)
            leader = (x, y, near, edge) if distance > FAR else None
            yield Name(text, at, middle + 4.5, anchor, leader), place
