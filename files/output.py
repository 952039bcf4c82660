"""Writing a result file whole or not at all.

Strategy: the bytes go to a hidden sibling of the target (`partial_files`), are flushed to the disk, and take the
target's name in one step, which without `force` fails where the name is taken; then the folder is flushed. Whatever
interrupts that, Ctrl-C and a full disk included, the sibling is removed and the target is as it was; what a killed
process left is removed by the next one that writes into the folder. A link is replaced itself: what it points to may be
somebody else's. `check_output` makes the same refusals before the long work starts, with a real trial file, since
permission bits do not tell whether a folder can be written.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError
from .partial_files import partial_file, partial_folder, remove_leftovers
from .path_names import home_hint

# What file systems without hard links answer; there, taking a name is a check and a rename.
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}


def check_output(path: str | Path, force: bool = False) -> None:
    """Refuse an output path that `write_output` would refuse, before the work that makes the bytes.

    Raises OutputError: the path is a folder or a special file, exists while `force` is false, or
    its folder is missing or cannot be written.
    """
    path = Path(path)
    _check_target(path, force)
    try:
        with partial_file(path):
            remove_leftovers(path.parent)
    except OSError as error:
        raise _output_error(path, error) from error


def refuse_own_inputs(outputs: Iterable[str | Path], read: Iterable[str | Path]) -> None:
    """OutputError where an output is one of the files that the same work reads: nobody means that, with `force` or
    without, and a checkpoint that is its own output is lost.
    """
    read = [Path(path) for path in read if Path(path).exists()]
    for output in (Path(path) for path in outputs if Path(path).exists()):
        if any(output.samefile(path) for path in read):
            raise OutputError(f"{output} is read; name another file to write")


def write_output(path: str | Path, data: bytes, force: bool = False) -> None:
    """Write `data` to `path`, whole or not at all; an existing file is replaced only with `force`.

    Raises OutputError for what `check_output` refuses and for any failure to write, a full disk
    included.
    """
    with partial_output(path, force) as partial:
        partial.write_bytes(data)


@contextmanager
def partial_output(path: str | Path, force: bool = False) -> Iterator[Path]:
    """A hidden sibling of `path` for somebody else to write: it takes the name of `path` when the block
    ends well, and is removed when it does not.

    Raises OutputError as `write_output` does.
    """
    path = Path(path)
    _check_target(path, force)
    try:
        with partial_file(path) as partial:
            remove_leftovers(path.parent)
            yield partial
            _sync(partial)
            _check_target(path, force)
            _take_name(partial, path, force)
            _sync_folder(path.parent)
    except OSError as error:
        raise _output_error(path, error) from error


def check_output_folder(path: str | Path, force: bool = False) -> None:
    """Refuse an output folder that `write_output_folder` would refuse, before the work that makes its files.

    Raises OutputError: the path is a file, is a folder with something in it while `force` is false, or
    its parent is missing.
    """
    path = Path(path)
    _check_parent(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is {'a file' if path.is_file() else 'no folder'}; name a folder")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputError(f"{path} exists and is not empty", argument="force")


def write_output_folder(
    path: str | Path, files: Mapping[str, bytes], force: bool = False, read: Iterable[str | Path] = ()
) -> None:
    """Write `files`, by name, into the folder `path`: a new folder appears whole or not at all.

    A folder with something in it takes them only with `force`, each file whole or not at all; what
    else lies in it stays. Raises OutputError for what `check_output_folder` refuses, for other contents of a file that
    was `read`, and for any failure to write.
    """
    path = Path(path)
    check_output_folder(path, force)
    if path.is_dir():
        changed = {path / name for name, data in files.items() if not _holds(path / name, data)}
        refuse_own_inputs(changed, read)
        for name, data in files.items():
            write_output(path / name, data, force=True)
        return
    try:
        with partial_folder(path) as partial:
            remove_leftovers(path.parent)
            for name, data in files.items():
                (partial / name).write_bytes(data)
                _sync(partial / name)
            os.rename(partial, path)
            _sync_folder(path.parent)
    except OSError as error:
        raise _output_error(path, error) from error


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _check_target(path: Path, force: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file inside it")
    _check_parent(path)
    if path.is_symlink() and not path.exists():
        if not force:
            raise OutputError(f"{path} is a link to {path.readlink()}, where nothing is", argument="force")
        return
    if not path.exists():
        return
    if not path.is_file():
        raise OutputError(f"{path} is not a regular file; name another output")
    if not force:
        raise OutputError(f"{path} exists", argument="force")


def _check_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is not a folder; {home_hint(path) or 'create it first'}")


def _take_name(partial: Path, path: Path, force: bool) -> None:
    """Give the sibling its name; without `force` never that of a file that appeared meanwhile."""
    if not force:
        try:
            return os.link(partial, path)
        except FileExistsError:
            raise OutputError(f"{path} exists", argument="force") from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
    os.replace(partial, path)


def _sync_folder(path: Path) -> None:
    """Flush a folder's names to the disk, where it may be opened; the file itself is safe already."""
    with suppress(OSError):
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"cannot write {path}: {reason}; nothing was written")
