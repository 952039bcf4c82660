"""A sample of rows tells the bytes and the loss of the whole matrix to a few percent."""

from __future__ import annotations

import numpy as np
import pytest

from bytecap.compiler.quantize.grids import GridQuantizer
from bytecap.compiler.quantize.row_sample import RowSample, chosen_rows
from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.settings import QuantizationSettings, RowSampleSettings
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics

ROWS, COLUMNS = 512, 96


@pytest.mark.parametrize("coupled", [False, True])
def test_a_sample_stands_for_the_whole(coupled: bool) -> None:
    generator = np.random.default_rng(3)
    x, d = generator.standard_normal((400, COLUMNS)), generator.standard_normal((4000, ROWS))
    d += 0.3 * d[:, :1]
    both = (d.T @ d / len(d)).astype(np.float32)
    fisher = both.diagonal().astype(np.float64)
    statistics = MatrixStatistics(x.T @ x / len(x), fisher, both if coupled else None)
    weights = generator.standard_normal((ROWS, COLUMNS)).astype(np.float32) * 0.05
    quantizer = GridQuantizer(QuantizationSettings(trellis_states=8))
    prepared = quantizer.prepare(weights, statistics)
    with ScratchFile() as scratch:
        chosen = chosen_rows(ROWS, RowSampleSettings(share=0.25, least=16))
        sample = RowSample.of(quantizer.prepare(weights, statistics, chosen), ROWS, scratch)
        assert sample.rows.weights.shape == (ROWS // 4, COLUMNS)
        found, whole = sample.estimate(quantizer.quantize(sample.prepared, 0.02)), quantizer.quantize(prepared, 0.02)
    assert found.bytes == pytest.approx(whole.bytes, rel=0.04)
    assert found.predicted_loss == pytest.approx(whole.predicted_loss, rel=0.1)
    assert found.error == pytest.approx(np.sqrt(np.mean(np.square(whole.weights - weights))), rel=0.1)
