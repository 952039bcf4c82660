"""Digests of files, against the published value for "abc" (FIPS 180-2)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bytecap.files.digests import file_sha256
from bytecap.lab.measure.saved_points import digest_of


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "abc") == file_sha256(str(tmp_path / "abc")) == expected


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "missing")


def test_a_folder_is_known_by_the_names_and_contents_of_its_files(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "b").write_bytes(b"2")
    (folder / "a").write_bytes(b"1")
    (folder / "inner").mkdir()
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("a", b"1"), ("b", b"2")))
    assert file_sha256(folder) == hashlib.sha256(lines.encode()).hexdigest()
    (folder / "b").rename(folder / "c")
    assert file_sha256(folder) != hashlib.sha256(lines.encode()).hexdigest()
    assert file_sha256(folder / "a") == hashlib.sha256(b"1").hexdigest()


def test_a_preset_stands_for_itself(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    digests = {digest_of([file, path], {}) for path in (None, file, Path("preset:one"), Path("preset:other"))}
    assert len(digests) == 4
