"""The file that a drawing is written to: SVG or PNG, as its name says.

Strategy: a drawing is an SVG document. A PNG is that document in the light colours, written out for a renderer that
knows no variables (resvg, an optional package). Other names are refused before the work that is to be drawn.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import OutputError

SUFFIXES = (".svg", ".png")
PNG_SCALE = 2.0  # pixels for a unit of the drawing


def check_drawing(path: Path) -> None:
    """OutputError for a file whose suffix names no drawing, ModuleNotFoundError for a PNG without what draws it."""
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path} is named for no drawing; name it .svg or .png")
    if path.suffix.lower() == ".png":
        import resvg_py  # noqa: F401


def drawing_bytes(svg: str, path: Path) -> bytes:
    """What a file of that name holds; ModuleNotFoundError for a PNG where resvg_py is not installed."""
    if path.suffix.lower() != ".png":
        return svg.encode()
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=with_plain_colours(svg), zoom=PNG_SCALE))


def with_plain_colours(svg: str) -> str:
    """The document with the light theme's colours in place of variables, and without rules for other media."""
    light = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6,8})", svg[: svg.index("@media")]))
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", svg)
    plain = re.sub(r":root \{[^{}]*\}", "", plain)
    return re.sub(r"var\(--([a-z]+)\)", lambda match: light[match[1]], plain)
