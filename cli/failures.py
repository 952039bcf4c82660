"""Errors as the command line words them: with the file in front, and with the option that would help at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ArtifactError, BytecapError, NotAnArtifact
from ..files.printable import printable
from .exit_codes import CommandError, exit_code_of

HINTS = {
    "force": "use --force to replace it, or name another output",
    "other_tokenizer": "give the model's own, or --other-tokenizer to take this one",
    "memory": "--memory says how much",
    "seconds": "--seconds says how many",
    "profile": "another --profile does without it",
    "reproducible": "without --reproducible the bytes hold for this kind of processor",
}  # by the argument that an error names


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Put `path`, or the file that the error names, before the message of an ArtifactError raised inside:
    `model.bcap:0x0004: malformed: ...`.
    """
    try:
        yield
    except ArtifactError as error:
        separator = ": " if error.offset is None else ":"
        file = Path(error.file or path)
        instead = instead_of_artifact(file) if isinstance(error, NotAnArtifact) else None
        way_out = f"; {instead}" if instead else ""
        raise CommandError(f"{file}{separator}{error}{way_out}", exit_code_of(error)) from error


def instead_of_artifact(path: Path) -> str | None:
    """What to do with a file that was given for an artifact and is a checkpoint or an archive; None for another one."""
    from ..submissions.archive_kinds import archive_kind, is_other_archive

    if is_other_archive(path):
        return "it is an archive of a kind that is not opened here; unpack it and give the folder or file in it"
    if archive_kind(path) is not None:
        return "it is an archive; `bytecap verify` judges the submission in it, else unpack it and give the file in it"
    from ..compiler.checkpoints.containers import is_checkpoint

    if not is_checkpoint(path):
        return None
    return "it is a checkpoint, which `bytecap compile` makes an artifact of and `bytecap inspect` shows"


MOST_CHARACTERS = 2000  # of a message: a name in a file may be as long as the file
KEPT_AT_THE_END = 400  # where the way out stands


def _shortened(message: str) -> str:
    """`message` without its middle where it is too long to be read."""
    if len(message) <= MOST_CHARACTERS:
        return message
    begin, end = message[: MOST_CHARACTERS - KEPT_AT_THE_END], message[-KEPT_AT_THE_END:]
    return f"{begin} ... {len(message) - MOST_CHARACTERS:,} characters ... {end}"


def error_text(error: BytecapError) -> str:
    """The message in one line in which names from files show themselves and move nothing, and the option of the
    command line for the argument that the error names.
    """
    message = _shortened(printable(str(error)))
    if error.argument is None:
        return message
    option = f"--{error.argument.replace('_', '-')}"
    return f"{message}; {HINTS.get(error.argument, f'change it with {option}')}"
