"""`bytecap inspect`: where the bytes of an artifact or a checkpoint went, by section, role, layer and tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from .documents import json_option, print_document
from .origins import origin_of
from .parameters import Choice, check_outputs, example, force_option
from .path_types import ARTIFACT, OUTPUT_FILE
from .progress import one_stage, verbosity_options


@click.command(
    short_help="Show where an artifact's bytes went.", epilog=example("bytecap inspect model.bcap --by tensor")
)
@click.argument("artifact", type=ARTIFACT)
@click.option(
    "--by",
    "tables",
    type=Choice(["section", "role", "layer", "tensor", "all"]),
    multiple=True,
    help="Show this table; repeatable.  [default: section, role, and layer where they are few]",
)
@click.option("--tensor", metavar="NAME", help="Show one tensor: its terms, steps, codes and values.")
@click.option("--program", is_flag=True, help="Show what the artifact computes: an instruction a line.")
@click.option("--hex", "as_map", is_flag=True, help="Show every byte of the file with what it means.")
@click.option(
    "--sort",
    type=Choice(["size", "name", "bits"]),
    default="size",
    show_default=True,
    help="Order of roles and tensors.",
)
@click.option("--html", type=OUTPUT_FILE, metavar="OUT.html", help="Write a page to look around in.")
@click.option(
    "--plot",
    type=OUTPUT_FILE,
    metavar="OUT.svg|.png",
    help="Draw treemap and layers by roles; with --program its graph.",
)
@force_option
@click.option("--wide", is_flag=True, help="All columns on a narrow terminal, too, as off a terminal.")
@verbosity_options
@json_option
def command(artifact: Path, html: Path | None, plot: Path | None, force: bool, as_json: bool, **options: Any) -> None:
    """Show what ARTIFACT holds and what each part of it costs: of a compiled artifact, or of a checkpoint (.pt, .ptz,
    .safetensors, .npz, GGUF, a Hugging Face folder) as it is stored. Nothing is run; only .pt and .ptz need torch.
    A compiled artifact may come from standard input, as -.
    """
    tensor, program, as_map = options["tensor"], options["program"], options["as_map"]
    if (tensor is not None) + program + as_map + bool(options["tables"]) > 1:
        raise click.UsageError("--by, --tensor, --program and --hex are four views; choose one.")
    if plot is not None and (as_map or tensor is not None):
        raise click.UsageError("--plot draws the whole file, or with --program its program; leave out the other view.")
    from .failures import naming_file

    if not _is_artifact(artifact):
        if tensor is not None or program or as_map:
            raise click.UsageError("--tensor, --program and --hex are of artifacts; this is none; leave them out.")
        with one_stage("read"):
            view, written = _checkpoint_view(artifact, html, plot, force, options)
    else:
        from ..files.artifact_file import read_artifact_file

        with one_stage("read and decode"), naming_file(artifact):
            data = read_artifact_file(artifact)
            pages = _artifact_pages(artifact, data, program)
            written = _write_pages(html, plot, force, *pages)
            view = _view(artifact, data, options)
    if as_json:
        print_document("inspect", view.document())
    else:
        view.show()
        for path in written:
            click.echo(f"wrote       {path}")


def _is_artifact(path: Path) -> bool:
    """Whether the first bytes of a file are an artifact's, as far as there are any; standard input and pipes, which
    are read once, must be one.
    """
    from ..files.artifact_file import STANDARD_INPUT
    from ..format.container.layout import MAGIC

    if str(path) == STANDARD_INPUT or path.is_fifo():
        return True
    if path.is_dir():
        return False
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    return bool(head) and MAGIC.startswith(head)


def _checkpoint_view(
    path: Path, html: Path | None, plot: Path | None, force: bool, options: Mapping[str, Any]
) -> tuple[Any, list[Path]]:
    """The view of a checkpoint, and the files that were written beside it."""
    from .inspect_checkpoint_report import checkpoint_view
    from .inspect_report import TABLES

    tables = TABLES if "all" in options["tables"] else options["tables"]
    view = checkpoint_view(path, tables, options["sort"], options["wide"])

    def page() -> str:
        from ..report.checkpoint_page import checkpoint_page

        return checkpoint_page(origin_of("inspect", path.name, "html"), view.holdings)

    def drawing() -> str:
        from ..report.checkpoint_page import plot_checkpoint

        return plot_checkpoint(origin_of("inspect", path.name, "plot"), view.holdings)

    return view, _write_pages(html, plot, force, page, drawing)


def _artifact_pages(path: Path, data: bytes, program: bool) -> tuple[Callable[[], str], Callable[[], str]]:
    """What makes the page and the drawing of an artifact."""

    def page() -> str:
        from ..report.inspection_page import artifact_page

        return artifact_page(origin_of("inspect", path.name, "html"), data)

    def drawing() -> str:
        from ..report.drawings import plot_artifact, plot_program

        origin = origin_of("inspect", path.name, "plot")
        return plot_program(origin, data) if program else plot_artifact(origin, data)

    return page, drawing


def _view(artifact: Path, data: bytes, options: Mapping[str, Any]) -> Any:
    """The view that the options name, with `document()` and `show()`."""
    if options["as_map"]:
        from .inspect_map_report import map_view

        return map_view(artifact, data)
    if options["program"]:
        from .inspect_program_report import program_view

        return program_view(artifact, data)
    if options["tensor"] is not None:
        from .inspect_tensor_report import tensor_view

        return tensor_view(artifact, data, options["tensor"])
    from .inspect_report import TABLES, summary_view

    tables = TABLES if "all" in options["tables"] else options["tables"]
    return summary_view(artifact, data, tables, options["sort"], options["wide"])


def _write_pages(
    html: Path | None, plot: Path | None, force: bool, page: Callable[[], str], drawing: Callable[[], str]
) -> list[Path]:
    """Write the page and the drawing that were asked for; refused before the work if they cannot be written."""
    written = [path for path in (html, plot) if path is not None]
    if not written:
        return []
    if html is not None and plot is not None and html.resolve() == plot.resolve():
        raise click.UsageError("--html and --plot are two files; name two.")
    from ..files.output import write_output

    check_outputs(written, force)
    if plot is not None:
        from ..report.drawing_files import check_drawing, drawing_bytes

        check_drawing(plot)
        write_output(plot, drawing_bytes(drawing(), plot), force)
    if html is not None:
        write_output(html, page().encode(), force)
    return written
