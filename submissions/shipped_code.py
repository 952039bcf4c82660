"""The code of a folder as the claims are compared with it: the main script, what it needs, and its packed size."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..files.code.packed_source import packed_size
from .folder import SubmissionFile, SubmissionFolder

PACKED_BYTES = 4 << 20  # more source than this is not packed; it is over every cap anyway


@dataclass(frozen=True, slots=True)
class ShippedCode:
    """Bytes of code.

    script, script_bytes : the main script, "" and 0 without one
    closure_bytes : int    all files that the main script needs, itself included
    modules : tuple        names of the files in the closure beside the main script
    packed_bytes : int     the closure after our own packing
    texts : tuple          pairs of name and text of every Python file, unpacked payloads included
    reads : tuple          pairs of name and place of files that it reads and that are neither code nor its own output
    sides : tuple          names among `modules` of files that are read and are no code
    possible : tuple       pairs of name and bytes of files that it may read, which nobody can tell
    """

    script: str
    script_bytes: int
    closure_bytes: int
    modules: tuple[str, ...]
    packed_bytes: int
    texts: tuple[tuple[str, str], ...]
    reads: tuple[tuple[str, str], ...] = ()
    possible: tuple[tuple[str, int], ...] = ()
    sides: tuple[str, ...] = ()

    def with_possible(self, total: int, cap: int, known: Collection[str | int | None]) -> tuple[str, int]:
        """What a total would be with the files that may be read, in words, and in bytes; the bytes of a file whose name
        or size is `known` are in it.
        """
        more = sum(size for name, size in self.possible if name not in known and size not in known)
        if not more:
            return "", total
        with_them = total + more
        over = f"{abs(cap - with_them):,} {'below' if with_them <= cap else 'over'} the cap"
        return f"; with the {more:,} bytes of files that it may read {with_them:,}, {over}", with_them

    @property
    def is_missing(self) -> bool:
        """Whether nothing in the folder could have produced the numbers."""
        return self.script_bytes == 0


def main_script(folder: SubmissionFolder) -> SubmissionFile | None:
    """train_gpt.py; else the largest file at the top named train*.py that is run as a script; else the largest of all.

    A file is run as a script when it asks whether its name is `__main__`.
    """
    given = folder.get("train_gpt.py")
    linked = folder.get(given.target) if given is not None and given.target else None
    if linked is not None and linked.kind == "file":
        return linked
    scripts = [file for file in folder.files if file.suffix == ".py" and file.kind == "file" and "/" not in file.name]
    if exact := [file for file in scripts if file.name == "train_gpt.py"]:
        return exact[0]
    for wanted in ("train", ""):
        if named := [file for file in scripts if file.name.startswith(wanted)]:
            started = [file for file in named if "__main__" in folder.read_text(file.name).text]
            return max(started or named, key=lambda file: file.bytes)
    return None


def plain_code(folder: SubmissionFolder) -> ShippedCode:
    """The main script alone, without its closure."""
    texts = tuple(
        (file.name, folder.read_text(file.name).text)
        for file in folder.files
        if file.suffix == ".py" and file.kind == "file"
    )
    script = main_script(folder)
    if script is None:
        return ShippedCode("", 0, 0, (), 0, texts)
    packed = packed_size(folder.read_text(script.name).text) if script.bytes <= PACKED_BYTES else script.bytes
    return ShippedCode(script.name, script.bytes, script.bytes, (), min(packed, script.bytes), texts)
