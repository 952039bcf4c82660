"""`--device`: every pass of a model runs there, no operation mixes places, and the decisions are the same.

No graphics processor is needed: a stand-in computes what the processor computes, and refuses what a real device would
(stand_in_device.py).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stand_in_device import DEVICE, PRODUCTS, stand_in_device
from tiny_models import golf_model, random_sequences
from torch.nn.attention import SDPBackend, sdpa_kernel

from bytecap.compiler import forecast, read_job, workers
from bytecap.compiler.instruction_sets import instruction_sets
from bytecap.compiler.model import float_products
from bytecap.compiler.options import CompileOptions
from bytecap.compiler.pipeline import land_checkpoint, measure_checkpoint
from bytecap.compiler.quantize import distillation, drift
from bytecap.compiler.resume import digests
from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.statistics import batch_pass, divergence
from bytecap.compiler.statistics.batch_pass import second_moment
from bytecap.lab.measure.diagnosis import diagnose_model
from bytecap.lab.measure.equal_bytes import Bench, BenchInputs
from bytecap.lab.measure.sensitivity import MEASURED, SensitivityOptions, measure_sensitivity
from bytecap.progress import silent

RECIPE = """
[calibrate]
tokens = 256

[quantize-matrices]
trellis-states = 8

[correct-drift]
tokens = 256

[distil]
steps = 16
final-steps = 8
batch-tokens = 64

[land-on-cap]
walks = 1
tolerance = 0.01
"""


@pytest.fixture
def alike(monkeypatch, full_factors):
    """What is computed on the processor is computed as on a device: second moments and divergences by torch, products
    in float32, attention in plain operations; and what has nothing to do with models is left out.
    """

    def by_torch(x, y=None):
        x = x.flatten(0, -2)
        return x.T @ (x if y is None else y.flatten(0, -2))

    for module in (batch_pass, drift):
        monkeypatch.setattr(module, "second_moment", by_torch)
    monkeypatch.setattr(divergence, "by_kernel", divergence.by_operations)
    monkeypatch.setattr(distillation, "has_half_products", lambda device: False)
    monkeypatch.setattr(float_products, "has_wide_products", lambda: False)
    for module in (read_job, digests):
        monkeypatch.setattr(module, "fingerprint", lambda: "")
    monkeypatch.setattr(read_job, "provenance_of_instructions", lambda *how: {})
    monkeypatch.setattr(forecast, "flops_of_core", lambda: 1e10)
    monkeypatch.setattr(forecast, "searched_weights", lambda states: 5e5)
    with sdpa_kernel(SDPBackend.MATH):
        yield


def compiled(small_job, recipe, device, explain=False):
    """Artifact and report of a compile on a device."""
    files = small_job.calibration, small_job.tokenizer, [small_job.code], (), None, small_job.architecture
    options = CompileOptions(*files, recipe=recipe, device=device, threads=2, explain=explain)
    with ScratchFile() as scratch:
        result = land_checkpoint(measure_checkpoint(small_job.checkpoint, options, scratch), 18_000)
    return result.artifact, result.report


def test_a_compile_on_a_device_takes_the_same_decisions_there(small_job, tmp_path, alike, monkeypatch):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    artifact, report = compiled(small_job, recipe, "cpu")
    with stand_in_device(monkeypatch) as on_processor:
        there, same = compiled(small_job, recipe, DEVICE, explain=True)
    assert there == artifact
    assert same["measured_loss"] == report["measured_loss"]
    assert same["explanation"]["stages"][-1]["divergence"] == pytest.approx(same["measured_loss"])
    assert not PRODUCTS & on_processor, "models ran on the processor"
    assert same["instructions"]["libraries"]["gpu"] == DEVICE and "gpu" not in instruction_sets()


def test_the_stand_in_tells_what_runs_on_the_processor_and_refuses_a_mixture(monkeypatch):
    with stand_in_device(monkeypatch) as on_processor:
        there = torch.ones(2, 2).to(DEVICE)
        assert float((3 * there).cpu().sum()) == 12 and float((there @ there)[0, 0]) == 2
        assert not PRODUCTS & on_processor
        workers.run_jobs(lambda x: x @ x, [torch.ones(2, 2)], 1)
        assert PRODUCTS & on_processor == {"mm"}
        with pytest.raises(RuntimeError, match="on the processor"):
            there + torch.ones(2)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()


def test_second_moments_of_a_device_are_those_of_the_processor(monkeypatch):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((40, 9)).astype(np.float32))
    with stand_in_device(monkeypatch):
        found = second_moment(x.to(DEVICE))
        assert found.device.type == DEVICE and found.dtype == torch.float32
        np.testing.assert_allclose(found.cpu().numpy(), second_moment(x).numpy(), rtol=1e-5, atol=1e-5)


def test_jobs_of_another_device_run_one_after_the_other():
    """Autograd calls the hooks of all backward passes on a device in one thread, where a batch waits for its turn."""
    assert [workers.threads_for(device, 4) for device in ("cpu", "cuda", "cuda:1", "meta")] == [4, 1, 1, 1]


def test_measurements_on_a_device_are_those_of_the_processor(small_job, alike, monkeypatch):
    model, text = golf_model(1), random_sequences(24, 24, 16, seed=3)

    def measured(device):
        how = {"threads": 2, "device": device, "progress": silent}
        diagnosis = diagnose_model(model, text[:16].ravel(), text[16:], bits=3, tokens=128, seed=0, **how)
        options = SensitivityOptions("tensors", MEASURED, 4, 2, 3, 128, 0)
        found = measure_sensitivity(model, text[:16].ravel(), text[16:], options, **how)
        files = small_job.checkpoint, small_job.calibration, small_job.architecture
        inputs = BenchInputs(*files, tokens=64, recipe={"calibrate": {"tokens": 256}}, device=device)
        bench = Bench.open(inputs, threads=2)
        quality = bench.meter.measure([tensor.values * np.float32(0.9) for tensor in bench.model.tensors])
        head = diagnosis.gradient, diagnosis.head, diagnosis.trunk
        moments = [matrix.hessian.tolist() for matrix in bench.statistics.matrices.values()]
        losses = np.nan_to_num(found.slice_sensitivities).tolist()
        return head, losses, moments, quality.divergence.tolist(), quality.bits.tolist()

    expected = measured("cpu")
    with stand_in_device(monkeypatch) as on_processor:
        assert measured(DEVICE) == expected
    assert not PRODUCTS & on_processor
