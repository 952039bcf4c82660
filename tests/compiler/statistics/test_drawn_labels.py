"""Labels that calibration draws from the model's own predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bytecap.compiler.statistics import batch_pass
from bytecap.compiler.statistics.batch_pass import drawn_labels


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_labels_come_as_often_as_their_probabilities_say():
    probabilities = torch.tensor([0.5, 0.0, 0.3, 0.15, 0.05, 0.0])
    count = 40_000
    counts = np.bincount(drawn_labels(probabilities.expand(count, 6), generator()), minlength=6)
    expected = probabilities.double().numpy() * count
    assert counts[[1, 5]].tolist() == [0, 0]
    drawn = expected > 0
    assert float((np.square(counts - expected)[drawn] / expected[drawn]).sum()) < 16.3  # 0.1 % of draws are beyond


@pytest.mark.parametrize("floats", [1, 8 * 11, 1 << 25])
def test_parts_do_not_change_what_is_drawn(monkeypatch, floats):
    probabilities = torch.rand(13, 11, generator=generator()).softmax(-1)
    whole = drawn_labels(probabilities, generator())
    monkeypatch.setattr(batch_pass, "CHUNK_FLOATS", floats)
    assert torch.equal(drawn_labels(probabilities, generator()), whole)
    assert (whole.dtype, whole.shape) == (torch.int64, (13,))


def test_a_certain_token_is_drawn_wherever_it_stands():
    assert torch.equal(drawn_labels(torch.eye(9), generator()), torch.arange(9))


def test_a_place_at_the_very_end_is_a_token_still(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.ones(shape, dtype=torch.float64))
    assert drawn_labels(torch.tensor([[0.25, 0.75]]), generator()).tolist() == [1]
