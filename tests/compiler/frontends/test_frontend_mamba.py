"""Mamba and Mamba-2 against logits of transformers, under the names and the configuration of mamba_ssm, too; what is
asked for or refused; what their tensors are for.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from golden_logits import assert_computes, assert_refused, checkpoint_of, drawn_tokens, golden_logits
from mamba_configurations import MAMBA_CONFIGURATIONS

from bytecap.compiler.checkpoints.configuration import as_configuration, model_configuration
from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.frontends.untold import UntoldError
from bytecap.errors import CheckpointError
from bytecap.format.program.program import program_tensors
from bytecap.format.program.roles import tensor_uses


@pytest.mark.parametrize("name", MAMBA_CONFIGURATIONS)
def test_a_program_computes_what_transformers_computes_and_comes_back(name):
    golden = golden_logits(name)
    state, model = golden.state(), golden.model()
    assert_computes(model, golden.logits, drawn_tokens(29))
    assert program_tensors(model.program) == set(range(len(model.tensors)))
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    assert all(np.array_equal(restored[tensor], values) for tensor, values in state.items())
    again = build_model(checkpoint_of(state, None), json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.architecture == model.architecture and again.defaults == ()


def of_mamba_ssm(name: str, **changes: object) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Tensors and configuration of a golden case as mamba_ssm names them, which stores a tied head, too."""
    golden = golden_logits(name)
    state = {key.replace("embeddings", "embedding"): values for key, values in golden.state().items()}
    state.setdefault("lm_head.weight", state["backbone.embedding.weight"])
    inner = {"layer": "Mamba2", "ngroups": 2, "d_state": 4, "headdim": 8} if "mamba2" in name else {}
    config = {"d_model": 24, "n_layer": 2, "vocab_size": 29, "pad_vocab_size_multiple": 1, "ssm_cfg": inner}
    return state, config | {"rms_norm": True, "residual_in_fp32": True, "fused_add_norm": True} | changes


@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_the_names_and_the_configuration_of_mamba_ssm(name):
    state, config = of_mamba_ssm(name)
    model = build_model(checkpoint_of(state, config))
    assert_computes(model, golden_logits(name).logits, drawn_tokens(29))
    assert model.architecture["family"] == name
    assert {"layer_norm_epsilon", "hidden_act", "seq_len", "boundary_token"} <= {*model.defaults}
    restored = {tensor.name for tensor in restored_tensors(model.program, model.tensors)}
    assert state.keys() - restored == ({"lm_head.weight"} if name == "mamba" else set())


def test_rows_for_no_token_are_those_that_mamba_ssm_pads_by():
    state, config = of_mamba_ssm("mamba", vocab_size=27)
    with pytest.raises(CheckpointError, match="says vocab_size 27, the tensors say vocab_size 29"):
        build_model(checkpoint_of(state, config))
    assert build_model(checkpoint_of(state, config | {"pad_vocab_size_multiple": 29})).program.vocabulary_size == 29


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rms_norm": False}, "the model has LayerNorms (rms_norm false), which are not read"),
        ({"d_intermediate": 64}, "has MLPs (d_intermediate) beside its mixers"),
        ({"ssm_cfg": {"layer": "Mamba2", "conv_bias": False}}, 'say "conv_bias": true in it'),
        ({"attn_layer_idx": [1]}, "has layers of attention (attn_layer_idx)"),
        ({"ssm_cfg": {"layer": "Mamba3"}}, "says Mamba3, and its tensors are of a mamba2"),
        ({"ssm_cfg": {"layer": "Mamba1"}}, "says mamba, and its tensors are of a mamba2"),
        ({"ssm_cfg": {"layer": "Mamba2", "D_has_hdim": True}}, "ssm_cfg with D_has_hdim True, which is not read"),
        ({"ssm_cfg": {"layer": "Mamba2", "dt_limit": [0.0, 0.1]}}, "limits the steps of its states (dt_limit [0.0,"),
    ],
)
def test_what_mamba_ssm_may_say_and_is_not_read(changes, message):
    state, config = of_mamba_ssm("mamba2", **changes)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(state, config))
    assert message in str(caught.value)


