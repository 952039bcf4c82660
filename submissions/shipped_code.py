"""The code of a folder as the claims are compared with it: the main script, what it needs, and its packed size."""

from __future__ import annotations

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
    """

    script: str
    script_bytes: int
    closure_bytes: int
    modules: tuple[str, ...]
    packed_bytes: int
    texts: tuple[tuple[str, str], ...]

    @property
    def is_missing(self) -> bool:
        """Whether nothing in the folder could have produced the numbers."""
        return self.script_bytes == 0


def main_script(folder: SubmissionFolder) -> SubmissionFile | None:
    """train_gpt.py; else the largest file at the top named train*.py; else the largest Python file at the top."""
    scripts = [file for file in folder.files if file.suffix == ".py" and file.kind == "file" and "/" not in file.name]
    for wanted in ("train_gpt.py", "train"):
        if named := [file for file in scripts if file.name.startswith(wanted)]:
            return max(named, key=lambda file: file.bytes)
    return max(scripts, key=lambda file: file.bytes, default=None)


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
