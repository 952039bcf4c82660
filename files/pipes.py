"""Named pipes, and those that a shell's `<(...)` and `/dev/stdin` name: what is read from them is gone.

Strategy: whoever looks at how a file begins before it is read, reads a pipe from its middle, and would say that the
file is something else. So such readers ask here first.
"""

from __future__ import annotations

from pathlib import Path


def pipe_refused(path: Path) -> str | None:
    """What is to be said of a path that is a pipe, with the way out; None for anything else."""
    return f"{path} is a pipe, which is read only once; write it to a file" if path.is_fifo() else None
