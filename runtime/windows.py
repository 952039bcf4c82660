"""How a stretch of tokens is cut into windows, so that every target is scored exactly once.

Strategy: the first window scores all its targets, each later one its last `stride`; the last window ends with the last
target and may be shorter. `target_coverage` holds this, and other people's windows, against a count of every target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Window:
    """Inputs start..stop-1, targets start+1..stop; the targets after the first `skip` are scored."""

    start: int
    stop: int
    skip: int


def windows(targets: int, sequence_length: int, stride: int) -> Iterator[Window]:
    """The windows over `targets` targets; a last window may be shorter than `sequence_length`."""
    yield Window(0, min(sequence_length, targets), 0)
    overlap = sequence_length - stride
    for start in range(stride, targets - overlap, stride):
        yield Window(start, min(start + sequence_length, targets), overlap)


def windows_by_document(documents: np.ndarray, targets: int, sequence_length: int, stride: int) -> Iterator[Window]:
    """Windows over the first `targets` targets that never go beyond the document they begin in.

    documents : int [d]    where documents begin, ascending; the first token of each is context only
    """
    ends = [*(documents[1:] - 1).tolist(), targets]
    for start, end in zip(documents.tolist(), ends, strict=True):
        size = min(end, targets) - start
        for window in windows(size, sequence_length, stride) if size > 0 else ():
            yield Window(start + window.start, start + window.stop, window.skip)
