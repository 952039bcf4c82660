"""Errors in words: of a message that is as long as a file, the beginning and the way out are shown."""

from __future__ import annotations

import json

from bytecap.cli.documents import document_text
from bytecap.cli.failures import MOST_CHARACTERS, error_text
from bytecap.errors import DataError


def test_a_message_as_long_as_a_file_is_shortened_in_its_middle():
    text = error_text(DataError(f"x.gguf holds {'a' * 70_000}; convert it again", argument="force"))
    assert len(text) < MOST_CHARACTERS + 200
    assert text.startswith("x.gguf holds aaa") and " ... 68," in text
    assert "; convert it again; use --force" in text
    short = DataError("b" * MOST_CHARACTERS)
    assert error_text(short) == str(short)


def test_what_is_not_seen_in_a_document_is_escaped_and_read_back():
    name = "caf\u00e9 \u4e2d\U0001f600 \u202e\u200b\ufeff\x7f\x1b\U000e0041\ud800\u2028"
    text = document_text("inspect", {"name": name})
    assert json.loads(text)["name"] == name
    assert "caf\u00e9 \u4e2d\U0001f600" in text and all(c.isprintable() or c == "\n" for c in text)
