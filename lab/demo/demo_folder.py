"""The folder in which the demo works: made when needed, and not mixed with what somebody else keeps there."""

from __future__ import annotations

from pathlib import Path

from ...errors import OutputError
from ...files.output import check_output


def refuse_folder(folder: Path, force: bool) -> None:
    """OutputError for a folder that holds anything, unless `force`; nothing is made."""
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise OutputError(
            f"{folder} is not empty; use --force to replace an earlier demo's files in it, or name another folder"
        )


def prepare_folder(folder: Path, force: bool) -> None:
    """Make the folder where there is none. OutputError as above, and when it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    refuse_folder(folder, force)
    check_output(folder / "model.bcap", force)
