"""Which folder of several is the submission that is judged: the one that is picked, else the only one there is.

Strategy: a submission is picked by its path inside, or by the end of that path where only one submission ends so. No
link is followed on the way, and nothing leads out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import DataError
from ..files.listing import listed

DECLARATION = "submission.json"
LISTED_SUBMISSIONS = 6


def picked_folder(top: Path, inside: str) -> Path:
    """The folder `inside` of `top`; DataError where it is none, or leads out, or through a link."""
    wanted = inside.replace("\\", "/").strip("/")
    parts = [part for part in wanted.split("/") if part not in ("", ".")]
    if inside.startswith("/") or ".." in parts or not parts:
        raise DataError(f"--inside {inside} is no path inside of it; give one such as records/mine")
    folder = top.joinpath(*parts)
    if not _is_plain(top, parts):
        found = submissions_below(top)
        ends = [each for each in found if f"/{each}".endswith("/" + "/".join(parts))]
        if len(ends) != 1:
            there = f"submissions lie in {listed(found, LISTED_SUBMISSIONS)}" if found else "no submission lies in it"
            many = f"{len(ends)} submissions in it end so" if ends else "it holds no such folder"
            raise DataError(f"--inside {inside}: {many}; {there}")
        folder = top / ends[0]
    return folder


def several_told(found: list[str]) -> str:
    """That there are several submissions, which, and how to pick one."""
    names = listed(found, LISTED_SUBMISSIONS)
    return f"it holds {len(found):,} submissions, not one: {names}; pick one with --inside {found[0]}"


def submissions_below(top: Path) -> list[str]:
    """The folders below `top` that have a declaration, relative with "/"; links are not followed."""
    found = []
    for above, folders, files in os.walk(top):
        folders.sort()
        if DECLARATION in files and not os.path.islink(os.path.join(above, DECLARATION)) and Path(above) != top:
            found.append(Path(above).relative_to(top).as_posix())
    return sorted(found)


def several_among(names: Iterable[str]) -> list[str]:
    """The folders of the submissions among the files of a folder that is none itself; nothing unless there are several.

    A folder with a declaration, or with a script of its own, at its top is one, whatever lies below it.
    """
    names = list(names)
    if any("/" not in name and (name.endswith(".py") or name.endswith(".json")) for name in names):
        return []
    found = sorted(name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == DECLARATION)
    return found if len(found) > 1 else []


def _is_plain(top: Path, parts: list[str]) -> bool:
    """Whether the parts lead to a folder, none of them a link."""
    for part in parts:
        top = top / part
        if top.is_symlink() or not top.is_dir():
            return False
    return True
