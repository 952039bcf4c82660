"""The GPT frontend: programs against logits that transformers gave, who tells what, and what it asks for or refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from golden_logits import assert_computes, assert_refused, both_logits, checkpoint_of, drawn_tokens, golden_logits
from gpt_configurations import GPT_CONFIGURATIONS

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.model.structure import token_tables
from bytecap.errors import CheckpointError


@pytest.mark.parametrize("name", GPT_CONFIGURATIONS)
def test_a_program_computes_what_transformers_computes(name):
    golden = golden_logits(name)
    model = golden.model()
    assert_computes(model, golden.logits, drawn_tokens(29))


@pytest.mark.parametrize("name", GPT_CONFIGURATIONS)
def test_the_stored_tensors_come_back_bit_for_bit(name):
    golden = golden_logits(name)
    model = golden.model()
    restored = {tensor.name: tensor for tensor in restored_tensors(model.program, model.tensors)}
    state = golden.state()
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[tensor].values, values) for tensor, values in state.items())
    assert {tensor.dtype for tensor in restored.values()} == {"float32"}


@pytest.mark.parametrize(("name", "prefix"), [("gpt2", ""), ("opt", "decoder."), ("opt", ""), ("gpt-neox", "")])
def test_names_may_lack_their_prefix_or_its_beginning(name, prefix):
    golden = golden_logits(name)
    whole = {"gpt2": "transformer.", "opt": "model.decoder.", "gpt-neox": "gpt_neox."}[name]
    state = {n.replace(whole, prefix): values for n, values in golden.state().items()}
    model = build_model(checkpoint_of(state, golden.config))
    assert_computes(model, golden.logits, drawn_tokens(29))
    assert {tensor.name for tensor in restored_tensors(model.program, model.tensors)} == state.keys()


@pytest.mark.parametrize("name", GPT_CONFIGURATIONS)
def test_a_model_is_complete_and_rebuilds_itself(name):
    golden = golden_logits(name)
    model = golden.model()
    assert all(t.values.dtype == np.float32 and t.values.flags.c_contiguous for t in model.tensors)
    assert set(model.told) | set(model.defaults) | {"frontend"} == set(model.architecture)
    checkpoint = replace(checkpoint_of(golden.state(), None), configuration=None)
    again = build_model(checkpoint, json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.architecture == model.architecture
    assert again.defaults == () and set(again.told.values()) <= {"shapes", "architecture"}


def test_a_families_defaults_are_assumed_where_its_configuration_is_silent():
    golden = golden_logits("gpt2")
    model = golden.model()
    assert model.assumed == {
        "hidden_act": "gelu_tanh",
        "layer_norm_eps": 1e-5,
        "scale_attention": True,
        "scale_by_layer": False,
    }
    assert model.told["tie_word_embeddings"] == "shapes" and model.told["norm_first"] == "gpt2"
    assert model.program.sequence_length == 32 and model.program.boundary_token == 1


UNREAD = [
    ("gpt2", {"layer_norm_eps": 0.1, "hidden_act": "relu", "n_ctx": 16, "rotary_pct": 1.0, "norm_first": False}),
    ("gpt2", {"rope_parameters": {"rope_theta": 500.0, "partial_rotary_factor": 1.0}}),
    ("gpt-neo", {"sliding_window": None, "norm_epsilon": 0.1}),
    ("gpt-j", {"layer_norm_eps": 0.1, "partial_rotary_factor": 1.0}),
    ("gpt-neox", {"rope_theta": 77.0, "partial_rotary_factor": 1.0, "activation_function": "relu"}),
    ("phi", {"rotary_dim": 2, "layer_norm_epsilon": 0.1, "rotary_pct": 1.0}),
    ("stablelm", {"rope_pct": 1.0, "norm_eps": 0.1, "parallel_residual": True}),
    ("starcoder2", {"partial_rotary_factor": 0.5, "window_size": 2, "rotary_emb_base": 500}),
    ("opt", {"layer_norm_eps": 0.1, "hidden_act": "silu", "intermediate_size": 99}),
]


@pytest.mark.parametrize(("name", "foreign"), UNREAD)
def test_what_a_families_code_does_not_read_changes_nothing(name, foreign):
    golden = golden_logits(name)
    config = {**foreign, **golden.config}  # foreign names first, as where names are sorted
    assert build_model(checkpoint_of(golden.state(), config)).program == golden.model().program


def test_rotations_told_twice_are_those_of_their_own_dictionary():
    golden = golden_logits("gpt-neox")
    told = {"rope_parameters": {"rope_type": "default", "rope_theta": 77.0, "partial_rotary_factor": 1.0}}
    found = build_model(checkpoint_of(golden.state(), golden.config | told)).architecture
    assert (found["rope_theta"], found["rotary_dims"]) == (77.0, 8)


OF_ROTATIONS = (
    "; rotary_dims is how many elements of each head are rotated, 0 for no rotations; other positions that are not "
    "stored, such as ALiBi, cannot be expressed; rope_theta is the base of the rotations' frequencies, often 10000; "
    "none that are scaled can be expressed in this family"
)
OF_NORMS = (
    "; norm_first is true where attention and MLP read a normalized stream, false where the sum after them is "
    "normalized, as nn.TransformerEncoderLayer does unless told otherwise"
)
BEFORE_THE_HEAD = "; final_norm is true where the stream is normalized before the head"
SIDE_BY_SIDE = (
    "; parallel_residual is true where attention and MLP read the same stream, side by side, false where the MLP reads "
    "the sum after attention; a layer with one norm has it before both, or twice"
)
ASKED = [
    ("gpt2", "num_attention_heads, hidden_act, scale_attention, scale_by_layer", ""),
    (
        "gpt-neox",
        "num_attention_heads, hidden_act, rotary_dims, rope_theta, parallel_residual",
        OF_ROTATIONS + SIDE_BY_SIDE,
    ),
    ("opt", "num_attention_heads, hidden_act, norm_first, final_norm", OF_NORMS + BEFORE_THE_HEAD),
]


@pytest.mark.parametrize(("name", "untold", "meanings"), ASKED)
def test_tensors_alone_ask_for_what_changes_the_function(name, untold, meanings):
    golden = golden_logits(name)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(golden.state(), None))
    family = golden.config["model_type"]
    assert str(caught.value) == (
        f"folder has the tensors of {family}, and nothing tells {untold}, which change what the model computes; put "
        "its config.json beside it, or give them in an --architecture file (hidden_act is one of gelu, gelu_tanh, "
        f"relu, relu_squared, silu{meanings})"
    )


def test_naming_the_family_is_enough_where_shapes_and_its_defaults_tell_the_rest():
    golden = golden_logits("gpt-neox")
    model = build_model(checkpoint_of(golden.state(), None), {"family": "gpt_neox", "num_attention_heads": 3})
    assert model.assumed["rotary_dims"] == 2 and model.assumed["parallel_residual"] is True


def linear_gpt(activation: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """GPT-2's weights as nanoGPT and minGPT store them, and the logits with an activation."""
    golden = golden_logits("cerebras-gpt" if activation == "gelu" else "gpt2")
    turned = {n: np.ascontiguousarray(v.T) if ".c_" in n else v for n, v in golden.state().items()}
    return turned, golden.logits


