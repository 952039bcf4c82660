"""Losses by torch: the same windows and the same numbers as the runtime, to the rounding of float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_artifacts import tiny_artifact

from bytecap.compiler.model import torch_scorer
from bytecap.compiler.model.torch_scorer import TorchScorer
from bytecap.errors import BudgetError, CompileError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.scoring import score
from bytecap.runtime.tokens import Tokens

ARTIFACT = read_artifact(tiny_artifact())
MODEL = Interpreter(ARTIFACT.program, decode_tensors(ARTIFACT))
TOKENS = Tokens(np.random.default_rng(3).integers(0, ARTIFACT.program.vocabulary_size, 16 * 20 + 1), "random tokens")


@pytest.mark.parametrize("floats", [1, 1 << 20])
@pytest.mark.parametrize("stride", [16, 7])
def test_torch_scores_the_same_windows_to_rounding(monkeypatch, stride, floats):
    monkeypatch.setattr(torch_scorer, "FLOATS_AT_ONCE", {"cpu": floats})
    scorer, how = TorchScorer(MODEL, "cpu"), {"sequence_length": 16, "stride": stride}
    theirs, ours = score(MODEL, TOKENS, text=None, run=scorer, **how), score(MODEL, TOKENS, text=None, **how)
    assert (theirs.tokens, len(theirs.sequence_losses)) == (ours.tokens, len(ours.sequence_losses))
    np.testing.assert_allclose(theirs.sequence_losses, ours.sequence_losses, rtol=2e-6, atol=1e-6)
    assert scorer.difference.tokens == 16
    assert abs(scorer.difference.mean_nats) <= scorer.difference.largest_nats < 1e-5


def test_products_are_of_full_precision_only_meanwhile(monkeypatch):
    seen, scorer = [], TorchScorer(MODEL, "cpu")
    forward = scorer._executor.forward
    monkeypatch.setattr(
        scorer._executor, "forward", lambda ids: (seen.append(torch.get_float32_matmul_precision()), forward(ids))[1]
    )
    torch.set_float32_matmul_precision("medium")
    try:
        scorer.token_losses(TOKENS.ids[None, :9])
        assert (seen, torch.get_float32_matmul_precision()) == (["highest"], "medium")
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_device_that_is_not_there_and_one_that_is_too_small_are_named(monkeypatch):
    with pytest.raises(CompileError, match="device 'cuda:77' cannot be used"):
        TorchScorer(MODEL, "cuda:77")
    scorer = TorchScorer(MODEL, "cpu")

    def fail(ids):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(scorer._executor, "forward", fail)
    with pytest.raises(BudgetError, match=r"too little memory .*9 GiB.*; choose shorter sequences"):
        scorer.token_losses(TOKENS.ids[None, :9])
