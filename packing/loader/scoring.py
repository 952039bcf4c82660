"""Bits per byte as the shipped loader scores them: windows of tokens in batches on the device.

Strategy: every target is scored once. The first window scores all its targets, each later one its last `stride`; with
documents apart each begins windows of its own. Sums are float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from .model import Model

Window = tuple[int, int, int]  # first input, behind the last input, targets at its beginning that are not scored
FLOATS_AT_ONCE = {"cuda": 1 << 28, "cpu": 1 << 23}  # of the widest register; at least one window
LEAST_WIDTH = 4096  # taken for that of the widest register, where the logits are narrower


def windows(first: int, stop: int, length: int, stride: int) -> Iterator[Window]:
    """Windows over the targets of the inputs `first` to `stop` - 1."""
    if stop > first:
        yield first, min(first + length, stop), 0
    for start in range(first + stride, stop - length + stride, stride):
        yield start, min(start + length, stop), length - stride


def plan(ids: np.ndarray, length: int, stride: int, boundary: int | None) -> list[Window]:
    """The windows of all targets; where a boundary token is given each document has its own."""
    targets = len(ids) - 1
    starts = [0] if boundary is None else [0, *(np.flatnonzero(ids[1:] == boundary) + 1).tolist()]
    ends = [start - 1 for start in starts[1:]] + [targets]
    return [window for span in zip(starts, ends, strict=True) for window in windows(*span, length, stride)]


def batches(plan: Sequence[Window], most: int) -> Iterator[Sequence[Window]]:
    """Runs of at most `most` windows of one length."""
    first = 0
    for number in range(1, len(plan) + 1):
        same = number < len(plan) and plan[number][1] - plan[number][0] == plan[first][1] - plan[first][0]
        if not same or number - first == most:
            yield plan[first:number]
            first = number


def score_windows(
    model: Model, ids: np.ndarray, counts: np.ndarray, plan: Sequence[Window], vocabulary: int, device: torch.device
) -> tuple[float, int, int]:
    """Nats, tokens and bytes of the targets that a plan scores; counts : bytes of each token."""
    length = max(stop - start for start, stop, _ in plan)
    most = max(1, FLOATS_AT_ONCE.get(device.type, 1 << 26) // (length * max(vocabulary, LEAST_WIDTH)))
    nats = torch.zeros((), dtype=torch.float64, device=device)
    tokens = text = 0
    for batch in batches(plan, most):
        rows = torch.from_numpy(np.stack([ids[start : stop + 1] for start, stop, _ in batch])).to(device)
        losses = model.losses(rows).double()
        for row, (start, stop, skip) in zip(losses, batch, strict=True):
            nats += row[skip:].sum()
            tokens += stop - start - skip
            text += int(counts[start + skip + 1 : stop + 1].sum())
    return nats.item(), tokens, text
