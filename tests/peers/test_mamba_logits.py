"""The models that carry a state against transformers: what is committed, folders as transformers writes them, and
configurations drawn at random.
"""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import assert_computes, assert_golden_logits, drawn_tokens
from mamba_configurations import MAMBA_CONFIGURATIONS, random_configuration
from peer_models import FILE, peer_golden, peer_logits, peer_model
from safetensors.numpy import load_file

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, restored_tensors

VARIATIONS = 4


@pytest.mark.parametrize("name", MAMBA_CONFIGURATIONS)
def test_the_committed_logits_are_those_of_transformers(name, tmp_path):
    assert_golden_logits(name, peer_golden(MAMBA_CONFIGURATIONS[name], tmp_path))


@pytest.mark.parametrize("name", MAMBA_CONFIGURATIONS)
def test_a_folder_that_transformers_wrote_computes_the_same_and_comes_back(name, tmp_path):
    assert_computes_and_comes_back(MAMBA_CONFIGURATIONS[name], tmp_path)


@pytest.mark.parametrize("variation", range(VARIATIONS))
@pytest.mark.parametrize("name", MAMBA_CONFIGURATIONS)
def test_configurations_drawn_at_random_compute_the_same(name, variation, tmp_path):
    assert_computes_and_comes_back(random_configuration(MAMBA_CONFIGURATIONS[name], variation), tmp_path)


def assert_computes_and_comes_back(config, folder) -> None:
    peer = peer_model(config, folder)
    model = build_model(read_checkpoint(folder))
    tokens = drawn_tokens(29, seed=1)
    assert_computes(model, peer_logits(peer, tokens), tokens, tolerance=1e-4)
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    state = load_file(folder / FILE)
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[tensor], values) for tensor, values in state.items())
