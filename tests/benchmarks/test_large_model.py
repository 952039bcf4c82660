"""The benchmark of a large model, on a tiny one: what it measures is the model that it says."""

from __future__ import annotations

import numpy as np

from benchmarks.large_model import Shapes, evaluation, make_program, make_sources
from bytecap.compiler.profiles import profile_codecs
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact

TINY = Shapes(vocabulary=96, layers=2, width=24, hidden=40, heads=4, kv_heads=2, sequence_length=64)


def test_the_shapes_are_those_of_the_model_with_135_million_weights():
    _, sizes = make_program(Shapes())
    assert sum(int(np.prod(shape)) for shape in sizes.values()) == 134_515_008


def test_every_profile_stores_the_weights_that_are_evaluated():
    program, sizes = make_program(TINY)
    sources = make_sources(sizes)
    expected = [source.parts[0].reconstruct(source.shape) for source in sources]
    for codec in profile_codecs().values():
        decoded = decode_tensors(read_artifact(assemble_artifact(program, sources, None, codec)))
        assert all(np.array_equal(a, b) for a, b in zip(decoded, expected, strict=True))


def test_both_executors_score_the_same_tokens():
    program, sizes = make_program(TINY)
    tensors = [source.parts[0].reconstruct(source.shape) for source in make_sources(sizes)]
    result = evaluation(program, tensors, 64, 2)
    assert result["mean_difference_nats"] < 1e-4 and result["ratio"] > 0
    logits = 4 * 64 * TINY.vocabulary
    assert logits < result["peak_bytes_beside_weights"] < 2**23
