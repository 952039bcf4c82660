"""The parameter-golf frontend: its program against an independent torch model, and what it says when
things do not fit.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from baseline_model import BaselineModel, Sizes
from hypothesis import given, settings
from hypothesis import strategies as st

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.errors import CheckpointError
from bytecap.format.program.program import program_tensors, validate_program
from bytecap.runtime.interpreter import Interpreter

BASELINE_512 = Sizes(vocabulary=96, layers=3, width=64, heads=8, kv_heads=4, mlp_width=128)
CASES = {
    "one layer": (Sizes(layers=1), {}),
    "two layers": (Sizes(layers=2, heads=2, kv_heads=1), {}),
    "odd layers, grouped queries": (Sizes(layers=5, width=48, heads=6, kv_heads=2), {}),
    "one query a key": (Sizes(layers=3, heads=4, kv_heads=4, mlp_width=96), {}),
    "baseline proportions": (BASELINE_512, {}),
    "one head": (Sizes(vocabulary=17, layers=2, width=10, heads=1, kv_heads=1, mlp_width=15), {}),
    "untied head": (Sizes(tied=False), {}),
    "other constants": (
        Sizes(softcap=8.0, rope_base=500.0, epsilon=1e-3),
        {"logit_softcap": 8, "rope_base": 500, "rms_norm_epsilon": 1e-3},
    ),
    "no softcap": (Sizes(softcap=0.0), {"logit_softcap": 0}),
    "partial rotation": (Sizes(rotary=4), {"rotary_dims": 4}),
    "no rotation": (Sizes(rotary=0), {"rotary_dims": 0}),
    "leaky squares": (Sizes(slope=0.5), {"activation": "leaky_relu_squared"}),
    "leaky squares, other slope": (Sizes(slope=0.25), {"activation": "leaky_relu_squared", "activation_slope": 0.25}),
    "layer scale": (Sizes(layer_scale=True), {"ln_scale": True}),
    "exclusive attention": (Sizes(exclusive_layers=2), {"xsa_last_n": 2}),
    "looped layers": (
        Sizes(layers=5, encoder=[0, 1, 2, 1], decoder=[2, 1, 2, 3, 4]),
        {"encoder_layers": [0, 1, 2, 1], "decoder_layers": [2, 1, 2, 3, 4]},
    ),
    "factorized table": (Sizes(table_width=6), {}),
    "factorized table and head": (Sizes(tied=False, table_width=40), {}),
    "factorized table, shared depth": (
        Sizes(layers=2, table_width=8, encoder=[0, 1], decoder=[0, 1]),
        {"encoder_layers": [0, 1], "decoder_layers": [0, 1]},
    ),
    "longer encoder": (
        Sizes(layers=3, encoder=[0, 1, 0], decoder=[2]),
        {"encoder_layers": [0, 1, 0], "decoder_layers": [2]},
    ),
    "a record's trunk": (
        Sizes(
            layers=4,
            encoder=[0, 1, 2, 1],
            decoder=[2, 1, 2, 3],
            gated=True,
            layer_scale=True,
            rotary=4,
            exclusive_layers=4,
            slope=0.5,
        ),
        {
            "encoder_layers": [0, 1, 2, 1],
            "decoder_layers": [2, 1, 2, 3],
            "ln_scale": True,
            "rotary_dims": 4,
            "xsa_last_n": 4,
            "activation": "leaky_relu_squared",
            "parallel_residual_start": -1,
        },
    ),
}


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    """Tiny products: several threads would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def checkpoint_of(state: dict[str, torch.Tensor]) -> Checkpoint:
    return Checkpoint(
        {n: t.detach().numpy() for n, t in state.items()}, dict.fromkeys(state, "float32"), Path("model.pt")
    )


def tokens_for(vocabulary: int, batch: int = 2, length: int = 23) -> torch.Tensor:
    return torch.randint(vocabulary, (batch, length), generator=torch.Generator().manual_seed(7))