TWICE = ("transformer.wte.weight", "lm_head.weight")
MODEL_ARGS = {"n_layer": 2, "n_head": 3, "n_embd": 24, "block_size": 32, "vocab_size": 29, "dropout": 0.0}


def test_nanogpts_own_arguments_mean_its_activation():
    state, logits = linear_gpt("gelu")
    state["lm_head.weight"] = state["transformer.wte.weight"].copy()
    model = build_model(checkpoint_of(state, {**MODEL_ARGS, "bias": True}))
    assert_computes(model, logits, drawn_tokens(29))
    assert model.architecture["family"] == "nanogpt" and model.assumed["hidden_act"] == "gelu"
    assert model.assumed["tie_word_embeddings"] is True
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys() and np.array_equal(*(restored[n] for n in TWICE))


def test_mingpts_own_configuration_means_its_activation():
    state, logits = linear_gpt("gelu_tanh")
    state["transformer.h.0.attn.bias"] = np.tril(np.ones((1, 1, 32, 32), np.float32))
    model = build_model(checkpoint_of(state, {**MODEL_ARGS, "model_type": "gpt-nano"}))
    assert_computes(model, logits, drawn_tokens(29))
    assert model.assumed["hidden_act"] == "gelu_tanh"


def test_arguments_that_are_of_either_ask_for_the_activation():
    state, logits = linear_gpt("gelu")
    with pytest.raises(CheckpointError, match="nothing tells hidden_act, which change"):
        build_model(checkpoint_of(state, MODEL_ARGS))
    assert_computes(build_model(checkpoint_of(state, MODEL_ARGS), {"hidden_act": "gelu"}), logits, drawn_tokens(29))


