"""What `bytecap inspect` shows of a whole file: the verdict first, then tables by section, role, layer and tensor.

Each view has the same two sides: `document()` for --json and `show()` for people. The text is the same wherever it is
not printed on a terminal, so that it can be kept in a repository and compared.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..files.numbers import decimals, integer, percent
from ..format.byte_account import TOGETHER, GroupRow, Inspection, TensorRow
from ..format.identity import identity_text
from ..format.inspection import inspect_artifact
from .tables import print_table
from .text_lines import print_text, terminal_width

LINE, MARGIN = 80, 12
LAYERS_SHOWN = 12  # by default; more of them have --by layer
BITS = (
    "is bits a weight, entropy what a coder without contexts would need for the same integers, raw what the type "
    "in the checkpoint takes"
)
TABLES = ("section", "role", "layer", "tensor")
ORDERS = {
    "size": lambda row: (-row.bytes, row.name),
    "name": lambda row: row.name,
    "bits": lambda row: (-(row.bits_per_weight or 0.0), row.name),
}


@dataclass(frozen=True)
class SummaryView:
    """The whole file: verdict, then the tables that were asked for, or the short ones.

    tables : of TABLES; empty: sections and roles, and layers where they are few
    sort : of ORDERS, for the tables of roles and tensors; wide : whether a narrow terminal gets all columns, too
    """

    path: Path
    inspection: Inspection
    tables: Sequence[str] = ()
    sort: str = "size"
    wide: bool = False

    def document(self) -> dict[str, Any]:
        found = self.inspection
        return {
            "artifact": str(self.path),
            **asdict(found),
            "identity": found.identity.values,
            "weights": found.weights,
            "bits_per_weight": found.bits_per_weight,
            "tensors": [_tensor_document(row) for row in self._sorted(found.tensors)],
            "roles": [asdict(row) for row in self._sorted(found.roles)],
            "layers": [asdict(row) for row in found.layers],
            "exceptions": [asdict(row) for row in found.exceptions],
        }

    def show(self) -> None:
        self._show_verdict()
        shows = {
            "section": self._show_sections,
            "role": lambda: self._show_groups("role", self._sorted(self.inspection.roles)),
            "layer": lambda: self._show_groups("layer", self.inspection.layers),
            "tensor": self._show_tensors,
        }
        for table in self.tables or self._usual_tables():
            shows[table]()
        self._show_side_information()
        if set(self.tables or self._usual_tables()) - {"section"}:
            print_field("coded", BITS)
        if not self.tables:
            print_text(f"tensors     bytecap inspect {self.path} --by tensor", MARGIN)

    def _usual_tables(self) -> tuple[str, ...]:
        return ("section", "role", "layer") if len(self.inspection.layers) <= LAYERS_SHOWN else ("section", "role")

    def _sorted(self, rows: Sequence[Any]) -> list[Any]:
        return sorted(rows, key=ORDERS[self.sort])

    def _show_verdict(self) -> None:
        found, program = self.inspection, self.inspection.program
        size = f"{integer(found.bytes)} bytes, {decimals(found.bits_per_weight)} bits a weight"
        print_text(f"{self.path}: artifact of format {found.format_version}, {size}")
        click.echo()
        beyond = f" (at most {integer(program.longest_context)})" if program.longest_context else ""
        lines = {
            "sha256": found.sha256,
            "decodes": f"all of its {integer(len(found.tensors))} tensors, to the digest that is stored with them",
            "computes": program.words,
            "size": f"{integer(found.weights)} weights, {integer(program.vocabulary)} tokens, "
            f"context {integer(program.context)}{beyond}, {integer(program.instructions)} instructions",
        }
        if found.identity.known:
            lines["identity"] = identity_text(found.identity)
        if found.provenance:
            lines["provenance"] = json.dumps(found.provenance, sort_keys=True)
        for title, text in lines.items():
            print_field(title, text)
        click.echo()

    def _show_sections(self) -> None:
        found = self.inspection
        head = ("header and section table", "0x0000", "", "", found.header_bytes)
        rows = [head] + [
            (row.name, f"0x{row.offset:04x}", row.codec, integer(row.decoded_bytes), row.stored_bytes)
            for row in found.sections
        ]
        print_table(
            ("section", ">offset", "codec", ">decoded", ">bytes", ">share"),
            [(*cells, integer(size), percent(size, found.bytes)) for *cells, size in rows],
            ("total", "", "", "", integer(found.bytes), "100.0 %"),
            dispensable=(">decoded", ">offset", "codec"),
            wide=self.wide,
        )

    def _show_groups(self, title: str, rows: Sequence[GroupRow]) -> None:
        cells = [(row.name, integer(row.tensors), *self._amounts(row)) for row in rows]
        cells.append((TOGETHER, "", "", *self._shared_amount(), "", "", ""))
        columns = (title, ">tensors", ">weights", ">bytes", ">share", ">coded", ">entropy", ">raw")
        totals = ("total", integer(len(self.inspection.tensors)), *self._totals())
        print_table(
            columns, cells, totals, dispensable=(">raw", ">tensors", ">weights", ">entropy", ">share"), wide=self.wide
        )

    def _show_tensors(self) -> None:
        cells = [
            (row.name, row.role, _shape(row), row.description, *self._amounts(row))
            for row in self._sorted(self.inspection.tensors)
        ]
        cells.append((TOGETHER, "", "", "", "", *self._shared_amount(), "", "", ""))
        columns = ("tensor", "role", "shape", "terms", ">weights", ">bytes", ">share", ">coded", ">entropy", ">raw")
        dispensable = (">raw", "terms", ">weights", ">entropy", "role", ">share", "shape", ">coded")
        print_table(columns, cells, ("total", "", "", "", *self._totals()), dispensable=dispensable, wide=self.wide)

    def _amounts(self, row: GroupRow | TensorRow) -> tuple[str, ...]:
        """Weights, bytes, share, and the three bits a weight."""
        stored = row.elements and not (isinstance(row, TensorRow) and row.is_alias)
        bits = (row.bits_per_weight, row.entropy_bits) if stored else (None, None)
        raw = f"{row.raw_bits:.3g}" if stored and row.raw_bits is not None else ""
        return (
            integer(row.elements),
            *self._amount(row.bytes),
            *("" if each is None else decimals(each) for each in bits),
            raw,
        )

    def _amount(self, size: int) -> tuple[str, str]:
        return integer(size), percent(size, self.inspection.bytes)

    def _shared_amount(self) -> tuple[str, str]:
        return self._amount(sum(row.bytes for row in self.inspection.shared))

    def _totals(self) -> tuple[str, ...]:
        found = self.inspection
        return integer(found.weights), integer(found.bytes), "100.0 %", decimals(found.bits_per_weight), "", ""

    def _show_side_information(self) -> None:
        found = self.inspection
        if found.streams:
            print_field(
                "streams", ", ".join(f"{r.number} {r.codec} {integer(r.bytes)}" for r in found.streams) + " bytes"
            )
        shared = [f"{row.name} {integer(row.bytes)}" for row in found.shared]
        print_field("serves all", ", ".join(shared) + " bytes")
        if found.metadata:
            told = (f"{integer(row.items or 0)} {row.name} in {integer(row.bytes)} bytes" for row in found.metadata)
            print_field("side", ", ".join(told))
        click.echo()
        if found.exceptions:
            rows = [
                (row.tensor, row.kind, _members(row.members, row.members_of), *self._amount(row.bytes))
                for row in found.exceptions
            ]
            print_table(
                ("exception of", "kind", "what", ">bytes", ">share"),
                rows,
                None,
                dispensable=(">share",),
                wide=self.wide,
            )


def _tensor_document(row: TensorRow) -> dict[str, Any]:
    return {**asdict(row), "bits_per_weight": row.bits_per_weight, "raw_bits": row.raw_bits}


def print_field(title: str, text: str) -> None:
    """A title and a text that goes on below itself."""
    width = min(LINE, terminal_width()) if sys.stdout.isatty() else LINE
    lines = textwrap.wrap(text, max(width - MARGIN, 1), break_long_words=False, break_on_hyphens=False)
    for k, line in enumerate(lines):
        click.echo(f"{'' if k else title:<{MARGIN}}{line}")


def _members(count: int, members_of: str) -> str:
    return f"{integer(count)} {members_of if count != 1 else members_of.removesuffix('s')}" if count else ""


def _shape(row: TensorRow) -> str:
    return "x".join(str(size) for size in row.shape) or "scalar"


def summary_view(path: Path, data: bytes, tables: Sequence[str], sort: str, wide: bool) -> SummaryView:
    """The default view."""
    return SummaryView(path, inspect_artifact(data), tables, sort, wide)
