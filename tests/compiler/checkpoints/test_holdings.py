"""What files of other tools hold, as they store it: types, shapes, bytes, entropies; a sentence for anything else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib

import gguf
import numpy as np
import pytest
import torch
import zstandard
from gguf_files import write_gguf
from html_pages import origin_named, parsed_page
from safetensors.numpy import save, save_file

from bytecap.compiler.checkpoints.holdings import read_holdings
from bytecap.compiler.checkpoints.shared_storage import own_bytes
from bytecap.errors import CheckpointError
from bytecap.format.program.tensor_names import named_role
from bytecap.report.checkpoint_page import checkpoint_page, plot_checkpoint

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "blocks.0.attn.c_q.weight": RANDOM.normal(size=(8, 8)).astype(np.float32),
    "blocks.1.mlp.fc.weight": RANDOM.normal(size=(16, 8)).astype(np.float16),
    "codes": RANDOM.integers(-4, 4, (64, 64)).astype(np.int8),
}


def held(path):
    return {tensor.name: tensor for tensor in read_holdings(path).tensors}


def assert_held(path):
    found = held(path)
    assert {name: (t.shape, t.bytes) for name, t in found.items()} == {
        name: (array.shape, array.nbytes) for name, array in ARRAYS.items()
    }
    assert [found[name].dtype for name in ARRAYS] == ["float32", "float16", "int8"]
    assert 2.9 < found["codes"].entropy_bits <= 3.0
    assert 16 < found["blocks.0.attn.c_q.weight"].entropy_bits < 32


def test_safetensors_and_folders_of_them(tmp_path):
    save_file(ARRAYS, tmp_path / "model.safetensors")
    assert_held(tmp_path / "model.safetensors")
    found = read_holdings(tmp_path)
    assert (found.kind, found.files, found.content_bytes) == ("safetensors", ("model.safetensors",), None)
    assert found.file_bytes == (tmp_path / "model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("kind", "compress"),
    [
        ("zlib", zlib.compress),
        ("gzip", gzip.compress),
        ("xz", lzma.compress),
        ("bzip2", bz2.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
def test_compressed_files(tmp_path, kind, compress):
    content = save(ARRAYS)
    (tmp_path / "model.ptz").write_bytes(compress(content))
    assert_held(tmp_path / "model.ptz")
    found = read_holdings(tmp_path / "model.ptz")
    assert (found.kind, found.content_bytes) == (f"safetensors, {kind}", len(content))
    assert found.file_bytes == (tmp_path / "model.ptz").stat().st_size


def test_torch_files_with_what_leads_to_each_tensor(tmp_path):
    table = torch.ones(4, 2)
    state = {
        "model": {"a.weight": table, "b.weight": table, "c.weight": table.T},
        "lists": [torch.zeros(3, dtype=torch.bfloat16)],
        "step": 7,
    }
    torch.save(state, tmp_path / "model.pt")
    found = read_holdings(tmp_path / "model.pt")
    assert [(t.name, t.dtype, t.shape, t.bytes, t.entropy_bits, t.shares) for t in found.tensors] == [
        ("model.a.weight", "float32", (4, 2), 32, 0.0, ""),
        ("model.b.weight", "float32", (4, 2), 0, 0.0, "model.a.weight"),
        ("model.c.weight", "float32", (2, 4), 0, 0.0, "model.a.weight"),
        ("lists.0", "bfloat16", (3,), 6, 0.0, ""),
    ]
    assert found.notes == ("2 of the tensors share their numbers with another one, and are counted there",)


def test_parts_of_a_tensor_are_counted_with_it(tmp_path):
    base, flat, gaps = torch.arange(24.0).reshape(4, 6), torch.arange(10.0), torch.arange(12.0)
    state = {
        "rows": base[1:3],
        "column": base[:, 2],
        "all": base,
        "begins": flat[:6],
        "ends": flat[4:],
        "between": flat[5:6],
        "even": gaps[::2],
        "again": gaps[::2].reshape(2, 3),
        "first": gaps[:6],
        "odd": gaps[1::2],
        "alone": torch.ones(2),
    }
    torch.save(state, tmp_path / "model.pt")
    holdings = read_holdings(tmp_path / "model.pt")
    found = {tensor.name: (tensor.bytes, tensor.shares) for tensor in holdings.tensors}
    parts = {"rows": "all", "column": "all", "between": "ends"}
    whole = {"all": 96, "begins": 24, "ends": 16, "even": 24, "first": 12, "odd": 12, "alone": 8}
    assert sum(whole.values()) == 4 * (24 + 10 + 12 + 2)  # the bytes of the storages
    assert holdings.notes[1:] == ("3 of the tensors have numbers that are counted with one before them",)
    assert found == {name: (0, owner) for name, owner in parts.items()} | {
        "again": (0, "even"),
        **{name: (size, "") for name, size in whole.items()},
    }


def test_numbers_of_several_types_and_repeated_ones_are_counted_once():
    bits = torch.arange(40, dtype=torch.int32)
    tensors = {
        "first": bits[:8],
        "halves": bits.view(torch.int16)[12:20],
        "repeated": bits[9:11].expand(3, 2),
        "windows": bits[30:].unfold(0, 4, 1),
        "every third": bits[1:36:3],
    }
    indexes = {"first": range(8), "halves": (8, 9), "repeated": (10,), "windows": range(30, 40)}
    known = {k for numbers in indexes.values() for k in numbers}
    indexes["every third"] = [k for k in range(1, 36, 3) if k not in known]
    assert own_bytes(tensors, {}) == {name: 4 * len(numbers) for name, numbers in indexes.items()}


def test_archives_of_arrays_know_their_packed_sizes(tmp_path):
    np.savez_compressed(tmp_path / "arrays.npz", **ARRAYS)
    assert_held(tmp_path / "arrays.npz")
    found = held(tmp_path / "arrays.npz")
    assert 0 < found["codes"].packed_bytes < found["codes"].bytes
    np.savez(tmp_path / "objects.npz", a=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CheckpointError, match=r"of type object and no tensor"):
        read_holdings(tmp_path / "objects.npz")


def test_gguf_keeps_its_types(tmp_path):
    kinds = {"blk.0.attn_q.weight": gguf.GGMLQuantizationType.Q8_0}
    tensors = {name: RANDOM.normal(size=(4, 32)).astype(np.float32) for name in ("token_embd.weight", *kinds)}
    write_gguf(tmp_path / "model.gguf", "llama", {"general.name": "test"}, tensors, kinds)
    found = held(tmp_path / "model.gguf")
    assert (found["token_embd.weight"].dtype, found["token_embd.weight"].bytes) == ("float32", 512)
    assert (found["blk.0.attn_q.weight"].dtype, found["blk.0.attn_q.weight"].bytes) == ("Q8_0", 4 * 34)
    assert found["blk.0.attn_q.weight"].shape == (4, 32)


def test_an_array_that_claims_more_than_it_has_is_refused_before_anything_is_allocated(tmp_path):
    header = np.lib.format.magic(1, 0)
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }\n"
    with zipfile.ZipFile(tmp_path / "arrays.npz", "w") as archive:
        archive.writestr("a.npy", header + len(text).to_bytes(2, "little") + text + b"1234")
    with pytest.raises(CheckpointError, match=r"has 4 bytes for a shape of"):
        read_holdings(tmp_path / "arrays.npz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"hello", "it is a text"),
        ("a.bin", b"", "it is empty"),
        ("a.safetensors", b"\x10\0\0\0\0\0\0\0{not json", "not a whole safetensors file"),
        ("a.npz", b"PK\x03\x04" + b"x" * 40, "not a whole"),
        ("a.gguf", b"GGUF\x03\0\0\0", "not a whole GGUF file"),
        ("a.ptz", zlib.compress(b"nothing"), "what it holds is not a checkpoint"),
        ("a.pt", b"\x80\x04cposix\nsystem\n.", "refused"),
    ],
)
def test_anything_else_is_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_holdings(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_names_of_others_stay_text_on_the_page(tmp_path):
    names = ["</script><b>", "blocks.0.\u202eabc\x1b[2J.weight", "plain.weight"]
    save_file({name: ARRAYS["codes"] for name in names}, tmp_path / "model.safetensors")
    found = read_holdings(tmp_path)
    origin = origin_named("m")
    page = checkpoint_page(origin, found)
    balance = parsed_page(page)
    assert balance.tags.count("script") == 2
    shown = {row[0] for table in balance.tables if table[0][0] == "tensor" for row in table[1:]}
    assert shown == {"</script><b>", r"blocks.0.\u202eabc\x1b[2J.weight", "plain.weight"}
    assert not {"\u202e", "\x1b"} & set(page + plot_checkpoint(origin, found))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "attention q"),
        ("transformer.h.0.attn.c_attn.weight", "attention q+k+v"),
        ("transformer.h.0.attn.c_proj.weight", "attention o"),
        ("transformer.h.0.mlp.c_proj.weight", "mlp down"),
        ("blocks.2.mlp.fc.weight", "mlp up"),
        ("blk.1.ffn_gate.weight", "mlp gate"),
        ("layers.0.feed_forward.w2.weight", "mlp down"),
        ("model.layers.0.input_layernorm.weight", "norm gain"),
        ("lm_head.weight", "head"),
        ("tok_emb.weight", "token table"),
        ("something.4.else", "something.*.else"),
    ],
)
def test_roles_by_name(name, role):
    assert named_role(name) == role
