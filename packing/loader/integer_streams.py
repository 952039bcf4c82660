"""The CODES section: streams of integers, each by the kernel of its codec (spec/codecs.md).

Strategy: streams share nothing. Compiled kernels let go of Python's lock, so threads decode several at once; plain
Python does not, and forks a process for each, which writes into memory that both see.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .artifact_fields import take_bytes, take_varint
from .class_streams import codes_of, decode_class_stream, memory_of, start_of
from .kernel_ways import Call, choose_way
from .mixing_tables import mixing_tables
from .static_lanes import decode_together
from .static_tables import static_arrays
from .term_values import Directory

VECTOR_CELLS_FROM = 135279 - 124416  # what the cells of matrices start with, in the tables
CHECKS = {0: (0, 0), 8: (5, 2), 64: (33, 10)}  # states of a trellis: parity checks without their last bit
Members = Sequence[tuple[Any, ...]]  # as in term_values.Directory


def decode_streams(ways: str, data: bytes, directory: Directory) -> str:
    """Fills the integers of stream 0, adds their offsets, then fills those of the others; which way was taken."""
    fields, (call, way) = iter(data), choose_way(ways)
    table = [(next(fields), take_varint(fields)) for _ in range(take_varint(fields))]
    members = {0: directory.vectors + directory.gaps, **directory.streams}
    jobs = [(call, codec, take_bytes(fields, size), members[k]) for k, (codec, size) in enumerate(table)]
    for job in jobs[:1]:
        decode_stream(*job)
    for integers, offset in directory.offsets:
        integers += offset
    rest = jobs[1:]
    if way == "python":
        rest = [job for job in rest if job[1] not in TOGETHER]
        for codec, decode in TOGETHER.items():
            chosen = [job for job in jobs[1:] if job[1] == codec]
            asked = [(call, payload, *expected_of(members)) for call, _, payload, members in chosen]
            for job, found in zip(chosen, decode(asked) if asked else [], strict=True):
                fill(job[3], found)
    if way == "python" and hasattr(os, "fork"):
        wait_for([fork(*job) for job in rest])
    else:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda job: decode_stream(*job), rest))
    return way


def fork(*job: Any) -> int:
    """A process that decodes a stream into memory that this one sees too."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            decode_stream(*job)
            status = 0
        finally:
            os._exit(status)
    return process


def wait_for(processes: Sequence[int]) -> None:
    """ValueError when one failed."""
    if any([os.waitpid(process, 0)[1] for process in processes]):
        raise ValueError("a process that decodes a stream failed")


def decode_stream(call: Call, codec: int, payload: bytes, members: Members) -> None:
    """Fills the integers of one stream."""
    fill(members, CODECS[codec](call, payload, *expected_of(members)))


def expected_of(members: Members) -> tuple[np.ndarray, np.ndarray]:
    """Layout and scales of matrices, as the kernels take them."""
    layout: list[int] = []
    scales = [np.zeros(0, np.int64)]
    for codes, steps, unit, start, trellis in members:
        layout += [*codes.shape, *CHECKS[trellis]]
        scales += [-unit * steps[0], start - unit * steps[1]]
    return np.array(layout, np.int64), np.concatenate(scales)


def fill(members: Members, found: np.ndarray) -> None:
    """Cuts the integers of a stream into its matrices."""
    for codes, *_ in members:
        codes[:] = found[: codes.size].reshape(codes.shape)
        found = found[codes.size :]


def decode_mixing_stream(call: Call, payload: bytes, layout: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Codec 2: the integers, one matrix behind the other."""
    known = mixing_tables()
    cells = np.concatenate([known[VECTOR_CELLS_FROM:], [1 << 31] * 249, [2516582 << 10] * 800, [0] * 2, [16384] * 180])
    arrays = start_of(payload, 1 << 32, layout, scales)
    memory, codes = memory_of(layout), codes_of(layout)
    call("k2", [*arrays, known, cells, memory, codes], layout.size // 4)
    return codes


def decode_static_stream(call: Call, payload: bytes, layout: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Codec 3: the integers, one matrix behind the other."""
    codes = codes_of(layout)
    call("k3", [*static_arrays(call, payload, layout, scales), memory_of(layout), codes], layout.size // 4)
    return codes


CODECS = {1: decode_class_stream, 2: decode_mixing_stream, 3: decode_static_stream}
TOGETHER = {3: decode_together}  # without a compiler: streams of a codec side by side
