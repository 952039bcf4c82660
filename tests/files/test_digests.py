"""Digests of files, against the published value for "abc" (FIPS 180-2)."""

from __future__ import annotations

import pytest

from bytecap.files.digests import file_sha256


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "abc") == file_sha256(str(tmp_path / "abc")) == expected


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_sha256(tmp_path / "missing")
