"""Whether each target of a stretch of tokens is scored exactly once, whoever cut it into windows.

Strategy: count. Where a scorer says only how many targets it scored, the numbers that known mistakes give are computed
and compared, so that a mistake is called by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .check import Check, judged
from .windows import Window

MOST_RANGES = 3


def check_each_target_once(positions: np.ndarray | Sequence[int], targets: int) -> Check:
    """The check "each target once" of target numbers 0 to targets - 1, in any order.

    `values`: missed, repeated and outside, how many of each.
    """
    found = np.asarray(positions, dtype=np.int64).reshape(-1)
    inside = found[(found >= 0) & (found < targets)]
    counts = np.bincount(inside, minlength=targets)
    missed, repeated = np.flatnonzero(counts == 0), np.flatnonzero(counts > 1)
    values = {
        "targets": targets,
        "scored": len(found),
        "missed": len(missed),
        "repeated": len(repeated),
        "outside": len(found) - len(inside),
    }
    faults = [
        f"{len(places):,} {word} ({_ranges(places)})"
        for word, places in (("never", missed), ("more than once", repeated))
        if len(places)
    ]
    if values["outside"]:
        faults.append(f"{values['outside']:,} that are no targets")
    if not faults:
        return judged("each target once", True, f"each of {targets:,} targets is scored once", values)
    return judged("each target once", False, f"of {targets:,} targets are scored: {', '.join(faults)}", values)


def check_target_count(scored: int, targets: int, sequence_length: int, stride: int) -> Check:
    """The check "each target once" where a scorer says only how many it scored."""
    values = {"targets": targets, "scored": scored}
    if scored == targets:
        return judged("each target once", True, f"{scored:,} targets were scored, as many as there are", values)
    if scored == whole_windows(targets, sequence_length):
        detail = f"{scored:,} of {targets:,} targets were scored, whole windows of {sequence_length:,} only"
        return judged("each target once", True, detail, values)
    detail = f"{scored:,} targets were scored and there are {targets:,}"
    repeating = sum(
        window.stop - window.start - window.skip for window in repeating_windows(targets, sequence_length, stride)
    )
    if scored == repeating:
        detail += f": as of windows that go on to the end, where each shorter one scores its last {stride:,} again"
    return judged("each target once", False, detail, values)


def whole_windows(targets: int, sequence_length: int) -> int:
    """Targets of whole windows, which the public challenge scores."""
    return targets // sequence_length * sequence_length


def repeating_windows(targets: int, sequence_length: int, stride: int) -> Iterator[Window]:
    """The mistaken windows of sliding evaluations that begin one every `stride` up to the very end: each scores its
    last `stride` targets, so that the shorter ones at the end score the same targets again.
    """
    for start in range(0, targets, stride):
        stop = min(start + sequence_length, targets)
        yield Window(start, stop, 0 if start == 0 else max(0, stop - start - stride))


def _ranges(places: np.ndarray) -> str:
    """`5 to 9, 12, ...`"""
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts, stops = places[np.concatenate(([0], breaks + 1))], places[np.concatenate((breaks, [len(places) - 1]))]
    said = [
        f"{start:,}" if start == stop else f"{start:,} to {stop:,}"
        for start, stop in zip(starts[:MOST_RANGES].tolist(), stops[:MOST_RANGES].tolist(), strict=True)
    ]
    return ", ".join(said) + (", ..." if len(starts) > MOST_RANGES else "")
