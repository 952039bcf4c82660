"""What a file is that is not a checkpoint, in one sentence, and the way out.

Strategy: the first bytes tell, as everywhere in this folder; a name only where the bytes of a kind have
no mark. Nothing is decoded beyond the few fields that the sentence names.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from ...files.nested_text import parse_json
from ...runtime.shards import is_shard
from ...runtime.tokenizers.sentencepiece_model import FIRST_PIECE
from .llama2c import of_another_length

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
TEXT_BYTES = 256  # looked at, to tell a text from other bytes
CONVERT = "convert it to .safetensors with the library that wrote it"
MARKS = (  # place, bytes there, what the file is, the way out
    (0, b"\x89BCAP", "it is a compiled artifact", ""),
    (0, struct.pack("<i", 20240803), "it is llm.c's own file of a Llama 3", "give the Llama as a Hugging Face folder"),
    (
        0,
        struct.pack("<i", 20240527),
        "it is the state of llm.c's optimizer",
        "give the model_*.bin beside it",
    ),
    (
        0,
        b"PGRP",
        "it is a record's weights in groups that lrzip compressed, which its own script alone unpacks",
        "run its loader once and save the state_dict, or give the final_model.pt that it came from",
    ),
    (0, b"\x93NUMPY", "it is one numpy array", "give the state_dict as .safetensors or .pt"),
    (0, b"\x89HDF\r\n\x1a\n", "it is an HDF5 file, such as Keras writes", CONVERT),
    (4, b"TFL3", "it is a TFLite graph", "give the checkpoint that it was exported from"),
    (0, b"lmgg", "it is a GGML file, older than GGUF", "convert it to GGUF with an older llama.cpp"),
    (0, b"tjgg", "it is a GGML file, older than GGUF", "convert it to GGUF with an older llama.cpp"),
    (0, b"fmgg", "it is a GGML file, older than GGUF", "convert it to GGUF with an older llama.cpp"),
    (257, b"ustar", "it is a tar archive", "unpack it, and give the folder or the file of weights in it"),
    (0, b"7z\xbc\xaf\x27\x1c", "it is a 7z archive", "unpack it, and give the folder or the file of weights in it"),
)


def what_it_is(data: bytes, path: Path, length: int = 0) -> tuple[str, str]:
    """What the bytes of a file are ("it is ..."), and what to give instead; the latter is empty where
    any checkpoint will do.

    length : of the whole, where `data` is its beginning; 0 where that is not known
    """
    if not data:
        return "it is empty", ""
    if data.startswith(LFS_POINTER):
        return _lfs_pointer(data, path)
    if is_shard(data):
        count = f" of {struct.unpack_from('<i', data, 8)[0]:,} tokens" if len(data) >= 12 else ""
        return f"it is a token shard{count}", "a shard is data, for --calibration or --data"
    for start, mark, what, way_out in MARKS:
        if data[start : start + len(mark)] == mark:
            return what, way_out
    if path.suffix == ".onnx" or re.match(rb"\x08[\x01-\x14]\x12.[a-z]", data, re.DOTALL):
        return "it is an ONNX graph", "give the checkpoint that it was exported from"
    if path.suffix == ".msgpack":
        return "it is a Flax checkpoint", "save the model as .safetensors (save_pretrained with PyTorch)"
    if FIRST_PIECE.match(data):
        return "it is a sentencepiece tokenizer", "a tokenizer is for --tokenizer; give the model's weights"
    other = of_another_length(data, length) if length else ""
    if other:
        way_out = "copy it again if it was cut; packed weights of other programs are not known, give the float32 file"
        return f"{other}, and has {length:,}", way_out
    return _text(data, path) or (f"it begins with {data[:8].hex(' ')}", "")


def _lfs_pointer(data: bytes, path: Path) -> tuple[str, str]:
    size = re.search(rb"^size (\d{1,18})$", data[:1024], re.MULTILINE)
    of = f" to the {int(size[1]):,} bytes" if size else ""
    return (
        f"it is a git-lfs pointer{of} that are still to be fetched",
        f"fetch them with `git lfs pull --include {path.name}`",
    )


def _text(data: bytes, path: Path) -> tuple[str, str] | None:
    """What a text is: a page that came instead of a file, JSON that belongs to a checkpoint, or data."""
    head = data[:TEXT_BYTES].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not the file that it should have brought", "download the file itself"
    if head.startswith(b"{"):
        return _json(data, path)
    try:
        text = data[:TEXT_BYTES].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < TEXT_BYTES - 4:  # else a character that is cut
            return None
        text = data[: error.start].decode("utf-8")
    if all(character.isprintable() or character.isspace() for character in text):
        return "it is a text", "a text is data, for --calibration or --data"
    return None


def _json(data: bytes, path: Path) -> tuple[str, str]:
    """Which of the JSON files that lie with a checkpoint it is."""
    try:
        content = parse_json(data)
    except ValueError:
        return f"it is JSON ({path.name}), and damaged", "give the folder that it lies in"
    if "added_tokens" in content or "merges" in content:
        return f"it is a tokenizer ({path.name})", "a tokenizer is for --tokenizer; give the folder that it lies in"
    if "model_type" in content or "architectures" in content:
        return f"it is a model's configuration ({path.name})", "give the folder that it lies in, with its weights"
    return f"it is JSON ({path.name}), without weights", "give the folder that it lies in"
