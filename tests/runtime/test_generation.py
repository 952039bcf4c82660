"""The text of tokens that come one by one, and which tokens a prompt is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tiny_tokenizers import tiny_tokenizer

from bytecap.errors import DataError
from bytecap.format.program.operations import Embed
from bytecap.format.program.program import Program
from bytecap.runtime.generation import TextStream, end_tokens, parse_token_ids, prompt_tokens
from bytecap.runtime.tokenizers import load_tokenizer

PROGRAM = Program((Embed(0),), 420, 8, 1)
BYTES = load_tokenizer("bytes")


@given(st.text(max_size=12))
@example("\ufffd0")  # the mark of bytes that are no character may be a character of the text
def test_characters_come_when_their_last_byte_is_there(text):
    stream, written, tokens = TextStream(BYTES, [65]), "", BYTES.encode_document(text)
    ends = {len(text[:count].encode()): text[:count] for count in range(len(text) + 1)}  # bytes to what they spell
    for count, token in enumerate(tokens, start=1):
        written += stream.add(token)
        assert written == ends[max(end for end in ends if end <= count)]
    assert written + stream.finish() == text


def test_a_character_that_is_not_finished_is_told():
    stream = TextStream(BYTES, [65])
    assert stream.add(0xE2) == stream.add(0x82) == ""
    assert stream.finish() == "\ufffd"


def test_a_leading_space_is_dropped_only_at_the_beginning_of_a_document():
    tokenizer = tiny_tokenizer("prefixed")
    ids = tokenizer.encode_document("ab ab")
    spaced = next(token for token in ids if tokenizer.pieces.leading_space[token])
    text = tokenizer.pieces.texts[spaced].decode()
    assert TextStream(tokenizer, []).add(spaced) == TextStream(tokenizer, [1]).add(spaced) == text[1:]
    assert TextStream(tokenizer, [spaced]).add(spaced) == text == " " + text[1:]


def test_prompts_begin_as_scored_texts_do():
    tokenizer = tiny_tokenizer()
    assert prompt_tokens("ab", tokenizer, PROGRAM) == (1, *tokenizer.encode_document("ab"))
    assert prompt_tokens("", tokenizer, PROGRAM) == (1,)
    assert prompt_tokens("ab", BYTES, PROGRAM) == tuple(b"ab")  # whose pieces are all text
    assert prompt_tokens("", BYTES, PROGRAM) == (1,)


def test_texts_end_at_what_stands_for_no_text():
    assert end_tokens(PROGRAM, None) == {1}
    assert end_tokens(PROGRAM, tiny_tokenizer()) == {0, 1, 2}  # padding, beginning and end; not the unknown piece
    assert end_tokens(PROGRAM, BYTES) == {1}


def test_token_ids_in_words():
    assert parse_token_ids(" 1 403,7 ") == (1, 403, 7) and parse_token_ids("") == ()
    with pytest.raises(DataError, match="not '1 x'"):
        parse_token_ids("1 x")


@pytest.mark.parametrize("name", ["bytes", "prefixed"])
@pytest.mark.parametrize("prompt", ["caf\udce9", "half \ud83d"])
def test_a_prompt_that_is_no_text_is_refused_with_its_place(name, prompt):
    tokenizer = BYTES if name == "bytes" else tiny_tokenizer(name)
    place = prompt.index(next(character for character in prompt if "\ud800" <= character <= "\udfff"))
    with pytest.raises(DataError, match=f"character {place + 1} is .* give the prompt in UTF-8"):
        prompt_tokens(prompt, tokenizer, PROGRAM)
