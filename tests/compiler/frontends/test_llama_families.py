"""Every family of gated decoders against logits of transformers; names that vary; what is asked for or refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from golden_logits import assert_computes, assert_refused, both_logits, checkpoint_of, drawn_tokens, golden_logits
from llama_configurations import LLAMA_CONFIGURATIONS, SEQUENCE_LENGTHS

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.frontends.llama_families import FAMILIES
from bytecap.compiler.frontends.llama_names import recognized
from bytecap.compiler.frontends.untold import UntoldError
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.structure import exact_tensors
from bytecap.errors import CheckpointError
from bytecap.format.program.program import program_tensors


def model_of(name: str) -> Model:
    length = SEQUENCE_LENGTHS.get(name)
    return golden_logits(name).model(None if length is None else {"seq_len": length})


@pytest.mark.parametrize("name", LLAMA_CONFIGURATIONS)
def test_a_program_computes_what_transformers_computes(name):
    assert_computes(model_of(name), golden_logits(name).logits, drawn_tokens(29))


@pytest.mark.parametrize("name", LLAMA_CONFIGURATIONS)
def test_the_stored_tensors_come_back(name):
    """Bit for bit, but for gains that are stored less 1: these to the last bit of the gain itself."""
    golden, model = golden_logits(name), model_of(name)
    restored = {tensor.name: tensor for tensor in restored_tensors(model.program, model.tensors)}
    state = golden.state()
    assert restored.keys() == state.keys()
    for tensor, values in state.items():
        shifted = FAMILIES[model.architecture["family"]].shifted_gains and tensor.endswith("norm.weight")
        off = np.abs(restored[tensor].values - values).max()
        assert restored[tensor].dtype == "float32" and off <= (2.0**-23 if shifted else 0), tensor


@pytest.mark.parametrize("name", LLAMA_CONFIGURATIONS)
def test_a_model_is_complete_and_rebuilds_itself(name):
    golden, model = golden_logits(name), model_of(name)
    assert program_tensors(model.program) == set(range(len(model.tensors)))
    assert all(t.values.dtype == np.float32 and t.values.flags.c_contiguous for t in model.tensors)
    derived = {"sliding_layers", "unrotated_layers"}
    assert (set(model.told) | set(model.defaults) | {"frontend"}) ^ set(model.architecture) <= derived
    again = build_model(checkpoint_of(golden.state(), None), json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.architecture == model.architecture and again.defaults == ()


PREFIXES = [
    ("", "lm_head.weight"),
    ("language_model.model.", "language_model.lm_head.weight"),
    ("model.language_model.", "lm_head.weight"),
]


@pytest.mark.parametrize(("prefix", "head"), PREFIXES)
@pytest.mark.parametrize("name", ["llama", "phi3", "gemma3"])
def test_whatever_stands_before_all_names_is_kept(name, prefix, head):
    golden = golden_logits(name)
    state = {head if n == "lm_head.weight" else prefix + n.removeprefix("model."): v for n, v in golden.state().items()}
    model = build_model(checkpoint_of(state, golden.config))
    assert_computes(model, golden.logits, drawn_tokens(29))
    assert {tensor.name for tensor in restored_tensors(model.program, model.tensors)} == state.keys()


def test_a_larger_models_configuration_has_one_for_its_text():
    golden = golden_logits("gemma3")
    inner = {name: value for name, value in golden.config.items() if name not in ("bos_token_id", "eos_token_id")}
    config = {"model_type": "gemma3", "text_config": inner, "bos_token_id": 5, "vision_config": {}}
    state = {n.replace("model.", "language_model.model.", 1): values for n, values in golden.state().items()}
    beside = {"vision_tower.post_layernorm.weight": np.ones(8, np.float32)}
    model = build_model(checkpoint_of(state | beside, config))
    assert_computes(model, golden.logits, drawn_tokens(29))
    assert model.architecture["family"] == "gemma3_text" and model.program.boundary_token == 5
    assert model.notes == ("left out, since only text is modelled: vision_tower.post_layernorm.weight",)


def test_layers_that_predict_later_tokens_are_left_out_as_what_sees_is():
    golden = golden_logits("qwen3-5")
    state = {n.replace("model.", "model.language_model.", 1): values for n, values in golden.state().items()}
    beside = dict.fromkeys(("model.visual.pos_embed.weight", "mtp.fc.weight"), np.ones((8, 8), np.float32))
    model = build_model(checkpoint_of(state | beside, {"model_type": "qwen3_5", "text_config": golden.config}))
    assert_computes(model, golden.logits, drawn_tokens(29))
    assert model.notes == (
        "left out, since only text is modelled: model.visual.pos_embed.weight",
        "left out, since only the next token is predicted: mtp.fc.weight",
    )


@pytest.mark.parametrize("name", ["conv1d.weight", "dt_bias", "in_proj_z.weight", "A_log"])
def test_a_delta_net_that_lacks_a_tensor_is_refused(name):
    golden = golden_logits("qwen3-5")
    state = golden.state()
    del state[f"model.layers.0.linear_attn.{name}"]
    with pytest.raises(CheckpointError, match=rf"missing: model\.layers\.0\.linear_attn\.{name}"):
        build_model(checkpoint_of(state, golden.config))


def test_attention_in_all_layers_needs_no_sizes_of_a_delta_net():
    golden = golden_logits("qwen3-5-all-biases")
    state = {name: values for name, values in golden.state().items() if "layers.1." not in name}
    config = golden.config | {"num_hidden_layers": 1, "layer_types": ["full_attention"]}
    assert build_model(checkpoint_of(state, config)).architecture["state_layers"] == []


def test_names_tell_a_delta_net_and_the_rest_is_asked_for():
    state = golden_logits("qwen3-5").state()
    asked = "num_attention_heads, rope_theta, rms_norm_eps, hidden_act, linear_num_key_heads, partial_rotary_factor"
    with pytest.raises(UntoldError, match=f"nothing tells {asked}, which"):
        build_model(checkpoint_of(state, None))


LISTS = ("short_factor", "long_factor")
OLDER = [
    (
        "llama-llama3",
        {"rope_theta": 10_000.0, "rope_scaling": {"type": "llama3"}},
        ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    ),
    ("gemma3", {"rope_local_base_freq": 10_000.0, "rope_theta": 1e6, "sliding_window_pattern": 3}, ()),
    *(
        ("phi3-longrope", {"rope_scaling": {"type": kind}, "partial_rotary_factor": 0.5}, LISTS)
        for kind in ("su", "yarn")
    ),
]


@pytest.mark.parametrize(("name", "older", "kept"), OLDER)
def test_older_files_say_the_same_otherwise(name, older, kept):
    golden = golden_logits(name)
    config = {n: v for n, v in golden.config.items() if n not in ("rope_parameters", "layer_types")} | older
    if kept:
        config["rope_scaling"] = {**older["rope_scaling"], **{n: golden.config["rope_parameters"][n] for n in kept}}
    model = build_model(checkpoint_of(golden.state(), config))
    assert_computes(model, golden.logits, drawn_tokens(29))


def test_gelu_is_its_tanh_form_for_the_first_gemma_alone():
    assert golden_logits("gemma").model().architecture["hidden_act"] == "gelu_pytorch_tanh"
    exactly = golden_logits("gemma")
    config = exactly.config | {"hidden_act": "gelu_python"}
    assert build_model(checkpoint_of(exactly.state(), config)).architecture["hidden_act"] == "gelu"
    for name, expected in (("gemma", "gelu_pytorch_tanh"), ("llama", "gelu"), ("gemma2", "gelu"), ("gemma3", "gelu")):
        golden = golden_logits(name)
        config = golden.config | {"hidden_act": "gelu", "hidden_activation": "gelu"}
        model = build_model(checkpoint_of(golden.state(), config))
        assert model.architecture["hidden_act"] == expected


FROM_NAMES = [
    ("gemma2", "query_pre_attn_scalar, attn_logit_softcapping, final_logit_softcapping"),
    ("qwen3", "rope_theta, rms_norm_eps, hidden_act, sliding_window, sliding_layers"),
    ("phi3", "sliding_window, partial_rotary_factor"),
]


@pytest.mark.parametrize(("name", "asked"), FROM_NAMES)
def test_names_that_only_one_family_has_tell_it(name, asked):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(golden_logits(name).state(), None))
    assert asked in str(caught.value) and "family" not in str(caught.value).split("nothing tells")[1]


def test_names_that_several_families_have_are_asked_for():
    for name, families in (("gemma", "gemma, granite, llama, mistral, qwen2, smollm3"), ("olmo2", "olmo2, olmo3")):
        with pytest.raises(CheckpointError, match=rf"nothing tells family \({families}\), num_attention_heads"):
            build_model(checkpoint_of(golden_logits(name).state(), None))


def test_scaling_that_nobody_told_is_assumed_to_be_none():
    golden = golden_logits("llama")
    given = {"family": "llama", "num_attention_heads": 4, "rope_theta": 1e4, "rms_norm_eps": 1e-3, "hidden_act": "silu"}
    model = build_model(checkpoint_of(golden.state(), None), given)
    assert model.assumed == {"rope_scaling": {}, "seq_len": 1024, "boundary_token": 0}
    assert_computes(model, golden.logits, drawn_tokens(29))


PERIODS = {"sliding_window_pattern": 1, "_sliding_window_pattern": 1}


def test_what_a_families_code_does_not_read_changes_nothing():
    golden = golden_logits("llama")
    config = golden.config | {"attn_logit_softcapping": 2.0, "sliding_window": 2, "logits_scaling": 3.0}
    assert build_model(checkpoint_of(golden.state(), config)).program == golden.model().program
    for name in ("gemma2", "olmo3"):
        golden = golden_logits(name)
        config = {each: value for each, value in golden.config.items() if each != "layer_types"}
        plain, told = (build_model(checkpoint_of(golden.state(), config | more)) for more in ({}, PERIODS))
        assert told.program == plain.program


def test_windows_of_listed_layers_need_no_leave_in_smollm3():
    golden = golden_logits("smollm3")
    windows = {"sliding_window": 4, "use_sliding_window": False}
    kinds = ["full_attention", "sliding_attention", "full_attention"]
    for more, expected in ((windows, []), (windows | {"layer_types": kinds}, [1])):
        model = build_model(checkpoint_of(golden.state(), golden.config | more))
        assert model.architecture["sliding_layers"] == expected


def test_phi3_was_trained_on_4096_positions_where_nobody_says():
    golden = golden_logits("phi3-longrope")
    config = {name: value for name, value in golden.config.items() if name != "original_max_position_embeddings"}
    scaling = {n: v for n, v in config["rope_parameters"].items() if n != "original_max_position_embeddings"}
    told = {"rope_parameters": scaling, "max_position_embeddings": 131_072}
    found = build_model(checkpoint_of(golden.state(), config | told)).architecture
    assert found["rope_scaling"]["original_max_position_embeddings"] == 4096 and found["seq_len"] == 1024


def test_a_head_that_is_a_copy_is_tied_where_nobody_says():
    golden = golden_logits("gemma")
    config = {name: value for name, value in golden.config.items() if name != "tie_word_embeddings"}
    state = golden.state()
    model = build_model(checkpoint_of({**state, "lm_head.weight": state["model.embed_tokens.weight"].copy()}, config))
    assert model.assumed["tie_word_embeddings"] is True and model.program == golden.model().program


def test_mistrals_file_with_kinds_of_layers_is_a_ministral():
    golden = golden_logits("ministral")
    model = build_model(checkpoint_of(golden.state(), golden.config | {"model_type": "mistral"}))
    assert_computes(model, golden.logits, drawn_tokens(29))


def test_minicpms_scales_are_granites():
    golden = golden_logits("granite")
    plain = {n: v for n, v in golden.config.items() if "multiplier" not in n and n != "logits_scaling"}
    own = {"model_type": "minicpm", "scale_emb": 3.0, "scale_depth": 0.5 * 2**0.5, "dim_model_base": 8}
    granite = golden.config | {"attention_multiplier": 8**-0.5}
    found, expected = (build_model(checkpoint_of(golden.state(), each)) for each in (plain | own, granite))
    assert found.program == expected.program


def test_mobilellm_is_a_llama_whose_file_says_otherwise_that_it_is_tied():
    golden = golden_logits("llama-tied-one-key-head")
    plain = {name: value for name, value in golden.config.items() if name != "tie_word_embeddings"}
    config = plain | {"model_type": "mobilellm", "share_embedding": True, "layer_sharing": False}
    model = build_model(checkpoint_of(golden.state(), config | {"tie_word_embeddings": False}))
    assert model.program == golden.model().program


def test_names_of_several_families_are_no_family():
    names = ["model.layers.0.attn.q_proj.weight", "model.layers.0.self_attn.q_layernorm.weight", "model.norm.weight"]
    assert [recognized(each) for each in (names, names[:1], names[:2], names[1:])] == [2, 1, 1, 2]


def test_a_layer_norm_without_gains_has_one_that_is_never_rounded():
    model = golden_logits("olmo").model()
    exact = [model.tensors[index] for index in exact_tensors(model.program)]
    assert [(tensor.name, tensor.values.tolist()) for tensor in exact] == [("layer_norm_gain_of_one", [1.0])]
    assert not exact_tensors(golden_logits("gpt2").model().program)


def test_a_null_cap_is_none():
    golden = golden_logits("gemma2")
    config = golden.config | {"attn_logit_softcapping": None, "final_logit_softcapping": None}
    kinds = {type(op).__name__ for op in build_model(checkpoint_of(golden.state(), config)).program.instructions}
    assert "Attention" in kinds and not kinds & {"CappedAttention", "Softcap"}


WRONG = [
    ("gemma3", {"model_type": "gemma2"}, "unexpected: model.layers.0.self_attn.k_norm.weight"),
    ("qwen3", {"model_type": "llama"}, "unexpected: model.layers.0.self_attn.k_norm.weight"),
    ("olmo2", {"model_type": "llama"}, "missing: model.layers.0.input_layernorm.weight"),
    ("phi3", {"model_type": "llama"}, "missing: model.layers.0.self_attn.q_proj.weight"),
    ("llama-yarn", {"rope_parameters": {"rope_type": "yarn", "factor": -1.0}}, "factor is -1.0; it must be a number"),
    (
        "phi3-longrope",
        {"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0, 2.0]}},
        "short_factor must be a list of 4 numbers above 0",
    ),
    ("gemma2", {"layer_types": ["full_attention"]}, "layer_types tells of 1 layers, and the tensors are of 2"),
    (
        "gemma2",
        {"layer_types": ["full_attention", "chunked_attention"]},
        "'chunked_attention', which is no",
    ),
    ("smollm3", {"no_rope_layers": [1, 0]}, "no_rope_layers tells of 2 layers, and the tensors are of 3"),
    ("llama-yarn", {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "rope_theta": 1}}, "are not finite"),
    ("phi3", {"partial_rotary_factor": 0.4}, "3 elements of a head of 8 are rotated, and a rotation takes pairs"),
    (
        "gemma3",
        {"rope_parameters": {"full_attention": {}, "sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
        "has rotations of kind 'linear' in layers with a window",
    ),
    ("lfm2-biases", {"conv_bias": False}, 'say "conv_bias": true in it'),
    ("lfm2", {"layer_types": ["conv"] * 2}, "says conv_layers [0, 1], the tensors say conv_layers [0]"),
    ("lfm2", {"layer_types": ["conv", "mamba"]}, "layer_types has 'mamba', which is no instruction; there are conv"),
    (
        "granite-without-state",
        {"layer_types": ["mamba", "attention"]},
        "says state_layers [0], mamba_n_heads 4, the te",
    ),
    ("granite-without-state", {"layer_types": None}, "says state_layers [0, 1], mamba_n_heads 4, the tensors say"),
    (
        "granite-with-states",
        {"layer_types": ["attention"] * 3},
        "says state_layers [], the tensors say state_layers [0,",
    ),
    ("granite-with-states", {"layer_types": ["mamba"] * 2}, "tells of 2 layers; there are 3 layers, each 'mamba' or"),
    ("granite-with-states", {"layer_types": ["mamba", "moe", "attention"]}, "has the kind of layer 'moe'; there are 3"),
    ("granite-with-states", {"num_local_experts": 4}, "sends each token to a few of its experts"),
    (
        "granite-with-states",
        {"time_step_limit": [0.1, 1.0]},
        "limits the steps of its states (time_step_limit [0.1, 1.0",
    ),
    ("granite-with-states", {"mamba_n_groups": 1}, "says mamba_d_state 5, the tensors say mamba_d_state 10"),
    ("granite-with-states", {"mamba_n_groups": 3}, "mamba_n_groups 3 does not divide the 10 rows that states are"),
    ("granite-with-states-all-biases", {"mamba_proj_bias": False}, 'say "mamba_proj_bias": true in it'),
    ("falcon-h1", {"time_step_limit": [0.0, 0.1]}, "limits the steps of its states (time_step_limit [0.0, 0.1])"),
    ("falcon-h1", {"ssm_multipliers": [1.0, 2.0]}, "ssm_multipliers is [1.0, 2.0]; it must be 5 numbers"),
    ("falcon-h1", {"mlp_multipliers": [1.0, "a"]}, "down_multiplier is 'a'; it must be a number"),
    ("falcon-h1", {"mamba_rms_norm": True}, "says mamba_rms_norm True, the tensors say mamba_rms_norm False"),
    ("falcon-h1-all-biases", {"projectors_bias": False}, 'say "projectors_bias": true in it'),
    ("qwen3-5", {"full_attention_interval": 2}, "says state_layers [0, 2], the tensors say state_layers [0, 1]"),
    (
        "qwen3-5",
        {"layer_types": ["mamba", "moe", "attention"]},
        "'moe'; there are 3 layers, each 'linear_attention' or",
    ),
    ("qwen3-5", {"linear_num_key_heads": 1}, "says linear_key_head_dim 8, the tensors say linear_key_head_dim 16"),
    ("qwen3-5", {"linear_num_key_heads": 0}, "linear_num_key_heads 0 does not divide linear_num_value_heads 4"),
    (
        "qwen3-5",
        {"linear_num_key_heads": 8, "linear_key_head_dim": 2},
        "linear_num_key_heads 8 does not divide linear_num_value_heads 4",
    ),
    ("qwen3-5", {"linear_num_key_heads": 3}, "linear_num_key_heads 3 does not divide the 16 rows that states are"),
    (
        "qwen3-5",
        {"linear_num_value_heads": 2},
        "says linear_num_value_heads 2, the tensors say linear_num_value_heads 4",
    ),
    ("qwen3-5-all-biases", {"attention_bias": False}, 'say "attention_bias": true in it'),
    ("qwen3-5", {"model_type": "qwen3_next"}, "sends each token to a few of its experts"),
    ("granite-without-state", {"num_local_experts": 4}, "sends each token to a few of its experts"),
    ("exaone4", {"layer_types": None, "sliding_window_pattern": "LG"}, "sliding_window_pattern is a text, which"),
    ("cohere", {"use_qk_norm": True}, "says use_qk_norm True, the tensors say use_qk_norm False"),
    ("hyperclovax-plain", {"use_post_norm": True}, "says use_post_norm True, the tensors say use_post_norm False"),
    ("hunyuan", {"head_dim": None}, "scales rotations by an alpha, which takes numbers above 0 and a head_dim"),
    ("hunyuan", {"rope_parameters": {"rope_type": "dynamic", "alpha": 1e300}}, "by an alpha of 1e+300, beyond sense"),
    ("modernbert-decoder", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "says of rotations what transf"),
    ("modernbert-decoder", {"decoder_bias": False}, "holds decoder.bias, which a 'modernbert-decoder' by"),
    ("llama", {"model_type": "minicpm", "scale_depth": 0}, "scale_depth is 0; it must be a number above 0"),
    ("llama", {"model_type": "mobilellm", "layer_sharing": True}, "says layer_sharing: layers that run twice"),
    ("llama", {"model_type": "mobilellm", "share_embedding": True}, "says tie_word_embeddings True, the tensors say"),
    ("arcee", {"model_type": "apertus"}, "its activation is xIELU, which no instruction computes"),
]


@pytest.mark.parametrize(("name", "changes", "message"), WRONG)
def test_a_wrong_configuration_is_refused(name, changes, message):
    assert_refused(name, changes, message)


def test_dynamic_scaling_beyond_the_length_of_training_is_refused():
    golden = golden_logits("llama-dynamic")
    with pytest.raises(CheckpointError, match=r"other rotations for every text longer than 64 tokens; give a seq_len"):
        build_model(checkpoint_of(golden.state(), golden.config), {"seq_len": 65})


def test_scaled_rotations_that_a_checkpoint_stores_are_checked():
    golden = golden_logits("llama-linear")
    name, plain = "model.rotary_emb.inv_freq", 10_000.0 ** (-np.arange(4) / 4)
    for stored in (plain, plain / 4):
        checkpoint = replace(checkpoint_of(golden.state(), golden.config), rotations={name: stored.astype(np.float32)})
        assert_computes(build_model(checkpoint), golden.logits, drawn_tokens(29))
    with pytest.raises(CheckpointError, match="inv_freq holds other rotations than the model would have"):
        build_model(replace(checkpoint, rotations={name: (plain / 3).astype(np.float32)}))


def test_a_bias_of_the_head_that_a_compile_added_is_read_again():
    golden = golden_logits("llama")
    bias = np.linspace(-1, 1, 29, dtype=np.float32)
    model = build_model(checkpoint_of({**golden.state(), "output_bias": bias}, golden.config))
    assert np.allclose(both_logits(model, drawn_tokens(29))[0], golden.logits + bias, atol=1e-4)


def test_types_follow_their_tensors():
    golden = golden_logits("phi3")
    checkpoint = checkpoint_of(golden.state(), golden.config)
    model = build_model(replace(checkpoint, dtypes=dict.fromkeys(checkpoint.tensors, "bfloat16")))
    assert {tensor.dtype for tensor in model.tensors} == {"bfloat16"}
    assert {tensor.dtype for tensor in restored_tensors(model.program, model.tensors)} == {"bfloat16"}
