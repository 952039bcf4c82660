"""Writing a result file whole or not at all.

Strategy: the bytes go to a hidden sibling of the target, are flushed to the disk, and take the
target's name in one rename; whatever interrupts that, Ctrl-C and a full disk included, the sibling
is removed and the target is as it was. `check_output` makes the same refusals before the long work
starts, with a real trial file, since permission bits do not tell whether a folder can be written.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError


def check_output(path: str | Path, force: bool = False) -> None:
    """Refuse an output path that `write_output` would refuse, before the work that makes the bytes.

    Raises OutputError: the path is a folder or a special file, exists while `force` is false, or
    its folder is missing or cannot be written.
    """
    path = Path(path)
    _check_target(path, force)
    partial = _partial_sibling(path)
    try:
        os.close(_open_new(partial))
        partial.unlink()
    except OSError as error:
        raise _output_error(path, error) from error


def write_output(path: str | Path, data: bytes, force: bool = False) -> None:
    """Write `data` to `path`, whole or not at all; an existing file is replaced only with `force`.

    Raises OutputError for what `check_output` refuses and for any failure to write, a full disk
    included.
    """
    with partial_output(path, force) as partial:
        _write_new(partial, data)


@contextmanager
def partial_output(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A hidden sibling of `path` for somebody else to write: it takes the name of `path` when the block
    ends well, and is removed when it does not.

    Raises OutputError as `write_output` does.
    """
    path = Path(path)
    _check_target(path, force)
    partial = _partial_sibling(path)
    try:
        yield partial
        _sync(partial)
        _check_target(path, force)
        os.replace(partial, path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def check_output_folder(path: str | Path, force: bool = False) -> None:
    """Refuse an output folder that `write_output_folder` would refuse, before the work that makes its files.

    Raises OutputError: the path is a file, is a folder with something in it while `force` is false, or
    its parent is missing.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is not a folder; create it first")
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; name a folder")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputError(f"{path} exists and is not empty", argument="force")


def write_output_folder(path: str | Path, files: Mapping[str, bytes], force: bool = False) -> None:
    """Write `files`, by name, into the folder `path`: a new folder appears whole or not at all.

    A folder with something in it takes them only with `force`, each file whole or not at all; what
    else lies in it stays. Raises OutputError for what `check_output_folder` refuses and for any
    failure to write.
    """
    path = Path(path)
    check_output_folder(path, force)
    if path.is_dir():
        for name, data in files.items():
            write_output(path / name, data, force=True)
        return
    partial = _partial_sibling(path)
    try:
        partial.mkdir()
        for name, data in files.items():
            _write_new(partial / name, data)
            _sync(partial / name)
        os.rename(partial, path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_target(path: Path, force: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file inside it")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is not a folder; create it first")
    if not (path.exists() or path.is_symlink()):
        return
    if not path.is_file():
        raise OutputError(f"{path} is not a regular file; name another output")
    if not force:
        raise OutputError(f"{path} exists", argument="force")


def _partial_sibling(path: Path) -> Path:
    return path.with_name(f".bytecap-{secrets.token_hex(8)}.partial")


def _open_new(partial: Path) -> int:
    """A descriptor of a new file with the permissions a plain `open` would give it."""
    return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)


def _write_new(partial: Path, data: bytes) -> None:
    with os.fdopen(_open_new(partial), "wb") as file:
        file.write(data)


def _sync(partial: Path) -> None:
    with partial.open("rb") as file:
        os.fsync(file.fileno())


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason}; nothing was written")
