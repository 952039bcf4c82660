"""Peers that run a program of others: their own parts, which need none of it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.peers import PEERS, gguf, hqq, nncodec, nncodec_runner, watersic
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


def test_ggml_falls_back_on_small_blocks():
    with pytest.raises(UnsuitableModel, match="rows of 100 weights; IQ4_NL needs a multiple of 32"):
        gguf.quantize(None, "IQ4_NL", np.zeros((2, 100), np.float32), np.ones(100, np.float32))


def test_hqq_files_hold_integers_steps_and_zeros():
    """The container alone; the package that makes them is not needed."""
    codes = torch.arange(128, dtype=torch.uint8).reshape(2, 64) % 16
    scale, zero = torch.tensor([[0.5], [0.25]]).half(), torch.tensor([[8.0], [7.5]]).half()
    tensors = {"a.scale": scale, "a.zero": zero, "gain": torch.ones(3).half()}
    for coder in ("general", "entropy"):
        data = hqq.encode_file({"a": [2, 64], "gain": [3]}, tensors, [codes.numpy()], coder)
        decoded = hqq.decode(data, coder)
        assert torch.equal(decoded["a"], (codes.float() - zero.float()) * scale.float())
        assert list(decoded) == ["a", "gain"] and decoded["gain"].dtype == torch.float32


STAND_IN = """
from __future__ import annotations
from dataclasses import dataclass
import torch

@dataclass(frozen=True)
class ZSICConfig:
    target_rate_bits: float
    binary_search: bool = False

def compress_zsic(W, *, cfg, Sig_X, Sig_X_for_dead):
    torch.cuda.synchronize(W.device)
    print("much")
    dead = (Sig_X_for_dead.diagonal() == 0).nonzero().flatten().tolist()
    live = [column for column in range(W.shape[1]) if column not in dead]
    step = torch.full((len(live),), 2.0 ** -cfg.target_rate_bits)
    frame = {"Z": (W[:, live] / step).round().long(), "alpha_base": step, "g_vec": torch.ones(len(live))}
    return None, 0.0, 0.0, frame | {"t_vec": torch.ones(len(W)), "dead_indices": dead}
"""


def test_watersic_is_run_by_its_own_module_and_its_file_decodes(tmp_path, monkeypatch, capsys):
    """A stand-in with the calls of the authors' module: it waits for a GPU, prints, and drops columns without input."""
    path = tmp_path / watersic.MODULE
    path.parent.mkdir(parents=True)
    path.write_text(STAND_IN)
    monkeypatch.setenv(watersic.FOLDER_VARIABLE, str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(8, 16, generator=generator) for name in ("tok_emb.weight", "blocks.0.mlp.fc.weight")}
    hessians = {name: torch.diag(torch.tensor([0.0] + [1.0] * 15)) for name in state}
    rates = {"rate": 2.0, "embedding_rate": 4.0, "passthrough_elements": 4}
    for peer in watersic.PEERS:
        data, decoded = peer.compress(state | {"gain": torch.ones(2)}, hessians, **rates)
        for name, rate in (("tok_emb.weight", 4), ("blocks.0.mlp.fc.weight", 2)):
            assert torch.equal(decoded[name][:, 1:], (state[name][:, 1:] * 2**rate).round() / 2**rate)
            assert not decoded[name][:, 0].any()
        assert torch.equal(decoded["gain"], torch.ones(2)) and len(data) < 3000
    assert capsys.readouterr().out == ""


def test_what_the_packages_of_others_are_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv(watersic.FOLDER_VARIABLE, str(tmp_path))
    assert watersic.FOLDER_VARIABLE in PEERS["watersic"].missing()
    monkeypatch.setattr(hqq.importlib.util, "find_spec", lambda _: None)
    assert "requirements/bench-peers.txt" in PEERS["hqq"].missing()
