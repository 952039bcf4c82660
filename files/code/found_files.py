"""What looking into a folder gives a script: `os.listdir`, `os.scandir`, `os.walk`, `glob`, `Path.iterdir`.

Strategy: a folder of the submission has the files that it has, so what a script finds in it is evaluated like any
other value. A folder that is not part of the submission, and a pattern that nothing of it fits, are unknown: whatever
lies there when the script runs. Names that begin with a dot are not found by patterns, as in Python.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from .evaluated_values import UNKNOWN, Found

FilesBelow = Callable[[str], list[str]]  # of a folder: its files and those of the folders in it, relative, sorted
KEEPING = {"list", "tuple", "iter", "tqdm.tqdm", "tqdm.auto.tqdm"}
REORDERING = KEEPING | {"sorted", "enumerate", "set", "frozenset", "reversed", "random.sample", "natsort.natsorted"}
WILD = "*?["
MOST_PARTS, MOST_ANY_DEPTH = 16, 2  # of a pattern, and of its "**"
LISTINGS = {"os.listdir", "os.scandir", "os.walk", "glob.glob", "glob.iglob"}
PATH_LISTINGS = {"iterdir", "glob", "rglob", "walk"}


def listed_folder(files_below: FilesBelow, folder: str, as_paths: bool) -> Any:
    """The names of what lies directly in a folder, or the paths of these."""
    below = files_below(folder)
    names = list(dict.fromkeys(file.partition("/")[0] for file in below))
    items = [PurePosixPath(folder, name) for name in names] if as_paths else names
    found = Found(items, _joined(folder, [file for file in below if "/" not in file]))
    found.is_everything = True
    return found if names else UNKNOWN


def walked_folder(files_below: FilesBelow, folder: str, as_paths: bool = False) -> Any:
    """`os.walk`: a folder and those below it, each with the names in it."""
    below = files_below(folder)
    inside: dict[str, tuple[list[str], list[str]]] = {"": ([], [])}
    for file in below:
        above, _, name = file.rpartition("/")
        parts = above.split("/") if above else []
        for depth, part in enumerate(parts):
            outer, path = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            if path not in inside:
                inside[path] = ([], [])
                inside[outer][0].append(part)
        inside[above][1].append(name)
    kind: Callable[[str], Any] = PurePosixPath if as_paths else str
    items = [
        (kind(posixpath.join(folder, path) if path else folder), Found(folders), Found(files))
        for path, (folders, files) in inside.items()
    ]
    return Found(items, _joined(folder, below)) if below else UNKNOWN


def matching_files(files_below: FilesBelow, pattern: str, recursive: bool = False) -> Any:
    """The files and folders that a pattern of paths means, `tables/*.npz`; unknown where there are none."""
    parts = pattern.split("/")
    plain = next((number for number, part in enumerate(parts) if set(part) & set(WILD)), len(parts) - 1)
    folder, wanted = "/".join(parts[:plain]) or ("/" if pattern.startswith("/") else ""), parts[plain:]
    below = files_below(folder or ".")
    found = _matching(below, wanted, recursive)
    return (
        Found([posixpath.join(folder, path) for path in found], _joined(folder, _files_of(found, below)))
        if found
        else UNKNOWN
    )


def matching_paths(files_below: FilesBelow, folder: PurePosixPath, pattern: str, anywhere: bool) -> Any:
    """`Path.glob`, and `Path.rglob` for `anywhere`."""
    wanted = (["**"] if anywhere else []) + pattern.split("/")
    below = files_below(str(folder))
    found = _matching(below, wanted, recursive=True, hidden=True)
    return Found([folder / path for path in found], _joined(str(folder), _files_of(found, below))) if found else UNKNOWN


def listed_in_path(files_below: FilesBelow, folder: PurePosixPath, name: str, arguments: list[Any]) -> Any:
    """The methods of a path that look into its folder."""
    if name in ("glob", "rglob"):
        return matching_paths(files_below, folder, str(arguments[0]), anywhere=name == "rglob")
    if name == "walk":
        return walked_folder(files_below, str(folder), as_paths=True)
    return listed_folder(files_below, str(folder), as_paths=True)


def reordered(name: str, arguments: list[Any], options: dict[str, Any]) -> Any:
    """`sorted`, `list` and their like of what was found in a folder, which is still what was found."""
    found: Found = arguments[0]
    if name == "enumerate":
        return Found(enumerate(found, options.get("start", *arguments[1:] or [0])), found.paths, found.is_sorted)
    if name == "sorted" and "key" not in options:
        return Found(sorted(found, reverse=bool(options.get("reverse"))), found.paths, is_sorted=True)
    return Found(found, found.paths, found.is_sorted and name in KEEPING)


def _matching(below: Sequence[str], wanted: Sequence[str], recursive: bool, hidden: bool = False) -> list[str]:
    """Files and folders below a folder whose names fit the patterns one by one."""
    if len(wanted) > MOST_PARTS or wanted.count("**") > MOST_ANY_DEPTH:
        return []
    every = dict.fromkeys(part for file in below for part in _with_folders(file))
    return [path for path in every if _fits(path.split("/"), list(wanted), recursive, hidden)]


def _with_folders(file: str) -> Iterator[str]:
    for place, letter in enumerate(file):
        if letter == "/":
            yield file[:place]
    yield file


def _fits(parts: list[str], wanted: list[str], recursive: bool, hidden: bool) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**" and recursive:
        return any(_fits(parts[skipped:], wanted[1:], recursive, hidden) for skipped in range(len(parts) + 1)) or (
            len(wanted) == 1 and bool(parts)
        )
    if not parts or (parts[0].startswith(".") and not hidden and not wanted[0].startswith(".")):
        return False
    return fnmatch.fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:], recursive, hidden)


def _files_of(found: Sequence[str], below: Sequence[str]) -> list[str]:
    files = set(below)
    return [path for path in found if path in files]


def _joined(folder: str, files: Sequence[str]) -> list[str]:
    return [posixpath.join(folder, file) for file in files]
