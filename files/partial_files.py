"""Files and folders under construction: hidden siblings of their target that tell whether somebody still writes them.

Strategy: a sibling is named `.bytecap-<token>.partial` and locked (flock) for as long as its writer lives; the lock
ends with the process, however that ends. So whoever writes next into the same folder can tell the leftovers of a killed
process, whose lock is free, from the work of a living one, and removes them. Where there are no such locks, nothing is
removed. The set of this process's own siblings lets a process that has to end at once remove them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

PARTIAL_NAME = re.compile(r"\.bytecap-[0-9a-f]{16}\.partial")

_own: set[Path] = set()


@contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """A new, empty, locked file beside `target`, with the permissions that a plain `open` would give it.

    What is left of it is removed when the block ends. Raises OSError.
    """
    with _partial(target, _create_file) as partial:
        yield partial


@contextmanager
def partial_folder(target: Path) -> Iterator[Path]:
    """As `partial_file`, a folder."""
    with _partial(target, _create_folder) as partial:
        yield partial


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed processes left half-written in `folder`, and return its paths; the work of others stays.

    What vanishes meanwhile or may not be removed is passed over.
    """
    if fcntl is None:
        return []
    with suppress(OSError):
        return [path for path in folder.iterdir() if PARTIAL_NAME.fullmatch(path.name) and _remove_abandoned(path)]
    return []


def remove_own_partial_files() -> None:
    """Remove what this process has under construction: for a process that ends without unwinding."""
    for partial in list(_own):
        _remove(partial)


@contextmanager
def _partial(target: Path, create: Callable[[Path], int]) -> Iterator[Path]:
    partial, descriptor = _new_locked(target, create)
    try:
        yield partial
    finally:
        _remove(partial)
        _own.discard(partial)
        os.close(descriptor)


def _new_locked(target: Path, create: Callable[[Path], int]) -> tuple[Path, int]:
    """A new sibling and the descriptor that holds its lock.

    Before the lock is held, another process may take the sibling for a leftover: then there is a next one.
    """
    while True:
        partial = target.with_name(f".bytecap-{secrets.token_hex(8)}.partial")
        _own.add(partial)
        descriptor = create(partial)
        if fcntl is None:
            return partial, descriptor
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if partial.exists():
            return partial, descriptor
        os.close(descriptor)
        _own.discard(partial)


def _create_file(partial: Path) -> int:
    return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)


def _create_folder(partial: Path) -> int:
    partial.mkdir()
    return os.open(partial if fcntl is not None else os.devnull, os.O_RDONLY)


def _remove_abandoned(path: Path) -> bool:
    """Remove a sibling whose lock is free, under that lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _remove(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _remove(path: Path) -> bool:
    """Whether there was something to remove and it is gone."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return True
    return False
