"""Archives of numpy arrays are read as weights by name, without pickles and without more memory than they have."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from naive_llama import Llama
from read_back import assert_reads

from bytecap.compiler.checkpoints import numpy_archive
from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError

NAIVE = Llama(tied=True)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("ends", ["<f4", ">f4"])
def test_an_archive_is_a_checkpoint(tmp_path, save, order, ends):
    state = NAIVE.state(0)
    save(tmp_path / "weights.npz", **{name: np.asarray(values, ends, order=order) for name, values in state.items()})
    (tmp_path / "config.json").write_text(json.dumps(NAIVE.config()))
    assert_reads(tmp_path / "weights.npz", state)
    assert_reads(tmp_path, state)
    assert all(values.flags.writeable for values in read_checkpoint(tmp_path).tensors.values())
    assert build_model(read_checkpoint(tmp_path)).architecture["family"] == "llama"
    with pytest.raises(CheckpointError, match="holds one set of weights, which has no name; leave out --weights"):
        read_checkpoint(tmp_path, Selection(weights="ema"))


def test_types_are_remembered(tmp_path):
    values = np.array([[0.5, -2.0], [1.0, 3.0]], np.float32)
    words = (values.view(np.uint32) >> 16).astype(np.uint16)
    path = tmp_path / "m.npz"
    np.savez(path, a=values.astype(np.float16), b=values.astype(np.float64), c=words.view("V2"), step=np.int64(3))
    read = read_checkpoint(path)
    assert read.dtypes == {"a": "float16", "b": "float32", "c": "bfloat16"}
    assert all(np.array_equal(found, values) for found in read.tensors.values())
    assert read.notes == ("left out, counts and states of a training: step",)


def entry(header: str, content: bytes) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def archive(*entries: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return stream.getvalue()


HUGE = entry("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }", bytes(8))
OBJECTS = entry("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n")
GOOD = entry("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytes(8))
DAMAGED = {
    "longer than its entry": (archive(("a.npy", HUGE)), "is not a whole archive: 'a' has 8 bytes for a shape of"),
    "objects": (archive(("a.npy", OBJECTS)), "holds 'a', which is of type object and no tensor"),
    "no header": (archive(("a.npy", b"x")), "is not a whole archive"),
    "cut": (archive(("a.npy", GOOD))[:-30], "is not a whole checkpoint"),
    "nothing": (archive(), "is not a checkpoint: it begins with 50 4b 05 06"),
    "others": (archive(("a.npy", GOOD), ("b.txt", b"x")), "is an archive of numpy arrays"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_none_is_named(tmp_path, name):
    content, message = DAMAGED[name]
    path = tmp_path / "m.npz"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_two_of_one_name_and_too_much_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.npz"
    with pytest.warns(UserWarning, match="Duplicate name"):
        path.write_bytes(archive(("a.npy", GOOD), ("a.npy", GOOD)))
    with pytest.raises(CheckpointError, match="holds 'a' twice"):
        read_checkpoint(path)
    monkeypatch.setattr(numpy_archive, "CONTENT_BYTES", 100)
    with pytest.raises(CheckpointError, match="unfolds into more than 100 bytes"):
        read_checkpoint(path)
