"""`bytecap export`: an artifact's model as a checkpoint file, a Hugging Face folder or a GGUF file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..files.numbers import integer
from .documents import json_option, print_document
from .parameters import Choice, example, force_option, other_tokenizer_option
from .path_types import CHECKPOINT, INPUT_FILE, OUTPUT
from .progress import one_stage, verbosity_options
from .reading_report import print_notes
from .text_lines import print_text

if TYPE_CHECKING:
    from ..interface import Export

DTYPES = ("original", "float32", "float16", "bfloat16", "q8_0")


@click.command(
    short_help="Write an artifact's model for other programs.",
    epilog=example("bytecap export model.bcap -o folder --tokenizer tokenizer.json"),
)
@click.argument("artifact", type=INPUT_FILE)
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    required=True,
    metavar="PATH",
    help="A file that ends in .safetensors, .pt or .gguf, or a folder, written as Hugging Face's.",
)
@click.option(
    "--dtype",
    type=Choice(DTYPES),
    default="original",
    show_default=True,
    help="Type of the weights: as the checkpoint had them, or another for all; q8_0 is GGUF's.",
)
@click.option(
    "--tokenizer",
    type=CHECKPOINT,
    metavar="PATH",
    help="Tokenizer to put into the folder or the GGUF file: file or folder.",
)
@other_tokenizer_option
@click.option("--coded", is_flag=True, help="Leave a folder's weights in the artifact, for transformers with bytecap.")
@force_option
@verbosity_options
@json_option
def command(
    artifact: Path,
    output: Path,
    dtype: str,
    tokenizer: Path | None,
    other_tokenizer: bool,
    coded: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Decode ARTIFACT and write its tensors under their own names, in the types the checkpoint had.

    A Hugging Face folder loads by from_pretrained; it has the config.json that the artifact keeps.
    """
    from .. import interface
    from .failures import naming_file

    with one_stage("decode and write"), naming_file(artifact):
        exported = interface.export(
            artifact,
            output,
            dtype=dtype,
            tokenizer=tokenizer,
            other_tokenizer=other_tokenizer,
            coded=coded,
            force=force,
        )
    if as_json:
        print_document("export", export_document(output, exported))
    else:
        for line in export_lines(output, exported):
            print_text(line, 2)
        print_notes(exported.notes)


def export_document(output: Path, exported: Export) -> dict[str, object]:
    """The fields of the `--json` document."""
    sizes = {str(path): path.stat().st_size for path in exported.files}
    return {
        "output": str(output),
        "kind": exported.kind,
        "bytes": sum(sizes.values()),
        "files": sizes,
        "tensors": list(exported.names),
        "dtypes": list(exported.dtypes),
        "rounding": asdict(exported.rounding),
        "notes": list(exported.notes),
    }


def export_lines(output: Path, exported: Export) -> list[str]:
    """A line for each file and one that says how far the export is from its artifact."""
    sizes = [path.stat().st_size for path in exported.files]
    types = ", ".join(sorted(set(exported.dtypes)))
    tensors = f"{len(exported.names)} tensors of {types}"
    lines = [f"{output}  {exported.kind}  {tensors}  {integer(sum(sizes))} bytes"]
    if len(exported.files) > 1:
        lines += [f"  {path.name}  {integer(size)} bytes" for path, size in zip(exported.files, sizes, strict=True)]
    found = exported.rounding
    if found.changed:
        lines.append(
            f"{integer(found.changed)} of {integer(found.weights)} weights were rounded (relative error "
            f"{found.relative_error:.1e}), so the export does not score exactly as the artifact; --dtype float32 does"
        )
    else:
        lines.append("every weight is exactly the artifact's")
    return lines
