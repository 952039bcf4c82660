"""Small submission folders of our own, at least one for each rule of docs/submissions.md.

Strategy: a section's folders stand in a module of their own, `submission_folders_SECTION.py`, as a tuple
`EXAMPLES`; `ALL_EXAMPLES` of this module is all of them. A folder is a dict of names and contents.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bytecap.submissions.folder import FolderLimits


@dataclass(frozen=True)
class Example:
    """A folder and the rules that it raises.

    rules : dict           id of a rule to the word of the level it has here, {"folder-link": "finding"}
    files : dict           name to contents: text as UTF-8, or bytes
    prepare : function     what a dict of files cannot say: links, pipes, permissions
    options : dict         what `judge_folder` is given beside the path
    """

    name: str
    rules: Mapping[str, str]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    options: Mapping[str, object] = field(default_factory=dict)


def write_folder(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files by name below a new folder, folders between them included."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    return folder


def write_example(folder: Path, example: Example) -> Path:
    """The folder of an example on disk."""
    write_folder(folder, example.files)
    if example.prepare is not None:
        example.prepare(folder)
    return folder


def _link_out(folder: Path) -> None:
    (folder / "link.py").symlink_to("/etc/hostname")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.log")


FOLDER_EXAMPLES = (
    Example("empty", {"folder-empty": "fail"}),
    Example("link", {"folder-link": "finding"}, {"train_gpt.py": "x = 1\n"}, _link_out),
    Example("pipe", {"folder-special-file": "finding"}, {"train_gpt.py": "x = 1\n"}, _pipe),
    Example(
        "many", {"folder-unlisted": "warning"}, {"a.py": "", "b.py": ""}, options={"limits": FolderLimits(files=1)}
    ),
    Example(
        "long",
        {"folder-unread": "warning"},
        {"train_gpt.py": "x = 1\n" * 9},
        options={"limits": FolderLimits(text_bytes=50)},
    ),
    Example("utf-16", {"folder-encoding": "information"}, {"train.log": "val_bpb:1.2\n".encode("utf-16")}),
    Example("latin", {"folder-encoding": "finding"}, {"train.log": "caf\u00e9\n".encode("latin-1")}),
    Example("name", {"folder-name": "finding"}, {"train_gpt.py": "x = 1\n", "a\u202egol.txt": ""}),
)
