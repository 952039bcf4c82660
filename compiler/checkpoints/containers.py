"""What kind of file a checkpoint is, and its tensors as they are stored in it.

Strategy: the first bytes tell the kind, not the name. A compressed file is opened and its content told in the same way.
Each kind has one reader; all give the same record. A file that is none of them is named for what it is.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ...errors import CheckpointError
from ...files.listing import listed
from ...files.nested_text import parse_json
from ...runtime.gguf_file import MAGIC as GGUF_MAGIC
from .compressed import SHUFFLED, compression_of, decompress, unfolded_head
from .configuration import Configuration, configuration_inside
from .gguf_tensors import read_gguf_tensors
from .identification import what_it_is
from .int8_checkpoint import is_int8_state, restore_int8_state
from .llama2c import begins_llama2c, is_llama2c, read_llama2c
from .llm_c import MAGIC as LLM_C_MAGIC
from .llm_c import read_llm_c
from .numpy_archive import is_numpy_archive, read_numpy_archive
from .record_checkpoint import is_record_state, restore_record_state
from .rounded_twins import RoundedTwins
from .safetensors_file import is_safetensors, read_safetensors, safetensors_metadata
from .selection import Selection
from .stored import Stored, check_element_count, refuse_unusual_storage, stored_torch
from .ternary_checkpoint import is_ternary_state, restore_ternary_state
from .torch_file import PICKLE, ZIP, foreign_objects, load_torch, state_metadata
from .weight_sets import check_names, chosen_set, kind_of

HEAD_BYTES = 16
MARK_BYTES = 1 << 20  # by which each kind of checkpoint is known
BEGIN_BYTES = 1 << 26  # read of a file that is none, to say what it is instead
KNOWN_KINDS = (
    "a Hugging Face folder, a .safetensors file, a .pt state_dict, a .gguf file, a .npz of arrays by name, a llama2.c "
    "or llm.c .bin file or a final_model.int8.ptz"
)


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What a file holds.

    tensors : by name;  configuration : what the file says of its model;  notes : what was chosen and decoded, in words
    weights : name of the set of weights that was read; empty where the file has one without a name
    twins : a table and a head that are one matrix, stored in two types, where they are
    """

    tensors: dict[str, Stored]
    configuration: Configuration | None = None
    notes: tuple[str, ...] = ()
    weights: str = ""
    twins: RoundedTwins | None = None


def read_containers(files: Sequence[Path], selection: Selection, path: Path) -> Content:
    """The content of a file, or of all shards of one; `path` is what the caller gave.

    Raises CheckpointError, which names the file and what it is instead of a checkpoint.
    """
    is_gguf = _head(files[0]).startswith(GGUF_MAGIC)
    before = [_standing(file) for file in files]
    if is_gguf:
        _refuse_sets(selection, path)
    content = _of_gguf(files) if is_gguf else _joined([_read_file(file, selection) for file in files], files)
    for file, standing in zip(files, before, strict=True):
        if _standing(file) != standing:
            raise CheckpointError(f"{file} was written to while it was read; wait until it is whole")
    return content


def _standing(file: Path) -> tuple[int, int] | None:
    """Size and time of the last change of a file; None where it is not there, which its reader tells."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _of_gguf(files: Sequence[Path]) -> Content:
    content = read_gguf_tensors(files)
    tensors = {name: Stored(values, content.dtypes[name]) for name, values in content.tensors.items()}
    return Content(tensors, content.configuration, content.notes, twins=content.twins)


def refuse_other_kinds(files: Sequence[Path]) -> None:
    """CheckpointError for files of a checkpoint whose first bytes show that they are none; nothing is decoded."""
    for file in files:
        if _head(file).startswith(GGUF_MAGIC) or is_safetensors(_head(file)):
            continue
        with file.open("rb") as opened:
            begin = opened.read(MARK_BYTES)
            if not _is_known(begin, file):
                raise _not_a_checkpoint(begin + opened.read(BEGIN_BYTES), file)


def is_checkpoint(path: Path) -> bool:
    """Whether a file begins like a checkpoint."""
    try:
        refuse_other_kinds([path])
    except (CheckpointError, OSError):
        return False
    return True


def _is_known(begin: bytes, path: Path) -> bool:
    """Whether a file that begins so holds one of the kinds that are read whole, as it is or compressed."""
    return (
        begins_llama2c(begin) or begin.startswith((ZIP, PICKLE, LLM_C_MAGIC)) or compression_of(begin, path) is not None
    )


def _not_a_checkpoint(data: bytes, path: Path) -> CheckpointError:
    what, way_out = what_it_is(data, path, path.stat().st_size if path.is_file() else 0)
    return CheckpointError(f"{path} is not a checkpoint: {what}; {way_out or f'give {KNOWN_KINDS}'}")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def _read_file(path: Path, selection: Selection) -> Content:
    """The content of a file, of which no more is read than its tensors take."""
    try:
        with path.open("rb") as file:
            return _content_of(mapped(path, file), path, selection, "", file)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def mapped(path: Path, file: BinaryIO) -> memoryview:
    """The bytes of an open file, mapped; of what is no regular file, which may not end, only the first."""
    if not path.is_file() or not path.stat().st_size:
        return memoryview(file.read(BEGIN_BYTES))
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _said_in_header(metadata: Mapping[str, object]) -> Configuration | None:
    """What a .safetensors or .pt file says of its model beside the tensors, under the key that an export has."""
    text = metadata.get("config")
    try:
        content = parse_json(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return configuration_inside({"config": content})


def _content_of(
    data: bytes | memoryview, path: Path, selection: Selection, compression: str, file: BinaryIO
) -> Content:
    """The content of bytes, which may be those of a compressed file's content; `file` has the same ones."""
    head = bytes(data[:MARK_BYTES])
    if is_safetensors(data):
        _refuse_sets(selection, path)
        return Content(read_safetensors(data, path), _said_in_header(safetensors_metadata(data, path)))
    if is_llama2c(data):
        _refuse_sets(selection, path)
        return Content(*read_llama2c(data, path))
    if head.startswith(LLM_C_MAGIC):
        _refuse_sets(selection, path)
        return Content(*read_llm_c(data, path))
    if head.startswith(ZIP) and is_numpy_archive(file):
        _refuse_sets(selection, path)
        return Content(read_numpy_archive(file, path))
    if head.startswith((ZIP, PICKLE)):
        return _torch_content(load_torch(file, path), path, selection)
    kind = None if compression else compression_of(head, path)
    if kind is not None:
        unfolded = unfold(data, path, kind)
        return _content_of(unfolded, path, selection, kind, io.BytesIO(unfolded))
    if compression:
        raise not_inside(head, path, compression)
    raise _not_a_checkpoint(bytes(data[:BEGIN_BYTES]), path)


