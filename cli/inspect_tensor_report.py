"""What `bytecap inspect --tensor` shows: the cost of one tensor, its values, its steps and its codes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ..files.numbers import integer, percent
from ..format.byte_account import TensorRow
from ..format.tensor_detail import GridDetail, TensorDetail, inspect_tensor
from .exit_codes import USAGE, CommandError
from .inspect_report import MARGIN
from .tables import print_table
from .text_lines import print_field, print_text

HISTOGRAM_WIDTH = 40
HISTOGRAM_ROWS = 33


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
        columns = ("tensor", "shape", "terms", ">weights", ">bytes", ">bits/weight")
        print_table(columns, [_tensor_cells(detail.row)], dispensable=(">weights", "terms", "shape"))
        extent = f"{detail.minimum:.6g} to {detail.maximum:.6g}"
        square = f"root mean square {detail.root_mean_square:.6g}"
        print_field("values", f"{extent}, {square}, type {detail.row.dtype}", MARGIN)
        if len(detail.row.terms) > 1:
            rows = [
                (str(number), term.description, integer(term.bytes), integer(term.set_bytes))
                for number, term in enumerate(detail.row.terms, 1)
            ]
            print_table((">term", "terms", ">bytes", ">bytes of the set"), rows, dispensable=(">bytes of the set",))
        for grid in detail.grids:
            _show_grid(grid, named=len(detail.grids) > 1)


def _show_grid(grid: GridDetail, named: bool) -> None:
    if named:
        print_text(f"term {grid.term}{', ' * bool(grid.matrix)}{grid.matrix}")
    several = "s" if grid.steps_per_octave > 1 else ""
    print_field("base step", f"{grid.base:.6g}, {grid.steps_per_octave} step{several} an octave", MARGIN)
    for side, steps in (("rows", grid.row_steps), ("columns", grid.column_steps)):
        own = "no steps of their own" if steps is None else f"base x {steps[0]:.4g} to {steps[1]:.4g}"
        print_field(side, own, MARGIN)
    total = sum(count for _, count in grid.histogram)
    least, greatest = grid.histogram[0][0], grid.histogram[-1][0]
    entropy = f"order-0 entropy {grid.entropy_bits:.3f} bits"
    print_field("codes", f"{least} to {greatest}, {len(grid.histogram)} different, {entropy}", MARGIN)
    click.echo()
    shown = sorted(grid.histogram, key=lambda item: (-item[1], abs(item[0])))[:HISTOGRAM_ROWS]
    most = shown[0][1]
    rows = [
        (str(code), integer(count), percent(count, total), "#" * round(HISTOGRAM_WIDTH * count / most))
        for code, count in sorted(shown)
    ]
    print_table((">code", ">count", ">share", "histogram"), rows, dispensable=("histogram",))
    if len(shown) < len(grid.histogram):
        print_text(f"{len(grid.histogram) - len(shown)} rarer codes are not shown; --json has them all")


def tensor_view(path: Path, data: bytes, name: str) -> TensorView:
    """The view of --tensor; wrong usage when there is none of that name."""
    detail = inspect_tensor(data, name)
    if detail is None:
        names = f"see its names with: bytecap inspect {path} --by tensor"
        raise CommandError(f"{path} holds no tensor {name!r}; {names}", USAGE)
    return TensorView(path, detail)


def _tensor_cells(row: TensorRow) -> tuple[str, ...]:
    shape = "x".join(str(size) for size in row.shape) or "scalar"
    return row.name, shape, row.description, integer(row.elements), integer(row.bytes), f"{row.bits_per_weight:.3f}"
