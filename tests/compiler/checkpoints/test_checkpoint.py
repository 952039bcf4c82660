"""Checkpoints: every kind of file read and written, wrappers seen through, and everything else refused
without running it.
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bytecap.compiler.checkpoints import compressed, int8_checkpoint
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.export import encode_safetensors, export_checkpoint
from bytecap.errors import CheckpointError, OutputError

READ_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.frontends import build_model
from bytecap.errors import BytecapError
read = read_checkpoint(sys.argv[1])
export_checkpoint(list(read.tensors), list(read.tensors.values()), list(read.dtypes.values()), sys.argv[2])
print(len(read.tensors))
for action in (lambda: read_checkpoint(sys.argv[3]), lambda: export_checkpoint([], [], [], sys.argv[2] + ".pt")):
    try:
        action()
    except BytecapError as error:
        print(error)
"""


def saved(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def state(**more) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "a.weight": torch.randn(3, 4, generator=generator),
        "b": torch.randn(5, generator=generator).bfloat16(),
        "c.gain": torch.randn(2, 2, generator=generator).half(),
        "scalar": torch.tensor(0.25),
    }
    return tensors | more


EXPECTED_TYPES = {"a.weight": "float32", "b": "bfloat16", "c.gain": "float16", "scalar": "float32"}


def assert_holds(path, tensors, types=None):
    read = read_checkpoint(path)
    assert set(read.tensors) == set(tensors) and read.path == path
    for name, tensor in tensors.items():
        values = read.tensors[name]
        assert values.dtype == np.float32 and values.flags.c_contiguous and values.shape == tuple(tensor.shape)
        np.testing.assert_array_equal(values, tensor.float().numpy())
    assert read.dtypes == (types or EXPECTED_TYPES)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"model": s, "step": 12, "optimizer": {"lr": 0.1}},
        lambda s: {"state_dict": s},
        lambda s: {f"module.{n}": t for n, t in s.items()},
        lambda s: {f"_orig_mod.{n}": t for n, t in s.items()},
        lambda s: {"model": {f"module._orig_mod.{n}": t for n, t in s.items()}},
        lambda s: {n.replace(".", "._orig_mod."): t for n, t in s.items()},
        lambda s: {f"_fsdp_wrapped_module.{n.replace('.', '._fsdp_wrapped_module.')}": t for n, t in s.items()},
        lambda s: {f"module.{n.replace('.', '._checkpoint_wrapped_module._orig_mod.')}": t for n, t in s.items()},
        lambda s: {n.replace(".", ".module."): t for n, t in s.items()},
        lambda s: {("module." if i % 2 else "") + n: t for i, (n, t) in enumerate(s.items())},
        lambda s: {"n_averaged": torch.tensor(3), **{f"module.{n}": t for n, t in s.items()}},
        lambda s: {"state_dict": {f"_forward_module.{n}": t for n, t in s.items()}, "epoch": 1},
        lambda s: {n: torch.nn.Parameter(t) for n, t in s.items()},
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files(tmp_path, wrap, legacy):
    path = tmp_path / "any name.bin"
    torch.save(wrap(state()), path, _use_new_zipfile_serialization=not legacy)
    assert_holds(path, state())


def test_strided_views_are_read_as_what_they_show(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    path = tmp_path / "views.pt"
    torch.save({"transposed": base.T, "row": base[1], "repeated": base[:1].expand(5, 4)}, path)
    shown = {"transposed": base.T, "row": base[1], "repeated": base[:1].expand(5, 4)}
    assert_holds(path, shown, dict.fromkeys(shown, "float32"))


def test_safetensors_files(tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(state(wide=torch.tensor([1.0, 1e-60], dtype=torch.float64)), path)
    assert_holds(path, state(wide=torch.tensor([1.0, 0.0])), EXPECTED_TYPES | {"wide": "float32"})


ARRAYS = hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-6e4, 6e4, width=32))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text("abc.xyz", min_size=1),
        st.tuples(ARRAYS, st.sampled_from(["float32", "float16", "bfloat16"])),
        min_size=1,
        max_size=4,
    )
)
@example({"a": (np.tri(2, dtype=np.float32), "float32")})
@example({"b": (1 - np.tri(4, dtype=np.float32), "bfloat16"), "c": (np.tri(3, dtype=np.float32)[None], "float16")})
@example(
    {"x": (np.triu(np.full((3, 3), np.float32(-6e4)), 1), "float32"), "y": (np.eye(4, dtype=np.float32), "float32")}
)
def test_export_and_read_are_inverse(tmp_path_factory, content):
    """Values that a type can hold come back bit for bit, from both kinds of file, and torch reads them the same way."""
    names = [f"t.{name}" for name in content]
    types = [dtype for _, dtype in content.values()]
    arrays = [torch.from_numpy(a).to(getattr(torch, d)).float().numpy() for a, d in content.values()]
    folder = tmp_path_factory.mktemp("export")
    for suffix, load in (
        (".pt", lambda p: torch.load(p, weights_only=True)),
        (".safetensors", safetensors.torch.load_file),
    ):
        path = folder / f"model{suffix}"
        export_checkpoint(names, arrays, types, path)
        read = read_checkpoint(path)
        assert read.dtypes == dict(zip(names, types, strict=True))
        for name, array, dtype in zip(names, arrays, types, strict=True):
            np.testing.assert_array_equal(read.tensors[name], array)
            assert load(path)[name].dtype == getattr(torch, dtype)


