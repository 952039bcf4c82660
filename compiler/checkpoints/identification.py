"""What a file is that is not a checkpoint, in one sentence, and the way out.

Strategy: the first bytes tell, as everywhere in this folder; a name only where the bytes of a kind have
no mark. Nothing is decoded beyond the few fields that the sentence names.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from ...runtime.shards import is_shard

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
TEXT_BYTES = 256  # looked at, to tell a text from other bytes
PACKED_GROUPS = b"PGRP"
LLM_C_MAGIC = struct.pack("<i", 20240326)


def what_it_is(data: bytes, path: Path) -> tuple[str, str]:
    """What the bytes of a file are ("it is ..."), and what to give instead; the latter is empty where
    any checkpoint will do.
    """
    if not data:
        return "it is empty", ""
    if data.startswith(b"\x89BCAP"):
        return "it is a compiled artifact", ""
    if data.startswith(LFS_POINTER):
        return _lfs_pointer(data, path)
    if is_shard(data):
        count = f" of {struct.unpack_from('<i', data, 8)[0]:,} tokens" if len(data) >= 12 else ""
        return f"it is a token shard{count}", "a shard is data, for --calibration or --data"
    if data.startswith(LLM_C_MAGIC):
        return "it is a GPT-2 of llm.c, an architecture that no frontend knows", ""
    if data.startswith(PACKED_GROUPS):
        what = "it is a record's weights in groups that lrzip compressed, which its own script alone unpacks"
        return what, "run its loader once and save the state_dict, or give the final_model.pt that it came from"
    if path.suffix == ".onnx" or re.match(rb"\x08[\x01-\x14]\x12.[a-z]", data, re.DOTALL):
        return "it is an ONNX graph", "give the checkpoint that it was exported from"
    return _text(data, path) or (f"it begins with {data[:8].hex(' ')}", "")


def _lfs_pointer(data: bytes, path: Path) -> tuple[str, str]:
    size = re.search(rb"^size (\d{1,18})$", data[:1024], re.MULTILINE)
    of = f" to the {int(size[1]):,} bytes" if size else ""
    return (
        f"it is a git-lfs pointer{of} that are still to be fetched",
        f"fetch them with `git lfs pull --include {path.name}`",
    )


def _text(data: bytes, path: Path) -> tuple[str, str] | None:
    """What a text is: a page that came instead of a file, or JSON that belongs to a checkpoint."""
    head = data[:TEXT_BYTES].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not the file that it should have brought", "download the file itself"
    if head.startswith(b"{"):
        return f"it is JSON ({path.name}), without weights", "give the folder that it lies in"
    return None
