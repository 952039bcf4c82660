"""Streams that are decoded at once: the same tensors and the same error; and the memory that decoding takes."""

from __future__ import annotations

import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from bytecap.errors import ArtifactError
from bytecap.format import parallel
from bytecap.format.artifact import decode_contents, decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.codecs import INTEGER_CODECS
from bytecap.format.container.container import CODES, make_section, read_container, write_container
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.streams import write_streams
from bytecap.format.tensors.terms import GridInStream, RawValues

MEBIBYTE = 1 << 20


def artifact(rows: int, columns: int, streams: int, codec: int = 1, *, steps: bool = True) -> bytes:
    """So many maps of a row's width, each on a grid in a stream of its own."""
    random, sources = np.random.default_rng(0), []
    for stream in range(1, streams + 1):
        codes = random.laplace(0, 1.2, (rows, columns)).round().astype(np.int32)
        exponents = random.integers(-3, 4, rows).astype(np.int32) if steps else None
        part = GridInStream(GridValues(codes, exponents, None, 0.01, 2), stream)
        sources.append(TensorSource(f"map {stream}", (rows, columns), "float32", (part,)))
    sources.append(
        TensorSource("table", (rows, columns), "float32", (RawValues(np.zeros((rows, columns)), "float16"),))
    )
    embeds = [op.Embed(tensor) for tensor in range(streams + 1)]
    sums = [op.Add(k if k == 0 else streams + k, k + 1) for k in range(streams)]
    head = op.Linear(2 * streams, streams)
    return assemble_artifact(Program((*embeds, *sums, head), rows, 4, 0), sources, None, codec)


@pytest.fixture
def eager(monkeypatch) -> None:
    """Threads for any work, four of them."""
    monkeypatch.setattr(parallel, "LEAST_WORK", 0)
    monkeypatch.setattr(parallel, "usable_cores", lambda: 4)


@pytest.mark.parametrize(
    ("cores", "items", "work", "threads"),
    [(3, 8, 1 << 20, 3), (8, 3, 1 << 20, 3), (3, 8, (1 << 20) - 1, 0), (1, 8, 1 << 20, 0), (3, 1, 1 << 20, 0)],
)
def test_as_many_threads_as_there_are_cores_and_items(monkeypatch, cores, items, work, threads):
    """None but the caller's for little work, or where there would be one."""
    asked = []

    class Pool(parallel.ThreadPoolExecutor):
        def __init__(self, count, **options):
            asked.append(count)
            super().__init__(count, **options)

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(parallel, "usable_cores", lambda: cores)
    assert list(parallel.in_order(lambda item: 2 * item, range(items), work)) == list(range(0, 2 * items, 2))
    assert asked == [threads] * bool(threads)


@pytest.mark.parametrize("codec", sorted(INTEGER_CODECS))
def test_threads_change_nothing(codec, monkeypatch):
    data = artifact(40, 30, 5, codec)
    alone = decode_tensors(read_artifact(data))
    contents = decode_contents(read_artifact(data))
    monkeypatch.setattr(parallel, "LEAST_WORK", 0)
    monkeypatch.setattr(parallel, "usable_cores", lambda: 3)
    assert artifact(40, 30, 5, codec) == data
    for found in (decode_tensors(read_artifact(data)), contents.arrays):
        assert all(np.array_equal(a, b) and a.dtype == np.float32 for a, b in zip(alone, found, strict=True))
    assert decode_contents(read_artifact(data)).matrix_bytes == contents.matrix_bytes


def test_the_first_bad_stream_is_the_one_that_is_told(eager):
    """Streams 2 and 4 are cut; the fourth is noticed sooner or later, never first."""
    data = artifact(40, 30, 5)
    streams = list(read_artifact(data).streams)
    for index in (2, 4):
        streams[index] = replace(streams[index], payload=streams[index].payload[: 200 if index == 2 else 40])
    sections = [
        make_section(s.id, write_streams(streams) if s.id == CODES else s.decoded) for s in read_container(data)
    ]
    bad = write_container(sections)
    for _ in range(20):
        with pytest.raises(ArtifactError, match="stream 2"):
            decode_tensors(read_artifact(bad))


def test_work_in_order_is_done_at_once_and_told_in_order(eager):
    barrier = threading.Barrier(3, timeout=20)

    def wait_and_name(item: int) -> int:
        barrier.wait()
        return 10 * item

    assert list(parallel.in_order(wait_and_name, range(3), 1)) == [0, 10, 20]


@pytest.mark.parametrize("codec", sorted(INTEGER_CODECS))
@pytest.mark.parametrize(("rows", "columns"), [(512, 1024), (1 << 18, 1)])
def test_decoding_takes_no_more_memory_than_the_specification_says(rows, columns, codec):
    """spec/limits.md; a matrix of grid weights needs no integers beside them, a column has as many steps as weights."""
    data = artifact(rows, columns, 2, codec, steps=columns == 1)
    decode_tensors(read_artifact(data))
    read = read_artifact(data)
    elements, sides = 3 * rows * columns, 2 * (rows + columns)
    tracemalloc.start()
    decode_tensors(read)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 4 * elements + 48 * sides + 2 * len(data) + 2 * MEBIBYTE
