"""GPTs and Llamas that people wrote themselves: what is asked for and assumed, read of configurations, and refused."""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import checkpoint_of
from handwritten_models import LitGpt, LitLlama, RaschkaGpt, RaschkaLlama, TorchEncoder, TutorialGpt, TutorialLlama
from handwritten_parts import neighbours, with_weights
from handwritten_states import (
    ENCODER,
    LITGPT,
    METAS,
    NANOGPTS,
    NEIGHBOURS,
    PLAIN,
    SIZES,
    TUTORIAL,
    H,
    checkpoint_with,
    state_of,
)

from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError

ENCODER_STATE = state_of(with_weights(TorchEncoder(True, "gelu", "learned")))
LLAMA_STATE = state_of(with_weights(TutorialLlama(neighbours(10_000.0))))
SECOND_STATE = state_of(with_weights(TutorialLlama(neighbours(10_000.0), maps="w1 w2 w3")))
ASKED = [
    (ENCODER_STATE, {}, "handwritten", "num_attention_heads, hidden_act, norm_first"),
    (
        LLAMA_STATE,
        {},
        "handwritten",
        "num_attention_heads, hidden_act, layer_norm_eps, rotary_dims, rope_theta, norm_first, norm, rope_interleaved",
    ),
    (LLAMA_STATE, {**H, **PLAIN, "rotary_dims": 0, "norm": "layer_norm"}, "", ""),
    (SECOND_STATE, {**TUTORIAL, "rope_interleaved": True}, "handwritten", "gate_first"),
    (state_of(TorchEncoder(True, "gelu", "sines")), ENCODER, "handwritten", "scale_embedding"),
    (state_of(TutorialGpt("joined")), {**H, **PLAIN}, "handwritten", "fused_by_head"),
    (state_of(TutorialGpt("heads")), PLAIN, "handwritten", "scale_by_width"),
    (state_of(RaschkaGpt()), {}, "raschka-gpt", "num_attention_heads"),
    (state_of(RaschkaLlama()), {}, "raschka-llama", "num_attention_heads, rope_theta"),
    (state_of(LitLlama()), {}, "lit-llama", "num_attention_heads"),
    (
        state_of(LitGpt(llama=False)),
        {},
        "litgpt",
        "num_attention_heads, hidden_act, rotary_dims, rope_theta, parallel_residual",
    ),
]


@pytest.mark.parametrize(("state", "said", "family", "untold"), ASKED)
def test_what_neither_names_nor_shapes_tell_is_asked_for(state, said, family, untold):
    if not untold:
        assert build_model(checkpoint_of(state, None), said).told["rope_theta"] == "shapes"
        return
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, None), said)
    begin = f"folder has the tensors of {family}, and nothing tells {untold}, which change what the model computes; put"
    assert str(caught.value).startswith(begin)


def test_what_most_peoples_code_does_is_assumed():
    model = build_model(checkpoint_of(ENCODER_STATE, None), ENCODER)
    assert model.assumed == {
        "layer_norm_eps": 1e-5,
        "rotary_dims": 0,
        "parallel_residual": False,
        "scale_attention": True,
        "scale_by_width": False,
        "scale_by_layer": False,
        "sliding_window": 0,
        "sliding_layers": [],
        "boundary_token": 0,
        "fused_by_head": False,
        "scale_embedding": False,
        "query_key_norm": "none",
        "logit_softcap": 0.0,
        "gains_less_one": False,
        "embedding_norm": False,
    }
    assert model.told["head_dim"] == "shapes"
    assert model.told["norm"] == model.told["final_norm"] == "shapes"


@pytest.mark.parametrize(
    ("state", "config", "said"),
    [
        (ENCODER_STATE, {**SIZES, "activation": "gelu", "dropout": 0.1, "lr": 3e-4}, {"norm_first": True}),
        (ENCODER_STATE, {**SIZES, "max_len": 32, "use_moe": False}, {"norm_first": True, "hidden_act": "gelu"}),
        (ENCODER_STATE, {**METAS, "norm_eps": 1e-5}, {"norm_first": True, "hidden_act": "gelu"}),
        (ENCODER_STATE, {**SIZES, "act_fn": "GELU", "pre_norm": True, "max_grad_norm": 1.0}, {}),
        (ENCODER_STATE, {"heads": 3, "emb_dim": 24, "activation_fn": "gelu", "prenorm": True, "ln_eps": 1e-5}, {}),
        (ENCODER_STATE, {**METAS, "norm_eps": 1e-5, "act": "gelu", "norm_first": True, "norm": "LayerNorm"}, {}),
        (
            LLAMA_STATE,
            {**METAS, "rope_base": 1e4, "activation": "SwiGLU", "pre_norm": True, "norm_type": "rmsnorm"},
            {"rope_interleaved": True, "rotary_dims": 8},
        ),
        (
            LLAMA_STATE,
            {**METAS, "rotary_base": 1e4, "act": "silu", "prenorm": True, "use_rmsnorm": True, "rope_dim": 8},
            {"rope_interleaved": True},
        ),
        (LLAMA_STATE, {**NANOGPTS, "norm_eps": 1e-6, "rope_base": 10_000.0}, {**NEIGHBOURS, "seq_len": 1024}),
    ],
)
def test_a_configuration_under_other_names_is_read(state, config, said):
    known = build_model(checkpoint_of(state, None), ENCODER if state is ENCODER_STATE else NEIGHBOURS)
    assert build_model(checkpoint_with(state, config), said).program == known.program


