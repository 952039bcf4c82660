"""Peers that run a program of others: their own parts, which need none of it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.peers import PEERS, gguf, nncodec, nncodec_runner
from benchmarks.peers.peer import UnsuitableModel

STATE = {
    "tok_emb.weight": torch.arange(32.0).view(8, 4),
    "blocks.0.resid_mix": torch.ones(2, 4),
    "blocks.0.attn_scale": torch.full((4,), 0.5),
    "blocks.0.mlp.fc.weight": torch.ones(4, 4).half(),
}


def test_tensors_travel_to_the_runner_and_back(tmp_path):
    arrays = nncodec.flat_controls(STATE, 15)
    assert {name: a.shape for name, a in arrays.items()} == {
        "tok_emb.weight": (8, 4),
        "blocks.0.resid_mix": (8,),
        "blocks.0.attn_scale": (4,),
        "blocks.0.mlp.fc.weight": (4, 4),
    }
    nncodec_runner.write_tensors(tmp_path / "tensors.npz", arrays)
    read = nncodec_runner.read_tensors(tmp_path / "tensors.npz")
    assert list(read) == list(arrays)
    for name, array in read.items():
        assert array.dtype == np.float32 and np.array_equal(array, arrays[name])
    assert nncodec.flat_controls(STATE, 16)["blocks.0.mlp.fc.weight"].shape == (16,)


def test_a_python_without_the_codec_says_so(tmp_path, monkeypatch):
    """The runner is started for real; this environment has no nncodec, and the file of that name beside
    it is not taken for it.
    """
    monkeypatch.setenv(nncodec.PYTHON_VARIABLE, sys.executable)
    assert PEERS["nncodec"].missing() == "" and nncodec.python_with_nncodec().samefile(sys.executable)
    with pytest.raises(
        RuntimeError,
        match=rf"status {nncodec_runner.NOT_INSTALLED}: nncodec cannot be imported: No module named 'nncodec'",
    ):
        nncodec.compress(STATE, qp=-22, passthrough_elements=15)


def test_the_runner_is_a_program_of_its_own():
    """It must run in a Python that has numpy and nncodec only."""
    code = (
        "import sys; sys.argv = ['x']; import nncodec_runner; "
        "print(*{name.partition('.')[0] for name in sys.modules} & {'torch', 'bytecap', 'benchmarks'})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=nncodec.RUNNER.parent, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == ""


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    nowhere = tmp_path / "nowhere"
    for name, variable in (("nncodec", nncodec.PYTHON_VARIABLE), ("gguf", gguf.LIBRARY_VARIABLE)):
        monkeypatch.setenv(variable, str(nowhere))
        assert variable in PEERS[name].missing()
        monkeypatch.setenv(variable, __file__)
        assert PEERS[name].missing() == ""
    monkeypatch.delenv(gguf.LIBRARY_VARIABLE)
    assert gguf.library_path() is None
    monkeypatch.delenv(nncodec.PYTHON_VARIABLE)
    monkeypatch.setattr(nncodec, "OWN_PYTHON", nowhere)
    assert nncodec.python_with_nncodec() is None


def test_ggml_container_round_trip():
    values = {"a": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), "blocks.0.attn_scale": np.float32([1, 2])}
    entries = [(name, "F32", list(array.shape)) for name, array in values.items()]
    data = gguf.encode_container(entries, [array.tobytes() for array in values.values()])
    table, body = gguf.decode_table(data)
    assert [tuple(entry) for entry in table] == entries and body == b"".join(a.tobytes() for a in values.values())
    decoded = gguf.decode(data, None)
    assert list(decoded) == list(values) and all(np.array_equal(decoded[n].numpy(), a) for n, a in values.items())


def test_ggml_needs_whole_blocks():
    with pytest.raises(UnsuitableModel, match="rows of 100 weights; Q4_K needs a multiple of 256"):
        gguf.quantize(None, "Q4_K", np.zeros((2, 100), np.float32), np.ones(100, np.float32))


def test_every_type_has_a_number_and_a_reader():
    used = {value for peer in ("gguf", "gguf-mixed") for setting in PEERS[peer].settings for value in setting.values()}
    assert (
        used <= set(gguf.TYPES)
        and gguf.READERS["Q4_K"] == "dequantize_row_q4_K"
        and gguf.READERS["IQ4_XS"] == "dequantize_row_iq4_xs"
    )
