"""Faults found by attacking the compiler and the reader: each stays fixed."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
from artifact_sizes import TOLERANCE, TRIALS, Sizes
from random_artifacts import chain_program
from rewritten_artifacts import rewritten, streams_of
from second_order import mean_divergence, measured, predicted_divergence
from tiny_models import ARCHITECTURE, golf_model, random_sequences

from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.pipeline import compile_checkpoint
from bytecap.compiler.quantize.vectors import quantize_vectors
from bytecap.compiler.recipe import parse_recipe
from bytecap.compiler.workers import one_thread_each
from bytecap.errors import BytecapError, CheckpointError, CompileError, LimitExceeded
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import assemble_artifact, encode_grid_stream
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.program.program import encode_program
from bytecap.format.tensors.directory import write_directory
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import Alias, Grid, RawValues, TensorEntry
from bytecap.runtime.shards import write_shard


@pytest.fixture(autouse=True)
def at_most_twenty_seconds():
    def ring(*_):
        raise TimeoutError("took longer than 20 s")

    signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("bits", [0.03, 0.1, 0.2])
@pytest.mark.parametrize("knee", [1e-3, 1.0])
def test_low_rates_land_too(bits: float, knee: float) -> None:
    sizes = Sizes(2_000, 2_000_000, knee)
    budget = 2_000 + round(2_000_000 * bits / 8)
    landing = sizes.land(budget)
    assert len(landing.trial.data) >= budget * (1 - TOLERANCE) and len(landing.tried) < TRIALS


def job(folder, edit=lambda name, values: values, recipe: str = "", **changes):
    model = golf_model(6, **changes)
    arrays = [np.asarray(edit(t.name, t.values), np.float32) for t in model.tensors]
    architecture = ARCHITECTURE | changes
    export_checkpoint([t.name for t in model.tensors], arrays, ["float32"] * len(arrays), folder / "m.pt")
    write_shard(
        folder / "c.bin", random_sequences(architecture["vocab_size"], 48, architecture["seq_len"], seed=6).ravel()
    )
    (folder / "a.json").write_text(json.dumps(architecture))
    (folder / "r.toml").write_text(recipe or "[calibrate]\ntokens = 512\n[correct-drift]\nenabled = false\n")
    files = {"calibration": folder / "c.bin", "architecture": folder / "a.json", "recipe": folder / "r.toml"}
    return lambda cap=3_000, **options: compile_checkpoint(folder / "m.pt", cap=cap, threads=1, **(files | options))


def test_control_tensors_with_rows_of_zeros(tmp_path) -> None:
    """Skip weights of which most rows are zero: the zero rows' tiny steps become the base, the others
    overflow int32.
    """
    keep_last = np.array([[0.0], [0.0], [0.0], [1.0]])
    compile_at = job(
        tmp_path, lambda name, values: values * keep_last if name == "skip_weights" else values, num_layers=8
    )
    assert len(compile_at(9_000).artifact) <= 9_000


def test_a_model_of_zeros_compiles_to_zeros(tmp_path) -> None:
    """Its loss is that of chance, and second moments that would be divided by are zero."""
    artifact = job(tmp_path, lambda name, values: 0 * values)().artifact
    assert not any(array.any() for array in decode_tensors(read_artifact(artifact)))


def test_a_model_whose_logits_are_no_numbers_is_refused(tmp_path) -> None:
    """Weights so large that labels could not be drawn from what it predicts."""
    compile_at = job(tmp_path, lambda name, values: values * 1e20 if name.endswith("fc.weight") else values)
    with pytest.raises(CheckpointError, match="logits on the calibration text are not finite"):
        compile_at()


@pytest.mark.parametrize("options", [{"device": "cuda:99"}, {"device": "xyz"}])
def test_options_that_cannot_be_get_a_clear_error(tmp_path, options) -> None:
    with pytest.raises(BytecapError):
        job(tmp_path)(**options)


@pytest.mark.parametrize("values", [[[0, 0], [0, 0], [1, 2]], [[0, 0], [0, 0], [0, 0], [1, 2], [1, 3]]])
def test_vectors_of_very_different_rows(values) -> None:
    values = np.array(values, np.float32)
    found = quantize_vectors(values, np.ones(values.shape), 1e-3, resolution=3, coarsest=0.03125)
    encode_grid_stream([found.grid])
    np.testing.assert_allclose(found.weights, values, rtol=0.1)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("calibrate", "tokens", 0),
        ("calibrate", "tokens", -5),
        ("calibrate", "batch-sequences", 0),
        ("calibrate", "batch-sequences", -1),
        ("correct-drift", "batch-sequences", 0),
        ("correct-drift", "correction", float("nan")),
        ("correct-drift", "correction", -3.0),
        ("quantize-matrices", "resolution", 9),
        ("quantize-matrices", "resolution", -1),
        ("quantize-vectors", "resolution", 4),
        ("quantize-matrices", "trellis-states", 5),
        ("quantize-matrices", "damping", -1.0),
        ("quantize-matrices", "damping", float("nan")),
        ("quantize-vectors", "coarsest", 0.0),
        ("quantize-vectors", "coarsest", -1.0),
        ("land-on-cap", "trials", 0),
        ("land-on-cap", "tolerance", -1.0),
        ("land-on-cap", "tolerance", 2.0),
        ("land-on-cap", "finest-loss", 0.0),
        ("land-on-cap", "finest-loss", -1.0),
    ],
)
def test_reject_options_out_of_range(name: str, option: str, value) -> None:
    with pytest.raises(CompileError, match=option):
        parse_recipe("mine.toml", {name: {option: value}})


def test_predicted_loss_of_weights_that_are_used_twice() -> None:
    """Looped layers: H and g are both summed over the uses, so their product counts each use twice (ratio about 2)."""
    model = golf_model(0, num_layers=3, encoder_layers=[0, 1, 0], decoder_layers=[1, 2, 1])
    sequences, random = random_sequences(24, 128, 16), np.random.default_rng(1)
    statistics = measured(model, sequences)
    twice = [i for i, t in enumerate(model.tensors) if re.match(r"blocks\.[01]\..*(c_q|proj|fc)\.weight", t.name)]
    assert len(twice) == 8
    ratios = []
    with one_thread_each():
        for index in twice:
            predicted = real = 0.0
            for _ in range(4):
                values = model.tensors[index].values
                changed = (values + random.standard_normal(values.shape) * 0.01 * np.sqrt(np.mean(values**2))).astype(
                    np.float32
                )
                predicted += predicted_divergence(statistics, index, changed.astype(np.float64) - values)
                real += mean_divergence(model, sequences, index, changed)
            ratios.append(predicted / real)
    assert 0.7 < np.median(ratios) < 1.4, ratios


def test_memory_of_a_tensor_with_many_terms() -> None:
    """Every term needs memory of its own, so weights are counted once a term: a file of 1.3 kB must not
    take 17 times its tensors.
    """
    n, terms = 1 << 9, 8
    grid = Grid(1.0, 0, 0, None, None, -256, 1)
    entries = [
        TensorEntry("t", (n, n), "float32", (grid,) * terms),
        TensorEntry("g", (n,), "float32", (grid,)),
        TensorEntry("h", (n, n), "float32", (Alias(0),)),
    ]
    zeros = [np.zeros((n, n), np.int32)] * terms + [np.zeros((1, n), np.int32)]
    scales = [ExpectedScales(np.zeros(len(z), np.int64), np.full(z.shape[1], -256 << 14, np.int64)) for z in zeros]
    codes = streams_of(INTEGER_CODECS[1].encode([], []), INTEGER_CODECS[1].encode(zeros, scales))
    data = rewritten(
        program=encode_program(chain_program(1, n)), directory=write_directory(entries), raw=b"", codes=codes
    )
    with pytest.raises(LimitExceeded, match="once a term"):
        read_artifact(data, replace(DEFAULT_LIMITS, elements=2 * n * n + n))
    read_artifact(data, replace(DEFAULT_LIMITS, elements=9 * n * n + n))


def test_sums_that_are_not_finite_are_refused() -> None:
    """Terms are finite, their sum need not be: 3e38 twice.

    NaN bits differ between platforms, the digest cannot hold.
    """
    shape = (2, 2)
    tensors = [
        TensorSource("t", shape, "float32", (RawValues(np.full(shape, 3e38, np.float32), "float32"),)),
        TensorSource("u", shape, "float32", (Alias(0), Alias(0))),
        TensorSource("g", (2,), "float32", (RawValues(np.ones(2, np.float32), "float32"),)),
        TensorSource("h", shape, "float32", (Alias(0),)),
    ]
    with pytest.raises(BytecapError):
        assemble_artifact(chain_program(2, 2), tensors)


@pytest.mark.parametrize("above_smallest", [1000, 2000])
def test_small_caps_are_filled_too(tmp_path, above_smallest: int) -> None:
    """A cap of little more than the artifact of zeros, which has no step exponents nor scales and is
    700 bytes smaller than any other.
    """
    compile_at = job(tmp_path, vocab_size=40, model_dim=32)
    with pytest.raises(BytecapError) as caught:
        compile_at(300)
    cap = above_smallest + int(re.search(r"smallest possible artifact is (\d+) bytes", str(caught.value))[1])
    assert len(compile_at(cap).artifact) >= 0.999 * cap - 1
