"""Models of people's own code whose tensors say less than the code does: what is computed, asked for and given back."""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import assert_computes, checkpoint_of, drawn_tokens
from handwritten_parts import VOCABULARY, with_weights
from handwritten_states import checkpoint_with, logits_of, state_of
from handwritten_variants import SAID, VARIANTS, Variant

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.frontends.gpt_hyperparameters import PARAMETERS
from bytecap.errors import CheckpointError


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_computed_asked_for_and_given_back(name):
    make, said = VARIANTS[name]
    module, tokens = with_weights(make()), drawn_tokens(VOCABULARY)
    state = state_of(module)
    model = build_model(checkpoint_of(state, None), {**SAID, **said})
    assert_computes(model, logits_of(module, tokens), tokens)
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    assert all(np.allclose(restored[name], values, rtol=0, atol=2**-23) for name, values in state.items())
    asked = sorted(said, key=[*PARAMETERS].index)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, None), SAID)
    assert f"nothing tells {', '.join(asked)}, which change" in str(caught.value)
    assert all(f"{each} is " in str(caught.value) for each in asked)


def test_variants_differ_where_their_code_does():
    tokens = drawn_tokens(VOCABULARY)
    for one, other in (
        (Variant(norms="norm"), Variant(norms="norm", side_by_side=True)),
        (Variant(gate=0), Variant(gate=1)),
        (Variant(norms="", ends=(True, True)), Variant(norms="", ends=(False, True))),
        (Variant(norms="", ends=(True, True)), Variant(norms="", ends=(True, False))),
    ):
        found = [logits_of(with_weights(module), tokens) for module in (one, other)]
        assert np.abs(found[0] - found[1]).max() > 0.1 * np.abs(found[0]).max()


@pytest.mark.parametrize("name", ["unit_offset", "zero_centered_gamma"])
def test_shifted_gains_may_stand_in_the_configuration(name):
    state = state_of(with_weights(Variant(less=1.0)))
    config = {"d_model": 24, "n_layers": 2, "n_heads": 3, name: True}
    model = build_model(checkpoint_with(state, config), SAID)
    assert model.architecture["gains_less_one"] is True and model.told["gains_less_one"] == "its file"


def test_ordinary_gains_are_assumed_to_multiply_as_they_are():
    model = build_model(checkpoint_of(state_of(with_weights(Variant())), None), SAID)
    assert model.assumed["gains_less_one"] is False


def test_one_norm_beside_a_tensor_whose_name_says_nothing_is_refused():
    state = state_of(Variant(norms="norm"))
    more = {f"blocks.{layer}.second.weight": np.ones(24, np.float32) for layer in range(2)}
    with pytest.raises(CheckpointError, match=r"plays the part of mlp_norm; --rename"):
        build_model(checkpoint_of(state | more, None), {**SAID, "parallel_residual": True})


def test_layer_norms_without_gains_are_refused():
    said = {"query_key_norm": "none", "final_norm": True, "embedding_norm": False, "norm": "layer_norm"}
    with pytest.raises(CheckpointError, match="norms without gains are computed of kind rms_norm alone"):
        build_model(checkpoint_of(state_of(Variant(norms="")), None), {**SAID, **said})


def test_maps_of_two_layouts_are_refused():
    """Square maps that are kernels beside an MLP of weights were taken for weights, too."""
    state = {name.replace("_proj.weight", "_proj.kernel"): values for name, values in state_of(Variant()).items()}
    with pytest.raises(CheckpointError, match=r"called kernels.*blocks\.0\.attn\.q_proj\.kernel.*store all in one way"):
        build_model(checkpoint_of(state, None), SAID)