def torch_logits(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    return TorchExecutor(model.program, {i: torch.from_numpy(t.values) for i, t in enumerate(model.tensors)}).forward(
        tokens
    )


@pytest.mark.parametrize("case", CASES)
def test_program_computes_what_the_module_computes(case):
    sizes, architecture = CASES[case]
    module = BaselineModel(sizes).randomize(1)
    model = build_model(checkpoint_of(module.state_dict()), architecture)
    tokens = tokens_for(sizes.vocabulary)
    expected = module(tokens).detach()
    torch.testing.assert_close(torch_logits(model, tokens), expected, rtol=1e-5, atol=1e-5)
    runtime = Interpreter(model.program, [t.values for t in model.tensors]).logits(tokens.numpy())
    torch.testing.assert_close(torch.from_numpy(runtime), expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    vocabulary=st.integers(3, 80),
    layers=st.integers(1, 6),
    kv_heads=st.integers(1, 3),
    group=st.integers(1, 3),
    half_head=st.integers(1, 6),
    mlp=st.integers(1, 70),
    tied=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_sizes_are_read_off_the_shapes(vocabulary, layers, kv_heads, group, half_head, mlp, tied, seed):
    heads = kv_heads * group
    sizes = Sizes(vocabulary, layers, 2 * half_head * heads, heads, kv_heads, mlp, tied)
    module = BaselineModel(sizes).randomize(seed)
    model = build_model(checkpoint_of(module.state_dict()))
    told = {
        "vocab_size": vocabulary,
        "num_layers": layers,
        "model_dim": sizes.width,
        "num_heads": heads,
        "num_kv_heads": kv_heads,
        "tie_embeddings": tied,
    }
    assert {name: model.architecture[name] for name in told} == told
    assert not set(told) & set(model.defaults)
    tokens = tokens_for(vocabulary, batch=1, length=9)
    torch.testing.assert_close(torch_logits(model, tokens), module(tokens).detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_complete_and_rebuilds_itself(case):
    sizes, architecture = CASES[case]
    checkpoint = checkpoint_of(BaselineModel(sizes).randomize(2).state_dict())
    model = build_model(checkpoint, architecture)
    assert program_tensors(model.program) == set(range(len(model.tensors)))
    first_uses = list(dict.fromkeys(t for instruction in model.program.instructions for t in instruction.tensors))
    assert first_uses == list(range(len(model.tensors)))
    assert all(t.values.dtype == np.float32 and t.values.flags.c_contiguous for t in model.tensors)
    validate_program(model.program, [t.values.shape for t in model.tensors])
    again = build_model(checkpoint, json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.architecture == model.architecture and again.defaults == ()


def test_given_hyperparameters_are_not_defaults():
    checkpoint = checkpoint_of(BaselineModel(Sizes()).state_dict())
    defaults = set(build_model(checkpoint).defaults)
    assert {"rope_base", "logit_softcap", "seq_len", "boundary_token", "rms_norm_epsilon"} <= defaults
    model = build_model(
        checkpoint, {"rope_base": 10_000, "seq_len": 256, "qk_gain_init": 1.5, "frontend": "parameter-golf"}
    )
    assert defaults - set(model.defaults) == {"rope_base", "seq_len"}
    assert model.program.sequence_length == 256 and model.program.boundary_token == 1


def test_types_are_remembered_in_directory_order():
    state = BaselineModel(Sizes(layers=1)).state_dict()
    checkpoint = checkpoint_of(state)
    checkpoint.dtypes["tok_emb.weight"] = "bfloat16"
    model = build_model(checkpoint)
    assert [t.name for t in model.tensors][:2] == ["tok_emb.weight", "blocks.0.resid_mix"]
    assert [t.dtype for t in model.tensors] == ["bfloat16"] + ["float32"] * (len(model.tensors) - 1)


def test_a_stored_copy_of_a_tied_table_is_the_tied_table():
    state = dict(BaselineModel(Sizes()).randomize(3).state_dict())
    state["lm_head.weight"] = state["tok_emb.weight"].clone()
    model = build_model(checkpoint_of(state))
    assert model.architecture["tie_embeddings"] is True
    assert "lm_head.weight" not in [t.name for t in model.tensors]
    state["lm_head.weight"][0, 0] += 1
    assert build_model(checkpoint_of(state)).architecture["tie_embeddings"] is False


def changed(state, **changes):
    """A copy with tensors replaced by zeros of another shape, removed (None) or added."""
    state = dict(state)
    for name, shape in changes.items():
        name = name.replace("__", ".")
        state.pop(name, None)
        if shape is not None:
            state[name] = torch.zeros(shape)
    return state


MISFITS = [
    ({"blocks__1__mlp__fc__weight": None}, {}, ["missing: blocks.1.mlp.fc.weight"]),
    ({"tok_emb__weight": None}, {}, ["lacks the tensors", "vocab_size"]),
    ({"blocks__1__attn__c_q__bias": (32,)}, {}, ["unexpected: blocks.1.attn.c_q.bias"]),
    (
        {"blocks__2__mlp__fc__weight": (63, 32)},
        {},
        ["misshapen: blocks.2.mlp.fc.weight is [63, 32], expected [64, 32]"],
    ),
    (
        {"blocks__0__attn_scale": (31,), "blocks__3__attn__proj__weight": None, "smear": (3,)},
        {},
        [
            "missing: blocks.3.attn.proj.weight",
            "unexpected: smear",
            "misshapen: blocks.0.attn_scale is [31], expected [32]",
        ],
    ),
    (
        {"skip_weights": (3, 32)},
        {},
        ["skip_weights is [3, 32], expected [2, 32]", "give encoder_layers and decoder_layers"],
    ),
    ({}, {"num_layers": 5}, ["missing: blocks.4.attn_scale", "and 2 more"]),
    ({}, {"num_layers": 3}, ["unexpected: blocks.3.", "misshapen: skip_weights is [2, 32], expected [1, 32]"]),
    ({}, {"model_dim": 64}, ["tok_emb.weight is [64, 32], expected [64, 64]"]),
    ({}, {"tie_embeddings": False}, ["missing: lm_head.weight"]),
    ({"lm_head__weight": (64, 32)}, {"tie_embeddings": True}, ["unexpected: lm_head.weight"]),
]


@pytest.mark.parametrize(("changes", "architecture", "messages"), MISFITS)
def test_a_state_dict_that_does_not_fit_is_listed(changes, architecture, messages):
    state = changed(BaselineModel(Sizes()).randomize(4).state_dict(), **changes)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state), architecture)
    for message in ["model.pt", *messages]:
        assert message in str(caught.value)


WRONG_ARCHITECTURES = [
    ({"rope_bsae": 1e4}, "no hyperparameter 'rope_bsae'; did you mean 'rope_base'?"),
    ({"zzz": 1}, "no hyperparameter 'zzz'; known are activation,"),
    ({"rope_base": "big"}, "rope_base is 'big'; it must be a number of at least 1"),
    ({"rope_base": float("nan")}, "rope_base is nan"),
    ({"rope_base": float("inf")}, "rope_base is inf"),
    ({"num_layers": 2.5}, "num_layers is 2.5; it must be a whole number of at least 1"),
    ({"num_layers": True}, "num_layers is True"),
    ({"num_layers": 10**6}, "at most 1024"),
    ({"tie_embeddings": 1}, "must be true or false"),
    ({"activation": "gelu"}, "one of relu_squared, leaky_relu_squared"),
    ({"num_heads": 3}, "num_heads 3 does not divide model_dim 32"),
    ({"num_kv_heads": 3}, "num_kv_heads 3 does not divide num_heads 4"),
    ({"rotary_dims": 3}, "rotary_dims 3 is not an even number of at most 8"),
    ({"rotary_dims": 10}, "rotary_dims 10"),
    ({"xsa_last_n": -1}, "xsa_last_n is -1; it must be a whole number of at least 0"),
    ({"boundary_token": 64}, "boundary_token 64 is not below vocab_size 64"),
    ({"mlp_mult": 0}, "leaves the MLP without units"),
    ({"encoder_layers": [0, 1]}, "go together"),
    ({"encoder_layers": [0, 1], "decoder_layers": []}, "never use layer [2]"),
    ({"encoder_layers": [0, -1], "decoder_layers": [2]}, "a list of layer numbers"),
    ({"encoder_layers": [0, 1], "decoder_layers": [2, 4]}, "name layer [4], but num_layers is 4"),
    ({"encoder_layers": [0, 1], "decoder_layers": [2]}, "never use layer [3]"),
    ({"frontend": "gpt-5"}, "frontend 'gpt-5' is unknown; did you mean 'gpt'?"),
]


@pytest.mark.parametrize(("architecture", "message"), WRONG_ARCHITECTURES)
def test_a_wrong_architecture_is_one_clear_error(architecture, message):
    checkpoint = checkpoint_of(BaselineModel(Sizes()).state_dict())
    with pytest.raises(CheckpointError, match="architecture: ") as caught:
        build_model(checkpoint, architecture)
    assert message in str(caught.value)


def test_tensors_of_another_family_are_named():
    checkpoint = checkpoint_of({"backbone.embeddings.weight": torch.zeros(3, 2)})
    with pytest.raises(CheckpointError, match=r"no frontend knows these tensors \(backbone\.embeddings\.weight"):
        build_model(checkpoint)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", '{"num_layers": 4, "rope_base": 1e4}', {"num_layers": 4, "rope_base": 1e4}),
        ("a.toml", "num_layers = 4\nencoder_layers = [0, 1]\n", {"num_layers": 4, "encoder_layers": [0, 1]}),
        ("config", '\ufeff {"num_layers": 4}', {"num_layers": 4}),
    ],
)
def test_architecture_files(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_architecture(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot read"),
        (b"{", "is not valid JSON"),
        (b"a b", "is not valid TOML"),
        (b"\xff\xfe", "is not text"),
        (b"[table]\nx = 1\n", "no hyperparameter 'table'"),
    ],
)
def test_architecture_files_that_are_none(tmp_path, data, message):
    path = tmp_path / "a.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(CheckpointError, match=message):
        build_model(checkpoint_of(BaselineModel(Sizes()).state_dict()), read_architecture(path))


@pytest.mark.parametrize("name", ["rwkv", ["rwkv"], 3])
def test_a_frontend_that_there_is_not(name):
    with pytest.raises(CheckpointError, match=r"frontend .* is unknown; known are gpt, llama"):
        build_model(checkpoint_of(BaselineModel(Sizes()).state_dict()), {"frontend": name})
