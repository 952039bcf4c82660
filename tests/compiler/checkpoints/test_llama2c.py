"""Files of llama2.c of every version are read whole, and only those that are theirs to the byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from naive_llama import META, Llama, llama2c_bytes, under_metas_names
from read_back import assert_reads

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.llama2c import llama2c_sizes
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError
from bytecap.runtime.interpreter import Interpreter

NAIVE = Llama(tied=True)

CONSTANTS = {"rms_norm_eps", "hidden_act", "boundary_token"}  # of run.c, which no file says


@pytest.mark.parametrize("tied", [True, False])
def test_llama2c_files(tmp_path, tied):
    naive = Llama("llama2.c", tied=tied, interleaved=True)
    state, path = naive.state(7), tmp_path / "stories.bin"
    path.write_bytes(llama2c_bytes(naive, state))
    assert_reads(path, under_metas_names(state))
    model = build_model(read_checkpoint(path))
    tokens = np.arange(13)
    logits = Interpreter(model.program, [t.values for t in model.tensors]).logits(tokens[None])[0]
    np.testing.assert_allclose(logits, naive.logits(state, tokens), rtol=1e-4, atol=1e-4)
    assert set(model.defaults) == CONSTANTS and set(model.told.values()) == {"shapes", "its llama2.c header"}
    assert (model.program.sequence_length, model.program.boundary_token) == (16, 1)


def test_a_llama2c_file_is_one_to_the_byte():
    data = llama2c_bytes(META, META.state(8))
    assert llama2c_sizes(data).heads == 4
    for other in (
        data[:-1],
        data + b"\0",
        data[:20],
        struct.pack("<i", 25) + data[4:],
        struct.pack("<i", -24) + data[4:],
    ):
        assert llama2c_sizes(other) is None


@pytest.mark.parametrize("length", [-400, 4])
def test_a_file_of_another_length_is_told_by_its_beginning(tmp_path, length):
    """A download that was cut, or the same header before weights that another program packed."""
    whole, path = llama2c_bytes(META, META.state(8)), tmp_path / "a.bin"
    path.write_bytes(whole[:length] if length < 0 else whole + bytes(length))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value) == (
        f"{path} is not a checkpoint: it begins as llama2.c's file of version 0 does, which has {len(whole):,} bytes "
        f"for width {META.width}, {META.layers} layers, {META.vocabulary} tokens, and has {len(whole) + length:,}; "
        "copy it again if it was cut; packed weights of other programs are not known, give the float32 file"
    )


def versioned(naive, version: int, group: int = 0) -> bytes:
    """The 256 bytes before the weights of versions 1 and 2."""
    sizes = (naive.width, naive.hidden, naive.layers, naive.heads, naive.kv_heads, naive.vocabulary, 16)
    return struct.pack("<4sI7iBi", b"24ka", version, *sizes, naive.tied, group).ljust(256, b"\0")


def in_file_order(naive, state) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Gains and matrices, role by role over all layers."""
    named = under_metas_names(state)
    layers = range(naive.layers)
    gains = [named[f"layers.{n}.{part}.weight"] for part in ("attention_norm", "ffn_norm") for n in layers]
    parts = [*(f"attention.w{x}" for x in "qkvo"), *(f"feed_forward.w{x}" for x in "123")]
    matrices = [named["tok_embeddings.weight"], *(named[f"layers.{n}.{p}.weight"] for p in parts for n in layers)]
    return [*gains, named["norm.weight"]], [*matrices, *([] if naive.tied else [named["output.weight"]])]


@pytest.mark.parametrize("tied", [True, False])
def test_llama2c_files_of_version_1(tmp_path, tied):
    naive = Llama("llama2.c", tied=tied, interleaved=True)
    state, path = naive.state(7), tmp_path / "stories.bin"
    gains, matrices = in_file_order(naive, state)
    data = versioned(naive, 1) + b"".join(values.astype("<f4").tobytes() for values in (*gains, *matrices))
    path.write_bytes(data)
    assert_reads(path, under_metas_names(state))
    for wrong, message in (
        (data[:-4], "length is not that of its sizes"),
        (data[:100], "is cut: a llama2.c header has 256 bytes"),
        (data[:4] + b"\x07" + data[5:], "is a llama2.c file of version 7; known are 0, 1 and 2"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(path)


@pytest.mark.parametrize("scales_behind", [False, True])
def test_llama2c_files_of_version_2(tmp_path, scales_behind):
    """Integers in groups; older exporters wrote all scales behind all integers."""
    naive, group = Llama("llama2.c", tied=True, interleaved=True, width=32, hidden=32, head=8, vocabulary=32), 16
    state, path = naive.state(8), tmp_path / "stories.bin"
    gains, matrices = in_file_order(naive, state)
    scales = [np.abs(values.reshape(-1, group)).max(1) / 127 for values in matrices]
    codes = [np.rint(m.reshape(-1, group) / s[:, None]).astype(np.int8) for m, s in zip(matrices, scales, strict=True)]
    pairs = [*codes, *scales] if scales_behind else [x for pair in zip(codes, scales, strict=True) for x in pair]
    body = b"".join((x if x.dtype == np.int8 else x.astype("<f4")).tobytes() for x in pairs)
    path.write_bytes(versioned(naive, 2, group) + b"".join(g.astype("<f4").tobytes() for g in gains) + body)
    read = read_checkpoint(path)
    assert read.notes == ("int8 in groups of 16 with their scales decoded to float32",)
    for name, values in under_metas_names(state).items():
        rounding = np.abs(values).max() / 254 * 1.01 if values.ndim == 2 else 0
        assert np.abs(read.tensors[name] - values).max() <= rounding, name
    assert set(build_model(read).defaults) == CONSTANTS | {"rope_theta"}  # without tables of rotations


def test_other_rotations_in_a_llama2c_file_are_refused(tmp_path):
    data = bytearray(llama2c_bytes(NAIVE, NAIVE.state(9)))
    data[-4:] = struct.pack("<f", 0.25)
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"a\.bin has tables of rotations that are not those of base 10000"):
        read_checkpoint(tmp_path / "a.bin")