def test_what_is_said_among_metas_names_is_read_and_not_passed_over():
    """dim, n_layers and n_heads are Meta's, whose code has no such arguments: the embedding was left unscaled."""
    said = {**METAS, "norm_eps": 1e-5, "scale_embedding": True, "sliding_window": 8}
    own = {"norm_first": True, "hidden_act": "gelu", "sliding_layers": [0, 1]}
    model = build_model(checkpoint_with(ENCODER_STATE, said), own)
    assert model.architecture["scale_embedding"] is True and model.told["scale_embedding"] == "its file"
    assert model.architecture["sliding_window"] == 8


@pytest.mark.parametrize(
    ("state", "config", "said", "message"),
    [
        (ENCODER_STATE, METAS, {"norm_first": True}, "nothing tells hidden_act, which"),  # llama2.c's silu is not its
        (ENCODER_STATE, {**SIZES, "nhead": 5}, {}, "num_attention_heads 5 does not divide hidden_size 24"),
        (ENCODER_STATE, {**SIZES, "d_model": 32}, {}, "says hidden_size 32, the tensors say hidden_size 24"),
        (
            ENCODER_STATE,
            {**SIZES, "activation": "gelu", "qk_norm": True},
            {},
            "nothing tells norm_first, query_key_norm,",
        ),
        (ENCODER_STATE, {**METAS, "use_rope": True}, {}, "says use_rope True, which the code of handwritten has not"),
        (ENCODER_STATE, {**SIZES, "norm_type": "dyt"}, {}, "norm is 'dyt'; it must be one of layer_norm, rms_norm"),
        (
            ENCODER_STATE,
            {**SIZES, "use_alibi": True},
            {},
            "says use_alibi True, which the code of handwritten has not: the model may compute otherwise; if it does "
            'not, say family = "handwritten" in an --architecture file',
        ),
        (ENCODER_STATE, None, {**ENCODER, "norm": "rms_norm", "layer_norm_eps": 1e-6}, "unexpected: transformer_enc"),
        (
            ENCODER_STATE,
            None,
            {**ENCODER, "final_norm": False},
            "final_norm is False, and among the tensors there is one",
        ),
        (
            {"a.weight": np.ones((2, 2), np.float32)},
            None,
            {"frontend": "gpt", "family": "handwritten"},
            "has no layers, or several kinds of them, whose names say where their attention is; --rename FROM=TO gives "
            "tensors names such as blocks.0.attn.query.weight, blocks.0.attn.output.weight, blocks.0.mlp_norm.weight, ",
        ),
        (
            state_of(LitGpt(llama=True)),
            None,
            {**LITGPT, "fused_by_head": True},
            "fused_by_head of fewer heads of keys than of queries cannot be read",
        ),
        (LLAMA_STATE, None, {"family": "nanogpt"}, "lacks the tensors of nanogpt"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(state, config, said, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_with(state, config), said)
    assert message in str(caught.value)


CHANGED = [  # of nn.TransformerEncoder's state: what is there, too, or in the place of something
    (
        {f"transformer_encoder.layers.{layer}.self_attn.v_norm.weight": (24,) for layer in range(2)},
        "",
        "has the tensors of handwritten, and others whose names say no part of it: "
        "transformer_encoder.layers.0.self_attn.v_norm.weight; it is another architecture, or has other names for "
        "them, which --rename FROM=TO changes; --ignore NAME leaves out what the model does without",
    ),
    (
        {"transformer_encoder.layers.0.norm3.weight": (24,)},
        "",
        "has the attention of a GPT, and no one tensor whose name says what plays the part of attention_norm, "
        "mlp_norm; --rename FROM=TO gives it a name such as transformer_encoder.layers.0.attention_norm.",
    ),
    (
        {"transformer_encoder.layers.0.multihead_attn.in_proj_weight": (72, 24)},
        "",
        "plays the part of query, key, value; --rename",
    ),
    ({"decoder.layers.0.self_attn.out_proj.weight": (24, 24)}, "", "it is another architecture"),
    (
        {"segment_embedding.weight": (2, 24)},
        "",
        "plays the part of table; --rename FROM=TO gives it a name such as to",
    ),
    (
        {"transformer_encoder.layers.0.post_attn_norm.weight": (24,)},
        "",
        "plays the part of mlp_norm; --rename",
    ),
    ({"emb_norm.weight": (24,)}, "", "say no part of it: emb_norm.weight;"),
    ({"value_head.weight": (1, 24)}, "", "say no part of it: fc_out.weight, fc_out.bias, value_head.weight;"),
    ({}, "transformer_encoder.layers.1.linear1.weight", "missing: transformer_encoder.layers.1.linear1.weight"),
    ({}, "fc_out.weight", "say no part of it: fc_out.bias;"),
    ({}, "embedding.weight", "plays the part of table; "),
]


@pytest.mark.parametrize(("more", "gone", "message"), CHANGED)
def test_a_tensor_whose_part_is_not_told_is_never_passed_over(more, gone, message):
    state = {name: values for name, values in ENCODER_STATE.items() if name != gone}
    state |= {name: np.ones(shape, np.float32) for name, shape in more.items()}
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, None), ENCODER)
    assert message in str(caught.value)


def test_a_model_type_of_somebodys_own_is_refused_until_the_caller_says_so():
    config = {**SIZES, "model_type": "my_gpt"}
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_with(ENCODER_STATE, config), ENCODER)
    assert str(caught.value).startswith("folder: its file says that this is a 'my_gpt', which no frontend knows; known")
    assert str(caught.value).endswith(
        '; if it is a GPT or Llama of somebody\'s own code, say frontend = "gpt" and family = "handwritten" in an '
        "--architecture file"
    )
    said = {"frontend": "gpt", "family": "handwritten", **ENCODER}
    model = build_model(checkpoint_with(ENCODER_STATE, config), said)
    assert model.program == build_model(checkpoint_of(ENCODER_STATE, None), ENCODER).program
