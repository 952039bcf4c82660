"""Settings of a config.json that transformers reads otherwise than they look: refused, and not taken for others."""

from __future__ import annotations

import pytest
from golden_logits import checkpoint_of, golden_logits

from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError

LINEAR = {"rope_type": "linear", "factor": 4.0}
FULL, SLIDING = "full_attention", "sliding_attention"
INNER = {"rope_type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [2.0, 4.0]}
SHORT = INNER | {"original_max_position_embeddings": 16}
REFUSED = [  # a golden model, what its configuration says instead (... removes it), and what the error says
    ("gemma3", {"rope_parameters": LINEAR}, "say in rope_parameters, each by itself"),
    ("gemma3", {"rope_parameters": {"rope_theta": 300.0}}, "say in rope_parameters, each by itself"),
    ("gemma3", {"rope_scaling": {FULL: LINEAR}}, "say in rope_parameters, each by itself"),
    ("olmo3", {"rope_parameters": LINEAR}, "say in rope_parameters, each by itself"),
    ("olmo3", {"rope_parameters": ..., "rope_theta": 300.0}, "say in rope_parameters, each by itself"),
    ("olmo3", {"rope_parameters": {FULL: {"rope_theta": 9.0}}, "rope_theta": 300.0}, "each by itself"),
    ("phi3-longrope", {"rope_parameters": SHORT, "original_max_position_embeddings": ...}, "takes 4096; say it beside"),
    ("gpt-neox", {"head_dim": 4}, "head_dim 4 is not hidden_size 24 over 3 heads"),
    ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 1e-40}}, "gives rotations that are not finite"),
    ("gemma2", {"attn_logit_softcapping": 0.0}, "attn_logit_softcapping 0, .* say null for none"),
    ("gemma3", {"final_logit_softcapping": 0}, "final_logit_softcapping 0, .* say null for none"),
    ("granite", {"attention_multiplier": 0.0}, "attention_multiplier 0, .* say null for none"),
    ("mistral", {"sliding_window": 0}, "sliding_window 0, .* say null for none"),
    ("phi3", {"sliding_window": 0}, "sliding_window 0, .* say null for none"),
    ("qwen2-window-in-late-layers", {"sliding_window": 0}, "sliding_window 0, .* say null for none"),
    ("starcoder2", {"sliding_window": 0}, "sliding_window 0, .* say null for none"),
    ("gpt-neo", {"window_size": 0}, "window_size 0, .* say null for none"),
]
TAKEN = [  # and the hyperparameters that it means
    ("gemma3", {"rope_scaling": LINEAR}, {"rope_scaling": LINEAR, "rope_theta": 1e6, "rope_local_base_freq": 1e4}),
    (
        "gemma3",
        {"rope_parameters": {FULL: {"rope_theta": 300.0}, SLIDING: {"rope_theta": 40.0}}, "rope_scaling": LINEAR},
        {"rope_scaling": LINEAR, "rope_theta": 300.0, "rope_local_base_freq": 40.0},
    ),
    ("olmo3", {"rope_parameters": ...}, {"rope_theta": 5e5, "rope_local_base_freq": 5e5}),
    ("olmo3", {"rope_parameters": {FULL: {"rope_theta": 9.0}}}, {"rope_theta": 9.0, "rope_local_base_freq": 5e5}),
    ("smollm3", {"bos_token_id": ...}, {"boundary_token": 2}),
    ("smollm3", {"bos_token_id": ..., "eos_token_id": ...}, {"boundary_token": 0}),
    ("gpt-neox", {"head_dim": 8}, {"rotary_dims": 4}),
    ("qwen2", {"sliding_window": 0}, {"sliding_window": 0, "sliding_layers": []}),
    ("gemma2", {"attn_logit_softcapping": None}, {"attn_logit_softcapping": 0.0}),
]


def model_of(name, changes):
    golden = golden_logits(name)
    config = {key: value for key, value in (golden.config | changes).items() if value is not ...}
    return build_model(checkpoint_of(golden.state(), config))


@pytest.mark.parametrize(("name", "changes", "sentence"), REFUSED)
def test_what_transformers_would_not_take_as_it_looks_is_refused(name, changes, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        model_of(name, changes)


@pytest.mark.parametrize(("name", "changes", "meant"), TAKEN)
def test_what_it_takes_is_taken_as_there(name, changes, meant):
    architecture = model_of(name, changes).architecture
    assert {key: architecture[key] for key in meant} == meant
