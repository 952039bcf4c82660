"""The gated decoders against transformers: what is committed, folders as transformers writes them, and configurations
drawn at random.
"""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import assert_computes, assert_golden_logits, drawn_tokens
from llama_configurations import LLAMA_CONFIGURATIONS, SEQUENCE_LENGTHS, random_configuration
from peer_models import FILE, peer_golden, peer_logits, peer_model
from safetensors.numpy import load_file

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, restored_tensors

VARIATIONS = 4


@pytest.mark.parametrize("name", LLAMA_CONFIGURATIONS)
def test_the_committed_logits_are_those_of_transformers(name, tmp_path):
    assert_golden_logits(name, peer_golden(LLAMA_CONFIGURATIONS[name], tmp_path))


@pytest.mark.parametrize("name", LLAMA_CONFIGURATIONS)
def test_a_folder_that_transformers_wrote_computes_the_same_and_comes_back(name, tmp_path):
    assert_computes_and_comes_back(LLAMA_CONFIGURATIONS[name], SEQUENCE_LENGTHS.get(name), tmp_path)


@pytest.mark.parametrize("variation", range(VARIATIONS))
@pytest.mark.parametrize("name", LLAMA_CONFIGURATIONS)
def test_configurations_drawn_at_random_compute_the_same(name, variation, tmp_path):
    config = random_configuration(LLAMA_CONFIGURATIONS[name], variation)
    assert_computes_and_comes_back(config, SEQUENCE_LENGTHS.get(name), tmp_path)


def assert_computes_and_comes_back(config, length, folder) -> None:
    peer = peer_model(config, folder)
    model = build_model(read_checkpoint(folder), None if length is None else {"seq_len": length})
    tokens = drawn_tokens(29, seed=1)
    assert_computes(model, peer_logits(peer, tokens), tokens, tolerance=1e-4)
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    state = load_file(folder / FILE)
    assert restored.keys() == state.keys()
    assert all(np.abs(restored[tensor] - values).max() <= 2.0**-23 for tensor, values in state.items())
