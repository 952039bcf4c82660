"""Files and folders that hold parts of a model, as several devices write them: named, with the way to join them."""

from __future__ import annotations

import json

import pytest
import torch
from naive_llama import Llama, write_folder
from read_back import assert_reads

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.errors import CheckpointError

NAIVE = Llama(tied=True)
STATE = {name: torch.from_numpy(values) for name, values in NAIVE.state(0).items()}
FLAT = torch.cat([values.flatten() for values in STATE.values()])
ZERO = "join them with the zero_to_fp32.py that DeepSpeed put beside them: `python zero_to_fp32.py . joined`"
JOINED = (
    "holds the weights in parts, as torch.distributed.checkpoint writes them; join them with `python -m "
    "torch.distributed.checkpoint.format_utils dcp_to_torch {folder} joined.pt` and give joined.pt"
)


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "_flat_param",
        "model.layers.0._fsdp_wrapped_module._flat_param",
        "_fsdp_wrapped_module._fpw_module.flat_param_0",
    ],
)
def test_flat_parameters_of_fsdp_are_named(tmp_path, name):
    """They were called tensors of another architecture, which renamings would mend."""
    torch.save({"model": {name: FLAT, "head.weight": torch.ones(2, 2)}}, tmp_path / "m.pt")
    assert refusal(tmp_path / "m.pt") == (
        f"{tmp_path / 'm.pt'} holds weights that FSDP laid one after the other without their names and shapes "
        f"({name.replace('_fsdp_wrapped_module.', '').replace('_fpw_module.', '')}); save them whole where the model "
        "is: its state_dict() within FSDP.state_dict_type(model, StateDictType.FULL_STATE_DICT)"
    )


