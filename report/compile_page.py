"""A compile with its report page.

Strategy: the page is refused before the work if it cannot be written, and written whole at the end, while a work
folder still has what a run that is killed then goes on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..compiler.checkpoints.selection import EVERYTHING
from ..compiler.pipeline import CompileResult, ResultPage, compile_checkpoint
from ..errors import OutputError
from ..files.digests import file_sha256
from ..files.shell_commands import shell_command
from ..format.inspection import inspect_artifact
from ..version import VERSION
from .dates import date_today
from .page import render_page

REPRODUCED = (
    "calibration",
    "output",
    "tokenizer",
    "code",
    "evaluation",
    "evaluation_tokens",
    "architecture",
    "recipe",
    "effort",
    "profile",
    "device",
    "seed",
    "reproducible",
)


def compile_with_page(checkpoint_path: Path | str, page: Path | str, *, cap: int, **options: Any) -> CompileResult:
    """`compile_checkpoint` with an explanation in its report, and `page` written from it.

    Raises what `compile_checkpoint` raises, and OutputError when `page` exists (unless `force`), cannot be
    written or is the artifact's own path.
    """
    page, output = Path(page), options.get("output")
    if output is not None and Path(output).resolve() == page.resolve():
        raise OutputError(f"{page} is named for the artifact and for the report; name two files")
    selection = options.get("selection", EVERYTHING)
    shown = {name: options.get(name) for name in REPRODUCED} | {"report": page} | asdict(selection)

    def render(result: CompileResult) -> bytes:
        result.report["explanation"]["reproduce"] = _reproduction(checkpoint_path, cap, output, shown)
        return render_page(result.report, result.ledger, inspect_artifact(result.artifact)).encode()

    return compile_checkpoint(checkpoint_path, cap=cap, explain=True, page=ResultPage(page, render), **options)


def _reproduction(
    checkpoint: Path | str, cap: int, output: Path | str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What to type, and what the inputs were: names as given, digests of their contents."""
    return {
        "command": shell_command(["bytecap", "compile", str(checkpoint)], {"cap": cap, **options}.items()),
        "checkpoint": str(checkpoint),
        "checkpoint_sha256": file_sha256(checkpoint),
        "calibration": str(options["calibration"]),
        "calibration_sha256": file_sha256(options["calibration"]),
        "output": None if output is None else str(output),
        "version": VERSION,
        "date": date_today(),
    }
