"""Folders and shards are read whole; whatever is no checkpoint is named in one sentence with the way out."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from naive_llama import META, Llama, under_metas_names, write_folder
from read_back import assert_reads

from bytecap.compiler.checkpoints import containers
from bytecap.compiler.checkpoints.checkpoint import KNOWN_KINDS, read_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import encode_shard

NAIVE = Llama(tied=True)


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_a_folder_is_read_whole(tmp_path, shards):
    state = NAIVE.state(0)
    folder = write_folder(tmp_path / "model", NAIVE, state, shards=shards)
    assert_reads(folder, state)
    configuration = read_checkpoint(folder).configuration
    assert configuration.source == "config.json beside it" and configuration.values == NAIVE.config()


@pytest.mark.parametrize("shards", [1, 3])
def test_a_file_that_is_written_to_while_it_is_read_is_told(tmp_path, monkeypatch, shards):
    folder = write_folder(tmp_path / "model", NAIVE, NAIVE.state(0), shards=shards)
    first, read = min(folder.glob("*.safetensors")), containers.read_safetensors

    def written_to(data, path):
        found = read(data, path)
        with first.open("r+b") as file:
            file.seek(-4, 2)
            file.write(bytes(4))
        return found

    monkeypatch.setattr(containers, "read_safetensors", written_to)
    with pytest.raises(CheckpointError, match=f"{first} was written to while it was read; wait until it is whole"):
        read_checkpoint(folder)


@pytest.mark.parametrize("name", ["model-00002-of-00003.safetensors", "model.safetensors.index.json"])
def test_a_shard_or_an_index_stands_for_all_shards(tmp_path, name):
    state = NAIVE.state(1)
    assert_reads(write_folder(tmp_path / "model", NAIVE, state, shards=3) / name, state)


def test_shards_need_no_index(tmp_path):
    state = NAIVE.state(2)
    folder = write_folder(tmp_path / "model", NAIVE, state, shards=2)
    (folder / "model.safetensors.index.json").unlink()
    assert_reads(folder, state)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "weights.pt", "consolidated.00.pth"])
def test_the_weights_of_a_folder_are_found_among_other_files(tmp_path, name):
    state = {name: torch.from_numpy(values) for name, values in NAIVE.state(3).items()}
    if name.endswith(".safetensors"):
        safetensors.torch.save_file(state, tmp_path / name)
    else:
        torch.save(state, tmp_path / name)
    for other in ("optimizer.pt", "rng_state.pth", "training_args.bin", "tokenizer.json"):
        (tmp_path / other).write_bytes(b"of no use here")
    assert_reads(tmp_path, NAIVE.state(3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_type_of_a_folder(tmp_path, dtype):
    state = {name: torch.from_numpy(values).to(dtype) for name, values in NAIVE.state(4).items()}
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(NAIVE.config()))
    read = read_checkpoint(tmp_path)
    stored = "float32" if dtype is torch.float64 else str(dtype).removeprefix("torch.")
    assert set(read.dtypes.values()) == {stored}
    rounded = {name: values.float().numpy() for name, values in state.items()}
    assert all(np.array_equal(read.tensors[name], values) for name, values in rounded.items())
    assert build_model(read).architecture["num_attention_heads"] == NAIVE.heads


def test_a_config_beside_one_file_is_read(tmp_path):
    torch.save(
        {n: torch.from_numpy(v) for n, v in NAIVE.state(5).items()}, write_folder(tmp_path, NAIVE, {}) / "any.pt"
    )
    assert read_checkpoint(tmp_path / "any.pt").configuration.values == NAIVE.config()


def test_a_config_of_no_model_is_passed_over_and_a_broken_one_is_named(tmp_path):
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    config = tmp_path / "config.json"
    config.write_text('{"learning_rate": 0.1}')
    read = read_checkpoint(tmp_path / "a.safetensors")
    assert read.configuration is None
    assert read.notes == ("config.json beside it describes no model, and is not used",)
    config.write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json is not valid JSON"):
        read_checkpoint(tmp_path / "a.safetensors")


META_ARGUMENTS = {"dim": 24, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-5, "vocab_size": -1}


@pytest.mark.parametrize("place", ["params.json", "model_args"])
def test_metas_own_configuration(tmp_path, place):
    state = META.state(6)
    content = {name: torch.from_numpy(values) for name, values in under_metas_names(state).items()}
    content["rope.freqs"] = torch.from_numpy(10_000.0 ** (-np.arange(3) / 3)).float()
    if place == "params.json":
        torch.save(content, tmp_path / "consolidated.00.pth")
        (tmp_path / place).write_text(json.dumps(META_ARGUMENTS))
    else:
        torch.save({"model": content, place: META_ARGUMENTS, "iter_num": 3}, tmp_path / "ckpt.pt")
    model = build_model(read_checkpoint(tmp_path))
    tokens = np.arange(11)
    logits = Interpreter(model.program, [t.values for t in model.tensors]).logits(tokens[None])[0]
    np.testing.assert_allclose(logits, META.logits(state, tokens), rtol=1e-4, atol=1e-4)
    constants = {"rope_theta": 10_000.0, "hidden_act": "silu"}
    assert model.assumed == {**constants, "seq_len": 1024, "boundary_token": 1}


def test_the_factor_of_metas_scaled_rotations_is_asked_for(tmp_path):
    safetensors.torch.save_file(
        {n: torch.from_numpy(v) for n, v in under_metas_names(META.state(0)).items()}, tmp_path / "model.safetensors"
    )
    scaled = META_ARGUMENTS | {"use_scaled_rope": True}
    (tmp_path / "params.json").write_text(json.dumps(scaled))
    with pytest.raises(CheckpointError, match="rope_scaling of kind 'llama3' lacks factor"):
        build_model(read_checkpoint(tmp_path))
    (tmp_path / "params.json").write_text(json.dumps(scaled | {"rope_scaling_factor": 32}))
    assert build_model(read_checkpoint(tmp_path)).architecture["rope_scaling"]["factor"] == 32


def test_a_step_of_nanochat_has_its_metadata_beside_it(tmp_path):
    config = {"sequence_len": 8, "vocab_size": 16, "n_layer": 2, "n_head": 2, "n_kv_head": 2, "n_embd": 8}
    torch.save({"transformer.wte.weight": torch.zeros(16, 8)}, tmp_path / "model_000123.pt")
    (tmp_path / "meta_000123.json").write_text(json.dumps({"step": 123, "model_config": config}))
    (tmp_path / "optim_000123_rank0.pt").write_bytes(b"of no use here")
    found = read_checkpoint(tmp_path).configuration
    assert found.values == config and found.source == "'model_config' in meta_000123.json beside it"


def test_sizes_under_other_names_are_a_configuration(tmp_path):
    """Such as the public challenge's, which name no model type."""
    config = {"vocab_size": 64, "num_layers": 2, "model_dim": 16, "num_heads": 2, "rope_base": 5e4}
    torch.save({"a": torch.zeros(2)}, tmp_path / "final_model.pt")
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = read_checkpoint(tmp_path / "final_model.pt").configuration
    assert found.values == config and found.source == "config.json beside it"


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 269060552\n"
OTHERS = [  # name, bytes, what the sentence says after the path
    (
        "model.safetensors",
        LFS,
        "is not a checkpoint: it is a git-lfs pointer to the 269,060,552 bytes that are still to be "
        "fetched; fetch them with `git lfs pull --include model.safetensors`",
    ),
    (
        "train.bin",
        encode_shard(np.arange(1234)),
        "is not a checkpoint: it is a token shard of 1,234 tokens; a shard is data, for --calibration or --data",
    ),
    (
        "m.onnx",
        b"\x08\x07\x12\x07pytorch",
        "is not a checkpoint: it is an ONNX graph; give the checkpoint that it was exported from",
    ),
    (
        "m.pt",
        b"\x08\x07\x12\x07pytorch\x1a\x052.1.0",
        "is not a checkpoint: it is an ONNX graph; give the checkpoint that it was exported from",
    ),
    (
        "m.safetensors",
        b"<!DOCTYPE html><html>Sign in</html>",
        "is not a checkpoint: it is a web page, not the file that it should have brought; download the file itself",
    ),
    (
        "m.npy",
        b"\x93NUMPY\x01\x00",
        "is not a checkpoint: it is one numpy array; give the state_dict as .safetensors or .pt",
    ),
    (
        "tf_model.h5",
        b"\x89HDF\r\n\x1a\n....",
        "is not a checkpoint: it is an HDF5 file, such as Keras writes; convert it to .safetensors with the library "
        "that wrote it",
    ),
    (
        "m.tflite",
        b"\x1c\0\0\0TFL3....",
        "is not a checkpoint: it is a TFLite graph; give the checkpoint that it was exported from",
    ),
    (
        "m.bin",
        b"tjgg\x03\0\0\0",
        "is not a checkpoint: it is a GGML file, older than GGUF; convert it to GGUF with an older llama.cpp",
    ),
    (
        "m.nemo",
        b"./".ljust(257, b"\0") + b"ustar  \0",
        "is not a checkpoint: it is a tar archive; unpack it, and give the folder or the file of weights in it",
    ),
    (
        "flax_model.msgpack",
        b"\x81\xa5model",
        "is not a checkpoint: it is a Flax checkpoint; save the model as .safetensors (save_pretrained with PyTorch)",
    ),
    (
        "tokenizer.model",
        b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02",
        "is not a checkpoint: it is a sentencepiece tokenizer; a tokenizer is for --tokenizer; give the model's "
        "weights",
    ),
    (
        "vocab.json",
        b'{"version": "1.0", "added_tokens": []}',
        "is not a checkpoint: it is a tokenizer (vocab.json); a tokenizer is for --tokenizer; give the folder that it "
        "lies in",
    ),
    (
        "config.json",
        b'{"model_type": "llama"}',
        "is not a checkpoint: it is a model's configuration (config.json); give the folder that it lies in, with its "
        "weights",
    ),
    (
        "broken.json",
        b'{"model_type": ',
        "is not a checkpoint: it is JSON (broken.json), and damaged; give the folder that it lies in",
    ),
    (
        "train.py",
        "# größer als ein Anfang\n".encode() * 40,
        "is not a checkpoint: it is a text; a text is data, for --calibration or --data",
    ),
    (
        "tokenizer.json",
        b'{"version": "1.0"}',
        "is not a checkpoint: it is JSON (tokenizer.json), without weights; give the folder that it lies in",
    ),
    (
        "final_model.int6.ptz",
        b"PGRP\x01\x02",
        "is not a checkpoint: it is a record's weights in groups that lrzip compressed, which its own script alone "
        "unpacks; run its loader once and save the state_dict, or give the final_model.pt that it came from",
    ),
    ("m.pt", b"\x89BCAP\r\n\x1a", f"is not a checkpoint: it is a compiled artifact; give {KNOWN_KINDS}"),
]


