"""The peers of the benchmarks: their bytes decode to what they return, by the published formulas."""

from __future__ import annotations

import io
import itertools
import zlib
from pathlib import Path

import brotli
import numpy as np
import pytest
import torch
import zstandard
from baseline_model import BaselineModel, Sizes

from benchmarks.peers import (
    PEERS,
    exl3,
    external_codec,
    general_codec,
    int6_zstd,
    int8_zlib,
    low_rank,
    record,
    record_file,
    sdclip,
)
from benchmarks.peers.bitshift_trellis import pack_rings, search_rings, unpack_rings
from benchmarks.peers.gptq import quantize_gptq
from benchmarks.peers.hessians import collect_hessians
from benchmarks.peers.peer import UnsuitableModel, is_control, passthrough_border
from bytecap.compiler.checkpoints.checkpoint import Checkpoint, read_checkpoint
from bytecap.compiler.frontends import build_model

SLOW = {"exl3"}  # a second a matrix, however small
PLAIN = sorted({name for name, peer in PEERS.items() if peer.missing is str} - SLOW)  # need no program of others
SIZES = Sizes(vocabulary=64, layers=3, width=64, heads=4, kv_heads=2, mlp_width=128)


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def without_lrzip(monkeypatch):
    """ZPAQ takes a third of a second a stream; its round trip has a test of its own."""
    monkeypatch.setenv("PATH", "/nowhere")


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

    handles = [
        m.register_forward_hook(hook(f"{n}.weight"))
        for n, m in module.named_modules()
        if isinstance(m, torch.nn.Linear)
    ]
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


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.usefixtures("without_lrzip")
def test_peers_are_close_at_their_finest_and_smaller_than_float16(name, state, hessians):
    peer = PEERS[name]
    border = passthrough_border(state)
    for setting, allowed in (
        (peer.settings[-1], 1.0),
        (peer.settings[0], 0.2),
    ):  # error feedback enlarges the plain error: at the coarsest below zeroing
        data, decoded = peer.compress(state, hessians, passthrough_elements=border, **setting)
        assert set(decoded) == set(state) and all(
            decoded[n].shape == t.shape and decoded[n].dtype == torch.float32 for n, t in state.items()
        )
        assert all(torch.isfinite(t).all() for t in decoded.values())
        for tensor_name, tensor in state.items():
            error = (decoded[tensor_name] - tensor).square().mean().sqrt() / tensor.square().mean().sqrt()
            assert error < (1e-3 if is_control(tensor_name) else allowed), (tensor_name, setting)
        again, _ = peer.compress(state, hessians, passthrough_elements=border, **setting)
        assert again == data
        assert (
            len(data) < 2 * sum(t.numel() for t in state.values()) + 16_000
        )  # torch.save's own few hundred bytes a tensor


def test_the_border_quantizes_matrices_and_nothing_else(state):
    border = passthrough_border(state)
    for name, tensor in state.items():
        assert (tensor.numel() > border) == (tensor.ndim == 2 and not is_control(name)), name


def test_the_published_settings():
    assert {p.name: p.settings[p.published] for p in PEERS.values() if p.published is not None} == {
        "int8-zlib": {},
        "int6-zstd": {},
        "sdclip": {"k": 12.85},
        "record": {"k": 11.5},
    }


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
    assert scale.dtype == torch.float16 and scale.tolist() == pytest.approx(
        [2.0, 1 / 127], rel=1e-3
    )  # the second row stands on the floor
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
    assert (
        kinds["tok_emb.weight"] == "gptq (int8)"
        and kinds["blocks.0.mlp.fc.weight"] == "gptq (int6)"
        and kinds["skip_weights"] == "float16"
    )
    step = sdclip.row_scales(state["blocks.1.attn.proj.weight"], 12.85, 31).float()[:, None]
    codes = decoded["blocks.1.attn.proj.weight"] / step
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("length", [0, 1, 2, 7, 100])
def test_byte_shuffle(length):
    data = bytes(range(length))
    shuffled = sdclip.shuffle_bytes(data)
    assert shuffled.startswith(b"BSHF\x02") and sorted(shuffled[5:]) == sorted(data)
    assert sdclip.unshuffle_bytes(shuffled) == data


def naive_chain(codes):
    """Nearest unused row by L1 distance, the first of equals, from row 0."""
    order = [0]
    while len(order) < len(codes):
        left = [row for row in range(len(codes)) if row not in order]
        order.append(min(left, key=lambda row: int(np.abs(codes[row].astype(int) - codes[order[-1]]).sum())))
    return order


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (40, 5), (64, 17)])
def test_rows_are_chained_to_their_nearest(shape):
    codes = np.random.default_rng(shape[0]).integers(-3, 4, size=shape).astype(np.int8)
    assert record_file.chain_of_rows(codes).tolist() == naive_chain(codes)


