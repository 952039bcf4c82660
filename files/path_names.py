"""Names of files that mean something to a shell and nothing to the system: `~` for a home folder.

Strategy: a shell replaces `~` only at the beginning of a word and outside of quotes, so `--data=~/val.bin` and
`"~/val.bin"` arrive as they are written. They are not replaced here either, since a folder may have that name; whoever
finds nothing there says so.
"""

from __future__ import annotations

from pathlib import Path

HOME = "~"


def home_hint(path: str | Path) -> str | None:
    """The way out of a path that begins with `~`, which a shell did not replace; None for any other path."""
    if not str(path).startswith(HOME):
        return None
    return f"a shell puts a home folder for {HOME} only at the beginning of a word, unquoted; write $HOME or the folder"
