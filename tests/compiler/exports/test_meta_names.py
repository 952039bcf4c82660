"""A llama2.c model, exported as a Hugging Face folder, computes what it computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from naive_llama import Llama, llama2c_bytes, under_metas_names

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.exports.folder import folder_files
from bytecap.compiler.exports.meta_names import as_hugging_face
from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.files.output import write_output_folder
from bytecap.runtime.interpreter import Interpreter

NAIVE = Llama("llama2.c", vocabulary=31, interleaved=True)
IDS = np.arange(12)[None] * 5 % 31


def logits(model):
    return Interpreter(model.program, [tensor.values for tensor in model.tensors]).logits(IDS)


def test_names_and_rows_become_hugging_faces_and_the_function_stays(tmp_path):
    (tmp_path / "model.bin").write_bytes(llama2c_bytes(NAIVE, NAIVE.state(0)))
    model = build_model(read_checkpoint(tmp_path / "model.bin"))
    configuration, tensors = as_hugging_face(model.configuration, restored_tensors(model.program, model.tensors))
    values = {tensor.name: tensor.values for tensor in tensors}
    write_output_folder(tmp_path / "folder", folder_files(configuration, values, dict.fromkeys(values, "float32"), {}))
    again = build_model(read_checkpoint(tmp_path / "folder"))
    assert "model.layers.0.self_attn.q_proj.weight" in values and again.configuration["model_type"] == "llama"
    assert np.abs(logits(again) - logits(model)).max() < 1e-5 * np.abs(logits(model)).max()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("key_heads", ["said", None, "silent"])
def test_what_metas_arguments_leave_unsaid_is_said(tmp_path, tied, key_heads):
    """As llama2.c's train.py writes them: no width of the MLP, no epsilon, n_kv_heads None where all have keys."""
    naive = replace(NAIVE, tied=tied, kv_heads=2 if key_heads == "said" else NAIVE.heads)
    state = {name: torch.from_numpy(values) for name, values in under_metas_names(naive.state(0)).items()}
    arguments = {"dim": naive.width, "n_layers": naive.layers, "n_heads": naive.heads, "multiple_of": 4}
    if key_heads != "silent":
        arguments["n_kv_heads"] = None if key_heads is None else naive.kv_heads
    torch.save({"model": state, "model_args": arguments}, tmp_path / "model.pt")
    model = build_model(read_checkpoint(tmp_path / "model.pt"))
    configuration, tensors = as_hugging_face(model.configuration, restored_tensors(model.program, model.tensors))
    assert configuration["intermediate_size"] == naive.hidden and configuration["rms_norm_eps"] == 1e-5
    assert configuration["tie_word_embeddings"] is tied and configuration["num_key_value_heads"] == naive.kv_heads
    assert not {"query_rows", "key_rows"} & configuration.keys()
    values = {tensor.name: tensor.values for tensor in tensors}
    write_output_folder(tmp_path / "folder", folder_files(configuration, values, dict.fromkeys(values, "float32"), {}))
    again = build_model(read_checkpoint(tmp_path / "folder"))
    assert np.abs(logits(again) - logits(model)).max() < 1e-5 * np.abs(logits(model)).max()


def test_a_model_that_is_hugging_faces_already_is_left_alone():
    assert as_hugging_face({"model_type": "qwen2"}, []) == ({"model_type": "qwen2"}, [])