@pytest.mark.parametrize("zpaq", sorted({False, external_codec.has_zpaq()}))
def test_record_file_round_trip(zpaq):
    generator = torch.Generator().manual_seed(3)
    shapes = {
        "tok_emb": (50, 16),
        "blocks.10.mlp.fc": (32, 16),
        "blocks.2.mlp.fc": (24, 16),
        "blocks.2.mlp.proj": (16, 24),
        "blocks.0.attn.c_q": (16, 16),
    }
    codes = {f"{n}.weight": torch.randint(-31, 32, s, generator=generator, dtype=torch.int8) for n, s in shapes.items()}
    rest, kinds = {"skip_weights": torch.arange(3).half()}, {"skip_weights": "float16"}
    data = record_file.encode_file(codes, rest, kinds, zpaq=zpaq)
    decoded, rest_back, kinds_back = record_file.decode_file(data)
    assert list(decoded) == list(codes) and all(
        torch.equal(decoded[n], codes[n]) and decoded[n].dtype == torch.int8 for n in codes
    )
    assert torch.equal(rest_back["skip_weights"], rest["skip_weights"]) and kinds_back == kinds
    assert data[:4] == b"PGRP" and data[4:8] == bytes([9, 0, 0, 0])
    lengths = np.frombuffer(data, "<u4", 9, 8)
    assert 44 + lengths.sum() == len(data)
    orders = np.frombuffer(
        brotli.decompress(data[len(data) - lengths[-1] :]), "<u2"
    )  # the orders are in the file, and counted
    layers = ("tok_emb", "blocks.0.attn.c_q", "blocks.2.mlp.fc", "blocks.10.mlp.fc")
    assert orders.tolist() == [row for n in layers for row in naive_chain(codes[f"{n}.weight"].numpy())]


def test_record_file_knows_its_roles():
    with pytest.raises(UnsuitableModel, match=r"lm_head\.weight has none of the roles"):
        record_file.encode_file({"lm_head.weight": torch.zeros(2, 2, dtype=torch.int8)}, {}, {}, zpaq=False)


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 40])
def test_external_codec_round_trip(data):
    coded = external_codec.compress_bytes(data, zpaq=False)
    assert external_codec.decompress_bytes(coded) == data and len(coded) < max(len(data), 6)


def test_correction_takes_the_largest_directions():
    generator = torch.Generator().manual_seed(5)
    u, v = (torch.linalg.qr(torch.randn(n, 6, generator=generator)).Q for n in (60, 90))
    sizes = torch.tensor([40.0, 30.0, 20.0, 10.0, 0.5, 0.2])
    error = u * sizes @ v.T
    correction = low_rank.correct_error(error, 4)
    assert (
        correction.a.shape == (60, 4) and correction.b.shape == (4, 90) and correction.b_scale.shape == (6,)
    )  # 360 values in groups of 64
    assert correction.a.min() >= -2 and correction.a.max() <= 1 and correction.b.min() >= -8 and correction.b.max() <= 7
    assert correction.a_scale.dtype == correction.b_scale.dtype == torch.float16
    step = (correction.b_scale.float().repeat_interleave(64)[:360]).view(4, 90)
    expected = sum(
        torch.outer(correction.a[:, i] * correction.a_scale.float(), correction.b[i] * step[i]) for i in range(4)
    )
    torch.testing.assert_close(correction.product(), expected)
    assert (error - correction.product()).norm() < 0.75 * error.norm()
    assert low_rank.worst_matrices({"a": error, "b": 2 * error, "c": error / 9}, 2) == ["b", "a"]


@pytest.mark.usefixtures("without_lrzip")
def test_record_grids_corrections_and_note(state, hessians):
    border = passthrough_border(state)
    data, decoded = record.compress(state, hessians, passthrough_elements=border)
    codes, rest, kinds = record_file.decode_file(data)
    assert kinds["tok_emb.weight"].startswith("gptq (int7)") and kinds["skip_weights"] == "float16"
    assert sum(kind.endswith("+lqer") for kind in kinds.values()) == 3
    for name, k, highest in (("blocks.0.mlp.fc", 11.5, 31), ("blocks.0.attn.proj", 13.0, 31), ("tok_emb", 14.0, 63)):
        assert torch.equal(rest[f"{name}.weight.scale"], sdclip.row_scales(state[f"{name}.weight"], k, highest))
    for name, kind in kinds.items():
        if not kind.startswith("gptq"):
            continue
        plain = codes[name].float() * rest[f"{name}.scale"].float()[:, None]
        error = (decoded[name] - state[name]).norm()
        assert error < (plain - state[name]).norm() if kind.endswith("+lqer") else torch.equal(decoded[name], plain)
    finer, _ = record.compress(
        state, hessians, embedding_bits=8, embedding_k=7, corrected=0, passthrough_elements=border
    )
    content = record_file.decode_file(finer)
    assert content[2]["tok_emb.weight"] == "gptq (int8)" and content[0]["tok_emb.weight"].abs().max() > 63
    assert PEERS["record"].note() == "brotli for ZPAQ" and PEERS["record"].missing() == ""


