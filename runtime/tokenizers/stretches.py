"""Holding a tokenizer's bytes against its own library's text in bounded memory, however long documents are.

Strategy: decoding takes a hundred bytes a token and more, so no more tokens than STRETCH go there at once. A long run
is decoded in stretches that begin and end where characters do, best where words begin, and that overlap, so that each
place is judged once with its surroundings. A library may join tokens over a longer reach than that, and so disagree
about a stretch alone; so the run itself has the last word, in one piece, before it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

STRETCH = 1 << 16  # tokens that are decoded at once
RUNS = 4096  # that are decoded at once: short ones take more than their tokens
OVERLAP = 64  # tokens; far below half of STRETCH
WORD, CHARACTER = 2, 1  # what may be cut before a piece
CONTINUATIONS = frozenset(bytes([value]) for value in range(0x80, 0xC0))  # of a UTF-8 character

Span = tuple[int, int]  # the first token and the one behind the last
Judge = Callable[[Sequence[Span]], Sequence[str | None]]  # what is wrong with each, in a sentence; None: nothing


def first_fault(runs: Iterable[Span], ids: np.ndarray, cuts: np.ndarray, judge: Judge) -> str | None:
    """What is wrong with the first of some runs of `ids` [tokens] at which something is.

    cuts : int8 [V]   before which pieces text may be cut, as `cuts_of` says
    """
    passed: Span | None = None
    for batch in _batches((run, stretch) for run in runs for stretch in _stretches(run, ids, cuts)):
        for (run, stretch), fault in zip(batch, judge([stretch for _, stretch in batch]), strict=True):
            if fault is None or run == passed:
                continue
            whole = fault if stretch == run else judge([run])[0]
            if whole is not None:
                return whole
            passed = run
    return None


def cuts_of(texts: Sequence[bytes], leading_space: np.ndarray) -> np.ndarray:
    """int8 [V]: WORD before pieces that begin with a space, CHARACTER before others that begin with a whole character,
    0 before those that do not, where text is not cut.
    """
    whole = np.array([text[:1] not in CONTINUATIONS for text in texts], dtype=bool)
    return np.where(leading_space, WORD, np.where(whole, CHARACTER, 0)).astype(np.int8)


def _batches(stretches: Iterable[tuple[Span, Span]]) -> Iterator[list[tuple[Span, Span]]]:
    """As many at a time as hold STRETCH tokens, and RUNS at most."""
    batch: list[tuple[Span, Span]] = []
    tokens = 0
    for run, (start, stop) in stretches:
        if batch and (tokens + stop - start > STRETCH or len(batch) == RUNS):
            yield batch
            batch, tokens = [], 0
        batch.append((run, (start, stop)))
        tokens += stop - start
    if batch:
        yield batch


def _stretches(run: Span, ids: np.ndarray, cuts: np.ndarray) -> Iterator[Span]:
    """A run in stretches of STRETCH tokens at most; a longer one where there is no place to cut."""
    start, stop = run
    while stop - start > STRETCH:
        end = _last_cut(ids, cuts, start + STRETCH)
        following = None if end is None else _last_cut(ids, cuts, end - OVERLAP)
        if end is None or following is None:
            break
        yield start, end
        start = following
    yield start, stop


def _last_cut(ids: np.ndarray, cuts: np.ndarray, last: int) -> int | None:
    """The last place, of a quarter of STRETCH up to `last`, at which text is best cut."""
    first = last - STRETCH // 4
    found = cuts[ids[first : last + 1]]
    best = int(found.max())
    return first + int(np.flatnonzero(found == best)[-1]) if best else None
