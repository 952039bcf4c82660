"""A program as a drawing: instructions as boxes, what they read as lines, repeated blocks drawn once in a frame.

Strategy: a layered layout. Instructions stand in layers by their longest way from the start of their run, runs below
one another, so that a frame encloses nothing else. A line over several layers is led through a point in each; points
and boxes of a layer are ordered by the mean place of what they read, then moved to it as far as they leave room.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..files.printable import printable
from ..format.program.operands import Row
from ..format.program.operation import Operation
from ..format.program.program import Program
from .figure import Figure, Sheet
from .markup import Html, element, joined
from .repeats import Run, find_runs

BOX, HEIGHT, GAP, LEVEL, POINT = 180, 38, 16, 62, 12
MARGIN, FRAME = 30, 9
CHARACTERS = 24  # of a label
MOST_BOXES = 600
SWEEPS = 6
STYLE = """
svg .node { fill: var(--panel); stroke: var(--line); } svg .node.weights { stroke: var(--a); }
svg .flow { fill: none; stroke: var(--muted); stroke-width: 1.2; opacity: 0.75; }
svg .frame { fill: none; stroke: var(--b); stroke-dasharray: 5 4; }
svg text.small { font-size: 11px; fill: var(--muted); }
"""


@dataclass(eq=False)
class Place:
    """A box, or a point that a line goes through: `layer` from the top, `x` of its middle, what it reads above it."""

    layer: int
    width: float
    instruction: int | None = None
    above: list[Place] = field(default_factory=list)
    x: float = 0.0


def program_graph(program: Program, widths: Sequence[int], names: Sequence[str], title: str) -> Figure | None:
    """A figure of the program; None where even its repeated blocks leave more boxes than can be read.

    widths : of the registers;  names : of the directory's tensors
    """
    runs = find_runs(program, widths)
    if sum(run.period for run in runs) > MOST_BOXES:
        return None
    boxes, bounds = _boxes(program, runs)
    layers = _with_points(program, runs, boxes)
    _arrange(layers)
    left = min(place.x - place.width / 2 for layer in layers for place in layer)
    right = max(place.x + place.width / 2 for layer in layers for place in layer)
    for layer in layers:
        for place in layer:
            place.x += 2 * MARGIN - left
    width, height = right - left + 4 * MARGIN, len(layers) * LEVEL + MARGIN
    marks = [
        *(_frame(run, bound, width) for run, bound in zip(runs, bounds, strict=True) if run.count > 1),
        *(_line(place, above) for layer in layers for place in layer for above in place.above),
        *(_node(program, place, widths, names) for place in boxes.values()),
    ]
    return Figure(title, Sheet(width, height, joined([element("style", Html(STYLE)), *marks])))


def _boxes(program: Program, runs: Sequence[Run]) -> tuple[dict[int, Place], list[tuple[int, int]]]:
    """The boxes by their instruction, those of repeats once, and first and last layer of every run."""
    boxes: dict[int, Place] = {}
    bounds: list[tuple[int, int]] = []
    base = 0
    for run in runs:
        for index in range(run.start, run.start + run.period):
            inside = [boxes[r].layer + 1 for r in program.instructions[index].registers if r >= run.start]
            boxes[index] = Place(max(inside, default=base), BOX, index)
        bounds.append((base, max(boxes[i].layer for i in range(run.start, run.start + run.period))))
        base = bounds[-1][1] + 1
    return boxes, bounds


def _with_points(program: Program, runs: Sequence[Run], boxes: dict[int, Place]) -> list[list[Place]]:
    """The layers, with a point wherever a line passes one; lines from one box share their points."""
    layers: list[list[Place]] = [[] for _ in range(max(place.layer for place in boxes.values()) + 1)]
    shown = {
        index: run.start + (index - run.start) % run.period for run in runs for index in range(run.start, run.stop)
    }
    points: dict[int, list[Place]] = {}
    for index, place in boxes.items():
        for source in dict.fromkeys(shown[register] for register in program.instructions[index].registers):
            chain = points.setdefault(source, [boxes[source]])
            while chain[-1].layer < place.layer - 1:
                chain.append(Place(chain[-1].layer + 1, POINT, None, [chain[-1]]))
                layers[chain[-1].layer].append(chain[-1])
            place.above.append(chain[place.layer - 1 - boxes[source].layer])
        layers[place.layer].append(place)
    return layers


def _arrange(layers: Sequence[list[Place]]) -> None:
    """Places from left to right: ordered by, then moved to, the mean of their neighbours."""
    below: dict[Place, list[Place]] = {}
    for layer in layers:
        for place in layer:
            for above in place.above:
                below.setdefault(above, []).append(place)
        _spread(layer, list(range(len(layer))))
    for sweep in range(SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = []
            for place in layer:
                near = place.above if sweep % 2 == 0 else below.get(place, [])
                wanted.append(sum(each.x for each in near) / len(near) if near else place.x)
            _spread(layer, wanted)


def _spread(layer: list[Place], wanted: Sequence[float]) -> None:
    """Order a layer by where its places want to be and put each as near to it as the others leave room."""
    order = sorted(range(len(layer)), key=lambda k: (wanted[k], k))
    layer[:], goals = [layer[k] for k in order], [wanted[k] for k in order]
    edge = -1e9
    for place, goal in zip(layer, goals, strict=True):
        place.x = max(goal, edge + place.width / 2)
        edge = place.x + place.width / 2 + GAP
    if layer:
        shift = sum(goal - place.x for place, goal in zip(layer, goals, strict=True)) / len(layer)
        for place in layer:
            place.x += shift


def _top(place: Place) -> float:
    return place.layer * LEVEL + MARGIN


def _line(place: Place, above: Place) -> Html:
    """From the lower edge of a box, or from a point, to the upper edge of another or to a point."""
    start, end = _top(above) + (HEIGHT if above.instruction is not None else HEIGHT / 2), _top(place)
    end += 0 if place.instruction is not None else HEIGHT / 2
    middle = (start + end) / 2
    curve = f"M{above.x:.1f} {start:.1f}C{above.x:.1f} {middle:.1f} {place.x:.1f} {middle:.1f} {place.x:.1f} {end:.1f}"
    return element("path", d=curve, class_="flow")


def _frame(run: Run, bound: tuple[int, int], width: float) -> Html:
    top, bottom = bound[0] * LEVEL + MARGIN - FRAME, bound[1] * LEVEL + MARGIN + HEIGHT + FRAME
    box = element("rect", x=8, y=top, width=f"{width - 16:.0f}", height=bottom - top, rx=8, class_="frame")
    return joined([box, element("text", f"{run.count} times", x=16, y=top + 15, class_="strong")])


def _node(program: Program, place: Place, widths: Sequence[int], names: Sequence[str]) -> Html:
    index = place.instruction or 0
    instruction = program.instructions[index]
    tensors = [printable(names[tensor]) for tensor in dict.fromkeys(instruction.tensors)]
    tip = f"r{index}[{widths[index]}] = {instruction.name} {', '.join(tensors)}"
    left, top, below = place.x - BOX / 2, _top(place), tensors[:1] or [f"width {widths[index]:,}"]
    return joined(
        [
            element(
                "rect",
                element("title", tip),
                x=f"{left:.1f}",
                y=f"{top:.0f}",
                width=BOX,
                height=HEIGHT,
                rx=6,
                class_="node weights" if tensors else "node",
            ),
            _text(place.x, top + 16, " ".join(_title(instruction)), "strong"),
            _text(place.x, top + 31, below[0], "small"),
        ]
    )


def _title(instruction: Operation) -> Iterator[str]:
    """The operation, with what chooses its kind, or its heads, window and shift."""
    yield instruction.name
    for name, _, value in instruction.values():
        if isinstance(value, enum.IntEnum) and name == "kind":
            yield value.name.lower().replace("_", "-")
        elif name in ("heads", "by", "window") and not isinstance(value, Row) and value:
            yield f"{name} {value}"


def _text(x: float, y: float, text: str, kind: str) -> Html:
    shown = text if len(text) <= CHARACTERS else "…" + text[-CHARACTERS + 1 :]
    return element("text", shown, x=f"{x:.1f}", y=f"{y:.0f}", text_anchor="middle", class_=kind)
