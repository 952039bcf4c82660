"""Checkpoints of changed code: what their arguments say and nanoGPT's or Meta's code has not is not passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_logits import checkpoint_of, golden_logits
from handwritten_models import TutorialGpt
from handwritten_states import PLAIN, checkpoint_with, state_of
from naive_llama import META, under_metas_names

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError
from bytecap.format.program.operations import Activation, ActivationKind, Attention

MODEL_ARGS = {"n_layer": 2, "n_head": 3, "n_embd": 24, "block_size": 32, "vocab_size": 29, "dropout": 0.1, "bias": True}


def nanogpt_state() -> dict[str, np.ndarray]:
    """GPT-2's weights as nanoGPT stores them."""
    state = {n: np.ascontiguousarray(v.T) if ".c_" in n else v for n, v in golden_logits("gpt2").state().items()}
    return state | {"lm_head.weight": state["transformer.wte.weight"].copy()}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"use_rope": True, "rope_theta": 500.0}, "use_rope True, rope_theta 500.0"),
        ({"norm_type": "rmsnorm"}, "norm_type 'rmsnorm'"),
        ({"window_size": 16}, "window_size 16"),
        ({"n_kv_head": 1}, "n_kv_head 1"),
        ({"norm_first": False}, "norm_first False"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx True"),
        ({"causal": False, "pos_type": "rope"}, "causal False, pos_type 'rope'"),
    ],
)
def test_arguments_of_changed_code_are_refused_unless_the_family_is_named(more, named):
    checkpoint = checkpoint_of(nanogpt_state(), MODEL_ARGS | more)
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint)
    assert str(caught.value) == (
        f"folder: config.json beside it says {named}, which the code of nanogpt has not: the model may compute "
        'otherwise; if it does not, say family = "nanogpt" in an --architecture file'
    )
    plain = build_model(checkpoint_of(nanogpt_state(), MODEL_ARGS))
    assert build_model(checkpoint, {"family": "nanogpt"}).program == plain.program


@pytest.mark.parametrize(
    "more",
    [
        {"use_rope": False, "window_size": 0, "n_kv_head": None},
        {"flash_attn": True, "init_std": 0.02, "device": "cuda", "attn_dropout": 0.1, "_name": "tiny"},
        {"norm_first": True, "scale_attn_by_inverse_layer_idx": False},
        {"learning_rate": 3e-4, "out_dir": "out", "eval_iters": 200},
        {"causal": True, "pos_type": "learned", "attention_type": "Multi-Head", "layer_types": ["full_attention"] * 2},
    ],
)
def test_what_changes_nothing_or_is_of_the_training_is_passed_over(more):
    plain = build_model(checkpoint_of(nanogpt_state(), MODEL_ARGS))
    assert build_model(checkpoint_of(nanogpt_state(), MODEL_ARGS | more)).program == plain.program


def metas_file(path: Path, **more: object) -> Path:
    """A file as llama2.c's train.py writes it."""
    state = {name: torch.from_numpy(values) for name, values in under_metas_names(META.state(3)).items()}
    sizes = {"dim": META.width, "n_layers": META.layers, "n_heads": META.heads, "n_kv_heads": META.kv_heads}
    torch.save({"model": state, "model_args": {**sizes, "multiple_of": 4, "dropout": 0.1, **more}}, path)
    return path


@pytest.mark.parametrize(
    ("more", "named"),
    [({"qk_norm": True}, "qk_norm True"), ({"sliding_window": 16, "use_moe": False}, "sliding_window 16")],
)
def test_arguments_that_metas_code_does_not_have_are_refused_unless_the_family_is_named(tmp_path, more, named):
    path = metas_file(tmp_path / "a.pt", **more)
    with pytest.raises(CheckpointError) as caught:
        build_model(read_checkpoint(path))
    assert str(caught.value) == (
        f"{path}: 'model_args' in the file says {named}, which the code of llama2.c has not: the model may compute "
        'otherwise; if it does not, say family = "llama2.c" in an --architecture file'
    )
    plain = build_model(read_checkpoint(metas_file(tmp_path / "b.pt", max_batch_size=32, head_dim=META.head)))
    assert build_model(read_checkpoint(path), {"family": "llama2.c"}).program == plain.program


