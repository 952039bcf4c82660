"""llm.c's own files of a GPT-2 are read as that GPT-2, in either type; damaged ones are named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from golden_logits import assert_computes, drawn_tokens, golden_logits
from llm_c_files import llm_c_bytes

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError

GOLDEN = golden_logits("gpt2")
STATE, HEADS = GOLDEN.state(), GOLDEN.config["n_head"]
WHOLE = llm_c_bytes(STATE, HEADS)


@pytest.mark.parametrize("padding", [0, 3])
def test_its_file_is_the_gpt_2_of_transformers(tmp_path, padding):
    path = tmp_path / "gpt2.bin"
    path.write_bytes(llm_c_bytes(STATE, HEADS, padding=padding))
    read = read_checkpoint(path)
    model = build_model(read)
    tokens = drawn_tokens(GOLDEN.config["vocab_size"])
    assert_computes(model, GOLDEN.logits, tokens)
    assert read.tensors.keys() == STATE.keys()
    assert all(np.array_equal(read.tensors[name], values) for name, values in STATE.items())
    assert read.notes == ((f"left out, rows that pad the vocabulary: {padding}",) if padding else ())
    assert model.assumed["hidden_act"] == "gelu_tanh" and model.told["num_attention_heads"] == "its llm.c header"
    held = {tensor.name: tensor.shape for tensor in read_holdings(path).tensors}
    assert held == {name: values.shape for name, values in STATE.items()}


def test_its_bfloat16_is_kept(tmp_path):
    path = tmp_path / "gpt2_bf16.bin"
    path.write_bytes(llm_c_bytes(STATE, HEADS, version=5))
    read = read_checkpoint(path)
    assert {*read.dtypes.values()} == {"bfloat16"}
    for name, values in STATE.items():
        np.testing.assert_array_equal(read.tensors[name].view(np.uint32), values.view(np.uint32) & 0xFFFF0000)
    assert {tensor.dtype for tensor in read_holdings(path).tensors} == {"bfloat16"}


DAMAGED = {
    "cut-header": (WHOLE[:100], "is cut: an llm.c header has 1,024 bytes; copy it again"),
    "cut": (WHOLE[:-4], "is an llm.c file whose length is not that of its sizes; copy it again"),
    "version": (
        WHOLE[:4] + struct.pack("<i", 1) + WHOLE[8:],
        "is llm.c's file of version 1; known are 3 (float32)",
    ),
    "sizes": (WHOLE[:8] + struct.pack("<i", -1) + WHOLE[12:], "whose length is not that of its sizes"),
    "heads": (WHOLE[:20] + struct.pack("<i", 5) + WHOLE[24:], "whose length is not that of its sizes"),
    "optimizer": (struct.pack("<2i", 20240527, 1), "it is the state of llm.c's optimizer; give the model_*.bin beside"),
    "llama": (struct.pack("<2i", 20240803, 3), "it is llm.c's own file of a Llama 3; give the Llama as a Hugging Face"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_whole_file_of_a_gpt_2_is_named(tmp_path, name):
    content, message = DAMAGED[name]
    path = tmp_path / f"{name}.bin"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value) and str(path) in str(caught.value)
