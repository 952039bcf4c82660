"""The peers of the benchmarks: their bytes decode to what they return, by the published formulas."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import brotli
import numpy as np
import pytest
import torch
import zstandard
from baseline_model import BaselineModel, Sizes

from benchmarks.peers import PEERS, int6_zstd, int8_zlib, is_control, passthrough_border, register_peer, sdclip
from benchmarks.peers.gptq import quantize_gptq
from benchmarks.peers.hessians import collect_hessians
from bytecap.compiler.checkpoint import Checkpoint, read_checkpoint
from bytecap.compiler.frontends import build_model

SIZES = Sizes(vocabulary=64, layers=3, width=64, heads=4, kv_heads=2, mlp_width=128)


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def module():
    return BaselineModel(SIZES).randomize(1)


@pytest.fixture(scope="module")
def state(module):
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}


@pytest.fixture(scope="module")
def sequences():
    return np.random.default_rng(0).integers(64, size=(6, 40))


@pytest.fixture(scope="module")
def hessians(state, sequences):
    checkpoint = Checkpoint({n: t.numpy() for n, t in state.items()}, dict.fromkeys(state, "float32"), Path("model.pt"))
    return collect_hessians(build_model(checkpoint), sequences, batch_sequences=4)


def test_hessians_are_the_second_moments_that_hooks_see(module, state, sequences, hessians):
    """Against torch's own forward hooks on the twin's linear layers; the tied table against the final norm's output."""
    expected = {}

    def hook(name):
        def record(_, inputs, __):
            x = inputs[0].detach().flatten(0, 1).double()
            expected[name] = x.T @ x / sequences.size

        return record

    handles = [m.register_forward_hook(hook(f"{n}.weight")) for n, m in module.named_modules() if isinstance(m, torch.nn.Linear)]
    with torch.no_grad():
        logits = module(torch.from_numpy(sequences))
    for handle in handles:
        handle.remove()
    z = SIZES.softcap * torch.atanh(logits.double() / SIZES.softcap)
    hidden = torch.linalg.lstsq(state["tok_emb.weight"].double(), z.flatten(0, 1).T).solution
    expected["tok_emb.weight"] = hidden @ hidden.T / sequences.size
    assert set(expected) == set(hessians)
    for name, moment in expected.items():
        torch.testing.assert_close(hessians[name], moment, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", sorted(PEERS))
def test_peers_are_close_at_their_finest_and_smaller_than_float16(name, state, hessians):
    peer = PEERS[name]
    border = passthrough_border(state)
    for setting, allowed in ((peer.settings[-1], 1.0), (peer.settings[0], 0.2)):  # error feedback enlarges the plain error: at the coarsest below zeroing
        data, decoded = peer.compress(state, hessians, passthrough_elements=border, **setting)
        assert set(decoded) == set(state) and all(decoded[n].shape == t.shape and decoded[n].dtype == torch.float32 for n, t in state.items())
        assert all(torch.isfinite(t).all() for t in decoded.values())
        for tensor_name, tensor in state.items():
            error = (decoded[tensor_name] - tensor).square().mean().sqrt() / tensor.square().mean().sqrt()
            assert error < (1e-3 if is_control(tensor_name) else allowed), (tensor_name, setting)
        again, _ = peer.compress(state, hessians, passthrough_elements=border, **setting)
        assert again == data
        assert len(data) < 2 * sum(t.numel() for t in state.values()) + 16_000  # torch.save's own few hundred bytes a tensor


def test_the_border_quantizes_matrices_and_nothing_else(state):
    border = passthrough_border(state)
    for name, tensor in state.items():
        assert (tensor.numel() > border) == (tensor.ndim == 2 and not is_control(name)), name


def test_a_peer_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        register_peer(PEERS["sdclip"])
    assert {p.name: p.settings[p.published] for p in PEERS.values() if p.published is not None} == {"int8-zlib": {}, "int6-zstd": {}, "sdclip": {"k": 12.85}}


def test_int8_files_are_read_by_the_compiler(tmp_path, state):
    data, decoded = int8_zlib.compress(state, passthrough_elements=passthrough_border(state))
    path = tmp_path / "final_model.int8.ptz"
    path.write_bytes(data)
    read = read_checkpoint(path)
    assert list(read.tensors) == list(decoded)
    for name, tensor in decoded.items():
        np.testing.assert_array_equal(read.tensors[name], tensor.numpy())


def test_int8_rows_by_the_published_rule():
    row = torch.linspace(-1, 1, 256)
    codes, scale = int8_zlib.quantize_int8(torch.stack([row * 254, row * 0.5]))
    assert scale.dtype == torch.float16 and scale.tolist() == pytest.approx([2.0, 1 / 127], rel=1e-3)  # the second row stands on the floor
    assert codes[0].abs().max() == 127 and codes[1].abs().max() == 64
    codes, scale = int8_zlib.quantize_int8(torch.tensor([254.0, -127.0]))
    assert scale.ndim == 0 and scale.dtype == torch.float32 and codes.tolist() == [127, -64]


def test_int8_routing_keeps_control_tensors_exact(state):
    data, _ = int8_zlib.compress(state)  # with the published border nothing of so small a model is quantized
    content = torch.load(io.BytesIO(zlib.decompress(data)), weights_only=True)
    assert content["quantized"] == {}
    kinds = {name: tensor.dtype for name, tensor in content["passthrough"].items()}
    assert all((dtype == torch.float32) == is_control(name) for name, dtype in kinds.items())


def test_int6_rows_and_routing(state):
    codes, scale = int6_zstd.quantize_int6(torch.tensor([[62.0, -31.0, 3.0], [0.0, 0.0, 0.0]]))
    assert scale.tolist() == [2.0, 0.0] and codes[0].tolist() == [31, -16, 2]
    data, _ = int6_zstd.compress(state, passthrough_elements=passthrough_border(state))
    kinds = torch.load(io.BytesIO(zstandard.ZstdDecompressor().decompress(data)), weights_only=True)["m"]
    assert kinds["tok_emb.weight"] == kinds["blocks.2.attn.c_k.weight"] == "float16"
    assert kinds["blocks.1.attn.c_k.weight"] == kinds["blocks.2.mlp.fc.weight"] == "int6"
    assert kinds["skip_weights"] == kinds["blocks.0.attn.q_gain"] == "float32"


def naive_gptq(weight, hessian, scale, highest):
    """One column at a time, the inverse Hessian of what is left updated in full: the paper's equations 2 and 3."""
    weight, h = weight.double().clone(), hessian.double().clone()
    h += 0.01 * h.diagonal().mean() * torch.eye(len(h))
    left = h.diagonal().argsort(descending=True, stable=True).tolist()
    inverse, codes = torch.linalg.inv(h), torch.zeros_like(weight)
    while left:
        j = left.pop(0)
        codes[:, j] = (weight[:, j] / scale.double()).round().clamp(-highest, highest)
        error = (weight[:, j] - codes[:, j] * scale.double()) / inverse[j, j]
        weight -= torch.outer(error, inverse[j])
        inverse = inverse - torch.outer(inverse[:, j], inverse[j]) / inverse[j, j]
    return codes.to(torch.int8)


@pytest.mark.parametrize("columns", [5, 128, 150])
def test_gptq_is_the_papers_update(columns):
    generator = torch.Generator().manual_seed(columns)
    x = torch.randn(400, columns, generator=generator) @ torch.randn(columns, columns, generator=generator)
    weight, hessian = torch.randn(7, columns, generator=generator), x.T @ x
    scale = sdclip.row_scales(weight, 12.85, 31)
    codes = quantize_gptq(weight, hessian, scale, 31)
    assert (codes != naive_gptq(weight, hessian, scale, 31)).float().mean() < 0.02  # float32 against float64: rare ties
    rounded = (weight / scale.float()[:, None]).round().clamp(-31, 31)

    def damage(q):
        error = (q.float() * scale.float()[:, None] - weight).double()
        return float(((error @ hessian.double()) * error).sum())

    assert damage(codes) < 0.8 * damage(rounded)


def test_gptq_silences_columns_that_are_never_active():
    hessian = torch.diag(torch.tensor([1.0, 0.0, 2.0]))
    codes = quantize_gptq(torch.ones(2, 3), hessian, torch.full((2,), 0.5).half(), 31)
    assert codes.tolist() == [[2, 0, 2], [2, 0, 2]]


def test_sdclip_steps_and_bytes(state, hessians):
    assert sdclip.row_scales(torch.tensor([[1.0, 2.0, 3.0]]), 12.4, 31).tolist() == pytest.approx([0.4], rel=1e-3)
    sizes = {k: len(sdclip.compress(state, hessians, k=k, passthrough_elements=1000)[0]) for k in (6, 12.85, 25)}
    assert sizes[6] > sizes[12.85] > sizes[25]
    data, decoded = sdclip.compress(state, hessians, passthrough_elements=1000)
    kinds = torch.load(io.BytesIO(sdclip.unshuffle_bytes(brotli.decompress(data))), weights_only=True)["m"]
    assert kinds["tok_emb.weight"] == "gptq (int8)" and kinds["blocks.0.mlp.fc.weight"] == "gptq (int6)" and kinds["skip_weights"] == "float16"
    step = sdclip.row_scales(state["blocks.1.attn.proj.weight"], 12.85, 31).float()[:, None]
    codes = decoded["blocks.1.attn.proj.weight"] / step
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("length", [0, 1, 2, 7, 100])
def test_byte_shuffle(length):
    data = bytes(range(length))
    shuffled = sdclip.shuffle_bytes(data)
    assert shuffled.startswith(b"BSHF\x02") and sorted(shuffled[5:]) == sorted(data)
    assert sdclip.unshuffle_bytes(shuffled) == data
