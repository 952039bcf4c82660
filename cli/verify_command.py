"""`bytecap verify`: check somebody else's artifact without trusting their code."""

from __future__ import annotations

from pathlib import Path

import click

from .documents import json_option, print_document
from .exit_codes import VERIFICATION
from .parameters import (
    DATA_FILES,
    INPUT_FILE,
    SIZE,
    code_option,
    data_help,
    example,
    split_option,
    splits_option,
    tokenizer_help,
    tokenizer_option,
)
from .progress import terminal_progress


@click.command(
    short_help="Check an artifact and what it promises.",
    epilog=example("bytecap verify model.bcap --cap 16MB --code train_gpt.py"),
)
@click.argument("artifact", type=INPUT_FILE)
@click.option("--cap", type=SIZE, help="Limit of artifact and code together: 16MB, 16MiB or 16_000_000.")
@code_option
@click.option("--data", type=DATA_FILES, metavar="FILE", help=data_help + " Scored when given, with --tokenizer.")
@tokenizer_option(tokenizer_help)
@split_option
@splits_option
@click.option(
    "--expect-bpb", type=click.FloatRange(min=0), metavar="X", help="Bits per byte that was promised; needs --data."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="Y",
    default=0.0005,
    show_default=True,
    help="Allowed difference from X.",
)
@json_option
def command(
    artifact: Path,
    cap: int | None,
    code: tuple[Path, ...],
    data: str | None,
    tokenizer: Path | None,
    expect_bpb: float | None,
    tolerance: float,
    split: str | None,
    splits: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Check ARTIFACT: its structure, checksums, tensors and digest, its size, and, when asked, its score.

    Each check is PASS, FAIL, or SKIPPED where an earlier failure leaves nothing to judge. One FAIL
    and the exit code is 7, also for a file that is damaged, of a newer version, or no artifact at
    all.
    """
    if (data is None) != (tokenizer is None):
        raise click.UsageError("--data and --tokenizer go together.")
    if expect_bpb is not None and data is None:
        raise click.UsageError("--expect-bpb needs --data and --tokenizer.")
    from .. import interface

    with terminal_progress() as progress:
        checks = interface.verify(
            artifact,
            cap=cap,
            code=code,
            data=data,
            tokenizer=tokenizer,
            expect_bpb=expect_bpb,
            tolerance=tolerance,
            split=split,
            splits=splits,
            progress=progress,
        )
    from .verify_report import print_checks, verification_document

    if as_json:
        print_document("verify", {"artifact": str(artifact), **verification_document(checks)})
    else:
        print_checks(checks)
    if not all(check.passed for check in checks):
        click.get_current_context().exit(VERIFICATION)
