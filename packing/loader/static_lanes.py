"""Codec 3 without a compiler: numpy over the eight coders of every stream at once (spec/codecs.md).

Strategy: in a row nothing that is decoded is needed to decode what follows, so eight columns take one step together,
and all streams take it with them. Where a row has no column left, and where a stream has come to its end, a table of
one symbol leaves a coder as it is. What lies around a row (its tables before, its integers after) is done for all
columns at once, and each stream asks for its next row when it has the last.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from .class_streams import codes_of
from .static_tables import FIXED, static_arrays

THRESHOLD = -81920  # an expected scale below which a trellis does not run
Rows = Generator[np.ndarray, np.ndarray, None]


def decode_together(jobs: list[Any]) -> list[np.ndarray]:
    """The integers of streams, each given by a call for kernels, its payload, layout and scales."""
    streams = [static_arrays(*job) for job in jobs]
    results = [codes_of(arrays[2]) for arrays in streams]
    idle, symbols, frequencies, offsets, words, places = 0, [], [], [], [], []
    for arrays in streams:
        known = arrays[4]
        table = known[known[6] :]
        pairs = known[FIXED : known[4]].reshape(-1, 2, 32)
        slots = np.arange(table.size)
        symbols.append(table)
        frequencies.append(pairs[slots >> 12, 0, table])
        offsets.append((slots & 4095) - pairs[slots >> 12, 1, table])
        places.append(sum(map(len, words)))
        words.append(arrays[0])
        idle += table.size
    frequency = np.concatenate([*frequencies, np.full(4096, 4096)])
    offset = np.concatenate([*offsets, np.arange(4096)])
    flat, symbol = np.concatenate(words), np.concatenate([*symbols, np.zeros(4096, np.int64)])
    starts = np.cumsum([0, *map(len, symbols)])
    rows = [
        rows_of(arrays, codes, symbol, int(start), idle)
        for arrays, codes, start in zip(streams, results, starts, strict=False)
    ]
    run_coders(rows, [arrays[1][5:] for arrays in streams], places, (flat, frequency, offset), idle)
    return results


def run_coders(rows: list[Rows], states: list[np.ndarray], places: list[int], tables: Any, idle: int) -> None:
    """Sends to every stream what its coders find for each row that it asks for.

    states : int64[8] of each stream; places : where its words begin in the first of `tables`
    """
    words, frequency, offset = tables
    x, at = np.array(states), np.array(places)[:, None] - 1
    asked = [next(each, None) for each in rows]
    done = [0] * len(rows)
    while any(each is not None for each in asked):
        steps = min(len(each) - k for each, k in zip(asked, done, strict=True) if each is not None)
        still = np.full((steps, 8), idle)
        wanted = [still if each is None else each[k : k + steps] for each, k in zip(asked, done, strict=True)]
        found = np.stack(wanted, 1)
        for step in found:
            step += x & 4095
            x = frequency[step] * (x >> 12) + offset[step]
            low = x < 65536
            taken = low.cumsum(1)
            x = np.where(low, x << 16 | words[at + taken], x)
            at += taken[:, 7:]
        for k, each in enumerate(asked):
            if each is not None:
                each[done[k] : done[k] + steps] = found[:, k]
                done[k] += steps
                if done[k] == len(each):
                    asked[k], done[k] = send(rows[k], each), 0


def send(rows: Rows, found: np.ndarray) -> np.ndarray | None:
    """The next row's tables; None behind the last."""
    try:
        return rows.send(found)
    except StopIteration:
        return None


def rows_of(arrays: list[np.ndarray], codes: np.ndarray, symbols: np.ndarray, start: int, idle: int) -> Rows:
    """Asks for every row of a stream with its tables, int64[steps, 8], and is sent the places of its symbols in
    `symbols`, of which its own begin at `start`; fills `codes`.
    """
    _, _, layout, scales, known, classes = arrays
    at = side = bit = escape = 0
    for rows, columns, first, second in layout.reshape(-1, 4).tolist():
        trellis = min(first, 1)
        lowest, count = known[2 * trellis : 2 * trellis + 2]
        states, across = np.zeros(columns, np.int64), slice(side + rows, side + rows + columns)
        for row in range(side, side + rows):
            runs = (scales[row] + scales[across] >= THRESHOLD) & (first > 0)
            odd = states & runs
            place = (classes[row] + classes[across] - lowest).clip(0, count - 1)
            asked = np.full(-(-columns // 8) * 8, idle)
            asked[:columns] = start + 4096 * (place + trellis * known[1] + odd * known[3])
            found = yield asked.reshape(-1, 8)
            symbol = symbols[found.ravel()[:columns]]
            pair = symbol + odd - 1
            inside = (pair >= 0) & (symbol < 31)
            low = np.where(inside, ((lowest + place >> 2) - 5).clip(0), 0)
            bits = bit + low.cumsum() - low
            bit += low.sum()
            window = known[known[4] + (bits >> 4)] + (known[known[4] + (bits >> 4) + 1] << 16) >> (bits & 15)
            number = np.where(inside, (pair >> 1 << low) + (window & (1 << low) - 1) + 1 - odd, 0)
            escaped = (symbol > 30).nonzero()[0]
            number[escaped] = known[known[5] + escape :][: escaped.size]
            escape += escaped.size
            if first:
                number = 2 * number + odd
            number *= 1 - 2 * (inside & pair)
            parity = states & 1
            following = states >> 1 ^ -parity & first ^ -(number - parity >> 1 & 1) & second
            states = np.where(runs, following, states)
            codes[at : at + columns] = number
            at += columns
        side += rows + columns
