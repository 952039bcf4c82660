"""The GPT families against transformers: what is committed, and folders as transformers writes them."""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import assert_computes, assert_golden_logits, drawn_tokens
from gpt_configurations import GPT_CONFIGURATIONS
from peer_models import FILE, peer_golden, peer_logits, peer_model
from safetensors.numpy import load_file

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, restored_tensors


@pytest.mark.parametrize("name", GPT_CONFIGURATIONS)
def test_the_committed_logits_are_those_of_transformers(name, tmp_path):
    assert_golden_logits(name, peer_golden(GPT_CONFIGURATIONS[name], tmp_path))


@pytest.mark.parametrize("name", GPT_CONFIGURATIONS)
def test_a_folder_that_transformers_wrote_computes_the_same_and_comes_back(name, tmp_path):
    peer = peer_model(GPT_CONFIGURATIONS[name], tmp_path)
    model = build_model(read_checkpoint(tmp_path))
    tokens = drawn_tokens(29, seed=1)
    assert_computes(model, peer_logits(peer, tokens), tokens)
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    state = load_file(tmp_path / FILE)
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[tensor], values) for tensor, values in state.items())
