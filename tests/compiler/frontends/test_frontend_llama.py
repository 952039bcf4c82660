"""The Llama frontend: its programs against a plain forward pass, who tells what, and what it asks for or refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from naive_llama import Llama, State, under_metas_names
from tiny_models import random_sequences

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.checkpoints.configuration import Configuration
from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.frontends.llama_configuration import ACTIVATIONS
from bytecap.compiler.model.attention_heads import find_attentions
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.residual_streams import find_residuals
from bytecap.compiler.model.structure import find_head, token_tables
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.rewrites.free_units import find_hidden_units, find_value_dimensions
from bytecap.errors import CheckpointError
from bytecap.format.program.program import program_tensors
from bytecap.runtime.interpreter import Interpreter

SOURCE = "config.json beside it"
CASES = {
    "llama": Llama(),
    "tied": Llama(tied=True),
    "every head its own keys": Llama(kv_heads=4),
    "one key head": Llama(kv_heads=1, layers=3),
    "heads wider than the stream": Llama(head=10, width=14),
    "other base and epsilon": Llama(theta=500.0, epsilon=1e-2),
    "all biases": Llama(all_biases=True),
    "gelu": Llama(gelu=True),
    "mistral": Llama("mistral", window=4, windowed=(0, 1)),
    "qwen2": Llama("qwen2", biases=True, tied=True),
    "qwen2, window in one layer": Llama("qwen2", biases=True, window=3, windowed=(1,)),
    "qwen3": Llama("qwen3", head_norms=True, head=8),
    "smollm2": Llama(theta=100_000.0, tied=True, heads=3, kv_heads=1),
}


def configured(values: dict[str, object] | None) -> Configuration | None:
    return None if values is None else Configuration(values, SOURCE)


def checkpoint_of(state: State, config: dict[str, object] | None) -> Checkpoint:
    return Checkpoint(state, dict.fromkeys(state, "float32"), Path("folder"), configured(config))


def both_logits(model: Model, tokens: np.ndarray) -> list[np.ndarray]:
    """Of the interpreter and of torch, [sequences, length, vocabulary]."""
    arrays = [tensor.values for tensor in model.tensors]
    executor = TorchExecutor(model.program, {i: torch.from_numpy(array) for i, array in enumerate(arrays)})
    return [Interpreter(model.program, arrays).logits(tokens), executor.forward(torch.from_numpy(tokens)).numpy()]


def assert_computes(model: Model, naive: Llama, state: State) -> None:
    tokens = random_sequences(naive.vocabulary, 2, 19)
    expected = np.stack([naive.logits(state, row) for row in tokens])
    for logits in both_logits(model, tokens):
        assert np.abs(logits - expected).max() < 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("case", CASES)
def test_a_program_computes_what_the_family_computes(case):
    naive = CASES[case]
    state = naive.state(1)
    assert_computes(build_model(checkpoint_of(state, naive.config())), naive, state)


@pytest.mark.parametrize("naive", [Llama("llama2.c", interleaved=True), Llama("llama2.c", interleaved=True, tied=True)])
def test_metas_names_mean_metas_pairs(naive):
    state = naive.state(2)
    assert_computes(build_model(checkpoint_of(under_metas_names(state), naive.config())), naive, state)


@pytest.mark.parametrize("case", CASES)
def test_the_stored_tensors_come_back_bit_for_bit(case):
    state = CASES[case].state(3)
    model = build_model(checkpoint_of(state, CASES[case].config()))
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    for name, values in state.items():
        assert restored[name].shape == values.shape and np.array_equal(restored[name], values), name


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_complete_and_rebuilds_itself(case):
    checkpoint = checkpoint_of(CASES[case].state(4), CASES[case].config())
    model = build_model(checkpoint)
    assert program_tensors(model.program) == set(range(len(model.tensors)))
    assert all(t.values.dtype == np.float32 and t.values.flags.c_contiguous for t in model.tensors)
    again = build_model(replace(checkpoint, configuration=None), json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.architecture == model.architecture
    assert again.defaults == () and set(again.told.values()) <= {"shapes", "architecture"}


def test_a_config_may_be_given_as_the_architecture():
    naive = Llama("mistral", window=4, windowed=(0, 1))
    state = naive.state(5)
    assert_computes(build_model(checkpoint_of(state, None), naive.config()), naive, state)


def test_every_hyperparameter_is_told_or_assumed():
    config = Llama().config()
    for name in ("rope_theta", "hidden_act", "bos_token_id", "max_position_embeddings"):
        del config[name]
    model = build_model(checkpoint_of(Llama().state(0), config), {"rms_norm_eps": 1e-5})
    assert model.defaults == ("rope_theta", "hidden_act", "seq_len", "boundary_token")
    assert model.assumed == {"rope_theta": 10_000.0, "hidden_act": "silu", "seq_len": 1024, "boundary_token": 1}
    assert model.told == {
        "vocab_size": "shapes",
        "num_hidden_layers": "shapes",
        "hidden_size": "shapes",
        "intermediate_size": "shapes",
        "num_attention_heads": "shapes",
        "num_key_value_heads": "shapes",
        "head_dim": SOURCE,
        "tie_word_embeddings": "shapes",
        "rms_norm_eps": "architecture",
        "family": SOURCE,
        "rope_scaling": SOURCE,
    }
    assert set(model.told) | set(model.defaults) | {"frontend"} == set(model.architecture)


def test_a_window_that_mistral_does_not_tell_is_assumed():
    config = {n: v for n, v in Llama("mistral").config().items() if n != "sliding_window"}
    model = build_model(checkpoint_of(Llama("mistral").state(0), config))
    assert model.assumed == {"sliding_window": 4096} and model.architecture["sliding_layers"] == [0, 1]
    without = build_model(checkpoint_of(Llama("mistral").state(0), config | {"sliding_window": None}))
    assert without.assumed == {} and without.architecture["sliding_window"] == 0


@pytest.mark.parametrize(
    ("changes", "length", "token"),
    [
        ({"max_position_embeddings": 131_072, "bos_token_id": 7}, 1024, 7),
        ({"max_position_embeddings": 16, "bos_token_id": None, "eos_token_id": 5}, 16, 5),
        ({"bos_token_id": None, "eos_token_id": [6, 5]}, 32, 6),
    ],
)
def test_how_a_model_is_evaluated(changes, length, token):
    program = build_model(checkpoint_of(Llama().state(0), Llama().config() | changes)).program
    assert (program.sequence_length, program.boundary_token) == (length, token)


def test_shapes_ask_for_what_changes_the_function():
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(Llama().state(0), None))
    assert str(caught.value) == (
        "folder: nothing tells family (gemma, granite, llama, mistral, qwen2, smollm3), num_attention_heads, "
        "rope_theta, rms_norm_eps, hidden_act, which change what the model computes; put its config.json beside it, "
        "or give them in an --architecture file"
    )
    given = {"family": "llama", "num_attention_heads": 4, "rope_theta": 1e4, "rms_norm_eps": 1e-5, "hidden_act": "silu"}
    state = Llama().state(0)
    assert_computes(build_model(checkpoint_of(state, None), given), Llama(), state)


def test_a_head_that_is_a_copy_of_the_table_is_tied_unless_one_says_otherwise():
    naive = Llama(tied=True)
    state = naive.state(6)
    stored = {**state, "lm_head.weight": state["model.embed_tokens.weight"].copy()}
    model = build_model(checkpoint_of(stored, naive.config()))
    assert model.architecture["tie_word_embeddings"] and "lm_head.weight" not in [t.name for t in model.tensors]
    untied = build_model(checkpoint_of(stored, naive.config() | {"tie_word_embeddings": False}))
    assert "lm_head.weight" in [t.name for t in untied.tensors]
    assert_computes(untied, naive, state)


@pytest.mark.parametrize("case", CASES)
def test_the_analyses_find_the_units_of_the_family(case):
    """Hidden units of the gated MLP, value dimensions, heads and residual streams, each in every layer."""
    naive = CASES[case]
    model = build_model(checkpoint_of(naive.state(8), naive.config()))
    program, shapes = model.program, [t.values.shape for t in model.tensors]
    names = [t.name for t in model.tensors]
    units = {names[u.reader]: [names[m] for m in u.makers] for u in find_hidden_units(program)}
    values = {names[u.reader]: (u.heads, u.repeats) for u in find_value_dimensions(program)}
    layers = [f"model.layers.{layer}." for layer in range(naive.layers)]
    gated = {f"{at}mlp.down_proj.weight": [f"{at}mlp.{x}_proj.weight" for x in ("gate", "up")] for at in layers}
    grouped = (naive.kv_heads, naive.heads // naive.kv_heads)
    assert units == gated and values == {f"{at}self_attn.o_proj.weight": grouped for at in layers}
    maps = {f"{at}self_attn.": [f"{at}self_attn.{x}_proj.weight" for x in "qkvo"] for at in layers}
    found = find_attentions(program, shapes)
    assert [[names[t] for t, _ in each.made] + [names[t] for t in each.readers] for each in found] == [*maps.values()]
    assert all((each.operation.heads, each.key, each.value) == (naive.heads, naive.head, naive.head) for each in found)
    assert len(find_residuals(program)) == 2 * naive.layers
    assert find_head(program) == len(program.instructions) - 1
    head = {"model.embed_tokens.weight", *([] if naive.tied else ["lm_head.weight"])}
    assert {names[t] for t in token_tables(program)} == head


def changed(state: State, **changes) -> State:
    """A copy with tensors replaced by zeros of another shape, removed (None) or added."""
    state = dict(state)
    for name, shape in changes.items():
        name = name.replace("__", ".")
        state.pop(name, None)
        if shape is not None:
            state[name] = np.zeros(shape, np.float32)
    return state


MISFITS = [
    ({"model__layers__1__mlp__up_proj__weight": None}, "missing: model.layers.1.mlp.up_proj.weight"),
    ({"model__layers__0__mlp__router__weight": (2, 24)}, "unexpected: model.layers.0.mlp.router.weight"),
    ({"model__norm__weight": (23,)}, "misshapen: model.norm.weight is [23], expected [24]"),
    ({"model__layers__1__self_attn__q_proj__bias": (24,)}, "missing: model.layers.0.self_attn.q_proj.bias"),
    (
        {"model__embed_tokens__weight": None},
        "folder lacks the tensors of llama that would tell vocab_size, hidden_size",
    ),
    ({"lm_head__weight": (28, 24)}, "misshapen: lm_head.weight is [28, 24], expected [29, 24]"),
]


@pytest.mark.parametrize(("changes", "message"), MISFITS)
def test_tensors_that_do_not_fit_are_listed(changes, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(changed(Llama().state(0), **changes), Llama().config()))
    assert message in str(caught.value) and str(caught.value).startswith("folder")


REFUSED = [
    (
        {"rope_scaling": {"rope_type": "llama3", "factor": 32.0}},
        "rope_scaling of kind 'llama3' lacks low_freq_factor; give it in the config.json or in the rope_scaling of an "
        "--architecture file",
    ),
    (
        {"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e6}},
        "rope_scaling of kind 'proportional' is not known; there are dynamic, linear, llama3, longrope, yarn",
    ),
    (
        {"partial_rotary_factor": 0.5},
        "config.json beside it rotates a part of each head, which the code of its model type does not do",
    ),
    (
        {"use_bidirectional_attention": True},
        "config.json beside it says that attention looks ahead; such a model predicts no next token",
    ),
    (
        {"hidden_act": "quick_gelu"},
        "config.json beside it has the activation 'quick_gelu', which is no instruction; there are gelu, "
        "gelu_accurate, gelu_fast, gelu_new, gelu_python, gelu_python_tanh, gelu_pytorch_tanh, relu, relu2, silu, "
        "swish",
    ),
    (
        {"quantization_config": {"quant_method": "gptq"}},
        "config.json beside it says that the weights are quantized (gptq); give the model before that",
    ),
    (
        {"vocab_size": 30, "intermediate_size": 21},
        "config.json beside it says vocab_size 30, intermediate_size 21, the tensors say vocab_size 29, "
        "intermediate_size 20; give the configuration of this checkpoint, or what is right in an --architecture file",
    ),
    ({"head_dim": 7}, "folder (config.json beside it): head_dim 7 does not divide the 24 rows of the queries"),
    (
        {"head_dim": None, "num_attention_heads": 5},
        "folder (config.json beside it): num_attention_heads 5 does not divide the 24 rows of the queries",
    ),
    (
        {"rope_scaling": {"rope_type": "martian"}},
        "rope_scaling of kind 'martian' is not known; there are dynamic, linear, llama3, longrope, yarn",
    ),
    (
        {"hidden_act": ["silu"]},
        "config.json beside it has the activation ['silu'], which is no instruction; there are "
        + ", ".join(sorted(ACTIVATIONS)),
    ),
    ({"rope_theta": "big"}, "folder (config.json beside it): rope_theta is 'big'; it must be a number of at least 1"),
    ({"bos_token_id": 29}, "folder (config.json beside it): boundary_token 29 is not below vocab_size 29"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_a_configuration_that_cannot_be_is_one_clear_error(changes, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(Llama().state(0), Llama().config() | changes))
    told = str(caught.value)
    assert told.startswith(("folder: ", "folder (config.json beside it): "))  # whose the numbers are
    assert told.removeprefix("folder: ") == message


def test_what_changes_nothing_is_not_refused():
    neutral = {"rope_scaling": {"type": "linear", "factor": 1.0}, "attention_dropout": 0.1, "pretraining_tp": 2}
    state = Llama().state(9)
    assert_computes(build_model(checkpoint_of(state, Llama().config() | neutral)), Llama(), state)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"sliding_layers": [1]}, "the family llama has no hyperparameter sliding_layers"),
        ({"rope_base": 1e4}, "llama has no hyperparameter 'rope_base'; did you mean 'rope_theta'?"),
        ({"hidden_act": "tanh"}, "hidden_act is 'tanh'; it must be one of silu, gelu, gelu_pytorch_tanh, relu"),
        ({"tie_word_embeddings": True}, "unexpected: lm_head.weight"),
    ],
)
def test_a_wrong_architecture_is_one_clear_error(architecture, message):
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(Llama().state(0), Llama().config()), architecture)
    assert message in str(caught.value)


def test_heads_of_queries_that_are_missing_are_one_clear_error():
    state = {name: values for name, values in Llama().state(0).items() if "q_proj" not in name}
    with pytest.raises(CheckpointError, match=r"missing: model.layers.0.self_attn.q_proj.weight"):
        build_model(checkpoint_of(state, Llama().config() | {"head_dim": None}))
