"""The code that a submission ships: given scripts and everything they need, by `code/closure.py`, on disk.

Strategy: what the user names must exist and be readable as Python, since its bytes stand in a promise;
what is assumed or not counted is said in sentences for the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from .code.closure import code_closure
from .code.closure_records import CodeClosure, is_own_package
from .code.references import Kind
from .code.source_room import DiskRoom

SAID = {
    Kind.COMPUTED,
    Kind.UNREADABLE,
    Kind.PROGRAM,
    Kind.INLINE_NATIVE,
    Kind.NETWORK,
    Kind.EXECUTED_FILE,
    Kind.STARTED_SCRIPT,
}


def script_closure(scripts: Sequence[str | Path]) -> CodeClosure:
    """The files that scripts on disk need, the scripts first, each file once.

    A file that is not Python (CUDA, C) counts as given and is not read. What is named only by a computed
    text cannot be seen: give it, too. Raises DataError for a missing or unreadable file and for what is
    no Python of any version.
    """
    given = list(dict.fromkeys(existing_code_file(script).as_posix() for script in scripts))
    closure = code_closure(DiskRoom(given), given)
    for item in closure.unread:
        place = f"line {item.line}: " if item.line else ""
        if item.reason.startswith("cannot be read"):
            raise DataError(f"{item.label} {item.reason}")
        raise DataError(
            f"{item.label} is not valid Python ({place}{item.reason}), so its imports cannot be counted; "
            "correct it first"
        )
    return closure


def counted_files(closure: CodeClosure) -> tuple[Path, ...]:
    """Resolved paths of the files of a closure that count as code: the scripts as given, then the others, sorted."""
    return tuple(Path(file.path) for file in closure.counted)


def closure_notes(closure: CodeClosure) -> list[str]:
    """Sentences on what was unpacked, assumed, not counted, missing or not followed; nothing for plain code."""
    folder = next(iter(closure.files), "").rpartition("/")[0] + "/"
    notes = [
        f"{item.place} runs {len(item.text.encode('utf-8', 'surrogateescape')):,} bytes of source packed with "
        f"{item.packing}, which were followed"
        for item in closure.payloads
        if item.packing
    ]
    for file in closure.files.values():
        name = file.path.removeprefix(folder)
        if not file.counts and file.purpose is not None:
            notes.append(f"not counted: {name}, {file.bytes:,} bytes ({file.purpose.value})")
        elif file.assumed:
            notes.append(f"assumed: {name}, of whose path {file.place} tells only the end")
    for missing in closure.missing:
        if is_own_package(missing):
            notes.append(f"{missing.place} imports bytecap, the decoder, not counted here; `bytecap pack` ships one")
        else:
            notes.append(f"{missing.place} imports {missing.name}, which is not here and of no known package")
    version = max((syntax.version for _, syntax in closure.newer), default=None)
    notes += [] if version is None else [f"needs Python {version[0]}.{version[1]}"]
    notes += [f"{place} {item.kind.value} {item.name}" for place, item in closure.named if item.kind in SAID]
    return list(dict.fromkeys(notes))


def existing_code_file(path: str | Path) -> Path:
    """The resolved path of a file; DataError when there is none."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is not a file; give the code files that are shipped with the artifact")
    return path.resolve()
