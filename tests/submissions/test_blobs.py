"""Binary files are told by their bytes and read without importing: layouts, counts, names, limits."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import pickle
import pickletools
import re
import warnings
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path

import brotli
import numpy as np
import pytest
import torch
import zstandard
from safetensors.numpy import save as save_safetensors
from submission_folders import write_folder
from submission_folders_blobs import Evil, int8_state, record_state, saved
from tiny_tokenizers import model_bytes

from bytecap.errors import DataError
from bytecap.submissions.blob_kinds import read_blob
from bytecap.submissions.blob_pickles import read_pickled
from bytecap.submissions.folder import open_folder
from bytecap.submissions.judge import judge_folder

WRAPPERS = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zstd": zstandard.compress,
    "brotli": brotli.compress,
    "": bytes,
}


def blob_of(tmp_path: Path, name: str, data: bytes):
    folder = open_folder(write_folder(tmp_path, {name: data}))
    return read_blob(folder, folder.get(name))[0]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_challenge_s_file_in_every_compression(tmp_path, wrapper):
    content = saved(int8_state())
    blob = blob_of(tmp_path, "model.ptz", WRAPPERS[wrapper](content))
    assert (blob.kind, blob.wrapper, blob.content_bytes) == ("weights", wrapper, len(content))
    assert blob.what == "a file of torch.save: int8 codes and scales (int8_clean_per_row_v1)"
    assert (blob.tensors, blob.elements) == (3, 16)  # 12 codes and 4 numbers; the scales are no weights
    assert blob.types == {"int8": 12, "float16": 7}
    assert blob.names == ()


def test_a_later_record_s_tables(tmp_path):
    blob = blob_of(tmp_path, "model.ptz", brotli.compress(saved(record_state())))
    assert "integers and scales of a record (1 of gptq (int6)+lqer, 1 of passthrough (float16))" in blob.what
    assert (blob.tensors, blob.elements) == (7, 12 + 3 + 4 + 4)


def test_packed_entries_are_named_by_their_types(tmp_path):
    state = {
        "a": {"type": "ternary", "packed": b"\0\0", "n_trits": 10, "scale": torch.ones(1)},
        "b": {"type": "fp16", "data": torch.ones(3, dtype=torch.float16)},
    }
    assert "packed entries (1 of ternary, 1 of fp16)" in blob_of(tmp_path, "m.ptz", lzma.compress(saved(state))).what


@pytest.mark.parametrize("old", [False, True])
def test_a_state_dict_with_parameters_views_and_types(tmp_path, old):
    shared = torch.zeros(10, 10)
    state = OrderedDict(
        a=shared[:2, :3],
        b=torch.nn.Parameter(torch.zeros(5, dtype=torch.bfloat16)),
        c=torch.zeros((), dtype=torch.int64),
        d=torch.zeros(2, 2, dtype=torch.bool),
    )
    data = saved({"model": state, "again": state, "step": 3}, _use_new_zipfile_serialization=not old)
    blob = blob_of(tmp_path, "model.pt", data)
    assert (blob.kind, blob.tensors, blob.elements) == ("weights", 4, 6 + 5 + 1 + 4)
    assert blob.types == {"float32": 6, "bfloat16": 5, "int64": 1, "bool": 4}
    assert blob.what.startswith("an older file" if old else "a file")
    assert blob.names == ()


def test_other_files_of_weights(tmp_path):
    arrays = {"a": np.zeros((2, 3), np.float16), "b": np.zeros(4, np.int8)}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    blob = blob_of(tmp_path, "x.npz", stream.getvalue())
    assert (blob.kind, blob.tensors, blob.elements) == ("weights", 2, 10)
    blob = blob_of(tmp_path, "x.safetensors", save_safetensors(arrays))
    assert (blob.kind, blob.types) == ("weights", {"float16": 6, "int8": 4})
    stream = io.BytesIO()
    np.save(stream, arrays["a"])
    blob = blob_of(tmp_path, "x.npy", stream.getvalue())
    assert (blob.kind, blob.what) == ("array", "a numpy array float16 [2, 3]")


@pytest.mark.parametrize(
    "added", [bytes(1), b"\x32\xff\xff\x7f" + bytes(2097151), b"\x52\xff\xff\xff\x7f", b"\x0a\xff\xff\xff\x7f"]
)
def test_a_tokenizer_that_is_mostly_something_else_is_data(tmp_path, added):
    """Bytes behind the fields, a field that nobody reads, and pieces that are cut off."""
    whole = model_bytes("bytes")
    assert blob_of(tmp_path / "whole", "spm.model", whole).kind == "tokenizer"
    blob = blob_of(tmp_path / "made_up", "spm.model", whole + added + bytes(2_000_000))
    assert blob.kind == "data" and re.fullmatch(r"a tokenizer with \S+ bytes that are no pieces of it", blob.what)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("hidden", [False, True])
def test_what_a_pickle_would_import_is_named_and_nothing_happens(tmp_path, monkeypatch, protocol, hidden):
    data = pickle.dumps({"w": Evil()}, protocol)
    if hidden:  # the call's value is thrown away before the real one is made
        data = pickle.dumps(Evil(), protocol)[:-1] + b"0" + pickle.dumps({"a": 1}, 0)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("executed"))
    names = read_pickled(data, "x").other_names
    assert [name.rpartition(".")[2] for name in names] == ["system"]
    blob = blob_of(tmp_path, "m.bin", zlib.compress(data))
    if protocol >= 2:  # earlier ones begin with no mark
        assert (blob.kind, blob.names) == ("data", names)


def test_a_call_behind_the_value_of_an_older_file_is_named(tmp_path):
    """torch.load runs a fifth pickle, the keys of the storages, after the value."""
    data = saved({"a": torch.ones(3)}, _use_new_zipfile_serialization=False)
    stream = io.BytesIO(data)
    for _ in range(4):
        all(pickletools.genops(stream))
    blob = blob_of(tmp_path, "m.pt", data[: stream.tell()] + pickle.dumps(Evil(), 2))
    assert blob.kind == "weights"
    assert [name.rpartition(".")[2] for name in blob.names] == ["system"]


@pytest.mark.parametrize("decoy", ["archive/first_data.pkl", "data.pkl", "a/data.pkl", "archive/data.pkl"])
def test_a_call_in_the_second_pickle_of_an_archive_is_named(tmp_path, decoy):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of two files of one name
        archive.writestr(decoy, pickle.dumps({"a": 1}, 2))
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(), 2))
    blob = blob_of(tmp_path, "m.pt", stream.getvalue())
    assert [name.rpartition(".")[2] for name in blob.names] == ["system"]


def test_an_archive_of_too_many_pickles_is_damaged(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for i in range(9):
            archive.writestr(f"{i}/data.pkl", pickle.dumps({}, 2))
    blob = blob_of(tmp_path, "m.pt", stream.getvalue())
    assert (blob.kind, blob.what) == ("damaged", "it cannot be read (it is an archive of 9 pickles)")


def test_opcodes_that_are_not_known_name_what_came_before():
    data = pickle.dumps(Evil(), 2)[:-1] + b"\x82\x01."  # EXT1: an object by its number in a registry
    with pytest.raises(DataError, match=r"would import (posix|nt)\.system"):
        read_pickled(data, "x")


@pytest.mark.parametrize("data", [b"", b"\x80\x02", b"\x80\x02.", b"\x80\x04\x95" + b"\xff" * 8, b"\x80\x02(lp0\n0"])
def test_what_is_no_whole_pickle_is_an_error(data):
    with pytest.raises(DataError):
        read_pickled(data, "x")


def test_a_pickle_that_repeats_itself_ends(tmp_path):
    """Lists of ten times the list before: 10**30 values, each looked at once."""
    value: list = [0]
    for _ in range(30):
        value = [value] * 10
    assert read_pickled(pickle.dumps(value), "x").tensors == ()
    loop: list = []
    loop.append(loop)
    assert read_pickled(pickle.dumps(loop), "x").tensors == ()


@pytest.mark.parametrize("header", [b"{'descr': (", b"(\n(", b"\0", b"\xff", b"[" * 900, b"1" * 5000])
def test_a_header_of_numpy_s_that_is_none_breaks_nothing(header, tmp_path):
    length = len(header).to_bytes(2, "little")
    assert blob_of(tmp_path, "a.npy", b"\x93NUMPY\x01\x00" + length + header).kind == "damaged"


def test_damaged_files_are_told(tmp_path):
    whole = zlib.compress(saved(int8_state()))
    files = {
        "cut.ptz": whole[:-30],
        "text.ptz": zlib.compress(b"trimmedwithdummyrows"),
        "pointer.pt": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        "cut.safetensors": save_safetensors({"a": np.zeros(9, np.float32)})[:-1],
        "bad.safetensors": (9).to_bytes(8, "little") + b'{"a": 5} ',
        "cut.npz": b"PK\x03\x04" + bytes(50),
        "empty.pt": b"",
    }
    folder = open_folder(write_folder(tmp_path, files))
    kinds = {name: read_blob(folder, folder.get(name))[0].kind for name in files}
    assert kinds == {
        "cut.ptz": "damaged",
        "text.ptz": "data",
        "pointer.pt": "pointer",
        "cut.safetensors": "damaged",
        "bad.safetensors": "damaged",
        "cut.npz": "damaged",
        "empty.pt": "data",
    }


def test_a_bomb_unfolds_up_to_a_limit(tmp_path):
    data = zlib.compress(bytes(200 << 20), 1)
    blob = blob_of(tmp_path, "model.ptz", data)
    assert blob.kind == "damaged" and "unfolds into more than" in blob.what


def test_names_in_an_archive_lead_nowhere(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../../evil.npy", b"\x93NUMPY")
        archive.writestr("/etc/evil.npy", b"x")
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    assert blob_of(tmp_path, "a.npz", stream.getvalue()).kind == "damaged"
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_a_large_file_of_torch_is_told_by_its_directory_alone(tmp_path):
    """More bytes than one file may have read."""
    write_folder(tmp_path, {"model.pt": saved({"a": torch.zeros(30_000_000)})})
    folder = open_folder(tmp_path)
    blob, _ = read_blob(folder, folder.get("model.pt"))
    assert (blob.bytes > folder.limits.file_bytes, blob.elements, folder.unread) == (True, 30_000_000, {})


def test_the_log_that_counts_a_data_file_is_named(tmp_path):
    data = lzma.compress(np.random.default_rng(0).bytes(500))
    script = "prefix = open('p.xz', 'rb')\n"
    lines = [
        f"Code size: {len(script)} bytes",
        "Serialized model int8+zlib: 20000 bytes",
        f"Total submission size int8+zlib: {20_000 + len(script) + len(data)} bytes",
        "final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.2",
    ]
    write_folder(tmp_path, {"p.xz": data, "train_gpt.py": script, "train.log": "\n".join(lines)})
    (finding,) = [finding for finding in judge_folder(tmp_path).findings if finding.rule == "blob-data"]
    assert (finding.level.value, finding.values["named_by"]) == ("finding", "train_gpt.py:1")
    assert finding.values["counted_by"] == ["train.log"]
    assert json.dumps(finding.values)


def test_a_file_behind_more_binary_files_than_are_looked_at_is_said_to_be_unread(tmp_path):
    """A library behind 200 small files of data: nothing judges it, and the judgement says so."""
    files = {f"data/{k:03d}.dat": bytes([0, 255]) for k in range(200)}
    write_folder(tmp_path, files | {"zz.so": b"\x7fELF" + bytes(60)})
    (unread,) = [finding for finding in judge_folder(tmp_path).findings if finding.rule == "folder-unread"]
    assert (unread.level.value, unread.place) == ("warning", "zz.so")
    assert unread.text == "not read whole: it is behind the first 200 binary files"
