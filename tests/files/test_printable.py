"""Names from other people's files cannot move a cursor, turn a line around or break an encoding."""

from __future__ import annotations

import pytest

from bytecap.files.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("blocks.0.weight", "blocks.0.weight"),
        ("größe 重み", "größe 重み"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("line\nbreak\ttab", r"line\nbreak\ttab"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("\ufeffbom", r"\ufeffbom"),
        ("lone \ud800 surrogate", r"lone \ud800 surrogate"),
    ],
)
def test_what_does_not_print_is_written_out(text, shown):
    assert printable(text) == shown
    shown.encode("utf-8")
