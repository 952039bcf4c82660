"""Biases that the code of a model type does not read: such a file is one model here and another elsewhere."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from golden_logits import checkpoint_of, golden_logits

from bytecap.compiler.checkpoints.gguf_configuration import gguf_configuration
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError

LAYER = "model.layers.0"
QUERY, OUTPUT, GATE = f"{LAYER}.self_attn.q_proj", f"{LAYER}.self_attn.o_proj", f"{LAYER}.mlp.gate_proj"
GPT_J, GPT_NEO, NEOX = "transformer.h.0.attn.q_proj", "transformer.h.0.attn.attention.q_proj", "gpt_neox.layers.0"
UNREAD = [  # a golden model, what its configuration says besides, a map that is given a bias, and the way out
    ("llama", {}, QUERY, '"attention_bias": true'),
    ("llama", {"attention_bias": False}, OUTPUT, '"attention_bias": true'),
    ("llama", {"attention_bias": True}, GATE, '"mlp_bias": true'),
    ("mistral", {"attention_bias": True}, QUERY, "name the model type"),
    ("qwen2", {"attention_bias": True}, OUTPUT, "name the model type"),
    ("qwen3", {}, QUERY, '"attention_bias": true'),
    ("gemma2", {}, OUTPUT, '"attention_bias": true'),
    ("olmo2", {"mlp_bias": True}, GATE, "name the model type"),
    ("phi3", {}, f"{LAYER}.self_attn.qkv_proj", "name the model type"),
    ("granite", {}, GATE, '"mlp_bias": true'),
    ("gpt2", {}, "lm_head", "name the model type"),
    ("gpt-j", {}, GPT_J, "name the model type"),
    ("gpt-neo", {}, GPT_NEO, "name the model type"),
    ("gpt-neox", {"attention_bias": False}, f"{NEOX}.attention.dense", '"attention_bias": true'),
    ("stablelm", {"use_qkv_bias": False}, QUERY, '"use_qkv_bias": true'),
    ("stablelm", {"use_qkv_bias": True}, OUTPUT, "name the model type"),
    ("starcoder2", {"use_bias": False}, QUERY, '"use_bias": true'),
    ("opt", {"enable_bias": False}, "model.decoder.layers.0.fc1", '"enable_bias": true'),
]
READ = [
    ("llama", {"attention_bias": True}, OUTPUT),
    ("llama", {"mlp_bias": True}, GATE),
    ("stablelm", {"use_qkv_bias": True}, QUERY),
    ("gpt-neox", {}, f"{NEOX}.attention.dense"),
    ("gpt-j", {}, "lm_head"),
]


def with_bias(name, more, tensor, value):
    """A golden model with a bias of one `value` at a map, in every layer that has it."""
    golden = golden_logits(name)
    state = golden.state()
    if not value:
        state |= {each: np.zeros_like(values) for each, values in state.items() if each.endswith(".bias")}
    for layer in range(golden.config.get("num_hidden_layers", 4)):
        stored = tensor.replace(".0.", f".{layer}.")
        rows = len(state.get(f"{stored}.weight", ()))
        if rows or stored == "lm_head":
            state[f"{stored}.bias"] = np.full(rows or golden.config["vocab_size"], value, np.float32)
    return checkpoint_of(state, golden.config | more)


@pytest.mark.parametrize(("name", "more", "tensor", "way_out"), UNREAD)
def test_a_bias_that_the_model_type_does_not_read_is_refused(name, more, tensor, way_out):
    with pytest.raises(CheckpointError, match=f"(?s){tensor}.bias.* does not have.*{way_out}.*--ignore"):
        build_model(with_bias(name, more, tensor, 0.5))


@pytest.mark.parametrize(("name", "more", "tensor", "way_out"), UNREAD)
def test_a_bias_of_zeros_changes_nothing(name, more, tensor, way_out):
    assert build_model(with_bias(name, more, tensor, 0.0)).told


@pytest.mark.parametrize(("name", "more", "tensor"), READ)
def test_a_bias_that_the_model_type_reads_is_a_part_of_the_program(name, more, tensor):
    model = build_model(with_bias(name, more, tensor, 0.5))
    assert any(each.name.startswith(f"{tensor}.bias") for each in model.tensors)


@pytest.mark.parametrize(
    ("architecture", "bias", "told"),
    [
        ("llama", "attn_q", {"attention_bias": True}),
        ("llama", "ffn_up", {"mlp_bias": True}),
        ("stablelm", "attn_v", {"use_qkv_bias": True}),
        ("gemma2", "attn_output", {"attention_bias": True}),
        ("qwen2", "attn_q", {}),
        ("llama", "none", {}),
    ],
)
def test_the_biases_of_a_gguf_file_are_told_to_those_who_ask_the_configuration(architecture, bias, told):
    names = ["blk.0.attn_q.weight", f"blk.0.{bias}.bias"]
    values = gguf_configuration({gguf.Keys.General.ARCHITECTURE: architecture}, names, {}, Path("m.gguf")).values
    assert {name: value for name, value in values.items() if name.endswith("_bias")} == told
