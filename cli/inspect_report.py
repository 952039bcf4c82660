"""What `bytecap inspect` shows: the summary of a file, one tensor of it, or the meaning of every byte.

Each view has the same two sides: `document()` for --json and `show()` for people.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..files.numbers import integer, percent
from ..format.artifact import read_artifact
from ..format.container.describe import Region, describe_container
from ..format.identity import identity_text
from ..format.inspection import GridDetail, Inspection, TensorDetail, TensorRow, inspect_artifact, inspect_tensor
from ..format.program.listing import program_lines
from ..format.program.program import validate_program
from .exit_codes import USAGE, CommandError
from .tables import print_table

HISTOGRAM_WIDTH = 40
HISTOGRAM_ROWS = 33
HEX_BYTES = 16


@dataclass(frozen=True)
class SummaryView:
    """The whole file: verdict, sections, tensors."""

    path: Path
    inspection: Inspection
    sort: str

    def document(self) -> dict[str, Any]:
        content = asdict(self.inspection)
        content["tensors"] = [{**asdict(row), "bits_per_weight": row.bits_per_weight} for row in self._sorted_rows()]
        return {"artifact": str(self.path), **content, "identity": self.inspection.identity.values}

    def show(self) -> None:
        found = self.inspection
        click.echo(f"{self.path}  format {found.format_version}  {integer(found.bytes)} bytes  sha256 {found.sha256}\n")
        self._show_sections()
        self._show_tensors()
        if found.streams:
            streams = ", ".join(f"{row.number} {row.codec} {integer(row.bytes)}" for row in found.streams)
            click.echo(f"streams  {streams} bytes\n")
        if found.metadata:
            click.echo(f"metadata  {', '.join(f'{row.name} {integer(row.bytes)}' for row in found.metadata)} bytes\n")
        if found.provenance:
            click.echo(f"provenance  {json.dumps(found.provenance, sort_keys=True)}")
        if found.identity.known:
            click.echo(f"identity  {identity_text(found.identity)}")

    def _sorted_rows(self) -> list[TensorRow]:
        by_size = self.sort == "size"
        return sorted(self.inspection.tensors, key=lambda row: (-row.bytes if by_size else 0, row.name))

    def _show_sections(self) -> None:
        found = self.inspection
        rows = [
            (
                "header and section table",
                "0x0000",
                "",
                "",
                integer(found.header_bytes),
                percent(found.header_bytes, found.bytes),
            )
        ]
        for row in found.sections:
            share = percent(row.stored_bytes, found.bytes)
            rows.append(
                (
                    row.name,
                    f"0x{row.offset:04x}",
                    row.codec,
                    integer(row.decoded_bytes),
                    integer(row.stored_bytes),
                    share,
                )
            )
        print_table(
            ("section", ">offset", "codec", ">decoded", ">bytes", ">share"),
            rows,
            ("total", "", "", "", integer(found.bytes), "100.0 %"),
        )

    def _show_tensors(self) -> None:
        found = self.inspection
        rows = [(*_tensor_cells(row), percent(row.bytes, found.bytes)) for row in self._sorted_rows()]
        rows += [
            (row.name, "", "", "", integer(row.bytes), "", percent(row.bytes, found.bytes)) for row in found.shared
        ]
        bits = f"{8 * found.bytes / found.weights:.3f}" if found.weights else ""
        totals = ("total", "", "", integer(found.weights), integer(found.bytes), bits, "100.0 %")
        print_table(("tensor", "shape", "terms", ">weights", ">bytes", ">bits/weight", ">share"), rows, totals)


def _tensor_cells(row: TensorRow) -> tuple[str, ...]:
    shape = "x".join(str(size) for size in row.shape) or "scalar"
    return row.name, shape, row.description, integer(row.elements), integer(row.bytes), f"{row.bits_per_weight:.3f}"


@dataclass(frozen=True)
class TensorView:
    """One tensor: its cost, its values, and of each grid the steps and the histogram of codes."""

    path: Path
    detail: TensorDetail

    def document(self) -> dict[str, Any]:
        content = asdict(self.detail)
        content["row"]["bits_per_weight"] = self.detail.row.bits_per_weight
        return {"artifact": str(self.path), "tensor": content}

    def show(self) -> None:
        detail = self.detail
        print_table(("tensor", "shape", "terms", ">weights", ">bytes", ">bits/weight"), [_tensor_cells(detail.row)])
        extent = f"{detail.minimum:.6g} to {detail.maximum:.6g}"
        click.echo(f"values      {extent}, root mean square {detail.root_mean_square:.6g}, type {detail.row.dtype}")
        if len(detail.row.terms) > 1:
            rows = [
                (str(number), term.description, integer(term.bytes), integer(term.set_bytes))
                for number, term in enumerate(detail.row.terms, 1)
            ]
            print_table((">term", "terms", ">bytes", ">bytes of the set"), rows)
        for grid in detail.grids:
            _show_grid(grid, named=len(detail.grids) > 1)


def _show_grid(grid: GridDetail, named: bool) -> None:
    if named:
        click.echo(f"term {grid.term}{', ' * bool(grid.matrix)}{grid.matrix}")
    click.echo(
        f"base step   {grid.base:.6g}, {grid.steps_per_octave} step{'s' if grid.steps_per_octave > 1 else ''} an octave"
    )
    for side, steps in (("rows", grid.row_steps), ("columns", grid.column_steps)):
        click.echo(
            f"{side:<11} " + ("no steps of their own" if steps is None else f"base x {steps[0]:.4g} to {steps[1]:.4g}")
        )
    total = sum(count for _, count in grid.histogram)
    least, greatest = grid.histogram[0][0], grid.histogram[-1][0]
    entropy = f"order-0 entropy {grid.entropy_bits:.3f} bits"
    click.echo(f"codes       {least} to {greatest}, {len(grid.histogram)} different, {entropy}\n")
    shown = sorted(grid.histogram, key=lambda item: (-item[1], abs(item[0])))[:HISTOGRAM_ROWS]
    most = shown[0][1]
    rows = [
        (str(code), integer(count), percent(count, total), "#" * round(HISTOGRAM_WIDTH * count / most))
        for code, count in sorted(shown)
    ]
    print_table((">code", ">count", ">share", "histogram"), rows)
    if len(shown) < len(grid.histogram):
        click.echo(f"{len(grid.histogram) - len(shown)} rarer codes are not shown; --json has them all")


@dataclass(frozen=True)
class MapView:
    """Every byte of the file in regions, with what each region means."""

    path: Path
    data: bytes
    regions: list[Region]

    def document(self) -> dict[str, Any]:
        rows = [asdict(region) for region in self.regions]
        return {
            "artifact": str(self.path),
            "bytes": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "regions": rows,
        }

    def show(self) -> None:
        for region in self.regions:
            piece = self.data[region.offset : region.offset + min(region.length, HEX_BYTES)]
            more = " .." if region.length > HEX_BYTES else ""
            shown = f"{piece.hex(' ') + more:<{3 * HEX_BYTES + 3}}"
            size = f"{integer(region.length):>9}"
            click.echo(f"{region.offset:08x}  {shown}  {size}  {region.name}: {region.text}")


@dataclass(frozen=True)
class ProgramView:
    """What the artifact computes, an instruction a line; `r3[128]` is a register and its width."""

    path: Path
    lines: list[str]

    def document(self) -> dict[str, Any]:
        return {"artifact": str(self.path), "program": self.lines}

    def show(self) -> None:
        for line in self.lines:
            click.echo(line)


def program_view(path: Path, data: bytes) -> ProgramView:
    """The view of --program."""
    artifact = read_artifact(data)
    shapes = validate_program(artifact.program, [entry.shape for entry in artifact.directory])
    names = [entry.name for entry in artifact.directory]
    return ProgramView(path, program_lines(artifact.program, names, shapes.widths))


def summary_view(path: Path, data: bytes, sort: str) -> SummaryView:
    """The default view."""
    return SummaryView(path, inspect_artifact(data), sort)


def tensor_view(path: Path, data: bytes, name: str) -> TensorView:
    """The view of --tensor; wrong usage when there is none of that name."""
    detail = inspect_tensor(data, name)
    if detail is None:
        names = f"see its names with: bytecap inspect {path} --sort name"
        raise CommandError(f"{path} holds no tensor {name!r}; {names}", USAGE)
    return TensorView(path, detail)


def map_view(path: Path, data: bytes) -> MapView:
    """The view of --hex."""
    return MapView(path, data, describe_container(data))
