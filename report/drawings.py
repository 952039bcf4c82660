"""Drawings of an artifact for files: treemap and layer-by-role map, or the graph of its program, as SVG or PNG.

Strategy: one SVG document, whose colours follow light and dark where a browser shows it. A PNG is that document in the
light colours, written out for a renderer that knows no variables (resvg, an optional package).
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import OutputError
from ..format.artifact import read_artifact
from ..format.inspection import inspect_artifact
from ..format.program.program import validate_program
from .byte_tree import artifact_tree, role_name
from .charts import stacked_svg
from .layer_map import layer_map, map_chart
from .program_graph import STYLE as GRAPH_STYLE
from .program_graph import program_graph
from .style import STYLE
from .treemap import treemap

SUFFIXES = (".svg", ".png")
PNG_SCALE = 2.0  # pixels for a unit of the drawing
DRAWING = """
svg rect.box { fill-opacity: 0.4; stroke: var(--paper); } svg rect.group { fill: var(--muted); fill-opacity: 0.14; }
"""


def check_drawing(path: Path) -> None:
    """OutputError for a file whose suffix names no drawing, ModuleNotFoundError for a PNG without what draws it."""
    if path.suffix not in SUFFIXES:
        raise OutputError(f"{path} is named for no drawing; name it .svg or .png")
    if path.suffix == ".png":
        import resvg_py  # noqa: F401


def plot_artifact(name: str, data: bytes) -> str:
    """Treemap and layer-by-role map as an SVG document. Raises ArtifactError for bytes that do not decode."""
    found = inspect_artifact(data)
    title = f"{name}: {found.bytes:,} bytes, {found.bits_per_weight:.3f} bits a weight"
    charts = [treemap(artifact_tree(found, role_name), title), map_chart(layer_map(found.tensors), title)]
    return stacked_svg(charts, title, STYLE + DRAWING)


def plot_program(name: str, data: bytes) -> str:
    """The graph of the program as an SVG document; ArtifactError as above, OutputError where it cannot be read."""
    artifact = read_artifact(data)
    widths = validate_program(artifact.program, [entry.shape for entry in artifact.directory]).widths
    title = f"What {name} computes"
    graph = program_graph(artifact.program, widths, [entry.name for entry in artifact.directory], title)
    if graph is None:
        count = len(artifact.program.instructions)
        raise OutputError(f"{name} has {count:,} instructions, of which too few repeat to be drawn; see them as text")
    return stacked_svg([graph], title, STYLE + GRAPH_STYLE)


def drawing_bytes(svg: str, path: Path) -> bytes:
    """What a file of that name holds; ModuleNotFoundError for a PNG where resvg_py is not installed."""
    if path.suffix != ".png":
        return svg.encode()
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=with_plain_colours(svg), zoom=PNG_SCALE))


def with_plain_colours(svg: str) -> str:
    """The document with the light theme's colours in place of variables, and without rules for other media."""
    light = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", svg[: svg.index("@media")]))
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", svg)
    plain = re.sub(r":root \{[^{}]*\}", "", plain)
    return re.sub(r"var\(--([a-z]+)\)", lambda match: light[match[1]], plain)
