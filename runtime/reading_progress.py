"""How far texts are tokenized, told while they are read.

Strategy: a text is read a block at a time and encoded before the next block, so how far the reading is tells how far
the encoding is, whatever the text is: one document, many, or compressed. What is counted is the bytes of the files as
they lie on the disk, of which the whole is known before. Where a bound of tokens ends the reading earlier, the end is
reckoned from the tokens that there are so far.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..files.artifact_file import STANDARD_INPUT
from ..files.printable import printable
from ..progress import Progress, silent_stage, stage_of

STEP_BYTES = 1 << 20  # read between two reports, at least


class ReadingProgress:
    """Of texts that are read in this order.

    progress : hears of the stage "tokenize NAME (bytes)" with bytes of the files; an end that is not known is 0
    most : tokens that end the reading; None where all is read
    """

    def __init__(self, progress: Progress | None, paths: Sequence[str], source: str, most: int | None) -> None:
        name = "standard input" if source == STANDARD_INPUT else printable(Path(source).name)
        self._report = stage_of(progress, f"tokenize {name} (bytes)") or silent_stage
        self._size = 0 if STANDARD_INPUT in paths else sum(os.stat(path).st_size for path in paths)
        self._most, self._tokens, self._read, self._told = most, 0, 0, 0
        self._report(0, self._size)

    def read(self, count: int) -> None:
        """So many more bytes come now; those before are encoded, but for what the last window waits for."""
        if self._read - self._told >= STEP_BYTES:
            self._told = self._read
            self._report(self._read, self._total())
        self._read += count

    def encoded(self, count: int) -> None:
        """So many more tokens are there."""
        self._tokens += count

    def end(self) -> None:
        """No more is read: what was, is all that was needed."""
        self._report(self._read, self._read)

    def _total(self) -> int:
        if self._most is None or not self._tokens or not self._size:
            return self._size
        return min(self._size, max(self._read, round(self._read * self._most / self._tokens)))