def zero_folder(folder, stage):
    """As DeepSpeed saves, beside a Hugging Face configuration."""
    inner = folder / "global_step7"
    inner.mkdir(parents=True)
    (folder / "latest").write_text("global_step7")
    optimizer = {"optimizer_state_dict": {"zero_stage": stage}}
    for rank in range(2):
        torch.save(optimizer, inner / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
        if stage == 3:
            empty = {"module": dict.fromkeys(STATE, torch.empty(0)), "ds_version": "0.16"}
            torch.save(empty, inner / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
    if stage < 3:
        torch.save({"module": STATE, "ds_version": "0.16"}, inner / "mp_rank_00_model_states.pt")
    return inner


def test_what_deepspeed_writes_is_read_where_it_is_whole(tmp_path):
    inner = zero_folder(tmp_path / "run", 2)
    message = refusal(tmp_path / "run")
    assert message == f"{tmp_path / 'run'} holds no weights itself; give one of the folders in it: global_step7"
    assert_reads(inner, NAIVE.state(0))
    part = inner / "zero_pp_rank_0_mp_rank_00_optim_states.pt"
    assert refusal(part) == f"{part} is a part of an optimizer's state, as DeepSpeed's ZeRO writes it; {ZERO}"


def test_what_deepspeed_parted_is_named(tmp_path):
    inner = zero_folder(tmp_path / "run", 3)
    assert refusal(inner) == (
        f"{inner} holds the weights in parts, as DeepSpeed's ZeRO writes them; {ZERO} in the folder above, and give "
        "that"
    )
    part = inner / "zero_pp_rank_1_mp_rank_00_model_states.pt"
    message = refusal(part)
    assert message.startswith(f"{part} holds names of weights without numbers (model.embed_tokens.weight, ")
    assert message.endswith(f"parted among several processes (ZeRO stage 3), whose files hold them; {ZERO}")


def test_distributed_checkpoints_of_torch_are_named(tmp_path):
    folder = tmp_path / "dcp"
    folder.mkdir()
    for name in (".metadata", "__0_0.distcp", "__1_0.distcp"):
        (folder / name).write_bytes(b"\x80\x02x")
    for path in (folder, folder / ".metadata", folder / "__0_0.distcp"):
        assert refusal(path) == f"{folder} " + JOINED.format(folder=folder)
    (tmp_path / "config.json").write_text("{}")
    assert refusal(tmp_path).endswith("holds no weights itself; give one of the folders in it: dcp")
    (folder / ".metadata").unlink()
    part = folder / "__0_0.distcp"
    assert refusal(part) == (
        f"{part} is one of the parts that torch.distributed.checkpoint writes, and its .metadata is missing; copy the "
        "whole folder"
    )


def test_metas_parts_of_matrices_are_named(tmp_path):
    torch.save(STATE, tmp_path / "consolidated.00.pth")
    assert_reads(tmp_path, NAIVE.state(0))
    torch.save(STATE, tmp_path / "consolidated.01.pth")
    for path in (tmp_path, tmp_path / "consolidated.01.pth"):
        assert "is one of 2 parts in which Meta's code lays each matrix on several devices; join them" in refusal(path)


@pytest.mark.parametrize("names", [("model_rank_0.pt", "model_rank_1.pt"), ("mp_rank_00.pt", "mp_rank_01.pt")])
def test_files_of_several_processes_are_named(tmp_path, names):
    for name in names:
        torch.save(STATE, tmp_path / name)
    assert refusal(tmp_path) == (
        f"{tmp_path} holds the weights in parts, each of one process ({', '.join(names)}); save the state_dict whole, "
        "or join them as what wrote them does, and give that file"
    )


def test_checkpoints_in_folders_are_listed_by_their_numbers(tmp_path):
    """A trainer's folder was called empty."""
    for step in (1000, 500):
        write_folder(tmp_path / f"checkpoint-{step}", NAIVE, NAIVE.state(0))
    (tmp_path / "runs").mkdir()
    message = refusal(tmp_path)
    assert (
        message == f"{tmp_path} holds no weights itself; give one of the folders in it: checkpoint-500, checkpoint-1000"
    )
    write_folder(tmp_path, NAIVE, NAIVE.state(0))
    assert_reads(tmp_path, NAIVE.state(0))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flax_model.msgpack", "flax_model.msgpack is a Flax model; save it by save_pretrained of its PyTorch class"),
        ("tf_model.h5", "tf_model.h5 is a TensorFlow model; save it by save_pretrained of its PyTorch class"),
        ("model.ckpt-9.data-00000-of-00001", "they are those of a TensorFlow checkpoint; save them by names as "),
        ("manifest.ocdbt", "they are those of Orbax (JAX); save the restored arrays by names as .safetensors or .npz"),
        ("model.onnx", "an ONNX graph is a program, not a checkpoint; give what it was exported from"),
        ("model.keras", "a .keras file holds Keras layers; save its weights by names as .safetensors or .npz"),
        ("rust_model.ot", "rust_model.ot is of rust-bert; give the PyTorch model that it was made of"),
    ],
)
def test_a_folder_of_another_programs_weights_is_named(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "config.json").write_text("{}")
    assert refusal(tmp_path).startswith(f"{tmp_path} holds no weights that are read here: {message}")


def test_an_adapter_beside_a_model_is_said(tmp_path):
    write_folder(tmp_path, NAIVE, NAIVE.state(0))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x")
    assert read_checkpoint(tmp_path).notes == (
        "adapter_config.json lies beside the weights: an adapter, which is not part of what is read; merge it into "
        "them (merge_and_unload of peft) if it belongs to the model",
    )


@pytest.mark.parametrize("kind", ["ia3_l.default", "hada_w1_a", "lokr_w1", "base_layer.weight"])
def test_adapters_of_any_kind_are_named(tmp_path, kind):
    torch.save({**STATE, f"model.layers.0.self_attn.k_proj.{kind}": torch.ones(2, 2)}, tmp_path / "m.pt")
    assert "holds an adapter (LoRA), not a whole model; merge it" in refusal(tmp_path / "m.pt")
