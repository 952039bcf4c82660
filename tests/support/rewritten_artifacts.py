"""One small artifact of every kind of term, and the same with sections replaced while all checksums stay right."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from random_artifacts import chain_program

from bytecap.format.artifact import read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.format.container.container import (
    CODES,
    DIGEST,
    DIRECTORY,
    PROGRAM,
    PROVENANCE,
    RAW,
    make_section,
    read_container,
    write_container,
)
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.streams import write_streams
from bytecap.format.tensors.terms import Alias, GridInStream, RawValues

VOCABULARY, WIDTH = 6, 4
SHAPE = (VOCABULARY, WIDTH)


@cache
def small_tensors() -> tuple[TensorSource, ...]:
    """Two tables, a scale and a head over two streams: every kind of term, both sides of steps, one side, none."""
    random = np.random.default_rng(5)

    def codes(*shape: int) -> np.ndarray:
        return random.integers(-9, 10, shape).astype(np.int32)

    both = GridValues(codes(*SHAPE), np.arange(VOCABULARY) - 2, np.array([0, 3, -3, 1]), 0.25, 2)
    rows = GridValues(codes(*SHAPE), np.arange(VOCABULARY), None, 0.001, 3)
    plain = GridValues(codes(1, WIDTH), None, None, 0.5, 0)
    return (
        TensorSource("table", SHAPE, "float32", (GridInStream(both, 1),)),
        TensorSource("copy", SHAPE, "bfloat16", (Alias(0), GridInStream(rows, 2))),
        TensorSource("gain", (WIDTH,), "float16", (GridInStream(plain, 1),)),
        TensorSource(
            "head", SHAPE, "float32", (RawValues(random.standard_normal(SHAPE).astype(np.float32), "float16"),)
        ),
    )


@cache
def small_artifact() -> bytes:
    return assemble_artifact(chain_program(2, VOCABULARY), small_tensors(), {"made": "by a test", "seed": 3})


def rewritten(**decoded: bytes) -> bytes:
    """The small artifact with some sections' decoded bytes replaced and all checksums right."""
    ids = {
        "program": PROGRAM,
        "directory": DIRECTORY,
        "raw": RAW,
        "codes": CODES,
        "digest": DIGEST,
        "provenance": PROVENANCE,
    }
    sections = read_container(small_artifact())
    wanted = {ids[name]: content for name, content in decoded.items()}
    return write_container([make_section(s.id, wanted.get(s.id, s.decoded)) for s in sections])


def streams_of(*payloads: bytes) -> bytes:
    artifact = read_artifact(small_artifact())
    kinds = [replace(artifact.streams[0], payload=payload) for payload in payloads]
    return write_streams(kinds)
