"""Which part of a GPT the words of a tensor's name say."""

from __future__ import annotations

import pytest

from bytecap.compiler.frontends.gpt_found_names import UNDERSTOOD, _part

PARTS = {  # names in a layer, by part; "" for those that words do not tell
    "query": [
        "attn.q_proj",
        "att.W_query",
        "attention.wq",
        "attn.to_q",
        "self_attn.query",
        "mha.W_Q",
        "qProj",
        "attn.c_q",
    ],
    "value": ["attn.v", "attention.self.value", "sa.heads.*.value", "attn.values"],
    "fused": ["attn.qkv", "attn.c_attn", "self_attn.in_proj", "attn.Wqkv", "attention.query_key_value", "to_qkv"],
    "output": [
        "attn.proj",
        "attn.c_proj",
        "attention.wo",
        "self_attn.o_proj",
        "attn.to_out.0",
        "mha.out_proj",
        "att.fc",
    ],
    "attention_norm": ["attn_norm", "attention_norm", "input_layernorm", "sa_norm", "attn.norm", "norm_attn"],
    "mlp_norm": ["ffn_norm", "mlp_norm", "post_attention_layernorm", "feed_forward_norm", "pre_ffn_layernorm"],
    "up": ["mlp.up", "mlp.c_fc", "mlp.fc_in", "mlp.dense_h_to_4h", "mlp_up", "ff.in_proj"],
    "down": ["mlp.down_proj", "mlp.c_proj", "ffn.out", "mlp.dense_4h_to_h", "ff.proj"],
    "gate": ["mlp.gate_proj", "feed_forward.w_gate"],
    "": [
        "attn.q_norm",
        "cross_attn.to_q",
        "encoder_attn.v_proj",
        "mlp.experts.w1",
        "post_ffn_norm",
        "attn.rotary",
        "3",
    ],
}
UNTOLD_BY_WORDS = {"ln_1": ("norm", 1), "norm2": ("norm", 2), "LayerNorm_0": ("norm", 0), "norms.1": ("norm", 1)}
UNTOLD_BY_WORDS |= {
    "mlp.fc1": ("mlp", 1),
    "ffwd.net.2": ("mlp", 2),
    "linear1": ("mlp", 1),
    "feed_forward.w3": ("mlp", 3),
}


@pytest.mark.parametrize("part", PARTS)
def test_words_say_a_part(part):
    assert {name: _part(name) for name in PARTS[part]} == dict.fromkeys(PARTS[part], part)


def test_numbers_say_a_part_where_words_do_not():
    assert {name: _part(name) for name in UNTOLD_BY_WORDS} == UNTOLD_BY_WORDS


def test_the_names_that_a_refusal_gives_are_understood():
    names = {part: name.removesuffix(".weight") for part, name in UNDERSTOOD.items() if part != "table"}
    assert {part: _part(name) for part, name in names.items()} == {part: part for part in names}