REFUSALS = [
    ("mamba2", {"time_step_limit": [0.0, 0.1]}, "limits the steps of its states (time_step_limit [0.0, 0.1])"),
    ("mamba2", {"model_type": "mamba"}, "says mamba, and its tensors are of a mamba2"),
    ("mamba2", {"n_groups": 3}, "n_groups 3 does not divide the 8 rows that states are written by"),
    ("mamba2", {"n_groups": 4}, "says state_size 4, the tensors say state_size 2"),
    ("mamba2", {"n_groups": 4, "state_size": 2}, "n_groups 4 does not divide num_heads 6"),
    ("mamba2", {"num_heads": 8}, "says num_heads 8, the tensors say num_heads 6"),
    ("mamba2", {"hidden_act": "mish"}, "has the activation 'mish', which is no instruction; there are gelu, "),
    ("mamba2", {"quantization_config": {"quant_method": "gptq"}}, "says that the weights are quantized"),
    ("mamba-all-biases", {"use_bias": False}, 'say "use_bias": true in it'),
    ("mamba2", {"use_conv_bias": False}, 'say "use_conv_bias": true in it'),
    ("mamba", {"model_type": "falcon_mamba"}, "is a 'falcon_mamba': its layers carry a state from token to token"),
]


@pytest.mark.parametrize(("name", "changes", "message"), REFUSALS)
def test_what_cannot_be_is_refused_by_name(name, changes, message):
    assert_refused(name, changes, message)


def test_tensors_that_are_missing_are_named():
    golden = golden_logits("mamba2")
    for missing in ("backbone.layers.1.mixer.D", "backbone.layers.0.mixer.dt_bias", "backbone.embeddings.weight"):
        state = {name: values for name, values in golden.state().items() if name != missing}
        with pytest.raises(CheckpointError, match=missing.split(".")[-1].replace("dt_bias", r"dt_\*")):
            build_model(checkpoint_of(state, golden.config))


@pytest.mark.parametrize("limit", [[0.0, math.inf], [0, {"__float__": "Infinity"}]])
def test_no_limit_of_the_steps_is_what_silence_says(limit):
    """An artifact keeps the configuration, and cannot keep an infinity."""
    golden = golden_logits("mamba2")
    model = build_model(checkpoint_of(golden.state(), golden.config | {"time_step_limit": limit}))
    assert model.program == golden.model().program
    assert model.configuration == {**golden.config}
    kept = as_configuration({"model_type": "x", "a": limit, "b": [0, 1]}, "x")
    assert model_configuration(kept) == {"model_type": "x", "b": [0, 1]}


def test_what_neither_names_nor_shapes_tell_is_asked_for():
    for name, asked in (("mamba", "layer_norm_epsilon, hidden_act,"), ("mamba2", "state_size, n_groups, layer_norm_e")):
        with pytest.raises(UntoldError) as caught:
            build_model(checkpoint_of(golden_logits(name).state(), None))
        assert f"nothing tells {asked}" in str(caught.value)


def test_what_the_tensors_are_for():
    layer = "backbone.layers.1.mixer."
    roles = {
        "mamba": {
            **{"in_proj.weight[0:48]": "state x", "in_proj.weight[48:96]": "state gate", "conv1d.weight.taps": "mix"},
            **{"conv1d.bias": "scale", "x_proj.weight[0:2]": "state step", "x_proj.weight[2:6]": "state write"},
            **{"x_proj.weight[6:10]": "state read", "dt_proj.weight": "state step", "dt_proj.bias": "bias"},
            **{"A_log": "state rates", "D": "scale", "out_proj.weight": "state o"},
        },
        "mamba2": {
            **{"in_proj.weight[0:48]": "state gate", "in_proj.weight[48:96]": "state x", "dt_bias": "bias"},
            **{"in_proj.weight[96:104]": "state write", "in_proj.weight[104:112]": "state read"},
            **{"in_proj.weight[112:118]": "state step", "conv1d.weight[0:48].taps": "mix"},
            **{"conv1d.weight[48:56].taps": "mix", "conv1d.weight[56:64].taps": "mix", "conv1d.bias[0:48]": "scale"},
            **{"conv1d.bias[48:56]": "scale", "conv1d.bias[56:64]": "scale", "A_log": "state rates", "D": "scale"},
            **{"norm.weight": "norm gain", "out_proj.weight": "state o"},
        },
    }
    for name, expected in roles.items():
        model = golden_logits(name).model()
        uses = tensor_uses(model.program, [tensor.name for tensor in model.tensors])
        found = {t.name: use for t, use in zip(model.tensors, uses, strict=True) if t.name.startswith(layer)}
        assert {tensor.removeprefix(layer): use.role for tensor, use in found.items()} == expected
        assert {use.layer for use in found.values()} == {1}
