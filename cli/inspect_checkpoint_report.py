"""What `bytecap inspect` shows of other tools' files: the verdict, then tables by role, layer and tensor as stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..compiler.checkpoints.holdings import Holdings, read_holdings
from ..files.numbers import decimals, integer, percent
from ..files.printable import printable
from ..format.byte_account import GroupRow, TensorRow, by_layer, by_role
from ..report.checkpoint_page import held_rows, stored_numbers
from .inspect_report import LAYERS_SHOWN, MARGIN, ORDERS, print_field
from .tables import print_table
from .text_lines import print_text

STORED = "is bits a weight as stored, entropy what a plain coder would need for the same bytes, plane by plane"
SHORT = 12  # tensors that are listed without --by tensor


@dataclass(frozen=True)
class CheckpointView:
    """A checkpoint: verdict and tables; `tables` and `sort` as of a SummaryView."""

    path: Path
    holdings: Holdings
    tables: Sequence[str] = ()
    sort: str = "size"
    wide: bool = False

    @property
    def rows(self) -> list[TensorRow]:
        return held_rows(self.holdings)

    def document(self) -> dict[str, Any]:
        found = asdict(self.holdings)
        held = {tensor.name: tensor for tensor in self.holdings.tensors}
        found["tensors"] = [
            {
                "name": row.name,
                "role": row.role,
                "layer": row.layer,
                "dtype": row.dtype,
                "shape": row.shape,
                "elements": row.elements,
                "bytes": row.bytes,
                "bits_per_weight": row.bits_per_weight,
                "entropy_bits": row.entropy_bits,
                "packed_bytes": held[row.name].packed_bytes,
                "shares": held[row.name].shares or None,
            }
            for row in self._sorted(self.rows)
        ]
        groups = {"roles": self._sorted(by_role(self.rows)), "layers": by_layer(self.rows)}
        return {
            "checkpoint": str(self.path),
            **found,
            "path": str(self.path),
            **{name: [asdict(row) for row in rows] for name, rows in groups.items()},
        }

    def show(self) -> None:
        found, rows = self.holdings, self.rows
        weights, size = stored_numbers(rows), sum(row.bytes for row in rows)
        print_text(
            f"{self.path}: checkpoint ({found.kind}), {integer(found.file_bytes)} bytes, "
            f"{decimals(8 * found.file_bytes / weights) if weights else '-'} bits a weight"
        )
        click.echo()
        print_field("holds", f"{integer(weights)} numbers in {integer(len(rows))} tensors, {integer(size)} bytes")
        if found.content_bytes is not None:
            share = percent(found.file_bytes, found.content_bytes)
            print_field("compressed", f"{integer(found.content_bytes)} bytes, {share} of which the file takes")
        if len(found.files) > 1:
            print_field("files", ", ".join(map(printable, found.files)))
        for note in found.notes:
            print_field("note", printable(note))
        print_field("roles", "are told by names; nothing is run, and no program says what the tensors are for")
        click.echo()
        shows = {
            "section": lambda: None,
            "role": lambda: self._show_groups("role", self._sorted(by_role(rows))),
            "layer": lambda: self._show_groups("layer", by_layer(rows)),
            "tensor": lambda: self._show_tensors(rows),
        }
        for table in self.tables or self._usual_tables(rows):
            shows[table]()
        print_field("stored", STORED)
        if not self.tables and len(rows) > SHORT:
            print_text(f"tensors     bytecap inspect {self.path} --by tensor", MARGIN)

    def _usual_tables(self, rows: Sequence[TensorRow]) -> tuple[str, ...]:
        layers = ("layer",) if 1 < len(by_layer(rows)) <= LAYERS_SHOWN else ()
        return ("role", *layers, *(("tensor",) if len(rows) <= SHORT else ()))

    def _sorted(self, rows: Sequence[Any]) -> list[Any]:
        return sorted(rows, key=ORDERS[self.sort])

    def _show_groups(self, title: str, rows: Sequence[GroupRow]) -> None:
        whole = sum(row.bytes for row in rows)
        cells = [
            (printable(row.name), integer(row.tensors), *_amounts(row, whole), decimals(row.entropy_bits))
            for row in rows
        ]
        weights = sum(row.elements for row in rows)
        totals = ("total", integer(sum(row.tensors for row in rows)), integer(weights), integer(whole), "100.0 %")
        columns = (title, ">tensors", ">weights", ">bytes", ">share", ">stored", ">entropy")
        print_table(
            columns,
            cells,
            (*totals, decimals(8 * whole / weights) if weights else "", ""),
            dispensable=(">tensors",),
            wide=self.wide,
        )

    def _show_tensors(self, rows: Sequence[TensorRow]) -> None:
        whole = sum(row.bytes for row in rows)
        packed = {tensor.name: tensor.packed_bytes for tensor in self.holdings.tensors}
        cells = [
            (
                printable(row.name),
                row.role,
                row.dtype,
                "x".join(map(str, row.shape)) or "scalar",
                *_amounts(row, whole),
                decimals(row.entropy_bits),
                "" if packed[row.name] is None else integer(packed[row.name] or 0),
            )
            for row in self._sorted(rows)
        ]
        columns = ["tensor", "role", "type", "shape", ">weights", ">bytes", ">share", ">stored", ">entropy", ">packed"]
        if not any(size is not None for size in packed.values()):
            cells, columns = [row[:-1] for row in cells], columns[:-1]
        dispensable = (">weights", "role", ">share", ">entropy", "shape", "type")
        print_table(columns, cells, None, dispensable=dispensable, wide=self.wide)


def _amounts(row: GroupRow | TensorRow, whole: int) -> tuple[str, ...]:
    """Numbers, bytes, share and bits a number."""
    stored = row.elements and not (isinstance(row, TensorRow) and row.is_alias)
    bits = 8 * row.bytes / row.elements if stored else None
    return integer(row.elements), integer(row.bytes), percent(row.bytes, whole), decimals(bits)


def checkpoint_view(path: Path, tables: Sequence[str], sort: str, wide: bool) -> CheckpointView:
    """The view of anything but an artifact; CheckpointError says what a file is that is no checkpoint."""
    return CheckpointView(path, read_holdings(path), tables, sort, wide)