def unfold(data: bytes | memoryview, path: Path, kind: str) -> bytes:
    """What is inside a compressed file, which is unfolded only if it begins as a checkpoint does.

    Raises CheckpointError as `decompress` does, and for the beginning of anything else.
    """
    head = unfolded_head(data, kind)
    known = is_safetensors(head) or begins_llama2c(head) or head.startswith((ZIP, PICKLE, SHUFFLED, LLM_C_MAGIC))
    if head and not known:
        raise not_inside(head, path, kind)
    return decompress(data, path, kind)


def not_inside(head: bytes, path: Path, compression: str) -> CheckpointError:
    """The error for a compressed file whose content begins with `head`, which no checkpoint does."""
    what = what_it_is(head, path)[0]
    return CheckpointError(f"{path} is compressed with {compression}, and what it holds is not a checkpoint: {what}")


def _torch_content(content: object, path: Path, selection: Selection) -> Content:
    """The chosen set of weights in what `torch.save` wrote; configurations beside it are kept."""
    quantized = {
        is_int8_state: restore_int8_state,
        is_record_state: restore_record_state,
        is_ternary_state: restore_ternary_state,
    }
    restore = next((restore for known, restore in quantized.items() if known(content)), None)
    if restore is not None and isinstance(content, Mapping):
        _refuse_sets(selection, path)
        refuse_unusual_storage(content, path)
        return Content({name: stored_torch(tensor) for name, tensor in restore(content, path).items()})
    name, state, others = chosen_set(content, selection.weights, path)
    check_names(state, path)
    check_element_count(state.values(), path)
    configuration = configuration_inside(content) or _said_in_header(state_metadata(content))
    notes = [f"read {name!r}; the file also holds {listed(others)} (--weights chooses)"] if others else []
    used = configuration.source if configuration is not None else ""
    named = {key: found.origin for key, found in reversed([*foreign_objects(content)])}  # the outermost of a key
    foreign = [
        f"{key} ({origin})" for key, origin in reversed(named.items()) if not used.startswith((f"{key!r}", f"'{key}."))
    ]
    if foreign:
        notes.append(f"left out beside the weights, no tensors: {listed(foreign)}")
    tensors = {
        key: stored_torch(value) if hasattr(value, "numel") else Stored(None, kind_of(value))
        for key, value in state.items()
    }
    return Content(tensors, configuration, tuple(notes), name)


def _refuse_sets(selection: Selection, path: Path) -> None:
    """A file that can hold one set of weights alone has no names for them."""
    if selection.weights is not None:
        raise CheckpointError(f"{path} holds one set of weights, which has no name; leave out --weights")


def _joined(parts: Sequence[Content], files: Sequence[Path]) -> Content:
    """The shards of a checkpoint as one; each tensor stands in one of them."""
    first, *more = parts
    for file, part in zip(files[1:], more, strict=True):
        twice = next((name for name in part.tensors if name in first.tensors), None)
        if twice is not None:
            raise CheckpointError(f"{file} holds {twice!r}, which another shard holds, too; copy the shards again")
        first = replace(first, tensors=first.tensors | part.tensors, notes=(*first.notes, *part.notes))
    return first