def all_rings(length, bits, rate):
    """Every ring of windows, int64[2**(length * rate), length]."""
    symbols = np.array(list(itertools.product(range(1 << rate), repeat=length)))
    windows = sum(np.roll(symbols, back, axis=1) << (rate * back) for back in range(-(-bits // rate)))
    return windows & ((1 << bits) - 1)


@pytest.mark.parametrize(("bits", "rate"), [(4, 1), (4, 2), (6, 2), (6, 3)])
def test_rings_of_windows_are_the_nearest_ones(bits, rate):
    """Against all of them. The node that the second search is held to may be another than the best ring's, the more
    often the shorter the rings are.
    """
    random = np.random.default_rng(bits + rate)
    values = random.standard_normal(1 << bits).astype(np.float32)
    length = 12 // rate
    targets = random.standard_normal((40, length)).astype(np.float32)
    windows = search_rings(targets, values, rate)
    rings = all_rings(length, bits, rate)
    least = np.square(values[rings][None] - targets[:, None]).sum(-1).min(1)
    found = np.square(values[windows] - targets).sum(-1)
    assert (found >= least - 1e-5).all()
    node = windows[:, 0] >> rate
    held = np.stack([rings[:, 0] >> rate == k for k in range(1 << (bits - rate))])
    distances = np.square(values[rings][None] - targets[:, None]).sum(-1)
    np.testing.assert_allclose(found, [np.min(d[held[k]]) for d, k in zip(distances, node, strict=True)], rtol=1e-5)
    assert (found <= least + 1e-5).mean() > 0.3
    packed = pack_rings(windows, rate)
    assert len(packed) == 40 * length * rate // 8
    assert (unpack_rings(packed, 40, length, bits, rate) == windows).all()


def test_the_trellis_is_as_near_as_its_paper_says():
    """Mean squared error of Gaussian weights at two bits: 0.069 (arXiv:2406.11235); a scalar quantizer has 0.118."""
    assert exl3.CODEBOOK.std() == pytest.approx(exl3.CODEBOOK_SCALE, rel=1e-3)
    targets = np.random.default_rng(0).standard_normal((40, 256)).astype(np.float32)
    found = exl3.CODEBOOK[search_rings(targets * exl3.CODEBOOK_SCALE, exl3.CODEBOOK, 2)] / exl3.CODEBOOK_SCALE
    assert np.square(found - targets).mean() == pytest.approx(0.069, abs=0.002)


def test_exl3_feeds_errors_back():
    """What moments say of the inputs makes the error of the outputs less and that of the weights greater."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(48, 96, generator=generator) * torch.rand(48, 1, generator=generator)
    x = torch.randn(600, 96, generator=generator) @ torch.randn(96, 96, generator=generator)
    hessian = x.T @ x / len(x)
    errors = []
    for moments in (hessian, torch.eye(96)):
        error = weight - exl3.dequantize(exl3.quantize(weight, moments, 2))
        errors.append((torch.trace(error @ hessian @ error.T).item(), error.square().sum().item()))
    (with_moments, enlarged), (without, plain) = errors
    assert with_moments < 0.7 * without and enlarged > plain
    with pytest.raises(UnsuitableModel, match="tiles of 16 x 16"):
        exl3.quantize(weight[:40], hessian, 2)


def test_exl3_files_have_so_many_bits_a_weight():
    generator = torch.Generator().manual_seed(3)
    names = {"tok_emb.weight": 3, "blocks.0.mlp.fc.weight": 2}
    state = {name: torch.randn(64, 32, generator=generator) for name in names}
    state["blocks.0.attn_scale"] = torch.linspace(0.5, 1.5, 32)
    moments = dict.fromkeys(names, torch.eye(32))
    data, decoded = exl3.compress(state, moments, bits=2, embedding_bits=3, passthrough_elements=64)
    _, end = general_codec.decode_head(data)
    assert len(data) - end == sum(64 * 32 * bits // 8 for bits in names.values())
    assert list(decoded) == list(state) and {tensor.dtype for tensor in decoded.values()} == {torch.float32}
    assert (decoded["blocks.0.attn_scale"] - state["blocks.0.attn_scale"]).abs().max() < 1e-3
    errors = {n: ((decoded[n] - state[n]).square().mean() / state[n].square().mean()).item() for n in names}
    assert errors == pytest.approx({"tok_emb.weight": 0.0177, "blocks.0.mlp.fc.weight": 0.069}, rel=0.1)