def test_biases_are_optional():
    state, _ = linear_gpt("gelu")
    bare = {name: values for name, values in state.items() if not name.endswith(".bias")}
    model = build_model(checkpoint_of(bare, {**MODEL_ARGS, "bias": False}))
    zeros = {name: np.zeros_like(values) for name, values in state.items() if name not in bare}
    full = build_model(checkpoint_of(bare | zeros, {**MODEL_ARGS, "bias": True}))
    tokens = drawn_tokens(29)
    assert_computes(model, both_logits(full, tokens)[0], tokens)
    with pytest.raises(CheckpointError, match=r"c_attn.bias, .*'nanogpt'.* say \"bias\": true in it"):
        build_model(checkpoint_of(state, {**MODEL_ARGS, "bias": False}))
    assert {tensor.name for tensor in restored_tensors(model.program, model.tensors)} == bare.keys()


def in_a_classroom(state: dict[str, np.ndarray], *, first: bool) -> dict[str, np.ndarray]:
    """nanoGPT's weights under other people's names: those of minGPT's first version, or with a fused map."""
    renamed = {"transformer.wte.weight": "tok_emb.weight", "transformer.wpe.weight": "pos_emb.weight"}
    found = {}
    for name, values in state.items():
        name = renamed.get(name, name.replace("transformer.h.", "blocks.").removeprefix("transformer."))
        if not first:
            found[name] = values
        elif ".c_attn." in name:
            for kind, part in zip(("query", "key", "value"), np.split(values, 3), strict=True):
                found[name.replace("c_attn", kind)] = part
        else:
            parts = {
                "attn.c_proj": "attn.proj",
                "mlp.c_fc": "mlp.0",
                "mlp.c_proj": "mlp.2",
                "ln_1": "ln1",
                "ln_2": "ln2",
            }
            for old, new in parts.items():
                name = name.replace(old, new)
            found[name] = values
    if first:
        found["pos_emb"] = found.pop("pos_emb.weight")[None]
    return {**found, "head.weight": found["tok_emb.weight"].copy()}


@pytest.mark.parametrize("first", [False, True])
def test_names_of_a_classroom(first):
    state, logits = linear_gpt("gelu")
    renamed = in_a_classroom(state, first=first)
    model = build_model(checkpoint_of(renamed, MODEL_ARGS), {"hidden_act": "gelu"})
    assert_computes(model, logits, drawn_tokens(29))
    assert {tensor.name for tensor in restored_tensors(model.program, model.tensors)} == renamed.keys()