def test_an_activation_beside_metas_arguments_is_read(tmp_path):
    model = build_model(read_checkpoint(metas_file(tmp_path / "a.pt", hidden_act="relu")))
    assert model.architecture["hidden_act"] == "relu" and "hidden_act" not in model.assumed


@pytest.mark.parametrize(
    ("more", "read"),
    [
        ({"act": "gelu"}, {"hidden_act": "gelu"}),
        ({"activation": "relu"}, {"hidden_act": "relu"}),
        ({"rope_base": 500.0}, {"rope_theta": 500.0}),
        ({"rope_base": 500.0, "rope_theta": 700.0}, {"rope_theta": 700.0}),
    ],
)
def test_forks_of_metas_code_say_constants_by_other_names(tmp_path, more, read):
    found = build_model(read_checkpoint(metas_file(tmp_path / "a.pt", **more))).architecture
    assert {name: found[name] for name in read} == read


def test_the_activation_of_metas_code_is_assumed_where_the_arguments_do_not_say_it(tmp_path):
    """Forks with another have the same tensors and arguments: silu was said to be told by them."""
    model = build_model(read_checkpoint(metas_file(tmp_path / "a.pt")))
    assert model.assumed["hidden_act"] == "silu" and "hidden_act" not in model.told


def test_an_activation_by_its_short_name_is_read():
    model = build_model(checkpoint_of(nanogpt_state(), MODEL_ARGS | {"activation": "relu2"}))
    kinds = {each.kind for each in model.program.instructions if isinstance(each, Activation)}
    assert kinds == {ActivationKind.RELU_SQUARED} and "hidden_act" not in model.assumed


TRAINING = {"learning_rate": 3e-4, "batch_size": 12, "max_iters": 100, "grad_clip": 1.0, "max_grad_norm": 1.0}
OF_THE_MODEL = [{"parallel_residual": True}, {"use_rope": True}, {"scale_embedding": True}, {"logit_softcap": 15.0}]


@pytest.mark.parametrize("more", OF_THE_MODEL)
def test_arguments_of_a_model_are_refused_among_the_settings_of_a_training_too(tmp_path, more):
    """Where a learning rate stood beside them, whatever changes the model was passed over."""
    build_model(checkpoint_of(nanogpt_state(), MODEL_ARGS | TRAINING))
    with pytest.raises(CheckpointError, match="which the code of nanogpt has not"):
        build_model(checkpoint_of(nanogpt_state(), MODEL_ARGS | TRAINING | more))
    build_model(read_checkpoint(metas_file(tmp_path / "a.pt", **TRAINING)))
    with pytest.raises(CheckpointError, match=r"which the code of llama2\.c has not"):
        build_model(read_checkpoint(metas_file(tmp_path / "b.pt", **TRAINING, rope_base=500.0, **more)))


SETTINGS = [  # of people's own code, whose tensors are those of a plain GPT
    *({"mup": True}, {"emb_mult": 2.0}, {"output_multiplier": 0.5}, {"logits_scaling": 2.0}, {"qk_scale": 0.1}),
    *({"pos_encoding": "alibi"}, {"position_embedding_type": "alibi"}, {"positional": "sincos"}),
    *({"attention_type": "linear"}, {"local_attn": True}, {"layer_types": ["full_attention", "sliding_attention"]}),
    *({"causal": False}, {"is_causal": False}, {"bidirectional": True}, {"prefix_lm": True}, {"num_mem_kv": 4}),
    *({"n_loops": 3}, {"num_recurrence": 2}, {"share_layers": True}, {"tie_layers": True}, {"mlp_type": "moe"}),
    *({"bitnet": True}, {"use_bitlinear": True}, {"quantize": True}, {"xpos": True}, {"token_shift": True}),
    *({"smear": True}, {"canon": True}, {"mla": True}, {"sandwich": True}, {"hyper_connections": 2}, {"nope_every": 4}),
]
NEUTRAL = [
    *({"causal": True}, {"pos_type": "learned"}, {"attention_type": "full"}, {"mlp_mult": 4}, {"ff_mult": 4}),
    *({"multiple_of": 8}, {"n_loops": 0}, {"temperature": 0.7}, {"eval_loops": 3}, {"share_memory": True}),
    *({"train_norms": True}, {"pipeline_parallel": 2}, {"sample_window": 3}, {"multihead": True}),
]


