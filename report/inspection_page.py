"""The page of `bytecap inspect --html`: one file that stands by itself, with an artifact to look around in.

Strategy: the verdict is on top; every table adds up to the file. Nothing is computed here but sums and shares.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..files.numbers import decimals, integer, percent
from ..format.artifact_map import describe_artifact
from ..format.byte_account import Inspection
from ..format.container.describe import Region
from ..format.identity import identity_text
from ..format.program.listing import program_lines
from ..format.program.program import validate_program
from ..format.tensor_detail import GridDetail, TensorDetail, inspect_whole
from .byte_tree import artifact_tree, layer_name, role_name
from .explorer import (
    Explored,
    Histogram,
    explorer_data,
    explorer_sections,
    group_section,
    sortable_table,
    tensor_section,
)
from .explorer_style import STYLE
from .figure import Figure
from .heading import Origin, headed_page, tiles
from .markup import Html, element, folded, joined, paragraph, record_table, section
from .program_graph import program_graph

MOST_REGIONS = 4_000  # of the map of bytes; more would make the page heavy
HEX_BYTES = 12
BITS = (
    "Coded are bits a weight in the file. Entropy is what a coder without contexts would need for the same integers, "
    "raw what the type in the checkpoint takes."
)


def render_inspection_page(
    origin: Origin,
    found: Inspection,
    details: Sequence[TensorDetail],
    program: Sequence[str],
    graph: Figure | None,
    regions: Sequence[Region],
    data: bytes,
) -> str:
    """The page of an artifact.

    details : of every tensor, in the order of the directory;  program : its lines
    graph : a drawing of the program;  regions : the map of `data`, the file
    """
    tensors = [explored(detail) for detail in details]
    trees = {"role": artifact_tree(found, role_name), "layer": artifact_tree(found, layer_name)}
    shared = sum(row.bytes for row in found.shared)
    size = f"{integer(found.bytes)} bytes, {decimals(found.bits_per_weight)} bits a weight"
    return headed_page(
        origin,
        size,
        _facts(found),
        tiles(_tiles(found)),
        *explorer_sections(tensors, trees),
        group_section("Roles", "role", found.roles, shared, found.bytes),
        paragraph(BITS),
        group_section("Layers", "layer", found.layers, shared, found.bytes),
        _sections(found),
        _exceptions(found),
        tensor_section(tensors, found.bytes),
        section(
            "Program",
            paragraph(f"The file computes {found.program.words}."),
            *_graph(graph),
            folded(
                f"{integer(found.program.instructions)} instructions, one a line", element("pre", "\n".join(program))
            ),
        ),
        _byte_map(regions, data),
        explorer_data(tensors, trees, found.bytes),
        style=STYLE,
    )


def explored(detail: TensorDetail) -> Explored:
    """A tensor of an artifact with sentences about it."""
    row = detail.row
    facts = [
        f"{row.role}, {layer_name(row)}, {'x'.join(map(str, row.shape)) or 'scalar'}, {row.description}, {row.dtype}",
        f"{integer(row.bytes)} bytes, {decimals(row.bits_per_weight)} bits a weight coded, "
        f"{decimals(row.entropy_bits)} entropy, {row.raw_bits} raw",
        f"values {detail.minimum:.5g} to {detail.maximum:.5g}, root mean square {detail.root_mean_square:.5g}",
    ]
    return Explored(row, facts, [_histogram(grid) for grid in detail.grids])


def _histogram(grid: GridDetail) -> Histogram:
    steps = ", ".join(
        f"{side} x {least:.3g} to {most:.3g}"
        for side, span in (("rows", grid.row_steps), ("columns", grid.column_steps))
        if span is not None
        for least, most in [span]
    )
    where = f"term {grid.term}{' ' + grid.matrix if grid.matrix else ''}: " if grid.term > 1 or grid.matrix else ""
    title = f"{where}base step {grid.base:.5g}{', ' + steps if steps else ''}, {len(grid.histogram)} codes"
    return Histogram(title, grid.histogram)


def _facts(found: Inspection) -> dict[str, object]:
    facts: dict[str, object] = {
        "computes": found.program.words,
        "decodes": f"all of its {integer(len(found.tensors))} tensors, to the digest that is stored with them",
        "format": found.format_version,
        "SHA-256": found.sha256,
    }
    if found.identity.known:
        facts["identity"] = identity_text(found.identity)
    if found.provenance:
        facts["provenance"] = json.dumps(found.provenance, sort_keys=True)
    return facts


def _tiles(found: Inspection) -> list[tuple[str, str, Html | None]]:
    program = found.program
    return [
        (integer(found.bytes), "bytes", None),
        (decimals(found.bits_per_weight), "bits a weight, whole file", None),
        (integer(found.weights), f"weights in {integer(len(found.tensors))} tensors", None),
        (f"{program.layers} x {integer(program.width)}", "layers and width", None),
        (integer(program.vocabulary), "tokens in the vocabulary", None),
        (integer(program.context), "tokens of context", None),
    ]


def _sections(found: Inspection) -> Html:
    rows = [("header and section table", 0, "", None, found.header_bytes)]
    rows += [(row.name, row.offset, row.codec, row.decoded_bytes, row.stored_bytes) for row in found.sections]
    cells = [
        [
            (name, None),
            (f"0x{offset:04x}", offset),
            (codec, None),
            ("", "") if decoded is None else (integer(decoded), decoded),
            (integer(size), size),
            (percent(size, found.bytes), size),
        ]
        for name, offset, codec, decoded, size in rows
    ]
    totals = ["total", "", "", "", integer(found.bytes), "100.0 %"]
    shared = [{"what serves all tensors": row.name, ">bytes": integer(row.bytes)} for row in found.shared]
    side = [
        {"side information": row.name, ">items": integer(row.items or 0), ">bytes": integer(row.bytes)}
        for row in found.metadata
    ]
    columns = ["section", ">offset", "codec", ">decoded", ">bytes", ">share"]
    return section("Sections", sortable_table(columns, cells, totals), record_table(shared), record_table(side))


def _exceptions(found: Inspection) -> Html | None:
    if not found.exceptions:
        return None
    rows = [
        [
            (row.tensor, None),
            (row.kind, None),
            (f"{integer(row.members)} {row.members_of}" if row.members else "", row.members),
            (integer(row.bytes), row.bytes),
        ]
        for row in found.exceptions
    ]
    return section("Exceptions", sortable_table(["tensor", "kind", ">what", ">bytes"], rows))


def _byte_map(regions: Sequence[Region], data: bytes) -> Html | None:
    """Every byte, where these are few enough for a page."""
    count = len(regions) + sum(len(region.nested) for region in regions)
    if count > MOST_REGIONS:
        note = f"The map of bytes has {integer(count)} regions; bytecap inspect --hex lists them."
        return section("Bytes", paragraph(note))
    parts = [element("h3", "File"), _region_table(regions, data)]
    for region in regions:
        if region.nested:
            parts.append(folded(f"{region.name}: {_fields(len(region.nested))}", _region_table(region.nested, None)))
    return section("Bytes", *parts)


def _fields(count: int) -> str:
    return f"{integer(count)} field" + ("" if count == 1 else "s")


def _graph(graph: Figure | None) -> tuple[Html, ...]:
    """The drawing in a frame that scrolls, with buttons that make it larger and smaller."""
    if graph is None:
        return ()
    buttons = (
        element("button", text, type="button", data_zoom=factor)
        for text, factor in (("smaller", "0.8"), ("larger", "1.25"))
    )
    return element("div", *buttons, class_="tools"), element("div", graph, class_="graph")


def _region_table(regions: Sequence[Region], data: bytes | None) -> Html:
    columns = [">offset", ">length", *(["bytes"] if data is not None else []), "what"]
    rows = []
    for region in regions:
        cells = [(f"{region.offset:08x}", region.offset), (integer(region.length), region.length)]
        if data is not None:
            piece = data[region.offset : region.offset + min(region.length, HEX_BYTES)].hex(" ")
            cells.append((piece + (" .." if region.length > HEX_BYTES else ""), None))
        rows.append([*cells, (joined([region.name, region.text], ": "), None)])
    return element("div", sortable_table(columns, rows), class_="hex")


def artifact_page(origin: Origin, data: bytes) -> str:
    """The page of an artifact's bytes. Raises ArtifactError when it cannot be decoded."""
    whole = inspect_whole(data)
    names = [entry.name for entry in whole.artifact.directory]
    widths = validate_program(whole.artifact.program, [entry.shape for entry in whole.artifact.directory]).widths
    return render_inspection_page(
        origin,
        whole.account,
        whole.tensors,
        program_lines(whole.artifact.program, names, widths),
        program_graph(whole.artifact.program, widths, names, f"What {origin.name} computes"),
        describe_artifact(data),
        data,
    )
