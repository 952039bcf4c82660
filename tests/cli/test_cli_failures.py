"""Errors in words: of a message that is as long as a file, the beginning and the way out are shown."""

from __future__ import annotations

from bytecap.cli.failures import MOST_CHARACTERS, error_text
from bytecap.errors import DataError


def test_a_message_as_long_as_a_file_is_shortened_in_its_middle():
    text = error_text(DataError(f"x.gguf holds {'a' * 70_000}; convert it again", argument="force"))
    assert len(text) < MOST_CHARACTERS + 200
    assert text.startswith("x.gguf holds aaa") and " ... 68," in text
    assert "; convert it again; use --force" in text
    short = DataError("b" * MOST_CHARACTERS)
    assert error_text(short) == str(short)