@pytest.mark.parametrize("more", SETTINGS)
def test_settings_of_ones_own_code_that_change_the_model_are_refused_in_either_family(more):
    """An alibi that a configuration tells by `pos_encoding`, or a factor of muP, was passed over without a word."""
    state, config = state_of(TutorialGpt("separate")), {"d_model": 24, "n_layers": 2, "n_heads": 3, **more}
    said = {**PLAIN, "num_attention_heads": 3}
    [[name, value]] = more.items()
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_with(state, config), said)
    assert f"its file says {name} {value!r}, which the code of handwritten has not: the model may" in str(caught.value)
    assert build_model(checkpoint_with(state, config), {**said, "family": "handwritten"})


@pytest.mark.parametrize("more", NEUTRAL)
def test_settings_that_say_what_is_usual_or_are_of_a_training_are_passed_over(more):
    state, config = state_of(TutorialGpt("separate")), {"d_model": 24, "n_layers": 2, "n_heads": 3}
    said = {**PLAIN, "num_attention_heads": 3}
    plain = build_model(checkpoint_with(state, config), said)
    assert build_model(checkpoint_with(state, config | more), said).program == plain.program


@pytest.mark.parametrize("name", ["sliding_window", "window_size"])
def test_a_window_of_ones_own_code_asks_for_its_layers(name):
    """It was assumed that no layer has it, so that the window was passed over."""
    state = state_of(TutorialGpt("separate"))
    config, said = {"d_model": 24, "n_layers": 2, "n_heads": 3, name: 4}, {**PLAIN, "num_attention_heads": 3}
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_with(state, config), said)
    assert "nothing tells sliding_layers, which change what the model computes" in str(caught.value)
    assert str(caught.value).endswith(
        "(sliding_layers lists the layers, the first being 0, whose attention sees sliding_window positions, its own "
        "among them, and no more)"
    )
    model = build_model(checkpoint_with(state, config), {**said, "sliding_layers": [1]})
    assert [each.window for each in model.program.instructions if isinstance(each, Attention)] == [0, 4]


def test_settings_that_mean_nothing_here_are_said():
    """Words cannot tell every setting that changes a model, so that what is passed over is named."""
    state, config = state_of(TutorialGpt("separate")), {"d_model": 24, "n_layers": 2, "n_heads": 3, "dropout": 0.1}
    said = {**PLAIN, "num_attention_heads": 3}
    assert len(build_model(checkpoint_with(state, config), said).notes) == 1
    odd = {"chunks": 4, "style": "new", "other": 0, "list": [1]}
    [_, note] = build_model(checkpoint_with(state, config | odd), said).notes
    assert note == "of its file is not read: chunks, style"
    assert len(build_model(checkpoint_with(state, config | odd | {"learning_rate": 1e-3}), said).notes) == 1


def test_norms_of_nanogpts_sizes_without_biases_may_be_of_either_kind():
    """Forks keep nanoGPT's arguments, whose bias false was taken for its own LayerNorm without a word."""
    bare = {name: values for name, values in nanogpt_state().items() if not name.endswith(".bias")}
    [note] = build_model(checkpoint_of(bare, MODEL_ARGS | {"bias": False})).notes
    assert note.startswith("its norms have no biases and are taken for LayerNorm; if they are RMSNorm, say family")
    assert not build_model(checkpoint_of(nanogpt_state(), MODEL_ARGS)).notes
