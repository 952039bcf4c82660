"""Norms of queries and keys, and heads whose width is not the model's over their number, in people's own code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_logits import assert_computes, checkpoint_of, drawn_tokens
from handwritten_heads import BEFORE, NORMS, SAID, WIDTHS, HeadsOfTheirOwn, WithoutGains
from handwritten_parts import VOCABULARY, with_weights
from handwritten_states import logits_of, state_of
from loud_models import HEADS, KEYS, LAYERS, LLAMA, WIDTH, loud_state

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.frontends.gpt_of_a_program import readings
from bytecap.compiler.readings.sample import weights_of
from bytecap.errors import CheckpointError
from bytecap.runtime.interpreter import Interpreter


@pytest.mark.parametrize("name", [*WIDTHS, *NORMS])
def test_heads_of_any_width_and_their_norms_are_computed_as_the_module_computes_them(name):
    sizes, said = {**WIDTHS, **NORMS}[name]
    module, tokens = with_weights(HeadsOfTheirOwn(*sizes)), drawn_tokens(VOCABULARY)
    state = state_of(module)
    model = build_model(checkpoint_of(state, None), {**SAID, **said, "rotary_dims": sizes[2]})
    assert_computes(model, logits_of(module, tokens), tokens)
    assert [model.architecture[n] for n in ("num_attention_heads", "num_key_value_heads", "head_dim")] == [*sizes[:3]]
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[name], values) for name, values in state.items())


def test_norms_without_gains_are_computed_where_they_are_said():
    module = with_weights(WithoutGains(3, 3, 8, "", False, False, False))
    said = {**SAID, "query_key_norm": "rms_norm", "query_key_norm_first": False, "rotary_dims": 8}
    tokens = drawn_tokens(VOCABULARY)
    model = build_model(checkpoint_of(state_of(module), None), {**said, "num_attention_heads": 3})
    assert_computes(model, logits_of(module, tokens), tokens)


def test_a_configuration_of_transformers_may_say_layer_norms_of_heads():
    """Phi's `qk_layernorm`: all heads share one, which is read by the words of the names."""
    sizes, said = NORMS["layer-by-head"]
    module, tokens = with_weights(HeadsOfTheirOwn(*sizes)), drawn_tokens(VOCABULARY)
    state = {name.replace("_norm.", "_layernorm."): values for name, values in state_of(module).items()}
    checkpoint = checkpoint_of(state, {"model_type": "phi", "qk_layernorm": True, "num_attention_heads": 3})
    own = {"frontend": "gpt", "family": "handwritten", **SAID, **said, "rotary_dims": 8}
    assert_computes(build_model(checkpoint, own), logits_of(module, tokens), tokens)


BY_HEAD = state_of(HeadsOfTheirOwn(3, 3, 8, "rms", False, True, False))
OF_LAYER = state_of(HeadsOfTheirOwn(3, 3, 8, "layer", False, True, False, True))
BARE = state_of(HeadsOfTheirOwn(3, 3, 8, "", False, True, False))
ONE_ONLY = {name: values for name, values in BY_HEAD.items() if "k_norm" not in name}


@pytest.mark.parametrize(
    ("state", "said", "message"),
    [
        (BY_HEAD, {}, "nothing tells query_key_norm, query_key_norm_first, which change"),
        (BY_HEAD, {**BEFORE, "num_attention_heads": 4}, "head_dim 8 is not hidden_size 24 over 4 heads"),
        (BY_HEAD, {**BEFORE, "query_key_norm": "none"}, "query_key_norm is none, and the tensors hold gains"),
        (OF_LAYER, BEFORE, "unexpected: blocks.0.attn.q_norm.bias"),
        (BARE, {**BEFORE, "num_attention_heads": 3, "query_key_norm": "layer_norm"}, "of kind rms_norm alone"),
        (BARE, {"num_attention_heads": 5}, "num_attention_heads 5 does not divide hidden_size 24"),
        (BARE, {"head_dim": 7}, "head_dim 7 does not divide hidden_size 24"),
        (BARE, {"head_dim": 8, "num_attention_heads": 2}, "head_dim 8 is not hidden_size 24 over 2 heads"),
        (ONE_ONLY, BEFORE, "there is a query_norm and none of the other of queries and keys"),
    ],
)
def test_norms_and_widths_that_do_not_fit_are_one_clear_error(state, said, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, None), {**SAID, "rotary_dims": 8, **said})
    assert message in str(caught.value)


def test_modules_differ_where_their_norms_do():
    """So that a wrong order or width could not pass for the right one."""
    tokens = torch.from_numpy(drawn_tokens(VOCABULARY))
    found = [with_weights(HeadsOfTheirOwn(3, 3, 8, "rms", False, before, False))(tokens) for before in (True, False)]
    assert not torch.allclose(*found, atol=1e-2)


def test_keys_that_are_repeated_in_turn_are_those_of_groups_with_queries_in_another_order():
    """`k.repeat(1, 2, 1, 1)`: query h reads keys h modulo 2; sorted into groups, queries 0 and 2 come first."""
    state, said = loud_state("llama"), {**LLAMA, "num_attention_heads": HEADS}
    order = np.arange(WIDTH).reshape(HEADS // KEYS, KEYS, -1).swapaxes(0, 1).ravel()
    sorted_ = dict(state)
    for layer in range(LAYERS):
        query, output = (f"layers.{layer}.attention.{part}_proj.weight" for part in "qo")
        sorted_[query], sorted_[output] = state[query][order].copy(), state[output][:, order].copy()
    in_turn = build_model(checkpoint_of(state, None), {**said, "keys_in_turn": True})
    in_groups = build_model(checkpoint_of(sorted_, None), said)
    assert in_groups.assumed["keys_in_turn"] is False and in_turn.told["keys_in_turn"] == "architecture"
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (2, 20))
    found, expected = (Interpreter(m.program, weights_of(m)).logits(tokens) for m in (in_turn, in_groups))
    assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()
    assert np.abs(found - Interpreter(in_groups.program, weights_of(in_turn)).logits(tokens)).max() > 1
    back = next(each for each in readings(in_turn.program, in_turn.tensors) if each.get("family") == "handwritten")
    assert build_model(checkpoint_of(state, None), back).program == in_turn.program
