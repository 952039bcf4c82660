"""Kernels that are compiled beside calibration are those that quantizing takes, with the same signatures."""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.compiler.quantize import gptq
from bytecap.compiler.quantize.grids import GridQuantizer, compile_kernels
from bytecap.compiler.settings import QuantizationSettings
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics


@pytest.mark.parametrize("states, kernel", [(0, gptq._quantize_block), (64, gptq._quantize_block_on_trellis)])
def test_a_matrix_needs_no_other_kernel(states: int, kernel) -> None:
    quantizer = GridQuantizer(QuantizationSettings(trellis_states=states))
    compile_kernels(quantizer)
    compiled = list(kernel.signatures)
    random = np.random.default_rng(0)
    root, outputs = random.standard_normal((24, 12)), random.standard_normal((40, 8))
    statistics = MatrixStatistics(root.T @ root, (outputs**2).sum(0), (outputs.T @ outputs).astype(np.float32))
    for weights in (random.standard_normal((8, 12)).astype(np.float32), random.standard_normal((8, 12))):
        quantized = quantizer.quantize(quantizer.prepare(weights, statistics), 1e-2)
        assert quantized.grid.codes.any()
    assert compiled and kernel.signatures == compiled
