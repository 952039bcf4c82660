"""Sizes: what each spelling means, and what is refused because it could mean two things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytecap.files.sizes import parse_size

GOOD = {
    "16MB": 16_000_000,
    "16MiB": 16_777_216,
    "16_000_000": 16_000_000,
    "16000000": 16_000_000,
    "500KB": 500_000,
    "500 kB": 500_000,
    "1.5MB": 1_500_000,
    "15.999999MB": 15_999_999,
    "0.5KiB": 512,
    " 1GB ": 10**9,
    "2TiB": 2 * 1024**4,
    "1b": 1,
}
BAD = [
    "",
    "MB",
    "16M",
    "16m",
    "16 M B",
    "16,000,000",
    "-1",
    "+5",
    "1e6",
    "0x10",
    "16_",
    "_16",
    "1__0",
    ".5MB",
    "5.MB",
    "nan",
    "16MBB",
    "١٦",
    "9" * 40,
]


@pytest.mark.parametrize("text", GOOD)
def test_good(text):
    assert parse_size(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_bad(text):
    with pytest.raises(ValueError, match="is not a size in bytes"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "at least 1 byte"),
        ("0.0MB", "at least 1"),
        ("1.5", "not a whole number"),
        ("0.0001KB", "not a whole number"),
    ],
)
def test_too_small_or_broken(text, message):
    with pytest.raises(ValueError, match=message):
        parse_size(text)


@given(st.integers(1, 10**18), st.sampled_from(["{}", "{:_}", "{}B", "{} b"]))
def test_integers_mean_themselves(size, spelling):
    assert parse_size(spelling.format(size)) == size
