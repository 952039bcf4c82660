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
from .figure import svg_document
from .heading import Origin
from .layer_map import layer_map, map_chart
from .program_graph import STYLE as GRAPH_STYLE
from .program_graph import program_graph
from .style import DRAWING_STYLE
from .treemap import treemap

SUFFIXES = (".svg", ".png")
TREE, MAP = "Bytes by section, role and tensor", "Bits a weight, layers by roles"
PNG_SCALE = 2.0  # pixels for a unit of the drawing


def check_drawing(path: Path) -> None:
    """OutputError for a file whose suffix names no drawing, ModuleNotFoundError for a PNG without what draws it."""
    if path.suffix not in SUFFIXES:
        raise OutputError(f"{path} is named for no drawing; name it .svg or .png")
    if path.suffix == ".png":
        import resvg_py  # noqa: F401


def plot_artifact(origin: Origin, data: bytes) -> str:
    """Treemap and layer-by-role map as an SVG document. Raises ArtifactError for bytes that do not decode."""
    found = inspect_artifact(data)
    title = f"{origin.name}: {found.bytes:,} bytes, {found.bits_per_weight:.3f} bits a weight"
    charts = [treemap(artifact_tree(found, role_name), TREE), map_chart(layer_map(found.tensors), MAP)]
    return svg_document(charts, origin.heading(title))


def plot_program(origin: Origin, data: bytes) -> str:
    """The graph of the program as an SVG document; ArtifactError as above, OutputError where it cannot be read."""
    artifact = read_artifact(data)
    widths = validate_program(artifact.program, [entry.shape for entry in artifact.directory]).widths
    title = f"What {origin.name} computes"
    graph = program_graph(artifact.program, widths, [entry.name for entry in artifact.directory], title)
    if graph is None:
        count = len(artifact.program.instructions)
        raise OutputError(
            f"{origin.name} has {count:,} instructions, of which too few repeat to be drawn; see them as text"
        )
    return svg_document([graph], origin.heading(title), DRAWING_STYLE + GRAPH_STYLE)


def drawing_bytes(svg: str, path: Path) -> bytes:
    """What a file of that name holds; ModuleNotFoundError for a PNG where resvg_py is not installed."""
    if path.suffix != ".png":
        return svg.encode()
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=with_plain_colours(svg), zoom=PNG_SCALE))


def with_plain_colours(svg: str) -> str:
    """The document with the light theme's colours in place of variables, and without rules for other media."""
    light = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6,8})", svg[: svg.index("@media")]))
    plain = re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", svg)
    plain = re.sub(r":root \{[^{}]*\}", "", plain)
    return re.sub(r"var\(--([a-z]+)\)", lambda match: light[match[1]], plain)