def test_exported_bytes_depend_on_the_tensors_alone(tmp_path):
    arguments = (["x", "y"], [np.ones((2, 3), np.float32), np.zeros(5, np.float32)], ["bfloat16", "float32"])
    for name in ("one.pt", "two.pt", "one.safetensors", "two.safetensors"):
        export_checkpoint(*arguments, tmp_path / name)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
    assert (
        (tmp_path / "one.safetensors").read_bytes()
        == (tmp_path / "two.safetensors").read_bytes()
        == encode_safetensors(*arguments)
    )


def test_export_refuses_other_endings_and_existing_files(tmp_path):
    with pytest.raises(OutputError, match=r"model\.bin: a checkpoint is written as \.safetensors or \.pt"):
        export_checkpoint([], [], [], tmp_path / "model.bin")
    (tmp_path / "model.pt").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        export_checkpoint([], [], [], tmp_path / "model.pt")
    export_checkpoint(["x"], [np.ones(1, np.float32)], ["float32"], tmp_path / "model.pt", force=True)
    assert list(read_checkpoint(tmp_path / "model.pt").tensors) == ["x"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pt"]


def test_safetensors_need_no_torch(tmp_path):
    source, copy, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "c.pt"
    safetensors.torch.save_file(state(), source)
    torch.save(state(), other)
    run = subprocess.run(
        [sys.executable, "-c", READ_WITHOUT_TORCH, source, copy, other], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == [
        "4",
        f"reading {other} needs torch; install bytecap[compile], or give a .safetensors file",
        "writing a .pt file needs torch; write .safetensors, or install bytecap[compile]",
    ]
    assert_holds(copy, state())


class TouchesAFile:
    """What an attacker would pickle."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("encode", [saved, pickle.dumps, lambda content: zlib.compress(saved(content))])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, encode):
    victim, path = tmp_path / "touched", tmp_path / "model.pt"
    path.write_bytes(encode({"a": torch.zeros(2), "b": TouchesAFile(victim)}))
    with pytest.raises(CheckpointError, match=r"model\.pt is refused: it holds more than weights"):
        read_checkpoint(path)
    assert not victim.exists()


def damaged(data: bytes):
    yield "empty", b""
    yield "cut", data[: len(data) // 2]
    yield "one byte short", data[:-1]
    yield "head only", data[:9]


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "int8"])
def test_damaged_files_are_checkpoint_errors(tmp_path, kind):
    torch.save(state(), tmp_path / "legacy", _use_new_zipfile_serialization=False)
    whole = {
        "zip": saved(state()),
        "legacy": (tmp_path / "legacy").read_bytes(),
        "safetensors": safetensors.torch.save(state()),
        "int8": int8_file(),
    }[kind]
    path = tmp_path / "damaged"
    for name, data in damaged(whole):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="damaged"):
            read_checkpoint(path)
            pytest.fail(f"{kind} {name} was accepted")


def zipped(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 20))
    return buffer.getvalue()


REFUSED = [
    (b"\x03ello, world\x00", "is not a checkpoint: it begins with 03 65 6c 6c 6f"),
    (b"\x89BCAP\r\n\x1a", "it is a compiled artifact"),
    (b"", "it is empty"),
    (zipped(zipfile.ZIP_DEFLATED), "a compressed archive"),
    (zipped(zipfile.ZIP_STORED), "is not a whole checkpoint"),
    (saved([torch.zeros(2)]), "of type list, not a state_dict"),
    (saved({}), "an empty dict, not a state_dict"),
    (saved({"step": 3, "a": torch.zeros(2)}), "not plain floating point: step (int)"),
    (saved({3: torch.zeros(2)}), "3 is of type Tensor"),
    (
        saved({"a": torch.zeros(2, dtype=torch.int64), "b": torch.zeros(2, dtype=torch.complex64)}),
        "not plain floating point: a (int64), b (complex64)",
    ),
    (saved({"a": torch.zeros(4, 4).to_sparse()}), "not plain floating point: a (sparse_coo float32)"),
    (saved({"a": torch.zeros(1).expand(1 << 40)}), "has 1,099,511,627,776 weights"),
    (
        saved({"a": torch.tensor([1.0, float("nan")]), "b": torch.ones(2), "c": torch.full((2, 2), float("inf"))}),
        "not finite: a (1 of 2, first at [1]), c (4 of 4, first at [0, 0])",
    ),
    (saved({"a": torch.tensor([1e300], dtype=torch.float64)}), "not finite: a (1 of 1"),
    (saved({f"t{i}": torch.tensor([float("nan")]) for i in range(9)}), "and 4 more"),
    (saved({"x.a": torch.zeros(1), "x._orig_mod.a": torch.zeros(1)}), "holds 'x.a' twice"),
    (safetensors.torch.save({"a": torch.zeros(2, dtype=torch.int8)}), "not plain floating point: a (int8)"),
    (
        zlib.compress(b"optimized_weights"),
        "is compressed with zlib, and what it holds is not a checkpoint: it is a text",
    ),
]


@pytest.mark.parametrize(("data", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_not_a_checkpoint_is_one_clear_error(tmp_path, data, message):
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        read_checkpoint(tmp_path / "missing.pt")


INT8_STATE = {
    "__quant_format__": int8_checkpoint.FORMAT_NAME,
    "quantized": {
        "w": torch.tensor([[127, -3], [5, 0]], dtype=torch.int8),
        "v": torch.tensor([2, -4, 6], dtype=torch.int8),
    },
    "scales": {"w": torch.tensor([0.01, 0.3], dtype=torch.float16), "v": torch.tensor(0.125)},
    "dtypes": {"w": "bfloat16", "v": "float32"},
    "passthrough": {"gain": torch.tensor([1.5, 2.5], dtype=torch.float16), "mix": torch.tensor([0.1])},
    "passthrough_orig_dtypes": {"gain": "bfloat16"},
    "qmeta": {"w": {"scheme": "per_row", "axis": 0}},
}


def int8_file(**changes) -> bytes:
    return zlib.compress(saved({key: value for key, value in (INT8_STATE | changes).items() if value is not None}), 9)


def test_int8_files_become_what_the_published_loader_makes(tmp_path):
    path = tmp_path / "final_model.int8.ptz"
    path.write_bytes(int8_file())
    scales = torch.tensor([0.01, 0.3]).half().float()
    expected = {
        "w": (torch.tensor([[127.0, -3], [5, 0]]) * scales[:, None]).bfloat16(),
        "v": torch.tensor([0.25, -0.5, 0.75]),
        "gain": torch.tensor([1.5, 2.5]),
        "mix": torch.tensor([0.1]),
    }
    assert_holds(path, expected, {"w": "bfloat16", "v": "float32", "gain": "bfloat16", "mix": "float32"})


WRONG_INT8 = [
    ({"quantized": None}, "lacks the table 'quantized'"),
    ({"scales": [1]}, "lacks the table 'scales'"),
    ({"passthrough_orig_dtypes": 3}, "lacks the table 'passthrough_orig_dtypes'"),
    ({"scales": {"w": torch.ones(3), "v": torch.tensor(1.0)}}, "codes and scales of 'w' do not fit"),
    ({"scales": {"w": torch.ones(2)}}, "codes and scales of 'v' do not fit"),
    ({"quantized": {"w": torch.ones(2, 2)}}, "codes and scales of 'w' do not fit"),
    ({"quantized": {"w": torch.zeros(1, 1, dtype=torch.int8).expand(1 << 20, 1 << 20)}}, "weights; at most"),
    ({"dtypes": {"v": "float32"}}, "'w' was of type None"),
    ({"dtypes": {"w": "os.system", "v": "float32"}}, "'w' was of type 'os.system'"),
    ({"passthrough": {"gain": 1.0}}, "'gain' is not one tensor"),
    ({"passthrough": {"w": torch.ones(1)}}, "'w' is not one tensor"),
    ({"scales": {"w": torch.tensor([float("inf"), 1.0]), "v": torch.tensor(1.0)}}, "not finite: w"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_INT8, ids=[message for _, message in WRONG_INT8])
def test_wrong_int8_files(tmp_path, changes, message):
    path = tmp_path / "final_model.int8.ptz"
    path.write_bytes(int8_file(**changes))
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_bytes_after_the_stream_are_refused(tmp_path):
    path = tmp_path / "final_model.int8.ptz"
    path.write_bytes(int8_file() + b"more")
    with pytest.raises(CheckpointError, match="followed by 4 other bytes"):
        read_checkpoint(path)


def test_a_zlib_bomb_stops_at_the_limit(monkeypatch):
    bomb = zlib.compress(bytes(1 << 20), 9)
    monkeypatch.setattr(compressed, "CONTENT_BYTES", (1 << 20) - 1)
    with pytest.raises(CheckpointError, match=r"unfolds into more than 1,048,575 bytes"):
        compressed.decompress(bomb, Path("bomb"), "zlib")
    monkeypatch.setattr(compressed, "CONTENT_BYTES", 1 << 20)
    assert compressed.decompress(bomb, Path("bomb"), "zlib") == bytes(1 << 20)
