"""Names from other people's files cannot move a cursor, turn a line around or break an encoding."""

from __future__ import annotations

import pytest

from bytecap.files.printable import printable, shown_value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("blocks.0.weight", "blocks.0.weight"),
        ("größe 重み", "größe 重み"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("line\nbreak\ttab", r"line\nbreak\ttab"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("\ufeffbom", r"\ufeffbom"),
        ("no\u200bwidth", r"no\u200bwidth"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("\u00a0wide", "\u00a0wide"),
        ("lone \ud800 surrogate", r"lone \ud800 surrogate"),
    ],
)
def test_what_does_not_print_is_written_out(text, shown):
    assert printable(text) == shown
    shown.encode("utf-8")


def test_a_value_of_any_size_is_a_few_words():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in (1 << 100_000, deep, ["\x1b[2J"], "x" * 10_000, {"\ud800": float("nan")}):
        shown = shown_value(value)
        assert shown.isprintable() and len(shown) < 120
