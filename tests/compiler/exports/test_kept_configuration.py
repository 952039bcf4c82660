"""Others read the configuration that an artifact keeps: exported only where it describes the artifact's program."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors
from golden_logits import checkpoint_of, golden_logits
from naive_llama import Llama, write_folder

import bytecap
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.compiler.rewrites.head_bias import with_bias
from bytecap.compiler.statistics.calibration import Statistics
from bytecap.errors import OutputError
from bytecap.format.assembly import assemble_artifact
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import RawValues

NAIVE = Llama()
LINEAR = {"rope_type": "linear", "factor": 4.0}
OTHERWISE = ({"rope_theta": 77.0}, {"rms_norm_eps": 0.1}, {"hidden_act": "relu"}, {"rope_scaling": LINEAR})
OUTPUTS = ("folder", "model.gguf")


def artifact_of(model, path):
    """The artifact of a model whose values are all stored as they are."""
    sources = [TensorSource(t.name, t.values.shape, t.dtype, (RawValues(t.values, t.dtype),)) for t in model.tensors]
    path.write_bytes(assemble_artifact(model.program, sources, {"configuration": dict(model.configuration)}))
    return path


def model_of(tmp_path, given, **config):
    return build_model(read_checkpoint(write_folder(tmp_path / "source", NAIVE, NAIVE.state(0), **config)), given)


@pytest.mark.parametrize("given", OTHERWISE)
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_model_that_an_architecture_file_told_otherwise_is_not_exported_as_its_configuration(given, output, tmp_path):
    artifact = artifact_of(model_of(tmp_path, given), tmp_path / "model.bcap")
    with pytest.raises(OutputError, match=r"--architecture that says otherwise.*export a \.safetensors"):
        bytecap.export(artifact, tmp_path / output)
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize("given", OTHERWISE)
def test_a_file_of_weights_does_not_tell_a_configuration_that_is_another_model(given, tmp_path):
    artifact = artifact_of(model_of(tmp_path, given), tmp_path / "model.bcap")
    bytecap.export(artifact, tmp_path / "model.safetensors")
    with safetensors.safe_open(tmp_path / "model.safetensors", "numpy") as file:
        assert "config" not in file.metadata()


def test_frequencies_are_compared_though_the_instructions_are_the_same(tmp_path):
    given = {"rope_scaling": LINEAR | {"factor": 8.0}}
    artifact = artifact_of(model_of(tmp_path, given, rope_scaling=LINEAR), tmp_path / "model.bcap")
    with pytest.raises(OutputError, match="says otherwise"):
        bytecap.export(artifact, tmp_path / "folder")


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_head_that_was_given_a_bias_is_not_exported_without_it(output, tmp_path):
    model = model_of(tmp_path, {})
    fisher = np.ones(NAIVE.vocabulary)
    biased, _ = with_bias(model, Statistics({}, {}, 1, np.ones(NAIVE.width), fisher))
    artifact = artifact_of(biased, tmp_path / "model.bcap")
    with pytest.raises(OutputError, match="the head was given a bias"):
        bytecap.export(artifact, tmp_path / output)


@pytest.mark.parametrize("given", [{}, {"seq_len": 8, "boundary_token": 3}])
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_length_or_a_first_token_of_ones_own_change_no_model(given, output, tmp_path):
    bytecap.export(artifact_of(model_of(tmp_path, given), tmp_path / "model.bcap"), tmp_path / output)
    again = build_model(read_checkpoint(tmp_path / output), given)
    assert again.program == model_of(tmp_path, given).program


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_the_text_of_a_larger_model_becomes_a_model_of_text(prefix, output, tmp_path):
    """Which needs nothing that the artifact has not, such as what makes pictures into vectors."""
    golden = golden_logits("gemma3")
    state = {name.replace("model.", prefix, 1): values for name, values in golden.state().items()}
    text = golden.config | {"query_pre_attn_scalar": 8, "layer_types": ["sliding_attention"] * 3, "sliding_window": 64}
    whole = {"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 8}}
    model = build_model(checkpoint_of(state, whole))
    bytecap.export(artifact_of(model, tmp_path / "model.bcap"), tmp_path / output)
    checkpoint = read_checkpoint(tmp_path / output)
    assert checkpoint.tensors.keys() == golden.state().keys()
    assert build_model(checkpoint).program.instructions == model.program.instructions
    if output == "folder":
        config = json.loads((tmp_path / output / "config.json").read_text())
        assert config["model_type"] == "gemma3_text" and config["architectures"] == ["Gemma3ForCausalLM"]
        assert config.keys().isdisjoint(["text_config", "vision_config"])


@pytest.mark.parametrize("model_type", ["gpt-nano", "gpt2"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_what_no_class_of_others_is_becomes_a_file_of_weights_alone(model_type, output, tmp_path):
    """minGPT's own configuration names a model type, which is transformers' too for some, of other tensors."""
    state = {n: np.ascontiguousarray(v.T) if ".c_" in n else v for n, v in golden_logits("gpt2").state().items()}
    state["lm_head.weight"] = state["transformer.wte.weight"][::-1].copy()
    sizes = {"n_layer": 2, "n_head": 3, "n_embd": 24, "block_size": 32, "vocab_size": 29}
    model = build_model(checkpoint_of(state, {"model_type": model_type, **sizes}))
    assert model.architecture["family"] == "mingpt"
    artifact = artifact_of(model, tmp_path / "model.bcap")
    with pytest.raises(OutputError, match=r"a mingpt, which neither transformers nor llama\.cpp knows"):
        bytecap.export(artifact, tmp_path / output)
    assert not (tmp_path / output).exists()
    bytecap.export(artifact, tmp_path / "model.safetensors")
    again = build_model(read_checkpoint(tmp_path / "model.safetensors"))
    assert again.program.instructions == model.program.instructions


@pytest.mark.parametrize("tied", [True, False])
def test_what_a_configuration_leaves_to_the_tensors_is_said(tied, tmp_path):
    """Transformers takes sizes of its own for them, and a head that it draws where the table was the head."""
    naive = Llama(tied=tied)
    silent = dict.fromkeys(("tie_word_embeddings", "intermediate_size", "num_key_value_heads"))
    source = write_folder(tmp_path / "source", naive, naive.state(0), **silent)
    artifact = artifact_of(build_model(read_checkpoint(source)), tmp_path / "model.bcap")
    bytecap.export(artifact, tmp_path / "folder")
    said = json.loads((tmp_path / "folder" / "config.json").read_text("utf-8"))
    assert {name: said[name] for name in silent} == {
        "tie_word_embeddings": tied,
        "intermediate_size": naive.hidden,
        "num_key_value_heads": naive.kv_heads,
    }


def test_a_table_that_is_the_head_is_said_of_a_gpt_whose_code_takes_another(tmp_path):
    golden = golden_logits("gpt-neox")
    state = {name: values for name, values in golden.state().items() if name != "embed_out.weight"}
    config = {name: value for name, value in golden.config.items() if name != "tie_word_embeddings"}
    model = build_model(checkpoint_of(state, config))
    bytecap.export(artifact_of(model, tmp_path / "model.bcap"), tmp_path / "folder")
    said = json.loads((tmp_path / "folder" / "config.json").read_text("utf-8"))
    assert said["tie_word_embeddings"] is True and "intermediate_size" in said
