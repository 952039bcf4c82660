"""Which part of a GPT the words of a tensor's name say."""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import checkpoint_of
from hypothesis import given
from hypothesis import strategies as st

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.frontends.gpt_found_names import UNDERSTOOD, _part, found_naming, untold_parts
from bytecap.compiler.frontends.gpt_names import FUSED, NO_NAMES, SPLIT
from bytecap.errors import CheckpointError

SINGLES, KINDS = ("table", "norm", "head"), ("weight", "bias")

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
    "query_norm": ["attn.q_norm", "attn.norm_q", "self_attn.q_layernorm", "attention.ln_q", "attn.qnorm", "query_norm"],
    "key_norm": ["attn.k_norm", "attn.key_norm", "attn.kNorm"],
    "mlp_norm": ["ffn_norm", "mlp_norm", "post_attention_layernorm", "feed_forward_norm", "pre_ffn_layernorm"],
    "up": ["mlp.up", "mlp.c_fc", "mlp.fc_in", "mlp.dense_h_to_4h", "mlp_up", "ff.in_proj"],
    "down": ["mlp.down_proj", "mlp.c_proj", "ffn.out", "mlp.dense_4h_to_h", "ff.proj"],
    "gate": ["mlp.gate_proj", "feed_forward.w_gate"],
    "": [
        "attn.qk_norm",
        "attn.v_norm",
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


ATTENTIONS = {  # what people call the maps of an attention, whichever module they are in
    "split": [
        ("q_proj", "k_proj", "v_proj"),
        ("W_query", "W_key", "W_value"),
        ("wq", "wk", "wv"),
        ("to_q", "to_k", "to_v"),
    ],
    "joined": [("qkv",), ("c_attn",), ("in_proj",), ("Wqkv",), ("qkv_proj",)],
}
MLPS = [("fc1", "fc2"), ("c_fc", "c_proj"), ("net.0", "net.3"), ("0", "2"), ("up_proj", "down_proj"), ("fc", "proj")]
NORMS = [
    ("ln_1", "ln_2"),
    ("norm1", "norm2"),
    ("attn_norm", "ffn_norm"),
    ("input_layernorm", "post_attention_layernorm"),
]
TABLES = [
    "wte",
    "tok_emb",
    "token_embedding",
    "embed",
    "embedding_table",
    "model.tok_embeddings",
    "transformer.word_emb",
]
POSITIONS = ["wpe", "pos_emb", "position_embedding_table", "pos_encoder.pe", "transformer.pos_embedding"]
FINALS, HEADS = ["ln_f", "norm", "final_norm", "transformer.ln_out"], ["lm_head", "head", "output", "unembed", "fc_out"]
SEVERAL = [
    "layers.{}.",
    "transformer.h.{}.",
    "blocks.block{}.",
    "decoder/layer_{}/",
    "trf_blocks.{}.",
    "model.layers.{}.",
]


@given(st.data())
def test_names_may_be_of_any_peoples_codes_at_once(data):
    maps = data.draw(st.sampled_from(ATTENTIONS["split"] + ATTENTIONS["joined"]))
    attention = data.draw(st.sampled_from(["attn", "self_attn", "att", "mha", "sa", "attention", "self_attention"]))
    mlp, (up, down) = data.draw(st.sampled_from(["mlp", "ff", "ffn", "feed_forward"])), data.draw(st.sampled_from(MLPS))
    first, second = data.draw(st.sampled_from(NORMS))
    output = data.draw(st.sampled_from(["proj", "out_proj", "wo", "o_proj", "c_proj", "dense", "to_out.0"]))
    said = dict(zip(SPLIT if len(maps) == 3 else (FUSED,), (f"{attention}.{each}" for each in maps), strict=True))
    said |= {"output": f"{attention}.{output}", "up": f"{mlp}.{up}", "down": f"{mlp}.{down}"}
    said |= {"attention_norm": first, "mlp_norm": second}
    singles = {part: data.draw(st.sampled_from(of)) for part, of in zip(SINGLES, (TABLES, FINALS, HEADS), strict=True)}
    layers, position = data.draw(st.sampled_from(SEVERAL)), data.draw(st.sampled_from(["", *POSITIONS]))
    names = [f"{name}.weight" for name in singles.values()] + [position] * bool(position)
    names += [f"{layers.format(layer)}{stem}.{kind}" for layer in (0, 1) for stem in said.values() for kind in KINDS]
    found = found_naming(data.draw(st.permutations(names)))
    assert dict(found.parts) == said and found.positions == position
    assert {part: found.single(part) for part in SINGLES} == {part: f"{name}.weight" for part, name in singles.items()}
    assert found.recognized(names) == len(names)
    assert found.place(names[-1]) == (1, "mlp_norm", KINDS[-1])


WORDS = st.sampled_from(
    "attn q qkv proj mlp 0 1 7 h blocks ln norm 2 fc w1 w2 w3 tok emb pos head heads * weight bias".split()
)
NAMES = st.lists(st.lists(WORDS, min_size=1, max_size=6).map(".".join), min_size=1, max_size=12, unique=True)


@given(NAMES, st.lists(st.sampled_from([(4,), (4, 4), (8, 4), (12, 4), (4, 8), (1, 4, 4)]), min_size=12, max_size=12))
def test_whatever_names_there_are_a_model_or_one_clear_error_comes_out(names, shapes):
    state = {name: np.ones(shape, np.float32) for name, shape in zip(names, shapes, strict=False)}
    said = {
        "frontend": "gpt",
        "family": "handwritten",
        "num_attention_heads": 2,
        "norm_first": True,
        "norm": "rms_norm",
    }
    said |= {"hidden_act": "relu", "layer_norm_eps": 1e-5, "rotary_dims": 0, "gate_first": True, "fused_by_head": False}
    try:
        model = build_model(checkpoint_of(state, None), said)
    except CheckpointError as error:
        assert str(error).startswith(("folder", "architecture: "))
    else:
        assert {tensor.name for tensor in restored_tensors(model.program, model.tensors)} <= state.keys()


ODD = [
    "0.*.weight",
    "0.0.weight",
    "blocks.0.\u00b2.weight",
    f"blocks.0.fc{'9' * 5000}.weight",
    f"0.{'9' * 5000}.weight",
    "/0/w",
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_say_no_part(name):
    assert found_naming([name, "blocks.0.attn.qkv.weight"]) is NO_NAMES
    assert "query" not in untold_parts(["blocks.0.attn.qkv.weight", "blocks.1.attn.qkv.weight"])
