"""The tokenizers of GGUF files against llama.cpp's own reading of the same fields."""

from __future__ import annotations

import pytest
from llama_cpp import Llama
from tiny_tokenizers import words
from tokenizer_files import gguf_file

from bytecap.runtime.tokenizers import load_tokenizer
from bytecap.runtime.tokenizers.word_patterns import GGUF_PATTERNS

TEXTS = (
    " ".join(words(1, 60)),
    "abc  de\n\n  \u4e2d\u00e9 \U0001f600 don't WE'LL 12345 3.14 (a+b)=c; x_y  \t \n",
    " leading, and trailing ",
    "camelCase HTTPServer caf\u00e9s \u041f\u0440\u0438\u0432\u0435\u0442 1234567 ...!?\r\n/* ok */",
)


@pytest.mark.parametrize("name", ["llama", *GGUF_PATTERNS])
def test_tokens_are_those_of_llama_cpp(name, tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(gguf_file("llama") if name == "llama" else gguf_file("gpt2", pre=name))
    ours, theirs = load_tokenizer(path), Llama(str(path), vocab_only=True, verbose=False)
    for text in TEXTS:
        assert ours.encode_document(text) == theirs.tokenize(text.encode(), add_bos=False)
