"""Drawings in two layouts, wide and narrow, as parts of a page or as SVG documents of their own.

Strategy: a chart is a function of a layout. The page holds both drawings and its style sheet shows the one that fits
the window, so letters keep their size on a telephone, without a script. Colours come from the style sheet by class:
one drawing serves light and dark. A document of its own has the wide drawings, under a heading that names the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .lettering import broken
from .markup import Html, element, joined
from .style import DRAWING_STYLE

MARGIN, TITLE_SIZE, LINE_SIZE, NAME_SIZE = 24, 20.0, 13.0, 15.0  # of a document of its own
BETWEEN = 28


@dataclass(frozen=True, slots=True)
class Layout:
    """What a drawing is laid out for; `width` in units that are pixels where the window has room."""

    width: int
    narrow: bool


WIDE, NARROW = Layout(920, False), Layout(360, True)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One drawing: its size and its marks."""

    width: float
    height: float
    marks: Html


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing in two layouts; `narrow` is None where the one drawing serves both, in its own size."""

    title: str
    wide: Sheet
    narrow: Sheet | None = None

    def __html__(self) -> Html:
        """Both drawings, of which the style sheet shows one."""
        if self.narrow is None:
            return element("figure", self._svg(self.wide, None))
        return element("figure", self._svg(self.wide, "wide"), self._svg(self.narrow, "narrow"))

    def _svg(self, sheet: Sheet, kind: str | None) -> Html:
        size = {} if kind else {"width": f"{sheet.width:.0f}", "height": f"{sheet.height:.0f}"}
        box = f"0 0 {sheet.width:.0f} {sheet.height:.0f}"
        return element("svg", element("title", self.title), sheet.marks, viewBox=box, role="img", class_=kind, **size)


def drawn(title: str, draw: Callable[[Layout], tuple[float, Sequence[Html]]]) -> Figure:
    """A figure of what `draw` gives for each layout: its height and its marks."""
    sheets = []
    for layout in (WIDE, NARROW):
        height, marks = draw(layout)
        sheets.append(Sheet(layout.width, height, joined(marks)))
    return Figure(title, *sheets)


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the drawings of a document of its own: a title and lines such as model, date and command."""

    title: str
    lines: tuple[str, ...] = ()


def svg_document(figures: Sequence[Figure], heading: Heading, style: str = DRAWING_STYLE) -> str:
    """The wide drawings one below the other, each under its title, as an SVG document that needs nothing else."""
    width = max(WIDE.width, *(figure.wide.width for figure in figures)) + 2 * MARGIN
    parts, top = _heading(heading, width - 2 * MARGIN)
    for figure in figures:
        if figure.title != heading.title:
            parts.append(_line(figure.title, top + NAME_SIZE, "strong", NAME_SIZE))
            top += NAME_SIZE + 12
        parts.append(element("g", figure.wide.marks, transform=f"translate({MARGIN} {top:.0f})"))
        top += figure.wide.height + BETWEEN
    background = element("rect", width="100%", height="100%", style="fill: var(--paper)")
    content = (element("title", heading.title), element("style", Html(style)), background, *parts)
    size = {"width": f"{width:.0f}", "height": f"{top:.0f}", "viewBox": f"0 0 {width:.0f} {top:.0f}"}
    names = {"xmlns": "http://www.w3.org/2000/svg", "font_family": "system-ui, sans-serif"}
    return element("svg", *content, **names, **size) + "\n"


def _heading(heading: Heading, room: float) -> tuple[list[Html], float]:
    """The lines of a heading, broken where they are too long, and where the drawings begin."""
    parts, top = [], float(MARGIN)
    for text in broken(heading.title, room, TITLE_SIZE):
        top += TITLE_SIZE + 4
        parts.append(_line(text, top, "strong", TITLE_SIZE))
    for line in heading.lines:
        for text in broken(line, room, LINE_SIZE):
            top += LINE_SIZE + 7
            parts.append(_line(text, top, "axis", LINE_SIZE))
    return parts, top + BETWEEN


def _line(text: str, y: float, kind: str, size: float) -> Html:
    return element("text", text, x=MARGIN, y=f"{y:.1f}", class_=kind, style=f"font-size: {size:g}px")


def lettering(x: float, y: float, content: str, anchor: str, kind: str) -> Html:
    """A text of a drawing with its baseline at y."""
    return element("text", content, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)
