"""ZPAQ through the external program lrzip, as the challenge's final record runs it; brotli 11 where
that is not installed.

Strategy: `lrzip -z -L 9` on files of their own, one thread so that a stream is one ZPAQ block on any
machine. By itself lrzip first tries whether LZO can shrink the data and stores it raw when not, a known
mishap with entropy-rich codes; `-T` leaves that test out, in the peer's favour. lrzip's magic number
tells its files from brotli's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import brotli

PROGRAM = "lrzip"
LRZIP_MAGIC = b"LRZI"
COMPRESS = (PROGRAM, "-q", "-z", "-T", "-L", "9", "-p", "1")
DECOMPRESS = (PROGRAM, "-q", "-d", "-p", "1")


def has_zpaq() -> bool:
    """Whether lrzip can be run here."""
    return shutil.which(PROGRAM) is not None


def compress_bytes(data: bytes, *, zpaq: bool) -> bytes:
    """ZPAQ, or brotli 11; nothing stays nothing. RuntimeError with the program's words when lrzip fails."""
    if not data:
        return b""
    return _run(COMPRESS, data) if zpaq else compress_brotli(data)


def compress_brotli(data: bytes) -> bytes:
    """brotli 11 with a window of 2**24 bytes."""
    return brotli.compress(data, quality=11, lgwin=24)


def decompress_bytes(data: bytes) -> bytes:
    """Inverse of both, whichever made the bytes."""
    if not data:
        return b""
    return _run(DECOMPRESS, data) if data.startswith(LRZIP_MAGIC) else brotli.decompress(data)


def _run(command: tuple[str, ...], data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.lrz", Path(folder) / "target"
        source.write_bytes(data)
        niceness = ("-N", str(os.nice(0)))  # the caller's: lrzip's own default is 19, which starves on a busy machine
        done = subprocess.run([*command, *niceness, "-o", target, source], capture_output=True, cwd=folder)
        if done.returncode or not target.is_file():
            raise RuntimeError(
                f"{' '.join(command)} failed: {(done.stderr or done.stdout).decode(errors='replace').strip()}"
            )
        return target.read_bytes()
