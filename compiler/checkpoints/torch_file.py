"""Loads what `torch.save` wrote, without running any code of the file's.

Strategy: torch's restricted unpickler (`weights_only=True`) does the reading. A class that it does not know, such as
argparse.Namespace beside the weights, becomes an inert `Foreign` that remembers its name and content: nothing of it is
imported or called. A file in which something else than plain data would be called is refused, with the key and the
name. Before that the zip directory is checked, so that a small file cannot unfold into a large one.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import CheckpointError
from ...files.listing import listed
from .export import METADATA_OF_STATE

UNKNOWN_GLOBAL = re.compile(r"Unsupported global: GLOBAL (\S+) was not an allowed global")
BLOCKED_GLOBAL = re.compile(r"unsupported GLOBAL (\S+) whose module")
ZIP = b"PK\x03\x04"
PICKLE, LEGACY = b"\x80", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # what torch.save wrote before its zip files
MOST_FOREIGN = 64  # names of classes that one file may ask for
DEPTH = 8  # of lists and tables in one another that are looked into
MOST_REPEATED = 1 << 22  # values that are met more than once; of others there may be more
PLAIN_MODULES = ("_codecs", "argparse", "collections", "copyreg", "datetime", "enum", "numpy", "pathlib", "types")
ARCHIVES = (  # the end of a name in it, what a zip archive is, and the way out
    ("models/model.json", "a program that torch.export wrote", "save the state_dict of the module that it was made of"),
    ("model.weights.h5", "a Keras model", "save its weights by names as .safetensors or .npz"),
    (".npy", "an archive of numpy arrays and others", "leave out what is no .npy, or give a .safetensors file"),
)
WAY_OUT = "save model.state_dict() alone, or convert it to .safetensors where you trust it"


class Foreign:
    """What stands for an object of a class that is not loaded.

    origin : str      name of the class or function
    called : bool     whether the file would call it with arguments, which a class that only holds data does not need
    state : Any       what the file would give the object to hold
    """

    origin = ""

    def __new__(cls, *arguments: object, **_: object) -> Foreign:
        made = super().__new__(cls)
        made.called, made.state = False, arguments
        return made

    def __init__(self, *_: object, **__: object) -> None:
        self.called = True  # the unpickler calls __new__ alone for an object that it fills

    def __setstate__(self, state: object) -> None:
        self.state = state

    @property
    def values(self) -> Mapping[str, object] | None:
        """The attributes, if it holds some by name."""
        return self.state if isinstance(self.state, Mapping) else None

    @property
    def is_plain(self) -> bool:
        """Whether it holds data, rather than calling something that is not known to make data."""
        return not self.called or self.origin.split(".")[0] in PLAIN_MODULES


def load_torch(file: BinaryIO, path: Path) -> Any:
    """The content of a file, objects of unknown classes as `Foreign`; only the tensors' own memory is taken.

    Raises CheckpointError where torch is not installed, for a damaged file, and for one that runs code when loaded.
    """
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"reading {path} needs torch; install bytecap[compile], or give a .safetensors file"
        ) from error
    file.seek(0)
    head = file.read(len(LEGACY))
    _check_archive(file, head, path)
    if head.startswith(PICKLE) and head != LEGACY[: len(head)]:
        raise CheckpointError(
            f"{path} is refused: it holds more than weights: it is a pickle that torch.save did not write, which can "
            f"run any code when loaded; {WAY_OUT}"
        )
    known: dict[str, type[Foreign]] = {}
    while True:
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals([(c, n) for n, c in known.items()]):
                warnings.simplefilter("ignore")
                file.seek(0)
                content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # the unpickler raises whatever the bytes lead it to
            name = _unknown_class(error, known, path)
            known[name] = type("Foreign", (Foreign,), {"origin": name})
        else:
            _refuse_repetition(content, path)
            _refuse_calls(content, path)
            return content


def state_metadata(content: object) -> Mapping[str, object]:
    """What an export says beside the tensors of a state_dict (`export.encode_state_dict`); empty for nothing."""
    found: object = getattr(content, "_metadata", None)
    for key in ("", METADATA_OF_STATE):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _unknown_class(error: Exception, known: Mapping[str, object], path: Path) -> str:
    """The class that the unpickler stopped at; CheckpointError when it stopped for another reason."""
    text = str(error)
    match = UNKNOWN_GLOBAL.search(text)
    if match and match[1] not in known and len(known) < MOST_FOREIGN:
        return match[1]
    blocked = match or BLOCKED_GLOBAL.search(text)
    if blocked:
        raise CheckpointError(
            f"{path} is refused: it holds more than weights, and would call {blocked[1]} when loaded; {WAY_OUT}"
        ) from error
    if known and type(error).__name__ == "UnpicklingError":
        raise CheckpointError(
            f"{path} is refused: it holds more than weights, objects of {listed(sorted(known))}; {WAY_OUT}"
        ) from error
    reason = (text.strip() or type(error).__name__).splitlines()[0]
    if "weights" in reason.lower():  # torch's own advice is about files that one trusts
        reason = text.partition("WeightsUnpickler error:")[2].strip().splitlines()[:1] or ["its pickle is damaged"]
        reason = reason[0]
    raise CheckpointError(f"{path} is not a whole checkpoint: {reason}; copy or write it again") from error


def _refuse_calls(content: object, path: Path) -> None:
    for key, found in foreign_objects(content):
        if not found.is_plain:
            raise CheckpointError(
                f"{path} is refused: it holds more than weights: {key!r} would call {found.origin} when loaded; "
                f"{WAY_OUT}"
            )


def _refuse_repetition(content: object, path: Path) -> None:
    """Refuse a file whose lists and tables hold each other so often that nobody could walk through all of them."""
    lengths: dict[int, int] = {}
    ways = _ways(content, DEPTH, {}, lengths)
    if ways > max(MOST_REPEATED, 4 * sum(lengths.values())):
        raise CheckpointError(
            f"{path} is refused: its lists and tables hold one another again and again, {ways:,} values in all; "
            f"{WAY_OUT}"
        )


def _ways(content: object, depth: int, counts: dict[tuple[int, int], int], lengths: dict[int, int]) -> int:
    """Values that a walk meets, with every way to a value for itself; each object is looked at once a depth.

    lengths : of each list and table once, filled here
    """
    if isinstance(content, Foreign):
        content = content.state
    if not depth or not isinstance(content, Mapping | list | tuple):
        return 1
    place = id(content), depth
    if place not in counts:
        lengths[id(content)] = len(content)
        values = content.values() if isinstance(content, Mapping) else content
        counts[place] = 1 + sum(_ways(value, depth - 1, counts, lengths) for value in values)
    return counts[place]


def foreign_objects(content: object, key: str = "", depth: int = DEPTH) -> Iterator[tuple[str, Foreign]]:
    """(key, object) of everything in the content that stands for a class that is not loaded."""
    if isinstance(content, Foreign):
        yield key, content
        content = content.state
    if depth and isinstance(content, Mapping):
        for name, value in content.items():
            yield from foreign_objects(value, f"{key}.{name}" if key else str(name), depth - 1)
    elif depth and isinstance(content, list | tuple):
        for value in content:
            yield from foreign_objects(value, key, depth - 1)


def _check_archive(file: BinaryIO, head: bytes, path: Path) -> None:
    """Refuse a zip whose entries are compressed or larger than the file: torch.save writes neither."""
    if not head.startswith(b"PK"):
        return
    try:
        entries = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint: {error}; copy or write it again") from error
    names = [entry.filename for entry in entries]
    if not any(name.endswith("data.pkl") or name == "constants.pkl" for name in names):
        marks = (mark for mark in ARCHIVES if any(name.endswith(mark[0]) for name in names))
        _, what, way_out = next(marks, ("", "a zip archive", "unpack it, and give the folder in it"))
        raise CheckpointError(f"{path} is {what} ({listed(names)}), not a checkpoint; {way_out}")
    if any(name.endswith("constants.pkl") and "/code/" in "".join(names) for name in names):
        raise CheckpointError(f"{path} is a TorchScript program, code and weights in one; save its state_dict()")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(
        entry.file_size for entry in entries
    ) > file.seek(0, io.SEEK_END):
        raise CheckpointError(
            f"{path} is a compressed archive, which torch.save does not write; give the state_dict as .safetensors "
            "or .pt"
        )
