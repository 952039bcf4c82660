"""The page of `bytecap inspect --html` for other tools' files: the same treemap, map and tables, of what they store."""

from __future__ import annotations

from collections.abc import Sequence

from ..compiler.checkpoints.holdings import Holdings
from ..files.numbers import decimals, integer, percent
from ..files.printable import printable
from ..format.byte_account import TensorRow, TermRow, by_layer, by_role
from ..format.program.tensor_names import layer_of, named_role
from ..format.tensors.terms import Alias
from .byte_tree import layer_name, parent, role_name, tensor_groups
from .drawings import MAP, TREE
from .explorer import Explored, explorer_data, explorer_sections, group_section, tensor_section
from .explorer_style import STYLE as EXPLORER_STYLE
from .figure import svg_document
from .heading import Origin, headed_page, tiles
from .layer_map import layer_map, map_chart
from .markup import paragraph
from .treemap import treemap

NOTE = "Bits are those of the numbers as stored; entropy is what a plain coder needs for their bytes, plane by plane."


def held_rows(found: Holdings) -> list[TensorRow]:
    """The tensors as rows; roles and layers are told by names."""
    return [
        TensorRow(
            name=tensor.name,
            shape=tensor.shape,
            dtype=tensor.dtype,
            description=tensor.dtype,
            elements=tensor.elements,
            bytes=tensor.bytes,
            terms=(TermRow(Alias.name if tensor.shares else "stored", tensor.dtype, tensor.bytes, 0, 0),),
            role=printable(named_role(tensor.name)),
            layer=layer_of(tensor.name),
            entropy_bits=tensor.entropy_bits,
        )
        for tensor in found.tensors
    ]


def stored_numbers(rows: Sequence[TensorRow]) -> int:
    """How many numbers the tensors store; those that several share are counted once."""
    return sum(row.elements for row in rows if not row.is_alias)


def checkpoint_page(origin: Origin, found: Holdings) -> str:
    """The page of what a checkpoint holds."""
    rows = held_rows(found)
    held = sum(row.bytes for row in rows)
    weights = stored_numbers(rows)
    tensors = [Explored(row, _facts(row), ()) for row in rows]
    trees = {
        name: parent("tensors", tensor_groups(rows, [row.bytes for row in rows], group))
        for name, group in (("role", role_name), ("layer", layer_name))
    }
    items = [
        (integer(found.file_bytes), "bytes in the file" if len(found.files) == 1 else "bytes in the files", None),
        (decimals(8 * found.file_bytes / weights) if weights else "–", "bits a weight, whole file", None),
        (integer(weights), f"numbers in {integer(len(rows))} tensors", None),
        (integer(held), "bytes of tensors", None),
    ]
    if found.content_bytes is not None:
        items.append((percent(found.file_bytes, found.content_bytes), "of its content's bytes after compression", None))
    return headed_page(
        origin,
        f"checkpoint ({found.kind}), {integer(found.file_bytes)} bytes",
        {"files": ", ".join(map(printable, found.files))},
        tiles(items),
        *(paragraph(printable(note)) for note in found.notes),
        *explorer_sections(tensors, trees),
        group_section("Roles", "role", by_role(rows), 0, held),
        paragraph(NOTE, " Roles are told by names."),
        group_section("Layers", "layer", by_layer(rows), 0, held),
        tensor_section(tensors, held),
        explorer_data(tensors, trees, held),
        style=EXPLORER_STYLE,
    )


def _facts(row: TensorRow) -> Sequence[str]:
    shape = "x".join(map(str, row.shape)) or "scalar"
    bits = f"{decimals(row.bits_per_weight)} bits a number, {decimals(row.entropy_bits)} entropy"
    return [
        f"{row.role}, {layer_name(row)}, {shape}, {row.dtype}",
        f"{integer(row.bytes)} bytes, {bits}",
    ]


def plot_checkpoint(origin: Origin, found: Holdings) -> str:
    """Treemap and layer-by-role map as an SVG document."""
    rows = held_rows(found)
    title = f"{origin.name}: {found.file_bytes:,} bytes"
    tree = parent("tensors", tensor_groups(rows, [row.bytes for row in rows], role_name))
    figures = [treemap(tree, TREE), map_chart(layer_map(rows), MAP)]
    return svg_document(figures, origin.heading(title))
