"""Drawings of an artifact: treemap and layer-by-role map, or the graph of its program, as one SVG document.

Strategy: its colours follow light and dark where a browser shows it; drawing_files.py makes a file of it.
"""

from __future__ import annotations

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

TREE, MAP = "Bytes by section, role and tensor", "Bits a weight, layers by roles"


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
