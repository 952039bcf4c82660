"""`bytecap verify`: check somebody else's artifact or submission folder without trusting their code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..submissions.archive_kinds import is_submission
from .documents import json_option, print_document
from .exit_codes import VERIFICATION
from .parameters import (
    SIZE,
    code_option,
    data_help,
    example,
    other_tokenizer_option,
    split_option,
    splits_option,
    threads_option,
    tokenizer_help,
    tokenizer_option,
)
from .path_types import ARTIFACT, DATA_FILES
from .progress import terminal_progress, verbosity_options

ARTIFACT_OPTIONS = (
    "cap",
    "code",
    "data",
    "tokenizer",
    "other_tokenizer",
    "expect_bpb",
    "tolerance",
    "split",
    "splits",
    "seconds",
    "memory",
    "threads",
)
NOT_AN_ARTIFACT = "[R-HDR-1]"  # the rule of its first bytes
FOLDER_OPTIONS = ("cap", "data", "tokenizer", "tolerance", "inside", "seconds", "memory", "threads", "scheduler")


@click.command(
    short_help="Check artifacts and submission folders, and what they promise.",
    epilog=example("bytecap verify model.bcap --cap 16MB --code train_gpt.py"),
)
@click.argument("targets", type=ARTIFACT, nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--cap",
    type=SIZE,
    help="Limit of artifact and code together: 16MB, 16MiB or 16_000_000.  [default for a folder: 16_000_000]",
)
@code_option
@click.option(
    "--data",
    type=DATA_FILES,
    multiple=True,
    metavar="FILE",
    help=data_help + ' Scored when given, with --tokenizer. A pattern in quotes ("val_*.bin") or -; repeatable.',
)
@tokenizer_option(tokenizer_help + " Another one than the artifact's fails.")
@other_tokenizer_option
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
@threads_option("Folders at a time.  [default: all CPUs]")
@click.option(
    "--scheduler", metavar="ADDRESS", help="Judge folders on the Dask cluster there, whose workers see the same files."
)
@click.option(
    "--inside",
    metavar="PATH",
    help="Submission that is meant, where a folder or archive holds several: its path there.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Seconds of a core that judging a folder or scoring an artifact may take, 0 for no limit.  [default: 10 for "
    "a folder without --data]",
)
@click.option(
    "--memory",
    type=SIZE,
    help="What judging a folder may take, or an artifact's weights and running sequences.  [default: 1GiB for a folder "
    "without --data; for an artifact what there is]",
)
@click.option("--json-lines", "as_json_lines", is_flag=True, help="Print one line of JSON a target.")
@verbosity_options
@json_option
def command(targets: tuple[Path, ...], as_json: bool, as_json_lines: bool, **options: Any) -> None:
    """Check each TARGET: an artifact (- for standard input), or the folder of a submission or a .zip or .tar of
    it, of which nothing is executed.

    Of an artifact: its structure, checksums, bytes, tensors, tokenizer and, when asked, its score.
    Each check is PASS, FAIL, or SKIPPED where nothing was asked or an earlier failure leaves nothing to
    judge.

    Of a folder: what its code is and hides, what it declares, logs and ships, and what its files are.
    Only a FAIL fails it.

    One FAIL and the exit code is 7, also for a file that is damaged, of a newer version, or no artifact
    at all, and for a folder that could not be judged.
    """
    folders = [target for target in targets if is_submission(target)]
    _check_options(options, targets)
    if folders or len(targets) > 1 or as_json_lines:
        from .verify_queue import verify_targets

        verify_targets(
            targets,
            {name: options[name] for name in FOLDER_OPTIONS} | {"data": next(iter(options["data"]), None)},
            {name: options[name] for name in ARTIFACT_OPTIONS},
            as_json=as_json,
            as_json_lines=as_json_lines,
        )
    else:
        _verify_artifact(targets[0], {name: options[name] for name in ARTIFACT_OPTIONS}, as_json)


def _check_options(options: dict[str, Any], targets: tuple[Path, ...]) -> None:
    any_folder = any(is_submission(target) for target in targets)
    if [*map(str, targets), *options["data"]].count("-") > 1:
        raise click.UsageError("standard input can be read once; name files for the others.")
    if options["data"] and options["tokenizer"] is None:
        raise click.UsageError("--data needs --tokenizer.")
    if options["expect_bpb"] is not None and not options["data"]:
        raise click.UsageError("--expect-bpb needs --data and --tokenizer.")
    if any_folder and len(options["data"]) > 1:
        raise click.UsageError("A folder is scored on one --data.")
    if options["inside"] is not None and not (any_folder and len(targets) == 1):
        raise click.UsageError("--inside picks a submission in one folder or archive; give that alone.")
    if any_folder and (options["code"] or options["expect_bpb"] is not None):
        raise click.UsageError("--code and --expect-bpb go with an artifact; a folder has code and a score of its own.")


def _verify_artifact(artifact: Path, options: dict[str, Any], as_json: bool) -> None:
    from .. import interface

    with terminal_progress() as progress:
        checks = interface.verify(artifact, progress=progress, **options)
    from .failures import instead_of_artifact
    from .verify_report import none_failed, print_checks, verification_document

    if as_json:
        print_document("verify", {"artifact": str(artifact), **verification_document(checks)})
    else:
        print_checks(checks)
        instead = instead_of_artifact(artifact) if NOT_AN_ARTIFACT in checks[0].detail else None
        if instead is not None:
            click.echo(f"bytecap: note: {artifact}: {instead}", err=True)
    if not none_failed(checks):
        click.get_current_context().exit(VERIFICATION)