@pytest.mark.parametrize(("name", "data", "message"), OTHERS, ids=[f"{n} {m[20:50]}" for n, _, m in OTHERS])
def test_what_a_file_is_and_the_way_out(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name} {message}"


ADAPTER_ADVICE = "not a whole model; merge it into its base (merge_and_unload of peft), save that and give its folder"
OPTIMIZER = {"state": {}, "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), "params": [0]}]}  # AdamW's


def test_an_adapter_and_an_optimizer_are_named(tmp_path):
    lora = {"base_model.model.layers.0.q_proj.lora_A.weight": torch.zeros(2, 3)}
    folder = tmp_path / "adapter"
    folder.mkdir()
    safetensors.torch.save_file(lora, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "HuggingFaceTB/SmolLM2-135M"}')
    torch.save(OPTIMIZER, tmp_path / "optimizer.pt")
    cases = {
        folder: f"holds an adapter (LoRA) of HuggingFaceTB/SmolLM2-135M, {ADAPTER_ADVICE}",
        folder / "adapter_model.safetensors": f"holds an adapter (LoRA), {ADAPTER_ADVICE}",
        tmp_path
        / "optimizer.pt": "holds the state of an optimizer, not of a model; give the file of the model's state_dict",
    }
    for path, message in cases.items():
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert str(caught.value) == f"{path} {message}"


def test_incomplete_and_ambiguous_folders(tmp_path):
    folder = write_folder(tmp_path / "m", NAIVE, NAIVE.state(0), shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    missing = f"of which model-00002-of-00002.safetensors is not in {folder}; put all into one folder"
    shard, index = folder / "model-00001-of-00002.safetensors", folder / "model.safetensors.index.json"
    bare, two, empty = (tmp_path / name for name in ("bare", "two", "empty"))
    for each in (bare, two, empty):
        each.mkdir()
    (bare / "config.json").write_text("{}")
    (bare / "readme.md").write_text("x")
    for name in ("a.pt", "b.pt"):
        torch.save({"a": torch.zeros(2)}, two / name)
    cases = {
        shard: f"{shard} is shard 1 of 2, {missing}",
        index: f"{index} names 2 shards, {missing}",
        folder: f"{index} names 2 shards, {missing}",
        bare: (
            f"{bare} holds no weights (there are config.json, readme.md); a checkpoint's folder has model.safetensors"
        ),
        empty: f"{empty} holds no weights (it is empty); a checkpoint's folder has model.safetensors",
        two: f"{two} holds several checkpoints (a.pt, b.pt); give one of these files",
    }
    for path, message in cases.items():
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(path)
        assert str(caught.value) == message


def test_a_broken_index_and_a_tensor_in_two_shards(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"metadata": {}}')
    with pytest.raises(CheckpointError, match=r"is not an index of shards: it has no weight_map; copy it again"):
        read_checkpoint(tmp_path)
    index.write_text('{"weight_map": {}}')
    with pytest.raises(CheckpointError, match=r"is an index of no shards: its weight_map is empty"):
        read_checkpoint(tmp_path)
    index.unlink()
    for k in (1, 2):
        safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / f"m-0000{k}-of-00002.safetensors")
    with pytest.raises(
        CheckpointError, match=r"m-00002-of-00002\.safetensors holds 'a', which another shard holds, too"
    ):
        read_checkpoint(tmp_path)


def test_an_index_may_name_what_no_folder_can_hold(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": "m" * 5000 + ".safetensors", "v": "\0"}}))
    with pytest.raises(CheckpointError, match=r"names 2 shards, of which .* put all into one folder"):
        read_checkpoint(index)