def as_in_the_lecture(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of minGPT's first version under the names of Karpathy's lecture: each head by itself, without biases."""
    names = {"tok_emb.weight": "token_embedding_table.weight", "head.weight": "lm_head.weight"}
    parts = {"attn.proj": "sa.proj", "mlp.0": "ffwd.net.0", "mlp.2": "ffwd.net.2"}
    found = {"position_embedding_table.weight": state["pos_emb"][0]}
    for name, values in state.items():
        kind = name.split(".")[-2] if "." in name else ""
        if kind in ("query", "key", "value"):
            block = name.split(".attn.")[0]
            rows = np.split(values, 3) if name.endswith("weight") else []
            found |= {f"{block}.sa.heads.{head}.{kind}.weight": each for head, each in enumerate(rows)}
        elif name != "pos_emb":
            for old, new in parts.items():
                name = name.replace(old, new)
            found[names.get(name, name)] = values
    found |= {
        f"blocks.{i}.sa.heads.{h}.tril": np.tril(np.ones((32, 32), np.float32)) for i in range(2) for h in range(3)
    }
    return found


def test_the_names_of_the_lecture_with_every_head_by_itself():
    state = in_a_classroom(linear_gpt("gelu")[0], first=True)
    state["head.weight"] = state["head.weight"][::-1].copy()
    state |= {n: np.zeros_like(v) for n, v in state.items() if n.endswith((".query.bias", ".key.bias", ".value.bias"))}
    reference = build_model(checkpoint_of(state, MODEL_ARGS), {"hidden_act": "relu"})
    tokens, lecture = drawn_tokens(29), as_in_the_lecture(state)
    model = build_model(checkpoint_of(lecture, None), {"scale_by_width": False})
    assert_computes(model, both_logits(reference, tokens)[0], tokens)
    assert model.assumed["hidden_act"] == "relu" and model.told["num_attention_heads"] == "shapes"
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == {name for name in lecture if not name.endswith("tril")}
    assert all(np.array_equal(values, lecture[name]) for name, values in restored.items())
    del lecture["blocks.1.sa.heads.1.key.weight"]
    with pytest.raises(
        CheckpointError, match=r"folder: the heads of blocks\.1\.sa\.heads\.\*\.key\.weight are \[0, 2\]"
    ):
        build_model(checkpoint_of(lecture, None))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_head": 5}, "num_attention_heads 5 does not divide hidden_size 24"),
        ({"n_embd": 20}, "says hidden_size 20, the tensors say hidden_size 24"),
        ({"activation_function": "quick_gelu"}, "has the activation 'quick_gelu', which is no instruction"),
        ({"model_type": "bloom"}, "this is a 'bloom': its attention adds ALiBi biases, which no instruction computes"),
        ({"model_type": "mpt"}, "ALiBi"),
        ({"n_positions": 4096}, "says positions 4096, the tensors say positions 32"),
        ({"n_layer": 3}, "says num_hidden_layers 3, the tensors say num_hidden_layers 2"),
        ({"tie_word_embeddings": False}, "says tie_word_embeddings False, the tensors say tie_word_embeddings True"),
    ],
)
def test_a_configuration_that_cannot_be_is_one_clear_error(changes, message):
    golden = golden_logits("gpt2")
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(golden.state(), golden.config | changes))
    assert message in str(caught.value) and str(caught.value).startswith(("folder", "architecture", "config"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": ["phi"]}, "this is a ['phi'], which no frontend knows"),
        ({"qk_layernorm": True}, "query_key_norm is layer_norm, and the tensors hold no gains of such norms"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "scales the rotations ('yarn' rope scaling)"),
        ({"partial_rotary_factor": 0.375}, "rotary_dims 3 is odd"),
    ],
)
def test_what_no_instruction_computes_is_refused(changes, message):
    assert_refused("phi", changes, message)


OF_OTHERS = [
    (
        "stablelm",
        {"qk_layernorm": True},
        "says qk_layernorm: a LayerNorm of each head, which is read of people's own code alone; where all heads "
        'share one, say frontend = "gpt" and family = "handwritten" in an --architecture file',
    ),
    ("phi-norms-of-heads", {"qk_layernorm": False}, "query_key_norm is none, and the tensors hold gains of norms"),
    ("falcon", {"alibi": True}, "says alibi: its attention adds ALiBi biases, which no instruction computes"),
    ("biogpt", {"model_type": "xglm"}, "its positions are sines that are computed and added, which no instruction"),
]


@pytest.mark.parametrize(("name", "changes", "message"), OF_OTHERS)
def test_what_others_say_and_no_instruction_computes_is_refused(name, changes, message):
    assert_refused(name, changes, message)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("transformer.h.1.mlp.c_fc.weight", None, "missing: transformer.h.1.mlp.c_fc.weight"),
        ("transformer.h.0.mlp.router.weight", (2, 2), "unexpected: transformer.h.0.mlp.router.weight"),
        (
            "transformer.h.1.attn.c_attn.bias",
            (71,),
            "misshapen: transformer.h.1.attn.c_attn.bias is [71], expected [72]",
        ),
        ("transformer.wte.weight", None, "lacks the tensors of gpt2 that would tell vocab_size"),
    ],
)
def test_tensors_that_do_not_fit_are_listed(name, values, message):
    golden = golden_logits("gpt2")
    state = {n: v for n, v in golden.state().items() if n != name}
    if values is not None:
        state[name] = np.zeros(values, np.float32)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, golden.config))
    assert message in str(caught.value) and str(caught.value).startswith("folder")


def test_sequences_longer_than_the_position_table_are_refused():
    with pytest.raises(CheckpointError, match="architecture: seq_len 31 is beyond the 30 rows of the position table"):
        golden = golden_logits("opt")
        state = golden.state()
        name = "model.decoder.embed_positions.weight"
        state[name] = state[name][:32]
        config = golden.config | {"max_position_embeddings": 30}
        build_model(checkpoint_of(state, config), {"seq_len": 31})


def test_a_tied_table_is_the_head_too():
    model = golden_logits("gpt2").model()
    names = [tensor.name for tensor in model.tensors]
    assert [names[t] for t in token_tables(model.program)] == ["transformer.wte.weight"]


NO_PERIODS = [7, [[["local"]]], [[["local"], "2"]], [["local", 1, 2]], [[["local"], -1]], "global"]


@pytest.mark.parametrize("types", NO_PERIODS)
def test_periods_of_attention_that_are_none_are_refused(types):
    golden = golden_logits("gpt-neo")
    with pytest.raises(CheckpointError, match=r"attention_types is .* it must be a list of") as caught:
        build_model(checkpoint_of(golden.state(), golden.config | {"attention_types": types}))
    assert str(caught.value).startswith("folder: ")


def test_periods_of_attention_are_no_longer_than_the_model():
    golden = golden_logits("gpt-neo")
    config = golden.config | {"attention_types": [[["global", "local", "local"], 1 << 60]]}
    assert build_model(checkpoint_of(golden.state(), config)).architecture["sliding_layers"] == [1, 2]
